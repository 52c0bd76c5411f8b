/* The slots of the table that multiply bytes: which format is unpacked how, and multiplied as what. */
#pragma once

#include "q8-quantize-tpl.h"
#include "q8-unpack-iq-tpl.h"
#include "q8-unpack-tpl.h"
#ifdef STRIP_WIDTH
#include "strip-unpack-iq-tpl.h"
#include "strip-unpack-tpl.h"
#endif

Q8_KIND(q8_signed, .bits = 8)
Q8_KIND(q8_signed_halves, .bits = 8, .halves = true)
Q8_KIND(q8_small_offset, .bits = 5, .offset = true)
Q8_KIND(q8_small_min, .bits = 5, .min = true)
Q8_KIND(q8_small_halves_offset, .bits = 5, .halves = true, .offset = true)
Q8_KIND(q8_small_halves_min, .bits = 5, .halves = true, .min = true)
Q8_KIND(q8_halves_offset, .bits = 6, .halves = true, .offset = true)

/* Few rows of x go along strips of weights, everything else goes through tiles. */
#ifndef STRIP_WIDTH
#define Q8_STRIPS(format, kind, ...)                                                                                   \
    static bool q8_strips_##format(const Matmul *m) {                                                                  \
        return false;                                                                                                  \
    }
#endif

/* The arguments after the kind are the format's StripFormat. */
#define Q8_MATMUL(format, kind, ...)                                                                                   \
    Q8_STRIPS(format, kind, __VA_ARGS__)                                                                               \
    static void q8_matmul_##format(const Matmul *m) {                                                                  \
        if (!q8_strips_##format(m))                                                                                    \
            q8_matmul(m, q8_unpack_##format, kind);                                                                    \
    }

Q8_MATMUL(q4_0, q8_small_offset, STRIP_HALVES, 8, 8 * sizeof(BlockQ4_0))
Q8_MATMUL(q4_1, q8_small_min, STRIP_HALVES, 0, 8 * sizeof(BlockQ4_1))
Q8_MATMUL(q5_0, q8_small_offset, STRIP_HALVES, 16, 8 * sizeof(BlockQ5_0))
Q8_MATMUL(q5_1, q8_small_min, STRIP_HALVES, 0, 8 * sizeof(BlockQ5_1))
Q8_MATMUL(q8_0, q8_signed, STRIP_TILE_PAIRS, 128, 8 * sizeof(BlockQ8_0))
Q8_MATMUL(q2_k, q8_small_halves_min, STRIP_TILE_FOURS, 0, sizeof(BlockQ2_K))
Q8_MATMUL(q3_k, q8_small_halves_offset, STRIP_TILE_FOURS, 4, sizeof(BlockQ3_K))
Q8_MATMUL(q4_k, q8_small_min, STRIP_TILE_PAIRS, 0, sizeof(BlockQ4_K))
Q8_MATMUL(q5_k, q8_small_min, STRIP_TILE_PAIRS, 0, sizeof(BlockQ5_K))
Q8_MATMUL(q6_k, q8_halves_offset, STRIP_TILE_FOURS, 32, sizeof(BlockQ6_K))
Q8_MATMUL(iq4_nl, q8_signed, STRIP_HALVES, 128, 8 * sizeof(BlockIQ4_NL))
Q8_MATMUL(iq4_xs, q8_signed, STRIP_HALVES, 128, sizeof(BlockIQ4_XS))
Q8_MATMUL(mxfp4, q8_signed, STRIP_HALVES, 128, 8 * sizeof(BlockMXFP4))
Q8_MATMUL(tq2_0, q8_small_offset, STRIP_TILE_FOURS, 1, sizeof(BlockTQ2_0))
Q8_MATMUL(iq3_xxs, q8_signed, STRIP_TILE_PAIRS, 128, sizeof(BlockIQ3_XXS))
Q8_MATMUL(iq2_xxs, q8_signed, STRIP_TILE_PAIRS, 128, sizeof(BlockIQ2_XXS))
Q8_MATMUL(iq3_s, q8_signed, STRIP_TILE_PAIRS, 128, sizeof(BlockIQ3_S))
Q8_MATMUL(iq2_xs, q8_signed_halves, STRIP_TILE_FOURS, 128, sizeof(BlockIQ2_XS))
Q8_MATMUL(iq2_s, q8_signed_halves, STRIP_TILE_FOURS, 128, sizeof(BlockIQ2_S))
Q8_MATMUL(iq1_s, q8_small_offset, STRIP_TILE_PAIRS, 9, sizeof(BlockIQ1_S))
Q8_MATMUL(iq1_m, q8_small_halves_offset, STRIP_TILE_FOURS, 9, sizeof(BlockIQ1_M))
Q8_MATMUL(tq1_0, q8_small_offset, STRIP_TILE_PAIRS, 1, sizeof(BlockTQ1_0))

static void q8_fill(Kernels *k) {
    static const struct {
        TensorType type;
        void (*matmul)(const Matmul *m);
    } formats[] = {
        {TENSOR_Q4_0, q8_matmul_q4_0},
        {TENSOR_Q4_1, q8_matmul_q4_1},
        {TENSOR_Q5_0, q8_matmul_q5_0},
        {TENSOR_Q5_1, q8_matmul_q5_1},
        {TENSOR_Q8_0, q8_matmul_q8_0},
        {TENSOR_Q2_K, q8_matmul_q2_k},
        {TENSOR_Q3_K, q8_matmul_q3_k},
        {TENSOR_Q4_K, q8_matmul_q4_k},
        {TENSOR_Q5_K, q8_matmul_q5_k},
        {TENSOR_Q6_K, q8_matmul_q6_k},
        {TENSOR_TQ1_0, q8_matmul_tq1_0},
        {TENSOR_TQ2_0, q8_matmul_tq2_0},
        {TENSOR_IQ2_XXS, q8_matmul_iq2_xxs},
        {TENSOR_IQ2_XS, q8_matmul_iq2_xs},
        {TENSOR_IQ3_XXS, q8_matmul_iq3_xxs},
        {TENSOR_IQ1_S, q8_matmul_iq1_s},
        {TENSOR_IQ4_NL, q8_matmul_iq4_nl},
        {TENSOR_IQ3_S, q8_matmul_iq3_s},
        {TENSOR_IQ2_S, q8_matmul_iq2_s},
        {TENSOR_IQ4_XS, q8_matmul_iq4_xs},
        {TENSOR_IQ1_M, q8_matmul_iq1_m},
        {TENSOR_MXFP4, q8_matmul_mxfp4},
    };
    for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
        k->matmul[formats[i].type] = formats[i].matmul;
        k->act[formats[i].type] = ACT_Q8;
    }
    k->quantize_q8 = q8_quantize;
}
