/* The vector primitives of the templates, for AVX-512 F, BW, VL and DQ. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd-x86.h"

#define VF_LANES          16
#define VECTOR_REGISTERS  32
#define MATMUL_ROWS       6   /* rows of x in one register tile: 4 * 6 sums, 4 weights and 1 x of the 32 registers */
#define MATMUL_SEGMENT    512 /* elements of a row that are added up in one go */
#define MATMUL_OUT        16 /* rows of weights unpacked for as many elements: 32 KiB, in the first-level cache beside x */
#define ATTENTION_VECTORS 2

typedef __m512 VF;
typedef __m512i VI;

static inline VF vf_zero(void) {
    return _mm512_setzero_ps();
}

static inline VF vf_set(float x) {
    return _mm512_set1_ps(x);
}

static inline VF vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, VF x) {
    _mm512_storeu_ps(p, x);
}

static inline __mmask16 vf_mask(size_t n) {
    return (__mmask16)((1u << n) - 1);
}

/* The first n < VF_LANES elements, zeros beyond; nothing beyond is touched. */
static inline VF vf_load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(vf_mask(n), p);
}

static inline void vf_store_part(float *p, size_t n, VF x) {
    _mm512_mask_storeu_ps(p, vf_mask(n), x);
}

static inline VF vf_add(VF a, VF b) {
    return _mm512_add_ps(a, b);
}

static inline VF vf_sub(VF a, VF b) {
    return _mm512_sub_ps(a, b);
}

static inline VF vf_mul(VF a, VF b) {
    return _mm512_mul_ps(a, b);
}

static inline VF vf_div(VF a, VF b) {
    return _mm512_div_ps(a, b);
}

/* a * b + c, rounded once */
static inline VF vf_fma(VF a, VF b, VF c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* c - a * b, rounded once */
static inline VF vf_fnma(VF a, VF b, VF c) {
    return _mm512_fnmadd_ps(a, b, c);
}

/* NaN in b is handed on. */
static inline VF vf_max(VF a, VF b) {
    return _mm512_max_ps(a, b);
}

static inline VF vf_min(VF a, VF b) {
    return _mm512_min_ps(a, b);
}

static inline VF vf_round(VF x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline VF vf_abs(VF x) {
    return _mm512_abs_ps(x);
}

/* Of floats without signs: the larger, where NaN is above all else, as its bits are. */
static inline VF vf_max_magnitude(VF a, VF b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

/* 2^n for integral n in [-126, 127] */
static inline VF vf_pow2(VF n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}

/* Neighbours 2i and 2i + 1 exchanged. */
static inline VF vf_swap_pairs(VF x) {
    return _mm512_permute_ps(x, 0xB1);
}

static inline VF add_pairs(VF a, VF b) {
    return _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
}

/* out[i] = sum of the lanes of the i-th argument, each in the same order */
static inline void vf_sum4(VF a, VF b, VF c, VF d, float out[4]) {
    __m512d ab = _mm512_castps_pd(add_pairs(a, b)), cd = _mm512_castps_pd(add_pairs(c, d));
    VF sums = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

static inline float vf_sum(VF a) {
    float out[4];
    vf_sum4(a, a, a, a, out);
    return out[0];
}

static inline float vf_max_lane(VF a) {
    __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline float vf_max_magnitude_lane(VF a) {
    __m512i bits = _mm512_castps_si512(a);
    __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(bits), _mm512_extracti64x4_epi64(bits, 1));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(m, _mm_shuffle_epi32(m, 1))));
}

static inline VF vf_load_half(const void *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* The same half in every lane. */
static inline VF vf_set_half(const void *p) {
    uint16_t half;
    memcpy(&half, p, sizeof(half));
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)half));
}

static inline VF vf_load_i8(const void *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

static inline void vf_store_half(uint16_t *p, VF x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline VF vf_load_bfloat(const void *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

/* Values in [-127, 127] as the nearest bytes, ties to even. */
static inline void vf_store_i8(int8_t *p, VF x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x)));
}

/* ------------------------------------------------------------------------------------------------------- integers */

