/* The slots of the table that multiply bytes: which format is unpacked how, and multiplied as what. */
#pragma once

#include "q8-quantize-tpl.h"
#include "q8-unpack-iq-tpl.h"
#include "q8-unpack-tpl.h"
#ifdef STRIP_WIDTH
#include "strip-unpack-iq-tpl.h"
#include "strip-unpack-tpl.h"
#endif

/* Blocks of 32 elements. */
Q8_KIND(q8_signed, .scales = Q8_HALVES_OF_X, .bits = 8)
Q8_KIND(q8_offset_8, .scales = Q8_HALVES_OF_X, .bits = 5, .offset = 8)
Q8_KIND(q8_offset_12, .scales = Q8_HALVES_OF_X, .bits = 5, .offset = MXFP4_OFFSET)
Q8_KIND(q8_offset_16, .scales = Q8_HALVES_OF_X, .bits = 5, .offset = 16)
Q8_KIND(q8_min, .scales = Q8_HALVES_OF_X, .bits = 5, .min = true)
/* Super-blocks with scales for 32 elements. */
Q8_KIND(q8_super_signed, .scales = Q8_WHOLE, .bits = 8)
Q8_KIND(q8_super_offset_1, .scales = Q8_WHOLE, .bits = 4, .offset = 1)
Q8_KIND(q8_super_offset_9, .scales = Q8_WHOLE, .bits = 5, .offset = 9)
Q8_KIND(q8_super_nibble_min, .scales = Q8_WHOLE, .bits = 4, .min = true)
Q8_KIND(q8_super_min, .scales = Q8_WHOLE, .bits = 5, .min = true)
/* Super-blocks with scales for 16. */
Q8_KIND(q8_halves_signed, .scales = Q8_HALVES_OF_W, .bits = 8)
Q8_KIND(q8_halves_offset_4, .scales = Q8_HALVES_OF_W, .bits = 5, .offset = 4)
Q8_KIND(q8_halves_offset_9, .scales = Q8_HALVES_OF_W, .bits = 5, .offset = 9)
Q8_KIND(q8_halves_offset_32, .scales = Q8_HALVES_OF_W, .bits = 6, .offset = 32)
Q8_KIND(q8_halves_min, .scales = Q8_HALVES_OF_W, .bits = 5, .min = true)

/* Every format: the type, its name in functions, its kind, and its StripFormat. */
#define Q8_FORMATS(X)                                                                                                  \
    X(Q4_0, q4_0, q8_offset_8, STRIP_HALVES, 8 * sizeof(BlockQ4_0), true)                                              \
    X(Q4_1, q4_1, q8_min, STRIP_HALVES, 8 * sizeof(BlockQ4_1), false)                                                  \
    X(Q5_0, q5_0, q8_offset_16, STRIP_HALVES, 8 * sizeof(BlockQ5_0), true)                                             \
    X(Q5_1, q5_1, q8_min, STRIP_HALVES, 8 * sizeof(BlockQ5_1), false)                                                  \
    X(Q8_0, q8_0, q8_signed, STRIP_TILE_PAIRS, 8 * sizeof(BlockQ8_0), true)                                            \
    X(Q2_K, q2_k, q8_halves_min, STRIP_TILE_FOURS, sizeof(BlockQ2_K), false)                                           \
    X(Q3_K, q3_k, q8_halves_offset_4, STRIP_TILE_FOURS, sizeof(BlockQ3_K), false)                                      \
    X(Q4_K, q4_k, q8_super_nibble_min, STRIP_TILE_PAIRS, sizeof(BlockQ4_K), true)                                      \
    X(Q5_K, q5_k, q8_super_min, STRIP_TILE_PAIRS, sizeof(BlockQ5_K), true)                                             \
    X(Q6_K, q6_k, q8_halves_offset_32, STRIP_TILE_FOURS, sizeof(BlockQ6_K), true)                                      \
    X(IQ4_NL, iq4_nl, q8_signed, STRIP_HALVES, 8 * sizeof(BlockIQ4_NL), false)                                         \
    X(IQ4_XS, iq4_xs, q8_super_signed, STRIP_HALVES, sizeof(BlockIQ4_XS), false)                                       \
    X(MXFP4, mxfp4, q8_offset_12, STRIP_HALVES, 8 * sizeof(BlockMXFP4), true)                                          \
    X(TQ2_0, tq2_0, q8_super_offset_1, STRIP_TILE_FOURS, sizeof(BlockTQ2_0), false)                                    \
    X(IQ3_XXS, iq3_xxs, q8_super_signed, STRIP_TILE_PAIRS, sizeof(BlockIQ3_XXS), false)                                \
    X(IQ2_XXS, iq2_xxs, q8_super_signed, STRIP_TILE_PAIRS, sizeof(BlockIQ2_XXS), false)                                \
    X(IQ3_S, iq3_s, q8_super_signed, STRIP_TILE_PAIRS, sizeof(BlockIQ3_S), false)                                      \
    X(IQ2_XS, iq2_xs, q8_halves_signed, STRIP_TILE_FOURS, sizeof(BlockIQ2_XS), false)                                  \
    X(IQ2_S, iq2_s, q8_halves_signed, STRIP_TILE_FOURS, sizeof(BlockIQ2_S), false)                                     \
    X(IQ1_S, iq1_s, q8_super_offset_9, STRIP_TILE_PAIRS, sizeof(BlockIQ1_S), false)                                    \
    X(IQ1_M, iq1_m, q8_halves_offset_9, STRIP_TILE_FOURS, sizeof(BlockIQ1_M), false)                                   \
    X(TQ1_0, tq1_0, q8_super_offset_1, STRIP_TILE_PAIRS, sizeof(BlockTQ1_0), false)

/* Few rows of x go along strips of weights, everything else goes through tiles. */
#ifndef STRIP_WIDTH
#define Q8_STRIPS(format, kind, ...)                                                                                   \
    static bool q8_strips_##format(const Matmul *m) {                                                                  \
        return false;                                                                                                  \
    }
#endif

#define Q8_MATMUL(type, format, kind, ...)                                                                             \
    Q8_STRIPS(format, kind, __VA_ARGS__)                                                                               \
    static void q8_matmul_##format(const Matmul *m) {                                                                  \
        if (!q8_strips_##format(m))                                                                                    \
            q8_matmul(m, kind##_kind, q8_unpack_##format, kind);                                                       \
    }

Q8_FORMATS(Q8_MATMUL)

#define Q8_ENTRY(type, format, kind, ...) {TENSOR_##type, q8_matmul_##format, &kind##_kind},

static void q8_fill(Kernels *k) {
    static const struct {
        TensorType type;
        void (*matmul)(const Matmul *m);
        const Q8Kind *kind;
    } formats[] = {Q8_FORMATS(Q8_ENTRY)};
    for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
        k->matmul[formats[i].type] = formats[i].matmul;
        k->act[formats[i].type] = formats[i].kind->scales == Q8_HALVES_OF_X ? ACT_Q8_16 : ACT_Q8_32;
    }
    k->quantize[ACT_Q8_16] = q8_quantize_16;
    k->quantize[ACT_Q8_32] = q8_quantize_32;
}
