/* The slots of the table that work on floats. */
#pragma once

#include "attention-tpl.h"
#include "matmul-tpl.h"
#include "vector-tpl.h"

static void matmul_f32(const Matmul *m) {
    matmul_floats(FLOAT_32, m);
}

static void matmul_f16(const Matmul *m) {
    matmul_floats(FLOAT_HALF, m);
}

static void matmul_bf16(const Matmul *m) {
    matmul_floats(FLOAT_BFLOAT, m);
}

static void float_fill(Kernels *k) {
    k->matmul[TENSOR_F32] = k->matmul_floats[TENSOR_F32] = matmul_f32;
    k->matmul[TENSOR_F16] = k->matmul_floats[TENSOR_F16] = matmul_f16;
    k->matmul[TENSOR_BF16] = k->matmul_floats[TENSOR_BF16] = matmul_bf16;
    k->act[TENSOR_F16] = k->act[TENSOR_BF16] = ACT_F32; /* whatever a tier below takes */
    k->dequantize[TENSOR_F16] = unpack_f16;
    k->dequantize[TENSOR_BF16] = unpack_bf16;

    k->to_half = vector_to_half;
    k->add = vector_add;
    k->scale = vector_scale;
    k->silu_mul = vector_silu_mul;
    k->gelu_mul = vector_gelu_mul;
    k->rms_norm = vector_rms_norm;
    k->rope_interleaved = vector_rope_interleaved;
    k->rope_halves = vector_rope_halves;
    k->key_scores[TENSOR_F32] = key_scores_f32;
    k->key_scores[TENSOR_F16] = key_scores_f16;
    k->key_scores[TENSOR_Q8_0] = key_scores_q8_0;
    k->softmax_block = vector_softmax_block;
    k->weighted_sum[TENSOR_F32] = weighted_sum_f32;
    k->weighted_sum[TENSOR_F16] = weighted_sum_f16;
    k->weighted_sum[TENSOR_Q8_0] = weighted_sum_q8_0;
}