static inline VI vi_set8(int x) {
    return _mm512_set1_epi8((char)x);
}

static inline VI vi_set32(int32_t x) {
    return _mm512_set1_epi32(x);
}

static inline VI vi_and(VI a, VI b) {
    return _mm512_and_si512(a, b);
}

static inline VI vi_or(VI a, VI b) {
    return _mm512_or_si512(a, b);
}

static inline __attribute__((always_inline)) VI vi_shl16(VI x, const int n) {
    return _mm512_slli_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_shr16(VI x, const int n) {
    return _mm512_srli_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_shl32(VI x, const int n) {
    return _mm512_slli_epi32(x, n);
}

static inline __attribute__((always_inline)) VI vi_shr32(VI x, const int n) {
    return _mm512_srli_epi32(x, n);
}

static inline __attribute__((always_inline)) VI vi_sar16(VI x, const int n) {
    return _mm512_srai_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_sar32(VI x, const int n) {
    return _mm512_srai_epi32(x, n);
}

static inline VI vi_add8(VI a, VI b) {
    return _mm512_add_epi8(a, b);
}

static inline VI vi_add16(VI a, VI b) {
    return _mm512_add_epi16(a, b);
}

static inline VI vi_add32(VI a, VI b) {
    return _mm512_add_epi32(a, b);
}

static inline VI vi_max32(VI a, VI b) {
    return _mm512_max_epi32(a, b);
}

static inline VI vi_abs8(VI x) {
    return _mm512_abs_epi8(x);
}

/* x with the sign of w on top */
static inline VI vi_sign8(VI x, VI w) {
    return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
}

static inline VF vf_from_int(VI x) {
    return _mm512_cvtepi32_ps(x);
}

static inline VF vf_from_bits(VI x) {
    return _mm512_castsi512_ps(x);
}

/* The half in the lower part of every lane. */
static inline VF vf_from_half_lanes(VI x) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x));
}

/* values[i] for every byte i < 16 */
static inline VI vi_table(const int8_t values[16]) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)values));
}

static inline VI vi_look_up(VI table, VI index) {
    return _mm512_shuffle_epi8(table, index);
}

/* q or `value` in the bytes where x has the bit that `bits` has there; in q it is 0, so that an addition will do, which
 * can be masked. */
static inline VI vi_or_where(VI q, VI x, VI bits, VI value) {
    return _mm512_mask_add_epi8(q, _mm512_test_epi8_mask(x, bits), q, value);
}

/* Four bytes of x for every lane. */
static inline VI vi_four_of(const int8_t *x) {
    int32_t bytes;
    memcpy(&bytes, x, sizeof(bytes));
    return _mm512_set1_epi32(bytes);
}

/* Two products of unsigned and signed bytes added, in 16 bits. */
static inline VI vi_dot_narrow(VI unsigned_bytes, VI signed_bytes) {
    return _mm512_maddubs_epi16(unsigned_bytes, signed_bytes);
}

/* The sums of two products of signed words a lane, in 32 bits. */
static inline VI vi_dot_words(VI a, VI b) {
    return _mm512_madd_epi16(a, b);
}

/* 2 * VF_LANES bytes as words. */
static inline VI vi_words_of(const int8_t *x) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)x));
}

/* The two 16-bit halves of every lane added. */
static inline VI vi_widen_pairs(VI x) {
    return _mm512_madd_epi16(x, _mm512_set1_epi16(1));
}

static inline __m128i row16(const uint8_t *p) {
    return _mm_loadu_si128((const __m128i *)p);
}

/* x as it is now. Compilers put additions off until their sum is wanted, and run out of registers over what is to be
 * added; beyond this they cannot. */
static inline VI vi_settle(VI x) {
    __asm__("" : "+v"(x));
    return x;
}

/* Four vectors of chunks of four lanes: lane i of chunk c of t[j] is lane j of chunk c of v[i]. */
static inline void vi_transpose4(const VI v[4], VI t[4]) {
    VI a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    VI c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    t[0] = _mm512_unpacklo_epi64(a, c);
    t[1] = _mm512_unpackhi_epi64(a, c);
    t[2] = _mm512_unpacklo_epi64(b, d);
    t[3] = _mm512_unpackhi_epi64(b, d);
}

