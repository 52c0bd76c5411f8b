/* Floats to ACT_Q8, for AVX2. */
#pragma once

#include <math.h>

#include "kernels.h"
#include "simd-avx2.h"

/* Largest magnitude of 16 floats in every lane; NaN if one of them is. */
static inline VF magnitude16(VF a, VF b) {
    const VF sign = vf_set(-0.0f);
    if (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)))
        return vf_set(NAN);
    VF m = vf_max(_mm256_andnot_ps(sign, a), _mm256_andnot_ps(sign, b));
    m = vf_max(m, _mm256_permute2f128_ps(m, m, 1));
    m = vf_max(m, _mm256_permute_ps(m, 0x4E));
    return vf_max(m, _mm256_permute_ps(m, 0xB1));
}

/* 16 floats to bytes; the sum of the bytes is returned. */
static inline int quantize16(const float *x, int8_t *q, float *d) {
    VF a = vf_load(x), b = vf_load(x + 8);
    VF m = magnitude16(a, b);
    *d = _mm256_cvtss_f32(m) / 127;
    /* below that the inverse would overflow, and the bytes come out as zeros */
    VF inverse = _mm256_and_ps(vf_div(vf_set(127), m), _mm256_cmp_ps(m, vf_set(1e-30f), _CMP_NLT_UQ));
    VI ia = _mm256_cvtps_epi32(vf_mul(a, inverse)), ib = _mm256_cvtps_epi32(vf_mul(b, inverse));
    __m128i words_a = _mm_packs_epi32(_mm256_castsi256_si128(ia), _mm256_extracti128_si256(ia, 1));
    __m128i words_b = _mm_packs_epi32(_mm256_castsi256_si128(ib), _mm256_extracti128_si256(ib, 1));
    _mm_storeu_si128((__m128i *)q, _mm_packs_epi16(words_a, words_b));

    __m128i sum = _mm_madd_epi16(_mm_add_epi16(words_a, words_b), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1)));
}

static void q8_quantize(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    int8_t *q = (int8_t *)row;
    float *d = (float *)(row + k), *sum16 = d + k / 16, *sum32 = sum16 + k / 16;
    for (size_t i = begin; i < begin + n; i += 32, x += 32) {
        for (size_t h = 0; h < 2; h++) {
            size_t block = i / 16 + h;
            int sum = quantize16(x + h * 16, q + i + h * 16, d + block);
            sum16[block] = d[block] * (float)sum;
        }
        sum32[i / 32] = sum16[i / 16] + sum16[i / 16 + 1];
    }
}
