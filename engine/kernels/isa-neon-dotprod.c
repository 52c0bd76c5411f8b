/* NEON with dot products: the products of bytes anew, everything else is as good as it was. */
#include "kernels.h"
#include "simd-neon.h"

/* a register tile of bytes: rows of x times groups of outputs */
#define Q8_ROWS   4
#define Q8_GROUPS 2
/* tiles of weights unpacked at a time: for many rows of x, and for few */
#define Q8_DEPTH     64
#define Q8_FEW_DEPTH 8
/* many rows of x: those of the next register tile are fetched */
#define Q8_FETCHES_X true

typedef struct Q8Sum {
    int32x4_t lanes;
} Q8Sum;

static inline void q8_step(Q8Sum *s, int8x16_t w, int8x16_t x) {
    s->lanes = vdotq_s32(s->lanes, w, x);
}

static inline VF q8_sum_end(const Q8Sum *s) {
    return vcvtq_f32_s32(s->lanes);
}

#include "q8-dot-neon.h"
#include "q8-table-tpl.h"

void kernels_fill_neon_dotprod(Kernels *k) {
    q8_fill(k);
}
