/* The slots of the table that multiply bytes: which format is unpacked how, and multiplied as what. */
#pragma once

#include "q8-quantize-tpl.h"
#include "q8-unpack-tpl.h"

Q8_KIND(q8_signed, .bits = 8)
Q8_KIND(q8_small_offset, .bits = 5, .offset = true)
Q8_KIND(q8_small_min, .bits = 5, .min = true)
Q8_KIND(q8_small_halves_offset, .bits = 5, .halves = true, .offset = true)
Q8_KIND(q8_small_halves_min, .bits = 5, .halves = true, .min = true)
Q8_KIND(q8_halves_offset, .bits = 6, .halves = true, .offset = true)

#define Q8_MATMUL(format, kind)                                                                                        \
    static void q8_matmul_##format(const Matmul *m) {                                                                  \
        q8_matmul(m, q8_unpack_##format, kind);                                                                        \
    }

Q8_MATMUL(q4_0, q8_small_offset)
Q8_MATMUL(q4_1, q8_small_min)
Q8_MATMUL(q5_0, q8_small_offset)
Q8_MATMUL(q5_1, q8_small_min)
Q8_MATMUL(q8_0, q8_signed)
Q8_MATMUL(q2_k, q8_small_halves_min)
Q8_MATMUL(q3_k, q8_small_halves_offset)
Q8_MATMUL(q4_k, q8_small_min)
Q8_MATMUL(q5_k, q8_small_min)
Q8_MATMUL(q6_k, q8_halves_offset)
Q8_MATMUL(tq2_0, q8_small_offset)
Q8_MATMUL(iq4_nl, q8_signed)
Q8_MATMUL(iq4_xs, q8_signed)
Q8_MATMUL(mxfp4, q8_signed)

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
        {TENSOR_TQ2_0, q8_matmul_tq2_0},
        {TENSOR_IQ4_NL, q8_matmul_iq4_nl},
        {TENSOR_IQ4_XS, q8_matmul_iq4_xs},
        {TENSOR_MXFP4, q8_matmul_mxfp4},
    };
    for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
        k->matmul[formats[i].type] = formats[i].matmul;
        k->act[formats[i].type] = ACT_Q8;
    }
    k->quantize_q8 = q8_quantize;
}
