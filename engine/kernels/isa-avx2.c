/* AVX2, FMA and F16C: the templates instantiated. */
#include "kernels.h"
#include "simd-avx2.h"

/* a register tile of bytes: rows of x times groups of outputs */
#define Q8_ROWS   4
#define Q8_GROUPS 2
/* tiles of weights unpacked at a time: for many rows of x, and for few */
#define Q8_DEPTH     48
#define Q8_FEW_DEPTH 16
/* many rows of x: those of the next register tile are fetched; here that costs more than it saves */
#define Q8_FETCHES_X false

#include "dequantize-avx2.h"
#include "float-table-tpl.h"

#include "q8-dot-narrow.h"
#include "q8-table-tpl.h"

/* halves as words: tiles unpacked at a time; up to how many rows of x share none */
#define Q14_DEPTH    16
#define Q14_FEW_ROWS 5
/* then rows of weights side by side, and bytes of each from what is multiplied to what is fetched */
#define Q14_FEW_LANES VF_LANES
#define Q14_AHEAD     512

static inline VI vi_add_dot_words(VI sum, VI a, VI b) {
    return vi_settle(vi_add32(sum, vi_dot_words(a, b)));
}

#include "q14-tpl.h"

void kernels_fill_avx2(Kernels *k) {
    float_fill(k);
    q8_fill(k);
    q14_fill(k);
    k->dequantize[TENSOR_Q8_0] = unpack_q8_0;
    k->dequantize[TENSOR_Q4_0] = unpack_q4_0;
    k->dequantize[TENSOR_Q4_K] = unpack_q4_k;
    k->dequantize[TENSOR_Q6_K] = unpack_q6_k;
}
