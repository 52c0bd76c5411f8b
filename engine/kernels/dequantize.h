/* Exact float32 values of n elements, a multiple of the format's block size: the meaning of each format, and the
 * reference that every kernel is held against. The order of the float operations is part of it: results are equal to
 * the bit with the format's reference implementation. */
#pragma once

#include <stddef.h>

void dequantize_f32(const void *blocks, float *out, size_t n);
void dequantize_f16(const void *blocks, float *out, size_t n);
void dequantize_bf16(const void *blocks, float *out, size_t n);
void dequantize_q4_0(const void *blocks, float *out, size_t n);
void dequantize_q4_1(const void *blocks, float *out, size_t n);
void dequantize_q5_0(const void *blocks, float *out, size_t n);
void dequantize_q5_1(const void *blocks, float *out, size_t n);
void dequantize_q8_0(const void *blocks, float *out, size_t n);
void dequantize_q2_k(const void *blocks, float *out, size_t n);
void dequantize_q3_k(const void *blocks, float *out, size_t n);
void dequantize_q4_k(const void *blocks, float *out, size_t n);
void dequantize_q5_k(const void *blocks, float *out, size_t n);
void dequantize_q6_k(const void *blocks, float *out, size_t n);
void dequantize_tq1_0(const void *blocks, float *out, size_t n);
void dequantize_tq2_0(const void *blocks, float *out, size_t n);
void dequantize_mxfp4(const void *blocks, float *out, size_t n);
void dequantize_iq4_nl(const void *blocks, float *out, size_t n);
void dequantize_iq4_xs(const void *blocks, float *out, size_t n);
void dequantize_iq3_s(const void *blocks, float *out, size_t n);
void dequantize_iq3_xxs(const void *blocks, float *out, size_t n);
void dequantize_iq2_xxs(const void *blocks, float *out, size_t n);
void dequantize_iq2_xs(const void *blocks, float *out, size_t n);
void dequantize_iq2_s(const void *blocks, float *out, size_t n);
void dequantize_iq1_s(const void *blocks, float *out, size_t n);
void dequantize_iq1_m(const void *blocks, float *out, size_t n);