/* 16 bytes at `offset` of each row, as 4 vectors: lane l of t[j] holds bytes 4j..4j+3 of row l. */
static inline __attribute__((always_inline)) void load_columns(
    const uint8_t *const rows[VF_LANES], size_t offset, VI t[4]) {
    VI v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        v[j] = _mm512_castsi128_si512(row16(rows[j] + offset));
        v[j] = _mm512_inserti32x4(v[j], row16(rows[j + 4] + offset), 1);
        v[j] = _mm512_inserti32x4(v[j], row16(rows[j + 8] + offset), 2);
        v[j] = _mm512_inserti32x4(v[j], row16(rows[j + 12] + offset), 3);
    }
    vi_transpose4(v, t);
}

/* A half at `offset` of each row. */
static inline VF load_halves(const uint8_t *const rows[VF_LANES], size_t offset) {
    int16_t h[VF_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&h[i], rows[i] + offset, sizeof(h[i]));
    return _mm512_cvtph_ps(_mm256_setr_epi16(
        h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]));
}

/* The scales of 8 blocks of 34 bytes of two rows, in the lower words of lanes 0 to 3 and 4 to 7 those of every other
 * block, from the first on, in the upper words of the others' the rest. They lie so that a vector has two where they
 * belong. What is not wanted is not read, which may lie before the first row. */
static inline VI scales34_of_two(const uint8_t *a, const uint8_t *b) {
    const uintptr_t before = (uintptr_t)b - 16;
    VI v = _mm512_loadu_si512(a);
    v = _mm512_mask_loadu_epi32(v, 0x0202, a + 64);
    v = _mm512_mask_loadu_epi32(v, 0x0404, a + 128);
    v = _mm512_mask_loadu_epi32(v, 0x0808, a + 192);
    v = _mm512_mask_loadu_epi32(v, 0x1010, (const void *)before);
    v = _mm512_mask_loadu_epi32(v, 0x2020, (const void *)(before + 64));
    v = _mm512_mask_loadu_epi32(v, 0x4040, (const void *)(before + 128));
    return _mm512_mask_loadu_epi32(v, 0x8080, (const void *)(before + 192));
}

static inline __attribute__((always_inline)) void load_halves8_of_34(
    const uint8_t *const rows[VF_LANES], size_t offset, VF out[8]) {
    const VI low = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16);
    const VI high = _mm512_sub_epi32(_mm512_set1_epi32(16), low);
    VI pairs[4], t[4]; /* of rows, a word each of a lane */
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        VI a = scales34_of_two(rows[2 * i] + offset, rows[2 * i + 8] + offset);
        VI b = scales34_of_two(rows[2 * i + 1] + offset, rows[2 * i + 9] + offset);
        pairs[i] = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srlv_epi32(a, low), _mm512_sllv_epi32(b, high));
    }
    vi_transpose4(pairs, t);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        out[2 * k] = _mm512_cvtph_ps(_mm512_castsi512_si256(t[k]));
        out[2 * k + 1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(t[k], 1));
    }
}

/* out[b]: the half at `offset` of each row, b blocks of 18, 22 or 34 bytes further on. */
static inline __attribute__((always_inline)) void load_halves8(
    const uint8_t *const rows[VF_LANES], size_t offset, const int block_bytes, VF out[8]) {
    __m256i low[4], high[4];
    if (block_bytes == 34) {
        load_halves8_of_34(rows, offset, out);
        return;
    }
    load_scales8x8(rows, offset, block_bytes, low);
    load_scales8x8(rows + 8, offset, block_bytes, high);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        out[2 * k] = _mm512_cvtph_ps(_mm256_permute2x128_si256(low[k], high[k], 0x20));
        out[odd_block(k, block_bytes)] = _mm512_cvtph_ps(_mm256_permute2x128_si256(low[k], high[k], 0x31));
    }
}

