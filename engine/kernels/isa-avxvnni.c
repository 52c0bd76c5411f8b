/* AVX2 with AVX-VNNI: the products of bytes anew, everything else is as good as it was. */
#include "kernels.h"
#include "simd-avx2.h"

/* a register tile of bytes: rows of x times groups of outputs */
#define Q8_ROWS   2
#define Q8_GROUPS 2
/* tiles of weights unpacked at a time: for many rows of x, and for few */
#define Q8_DEPTH     32
#define Q8_FEW_DEPTH 8
/* many rows of x: those of the next register tile are fetched */
#define Q8_FETCHES_X true

static inline VI vi_dot(VI sum, VI unsigned_bytes, VI signed_bytes) {
    return _mm256_dpbusd_avx_epi32(sum, unsigned_bytes, signed_bytes);
}

#include "q8-dot-vnni.h"
#include "q8-table-tpl.h"

void kernels_fill_avxvnni(Kernels *k) {
    q8_fill(k);
}
