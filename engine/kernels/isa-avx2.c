/* AVX2, FMA and F16C: the templates instantiated. */
#include "kernels.h"
#include "simd-avx2.h"

#include "dequantize-avx2.h"
#include "matmul-tpl.h"
#include "vector-tpl.h"

/* takes load_upto() of vector-tpl.h */
#include "q8-unpack-avx2.h"
#include "q8-quantize-avx2.h"

static void matmul_f32(const Matmul *m) {
    matmul_floats(FLOAT_32, m, NULL);
}

static void matmul_f16(const Matmul *m) {
    matmul_floats(FLOAT_HALF, m, unpack_f16);
}

static void matmul_bf16(const Matmul *m) {
    matmul_floats(FLOAT_BFLOAT, m, unpack_bf16);
}

static void matmul_q8_0(const Matmul *m) {
    q8_matmul(m, q8_unpack_q8_0, q8_signed32);
}

static void matmul_q4_0(const Matmul *m) {
    q8_matmul(m, q8_unpack_q4_0, q8_small32);
}

static void matmul_q4_1(const Matmul *m) {
    q8_matmul(m, q8_unpack_q4_1, q8_small32);
}

static void matmul_q5_0(const Matmul *m) {
    q8_matmul(m, q8_unpack_q5_0, q8_small32);
}

static void matmul_q5_1(const Matmul *m) {
    q8_matmul(m, q8_unpack_q5_1, q8_small32);
}

static void matmul_q2_k(const Matmul *m) {
    q8_matmul(m, q8_unpack_q2_k, q8_byte16);
}

static void matmul_q3_k(const Matmul *m) {
    q8_matmul(m, q8_unpack_q3_k, q8_byte16);
}

static void matmul_q4_k(const Matmul *m) {
    q8_matmul(m, q8_unpack_q4_k, q8_small32);
}

static void matmul_q5_k(const Matmul *m) {
    q8_matmul(m, q8_unpack_q5_k, q8_small32);
}

static void matmul_q6_k(const Matmul *m) {
    q8_matmul(m, q8_unpack_q6_k, q8_byte16);
}

static void matmul_tq2_0(const Matmul *m) {
    q8_matmul(m, q8_unpack_tq2_0, q8_small32);
}

static void matmul_iq4_nl(const Matmul *m) {
    q8_matmul(m, q8_unpack_iq4_nl, q8_signed32);
}

static void matmul_iq4_xs(const Matmul *m) {
    q8_matmul(m, q8_unpack_iq4_xs, q8_signed32);
}

static void matmul_mxfp4(const Matmul *m) {
    q8_matmul(m, q8_unpack_mxfp4, q8_signed32);
}

/* Formats without an unpacking of their own. */
static void matmul_any(const Matmul *m) {
    matmul_tiles(m, m->traits->dequantize);
}

static void set_q8(Kernels *k, TensorType type, void (*matmul)(const Matmul *m)) {
    k->matmul[type] = matmul;
    k->act[type] = ACT_Q8;
}

void kernels_fill_avx2(Kernels *k) {
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++)
        if (k->matmul[type])
            k->matmul[type] = matmul_any;
    k->matmul[TENSOR_F32] = matmul_f32;
    k->matmul[TENSOR_F16] = matmul_f16;
    k->matmul[TENSOR_BF16] = matmul_bf16;
    k->quantize_q8 = q8_quantize;
    set_q8(k, TENSOR_Q8_0, matmul_q8_0);
    set_q8(k, TENSOR_Q4_0, matmul_q4_0);
    set_q8(k, TENSOR_Q4_1, matmul_q4_1);
    set_q8(k, TENSOR_Q5_0, matmul_q5_0);
    set_q8(k, TENSOR_Q5_1, matmul_q5_1);
    set_q8(k, TENSOR_Q2_K, matmul_q2_k);
    set_q8(k, TENSOR_Q3_K, matmul_q3_k);
    set_q8(k, TENSOR_Q4_K, matmul_q4_k);
    set_q8(k, TENSOR_Q5_K, matmul_q5_k);
    set_q8(k, TENSOR_Q6_K, matmul_q6_k);
    set_q8(k, TENSOR_TQ2_0, matmul_tq2_0);
    set_q8(k, TENSOR_IQ4_NL, matmul_iq4_nl);
    set_q8(k, TENSOR_IQ4_XS, matmul_iq4_xs);
    set_q8(k, TENSOR_MXFP4, matmul_mxfp4);

    k->dequantize[TENSOR_F16] = unpack_f16;
    k->dequantize[TENSOR_BF16] = unpack_bf16;
    k->dequantize[TENSOR_Q8_0] = unpack_q8_0;
    k->dequantize[TENSOR_Q4_0] = unpack_q4_0;
    k->dequantize[TENSOR_Q4_K] = unpack_q4_k;
    k->dequantize[TENSOR_Q6_K] = unpack_q6_k;

    k->to_half = vector_to_half;
    k->add = vector_add;
    k->scale = vector_scale;
    k->silu_mul = vector_silu_mul;
    k->gelu_mul = vector_gelu_mul;
    k->rms_norm = vector_rms_norm;
    k->rope_interleaved = vector_rope_interleaved;
    k->rope_halves = vector_rope_halves;
    k->softmax_block = vector_softmax_block;
    k->weighted_sum = vector_weighted_sum;
}
