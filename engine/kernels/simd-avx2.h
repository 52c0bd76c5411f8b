/* The vector primitives of the templates, for AVX2 with FMA and F16C. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF_LANES    8
#define MATMUL_ROWS 3 /* rows of x in one register tile: 4 * 3 sums, 4 weights and 1 x fill the 16 registers */

typedef __m256 VF;
typedef __m256i VI;

static inline VF vf_zero(void) {
    return _mm256_setzero_ps();
}

static inline VF vf_set(float x) {
    return _mm256_set1_ps(x);
}

static inline VF vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, VF x) {
    _mm256_storeu_ps(p, x);
}

static inline __m256i vf_mask(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n < VF_LANES elements, zeros beyond; nothing beyond is touched. */
static inline VF vf_load_part(const float *p, size_t n) {
    return _mm256_maskload_ps(p, vf_mask(n));
}

static inline void vf_store_part(float *p, size_t n, VF x) {
    _mm256_maskstore_ps(p, vf_mask(n), x);
}

static inline VF vf_add(VF a, VF b) {
    return _mm256_add_ps(a, b);
}

static inline VF vf_sub(VF a, VF b) {
    return _mm256_sub_ps(a, b);
}

static inline VF vf_mul(VF a, VF b) {
    return _mm256_mul_ps(a, b);
}

static inline VF vf_div(VF a, VF b) {
    return _mm256_div_ps(a, b);
}

/* a * b + c, rounded once */
static inline VF vf_fma(VF a, VF b, VF c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* c - a * b, rounded once */
static inline VF vf_fnma(VF a, VF b, VF c) {
    return _mm256_fnmadd_ps(a, b, c);
}

/* NaN in b is handed on. */
static inline VF vf_max(VF a, VF b) {
    return _mm256_max_ps(a, b);
}

static inline VF vf_min(VF a, VF b) {
    return _mm256_min_ps(a, b);
}

static inline VF vf_round(VF x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for integral n in [-126, 127] */
static inline VF vf_pow2(VF n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}

/* Neighbours 2i and 2i + 1 exchanged. */
static inline VF vf_swap_pairs(VF x) {
    return _mm256_permute_ps(x, 0xB1);
}

/* out[i] = sum of the lanes of the i-th argument, each in the same order */
static inline void vf_sum4(VF a, VF b, VF c, VF d, float out[4]) {
    VF sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

static inline float vf_sum(VF a) {
    float out[4];
    vf_sum4(a, a, a, a, out);
    return out[0];
}

static inline float vf_max_lane(VF a) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline VF vf_load_half(const void *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

static inline void vf_store_half(uint16_t *p, VF x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline VF vf_load_bfloat(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

/* Into the second-level cache: what is fetched a whole group of rows ahead would push the present one out of the first.
 */
static inline void prefetch_range(const uint8_t *p, size_t size) {
    for (size_t i = 0; i < size; i += 64)
        _mm_prefetch((const char *)p + i, _MM_HINT_T1);
}

static inline float half_to_float_hw(uint16_t h) {
    return _cvtsh_ss(h);
}

/* Eight signed bytes as floats. */
static inline VF vf_from_i8(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/* Four bytes of x for every lane. */
static inline VI four_of(const int8_t *x) {
    int32_t bytes;
    memcpy(&bytes, x, sizeof(bytes));
    return _mm256_set1_epi32(bytes);
}

/* Sums over 16 elements of unsigned bytes <= 31 times x: the 16-bit sums stay below 4 * 2 * 31 * 128 < 2^15. */
static inline VF q8_dot_small(const VI q[4], const int8_t *x) {
    VI a = _mm256_add_epi16(_mm256_maddubs_epi16(q[0], four_of(x)), _mm256_maddubs_epi16(q[1], four_of(x + 4)));
    VI b = _mm256_add_epi16(_mm256_maddubs_epi16(q[2], four_of(x + 8)), _mm256_maddubs_epi16(q[3], four_of(x + 12)));
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(_mm256_add_epi16(a, b), _mm256_set1_epi16(1)));
}

/* Bytes <= 63: two products fit 16 bits, 2 * 2 * 63 * 128 < 2^15. */
static inline VF q8_dot_byte(const VI q[4], const int8_t *x) {
    const VI one = _mm256_set1_epi16(1);
    VI a = _mm256_add_epi16(_mm256_maddubs_epi16(q[0], four_of(x)), _mm256_maddubs_epi16(q[1], four_of(x + 4)));
    VI b = _mm256_add_epi16(_mm256_maddubs_epi16(q[2], four_of(x + 8)), _mm256_maddubs_epi16(q[3], four_of(x + 12)));
    return _mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one)));
}

/* Any signed bytes: the sign goes over to x, which never is -128; 2 * 128 * 127 < 2^15. */
static inline VF q8_dot_signed(const VI q[4], const int8_t *x) {
    const VI one = _mm256_set1_epi16(1);
    VI sum = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        VI products = _mm256_maddubs_epi16(_mm256_abs_epi8(q[j]), _mm256_sign_epi8(four_of(x + 4 * j), q[j]));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(products, one));
    }
    return _mm256_cvtepi32_ps(sum);
}