/* out[b]: the byte at `offset` of each row, b blocks of 17 bytes further on. */
static inline void load_bytes8(const uint8_t *const rows[VF_LANES], size_t offset, VI out[8]) {
    __m256i low[4], high[4];
    load_scales8x8(rows, offset, 17, low);
    load_scales8x8(rows + 8, offset, 17, high);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        __m256i a = _mm256_and_si256(low[k], _mm256_set1_epi16(255));
        __m256i b = _mm256_and_si256(high[k], _mm256_set1_epi16(255));
        out[2 * k] = _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(a, b, 0x20));
        out[2 * k + 1] = _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(a, b, 0x31));
    }
}

/* Four bytes at `offset` of each row. */
static inline VI load_words32(const uint8_t *const rows[VF_LANES], size_t offset) {
    int32_t w[VF_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&w[i], rows[i] + offset, sizeof(w[i]));
    return _mm512_setr_epi32(
        w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]);
}

/* ------------------------------------------------------------------------------------------ strips, see strip-tpl.h */

#define STRIP_WIDTH             2
#define STRIPS_AHEAD(row_bytes) 2u /* between what is fetched and what is unpacked: 300 to 500 bytes of each row */

static inline void vi_store(void *p, VI x) {
    _mm512_storeu_si512(p, x);
}

static inline VI vi_load(const void *p) {
    return _mm512_loadu_si512(p);
}

/* 32 bytes at `offset` of each row. */
static inline VI strip_load(const uint8_t *const rows[STRIP_WIDTH], size_t offset) {
    VI low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows[0] + offset)));
    return _mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i *)(rows[1] + offset)), 1);
}

/* 16 bytes at `first` of each row, then 16 at `second`. */
static inline VI strip_load_chunks(const uint8_t *const rows[STRIP_WIDTH], size_t first, size_t second) {
    VI v = _mm512_castsi128_si512(row16(rows[0] + first));
    v = _mm512_inserti32x4(v, row16(rows[1] + first), 1);
    v = _mm512_inserti32x4(v, row16(rows[0] + second), 2);
    return _mm512_inserti32x4(v, row16(rows[1] + second), 3);
}

static inline void vf_transpose4(const VF v[4], VF t[4]) {
    VI a[4], b[4];
    for (int i = 0; i < 4; i++)
        a[i] = _mm512_castps_si512(v[i]);
    vi_transpose4(a, b);
    for (int i = 0; i < 4; i++)
        t[i] = _mm512_castsi512_ps(b[i]);
}

/* Chunks 0, 2, .. of a, then of b. */
static inline VI vi_even_chunks(VI a, VI b) {
    return _mm512_shuffle_i32x4(a, b, 0x88);
}

static inline VI vi_odd_chunks(VI a, VI b) {
    return _mm512_shuffle_i32x4(a, b, 0xDD);
}

static inline VF vf_even_chunks(VF a, VF b) {
    return _mm512_shuffle_f32x4(a, b, 0x88);
}

static inline VF vf_odd_chunks(VF a, VF b) {
    return _mm512_shuffle_f32x4(a, b, 0xDD);
}

/* The lower half of a's chunks, then of b's. */
static inline VF vf_low_chunks(VF a, VF b) {
    return _mm512_shuffle_f32x4(a, b, 0x44);
}

static inline VF vf_high_chunks(VF a, VF b) {
    return _mm512_shuffle_f32x4(a, b, 0xEE);
}

/* ---------------------------------------------------------------------------------------- words, see q14-tpl.h */

static inline VI vi_set16(int x) {
    return _mm512_set1_epi16((short)x);
}

static inline VI vi_max_u16(VI a, VI b) {
    return _mm512_max_epu16(a, b);
}

static inline VI vi_from_bits(VF x) {
    return _mm512_castps_si512(x);
}

/* The lower words of the lanes of a, and those of b above them. */
static inline VI vi_pack_low(VI a, VI b) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, a, _mm512_slli_epi32(b, 16));
}

/* Two words for every lane. */
static inline VI vi_two_of(const int16_t *x) {
    int32_t words;
    memcpy(&words, x, sizeof(words));
    return _mm512_set1_epi32(words);
}

