/* NEON without dot products: the templates instantiated. */
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

#include "float-table-tpl.h"

/* Lanes 0 and 1, and lanes 2 and 3, each as two sums that belong together. */
typedef struct Q8Sum {
    int32x4_t low, high;
} Q8Sum;

static inline void q8_step(Q8Sum *s, int8x16_t w, int8x16_t x) {
    s->low = vpadalq_s16(s->low, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    s->high = vpadalq_s16(s->high, vmull_high_s8(w, x));
}

static inline VF q8_sum_end(const Q8Sum *s) {
    return vcvtq_f32_s32(vpaddq_s32(s->low, s->high));
}

#include "q8-dot-neon.h"
#include "q8-table-tpl.h"

void kernels_fill_neon(Kernels *k) {
    float_fill(k);
    q8_fill(k);
}
