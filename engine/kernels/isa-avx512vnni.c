/* AVX-512 with VNNI: the products of bytes and of words anew, everything else is as good as it was. */
#include "kernels.h"
#include "simd-avx512.h"

/* a register tile of bytes: rows of x times groups of outputs */
#define Q8_ROWS   4
#define Q8_GROUPS 2
/* tiles of weights unpacked at a time: for many rows of x, and for few */
#define Q8_DEPTH     16
#define Q8_FEW_DEPTH 16
/* many rows of x: those of the next register tile are fetched */
#define Q8_FETCHES_X true

static inline VI vi_dot(VI sum, VI unsigned_bytes, VI signed_bytes) {
    return _mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes);
}

#include "q8-dot-vnni.h"
#include "q8-table-tpl.h"

/* halves as words: tiles unpacked at a time; up to how many rows of x share none */
#define Q14_DEPTH    16
#define Q14_FEW_ROWS 5
/* then rows of weights side by side, and bytes of each from what is multiplied to what is fetched */
#define Q14_FEW_LANES 4
#define Q14_AHEAD     2048

static inline VI vi_add_dot_words(VI sum, VI a, VI b) {
    return _mm512_dpwssd_epi32(sum, a, b);
}

#include "q14-tpl.h"

void kernels_fill_avx512vnni(Kernels *k) {
    q8_fill(k);
    q14_fill(k);
}