static inline VI max_of_pairs16(VI a, VI b) {
    return _mm512_max_epu16(_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b));
}

static inline VI max_of_pairs32(VI a, VI b) {
    return _mm512_max_epu16(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

static inline VI max_of_pairs64(VI a, VI b) {
    return _mm512_max_epu16(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* In each chunk, for 8 vectors, the largest word in a chunk of theirs. */
static inline __attribute__((always_inline)) VI max_of_eight(const VI v[8]) {
    VI a = max_of_pairs32(max_of_pairs16(v[0], v[1]), max_of_pairs16(v[2], v[3]));
    VI b = max_of_pairs32(max_of_pairs16(v[4], v[5]), max_of_pairs16(v[6], v[7]));
    return max_of_pairs64(a, b);
}

/* out[i] = the largest word of v[i], unsigned */
static inline __attribute__((always_inline)) void vi_max_words(const VI v[VF_LANES], uint16_t out[VF_LANES]) {
    VI a = max_of_eight(v), b = max_of_eight(v + 8);
    VI all = _mm512_max_epu16(vi_even_chunks(a, b), vi_odd_chunks(a, b));
    all = _mm512_max_epu16(vi_even_chunks(all, all), vi_odd_chunks(all, all));
    _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(all));
}

/* out[i] = the largest word of v[i % 4], unsigned */
static inline __attribute__((always_inline)) void vi_max_words_of_few(const VI v[4], uint16_t out[VF_LANES]) {
    VI all = max_of_pairs32(max_of_pairs16(v[0], v[1]), max_of_pairs16(v[2], v[3]));
    all = max_of_pairs64(all, all);
    all = _mm512_max_epu16(vi_even_chunks(all, all), vi_odd_chunks(all, all));
    all = _mm512_max_epu16(vi_even_chunks(all, all), vi_odd_chunks(all, all));
    _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(all));
}

/* The lanes of the i-th of four chunks, first. */
static inline __attribute__((always_inline)) VF vf_few(VF x, const size_t i) {
    return i == 0   ? x
           : i == 1 ? _mm512_shuffle_f32x4(x, x, 1)
           : i == 2 ? _mm512_shuffle_f32x4(x, x, 2)
                    : _mm512_shuffle_f32x4(x, x, 3);
}

static inline VI sum_of_pairs32(VI a, VI b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

static inline VI sum_of_pairs64(VI a, VI b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

static inline VI sum_of_chunks(VI a, VI b) {
    return _mm512_add_epi32(vi_even_chunks(a, b), vi_odd_chunks(a, b));
}

/* Lane i: the sum of the lanes of v[i]. */
static inline __attribute__((always_inline)) VI vi_sum_lanes(const VI v[VF_LANES]) {
    VI s[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        s[i] = sum_of_pairs64(sum_of_pairs32(v[4 * i], v[4 * i + 1]), sum_of_pairs32(v[4 * i + 2], v[4 * i + 3]));
    return sum_of_chunks(sum_of_chunks(s[0], s[1]), sum_of_chunks(s[2], s[3]));
}

/* A vector of each row: lane l of t[j] is lane j of v[l]. */
static inline __attribute__((always_inline)) void vi_columns(const VI v[VF_LANES], VI t[VF_LANES]) {
    VI q[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        vi_transpose4(v + 4 * i, q[i]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        VI a = vi_even_chunks(q[0][j], q[1][j]), b = vi_even_chunks(q[2][j], q[3][j]);
        VI c = vi_odd_chunks(q[0][j], q[1][j]), d = vi_odd_chunks(q[2][j], q[3][j]);
        t[j] = vi_even_chunks(a, b);
        t[4 + j] = vi_even_chunks(c, d);
        t[8 + j] = vi_odd_chunks(a, b);
        t[12 + j] = vi_odd_chunks(c, d);
    }
}

/* --------------------------------------------------------------------------- bytes of one row, see row-unpack-tpl.h */

/* Byte i with its sign turned where bit i is set. */
static inline VB vb_negate(VB x, uint32_t where) {
    return _mm256_mask_sub_epi8(x, where, _mm256_setzero_si256(), x);
}
