/* One row per format; the maths is in dequantize*.c. */
#include <math.h>

#include "dequantize.h"
#include "blocks.h"
#include "quants.h"

static const QuantTraits traits[TENSOR_TYPE_COUNT] = {
    [TENSOR_F32] = {"F32", 1, 4, dequantize_f32},
    [TENSOR_F16] = {"F16", 1, 2, dequantize_f16},
    [TENSOR_BF16] = {"BF16", 1, 2, dequantize_bf16},
    [TENSOR_Q4_0] = {"Q4_0", 32, sizeof(BlockQ4_0), dequantize_q4_0},
    [TENSOR_Q4_1] = {"Q4_1", 32, sizeof(BlockQ4_1), dequantize_q4_1},
    [TENSOR_Q5_0] = {"Q5_0", 32, sizeof(BlockQ5_0), dequantize_q5_0},
    [TENSOR_Q5_1] = {"Q5_1", 32, sizeof(BlockQ5_1), dequantize_q5_1},
    [TENSOR_Q8_0] = {"Q8_0", 32, sizeof(BlockQ8_0), dequantize_q8_0},
    [TENSOR_Q2_K] = {"Q2_K", SUPER_BLOCK, sizeof(BlockQ2_K), dequantize_q2_k},
    [TENSOR_Q3_K] = {"Q3_K", SUPER_BLOCK, sizeof(BlockQ3_K), dequantize_q3_k},
    [TENSOR_Q4_K] = {"Q4_K", SUPER_BLOCK, sizeof(BlockQ4_K), dequantize_q4_k},
    [TENSOR_Q5_K] = {"Q5_K", SUPER_BLOCK, sizeof(BlockQ5_K), dequantize_q5_k},
    [TENSOR_Q6_K] = {"Q6_K", SUPER_BLOCK, sizeof(BlockQ6_K), dequantize_q6_k},
    [TENSOR_IQ1_S] = {"IQ1_S", SUPER_BLOCK, sizeof(BlockIQ1_S), dequantize_iq1_s},
    [TENSOR_IQ1_M] = {"IQ1_M", SUPER_BLOCK, sizeof(BlockIQ1_M), dequantize_iq1_m},
    [TENSOR_IQ2_XXS] = {"IQ2_XXS", SUPER_BLOCK, sizeof(BlockIQ2_XXS), dequantize_iq2_xxs},
    [TENSOR_IQ2_XS] = {"IQ2_XS", SUPER_BLOCK, sizeof(BlockIQ2_XS), dequantize_iq2_xs},
    [TENSOR_IQ2_S] = {"IQ2_S", SUPER_BLOCK, sizeof(BlockIQ2_S), dequantize_iq2_s},
    [TENSOR_IQ3_XXS] = {"IQ3_XXS", SUPER_BLOCK, sizeof(BlockIQ3_XXS), dequantize_iq3_xxs},
    [TENSOR_IQ3_S] = {"IQ3_S", SUPER_BLOCK, sizeof(BlockIQ3_S), dequantize_iq3_s},
    [TENSOR_IQ4_NL] = {"IQ4_NL", 32, sizeof(BlockIQ4_NL), dequantize_iq4_nl},
    [TENSOR_IQ4_XS] = {"IQ4_XS", SUPER_BLOCK, sizeof(BlockIQ4_XS), dequantize_iq4_xs},
    [TENSOR_TQ1_0] = {"TQ1_0", SUPER_BLOCK, sizeof(BlockTQ1_0), dequantize_tq1_0},
    [TENSOR_TQ2_0] = {"TQ2_0", SUPER_BLOCK, sizeof(BlockTQ2_0), dequantize_tq2_0},
    [TENSOR_MXFP4] = {"MXFP4", 32, sizeof(BlockMXFP4), dequantize_mxfp4},
    /* never weights: tables of integers, and formats that exist for intermediate results only */
    [TENSOR_Q8_1] = {"Q8_1", 32, 36},
    [TENSOR_Q8_K] = {"Q8_K", SUPER_BLOCK, 292},
    [TENSOR_I8] = {"I8", 1, 1},
    [TENSOR_I16] = {"I16", 1, 2},
    [TENSOR_I32] = {"I32", 1, 4},
    [TENSOR_I64] = {"I64", 1, 8},
    [TENSOR_F64] = {"F64", 1, 8},
};

const QuantTraits *quant_traits(uint32_t type) {
    return type < TENSOR_TYPE_COUNT && traits[type].name ? &traits[type] : NULL;
}

void quantize_q8_0(const float *x, void *blocks, size_t n) {
    for (BlockQ8_0 *b = blocks; n > 0; b++, x += 32, n -= 32) {
        float max = 0;
        for (int i = 0; i < 32; i++)
            max = fmaxf(max, fabsf(x[i]));
        float d = max / 127, inverse = d > 0 ? 1 / d : 0;
        b->d = float_to_half(d);
        for (int i = 0; i < 32; i++)
            b->qs[i] = (int8_t)lrintf(x[i] * inverse);
    }
}
