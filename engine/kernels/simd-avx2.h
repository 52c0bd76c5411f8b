/* The vector primitives of the templates, for AVX2 with FMA and F16C. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd-x86.h"

#define VF_LANES          8
#define VECTOR_REGISTERS  16
#define MATMUL_ROWS       3   /* rows of x in one register tile: 4 * 3 sums, 4 weights and 1 x fill the 16 registers */
#define MATMUL_SEGMENT    384 /* elements of a row that are added up in one go */
#define MATMUL_OUT        12 /* rows of weights unpacked for as many elements: 18 KiB, in the first-level cache beside x */
#define ATTENTION_VECTORS 1

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

static inline VF vf_abs(VF x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* Of floats without signs: the larger, where NaN is above all else, as its bits are. */
static inline VF vf_max_magnitude(VF a, VF b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
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

static inline float vf_max_magnitude_lane(VF a) {
    __m256i bits = _mm256_castps_si256(a);
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(m, _mm_shuffle_epi32(m, 1))));
}

static inline VF vf_load_half(const void *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

/* The same half in every lane. */
static inline VF vf_set_half(const void *p) {
    uint16_t half;
    memcpy(&half, p, sizeof(half));
    return _mm256_cvtph_ps(_mm_set1_epi16((short)half));
}

static inline VF vf_load_i8(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static inline void vf_store_half(uint16_t *p, VF x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline VF vf_load_bfloat(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

static inline float half_to_float_hw(uint16_t h) {
    return _cvtsh_ss(h);
}

/* Eight signed bytes as floats. */
static inline VF vf_from_i8(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/* Values in [-127, 127] as the nearest bytes, ties to even. */
static inline void vf_store_i8(int8_t *p, VF x) {
    __m256i words = _mm256_cvtps_epi32(x);
    __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(packed, packed));
}

/* ------------------------------------------------------------------------------------------------------- integers */

static inline VI vi_set8(int x) {
    return _mm256_set1_epi8((char)x);
}

static inline VI vi_set32(int32_t x) {
    return _mm256_set1_epi32(x);
}

static inline VI vi_and(VI a, VI b) {
    return _mm256_and_si256(a, b);
}

static inline VI vi_or(VI a, VI b) {
    return _mm256_or_si256(a, b);
}

static inline __attribute__((always_inline)) VI vi_shl16(VI x, const int n) {
    return _mm256_slli_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_shr16(VI x, const int n) {
    return _mm256_srli_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_shl32(VI x, const int n) {
    return _mm256_slli_epi32(x, n);
}

static inline __attribute__((always_inline)) VI vi_shr32(VI x, const int n) {
    return _mm256_srli_epi32(x, n);
}

static inline __attribute__((always_inline)) VI vi_sar16(VI x, const int n) {
    return _mm256_srai_epi16(x, n);
}

static inline __attribute__((always_inline)) VI vi_sar32(VI x, const int n) {
    return _mm256_srai_epi32(x, n);
}

static inline VI vi_add8(VI a, VI b) {
    return _mm256_add_epi8(a, b);
}

static inline VI vi_add16(VI a, VI b) {
    return _mm256_add_epi16(a, b);
}

static inline VI vi_add32(VI a, VI b) {
    return _mm256_add_epi32(a, b);
}

static inline VI vi_max32(VI a, VI b) {
    return _mm256_max_epi32(a, b);
}

static inline VI vi_abs8(VI x) {
    return _mm256_abs_epi8(x);
}

/* x with the sign of w on top; 0 or x where w is 0 */
static inline VI vi_sign8(VI x, VI w) {
    return _mm256_sign_epi8(x, w);
}

static inline VF vf_from_int(VI x) {
    return _mm256_cvtepi32_ps(x);
}

static inline VF vf_from_bits(VI x) {
    return _mm256_castsi256_ps(x);
}

/* The half in the lower part of every lane. */
static inline VF vf_from_half_lanes(VI x) {
    VI low = _mm256_packus_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0xFFFF)), _mm256_setzero_si256());
    return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(low, 0xD8)));
}

/* values[i] for every byte i < 16 */
static inline VI vi_table(const int8_t values[16]) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)values));
}

static inline VI vi_look_up(VI table, VI index) {
    return _mm256_shuffle_epi8(table, index);
}

/* q or `value` in the bytes where x has the bit that `bits` has there; in q it is 0. */
static inline VI vi_or_where(VI q, VI x, VI bits, VI value) {
    return _mm256_or_si256(q, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(x, bits), bits), value));
}

/* Four bytes of x for every lane. */
static inline VI vi_four_of(const int8_t *x) {
    int32_t bytes;
    memcpy(&bytes, x, sizeof(bytes));
    return _mm256_set1_epi32(bytes);
}

/* Two products of unsigned and signed bytes added, in 16 bits. */
static inline VI vi_dot_narrow(VI unsigned_bytes, VI signed_bytes) {
    return _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
}

/* The sums of two products of signed words a lane, in 32 bits. */
static inline VI vi_dot_words(VI a, VI b) {
    return _mm256_madd_epi16(a, b);
}

/* The two 16-bit halves of every lane added. */
static inline VI vi_widen_pairs(VI x) {
    return _mm256_madd_epi16(x, _mm256_set1_epi16(1));
}

/* x as it is now. Compilers put additions off until their sum is wanted, and run out of registers over what is to be
 * added; beyond this they cannot. */
static inline VI vi_settle(VI x) {
    __asm__("" : "+x"(x));
    return x;
}

static inline void vi_transpose4(const VI v[4], VI t[4]) {
    transpose4(v, t);
}

/* 16 bytes at `offset` of each row, as 4 vectors: lane l of t[j] holds bytes 4j..4j+3 of row l. */
static inline __attribute__((always_inline)) void load_columns(
    const uint8_t *const rows[VF_LANES], size_t offset, VI t[4]) {
    VI v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        VI low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(rows[j] + offset)));
        v[j] = _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)(rows[j + 4] + offset)), 1);
    }
    vi_transpose4(v, t);
}

/* A half at `offset` of each row. */
static inline VF load_halves(const uint8_t *const rows[VF_LANES], size_t offset) {
    int16_t h[VF_LANES];
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&h[i], rows[i] + offset, sizeof(h[i]));
    return _mm256_cvtph_ps(_mm_setr_epi16(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]));
}

/* out[b]: the half at `offset` of each row, b blocks of 18, 22 or 34 bytes further on. */
static inline __attribute__((always_inline)) void load_halves8(
    const uint8_t *const rows[VF_LANES], size_t offset, const int block_bytes, VF out[8]) {
    VI t[4];
    if (block_bytes == 34) { /* too far apart for vectors of 32 bytes to gain anything */
#pragma GCC unroll 8
        for (int b = 0; b < 8; b++)
            out[b] = load_halves(rows, offset + (size_t)(b * block_bytes));
        return;
    }
    load_scales8x8(rows, offset, block_bytes, t);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        out[2 * k] = _mm256_cvtph_ps(_mm256_castsi256_si128(t[k]));
        out[odd_block(k, block_bytes)] = _mm256_cvtph_ps(_mm256_extracti128_si256(t[k], 1));
    }
}

/* out[b]: the byte at `offset` of each row, b blocks of 17 bytes further on. */
static inline void load_bytes8(const uint8_t *const rows[VF_LANES], size_t offset, VI out[8]) {
    VI t[4];
    load_scales8x8(rows, offset, 17, t);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        VI bytes = _mm256_and_si256(t[k], _mm256_set1_epi16(255));
        out[2 * k] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(bytes));
        out[2 * k + 1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(bytes, 1));
    }
}

/* Four bytes at `offset` of each row. */
static inline VI load_words32(const uint8_t *const rows[VF_LANES], size_t offset) {
    int32_t w[VF_LANES];
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&w[i], rows[i] + offset, sizeof(w[i]));
    return _mm256_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
}

/* ------------------------------------------------------------------------------------------ strips, see strip-tpl.h */

#define STRIP_WIDTH 1
/* between what is fetched and what is unpacked: about 400 bytes of each row */
#define STRIPS_AHEAD(row_bytes) ((row_bytes) < 200 ? 3u : 2u)

static inline void vi_store(void *p, VI x) {
    _mm256_storeu_si256(p, x);
}

static inline VI vi_load(const void *p) {
    return _mm256_loadu_si256(p);
}

/* 32 bytes at `offset` of each row. */
static inline VI strip_load(const uint8_t *const rows[STRIP_WIDTH], size_t offset) {
    return vi_load(rows[0] + offset);
}

/* 16 bytes at `first` of each row, then 16 at `second`. */
static inline VI strip_load_chunks(const uint8_t *const rows[STRIP_WIDTH], size_t first, size_t second) {
    return _mm256_loadu2_m128i((const __m128i *)(rows[0] + second), (const __m128i *)(rows[0] + first));
}

static inline void vf_transpose4(const VF v[4], VF t[4]) {
    VI a[4], b[4];
    for (int i = 0; i < 4; i++)
        a[i] = _mm256_castps_si256(v[i]);
    vi_transpose4(a, b);
    for (int i = 0; i < 4; i++)
        t[i] = _mm256_castsi256_ps(b[i]);
}

/* Chunks 0, 2, .. of a, then of b. */
static inline VI vi_even_chunks(VI a, VI b) {
    return _mm256_permute2x128_si256(a, b, 0x20);
}

static inline VI vi_odd_chunks(VI a, VI b) {
    return _mm256_permute2x128_si256(a, b, 0x31);
}

static inline VF vf_even_chunks(VF a, VF b) {
    return _mm256_permute2f128_ps(a, b, 0x20);
}

static inline VF vf_odd_chunks(VF a, VF b) {
    return _mm256_permute2f128_ps(a, b, 0x31);
}

/* The lower half of a's chunks, then of b's. */
static inline VF vf_low_chunks(VF a, VF b) {
    return _mm256_permute2f128_ps(a, b, 0x20);
}

static inline VF vf_high_chunks(VF a, VF b) {
    return _mm256_permute2f128_ps(a, b, 0x31);
}

/* ---------------------------------------------------------------------------------------- words, see q14-tpl.h */

static inline VI vi_set16(int x) {
    return _mm256_set1_epi16((short)x);
}

static inline VI vi_max_u16(VI a, VI b) {
    return _mm256_max_epu16(a, b);
}

static inline VI vi_from_bits(VF x) {
    return _mm256_castps_si256(x);
}

/* The lower words of the lanes of a, and those of b above them. */
static inline VI vi_pack_low(VI a, VI b) {
    return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xAA);
}

/* Two words for every lane. */
static inline VI vi_two_of(const int16_t *x) {
    int32_t words;
    memcpy(&words, x, sizeof(words));
    return _mm256_set1_epi32(words);
}

static inline VI max_of_pairs16(VI a, VI b) {
    return _mm256_max_epu16(_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
}

static inline VI max_of_pairs32(VI a, VI b) {
    return _mm256_max_epu16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

static inline VI max_of_pairs64(VI a, VI b) {
    return _mm256_max_epu16(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* out[i] = the largest word of v[i], unsigned */
static inline __attribute__((always_inline)) void vi_max_words(const VI v[VF_LANES], uint16_t out[VF_LANES]) {
    VI a = max_of_pairs32(max_of_pairs16(v[0], v[1]), max_of_pairs16(v[2], v[3]));
    VI b = max_of_pairs32(max_of_pairs16(v[4], v[5]), max_of_pairs16(v[6], v[7]));
    VI all = max_of_pairs64(a, b);
    __m128i largest = _mm_max_epu16(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storeu_si128((__m128i *)out, largest);
}

/* Few rows are as many as there are lanes, in this tier. */
static inline void vi_max_words_of_few(const VI v[VF_LANES], uint16_t out[VF_LANES]) {
    vi_max_words(v, out);
}

static inline VF vf_few(VF x, const size_t i) {
    return x;
}

static inline VI sum_of_pairs32(VI a, VI b) {
    return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

static inline VI sum_of_pairs64(VI a, VI b) {
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* Lane i: the sum of the lanes of v[i]. */
static inline __attribute__((always_inline)) VI vi_sum_lanes(const VI v[VF_LANES]) {
    VI a = sum_of_pairs64(sum_of_pairs32(v[0], v[1]), sum_of_pairs32(v[2], v[3]));
    VI b = sum_of_pairs64(sum_of_pairs32(v[4], v[5]), sum_of_pairs32(v[6], v[7]));
    return _mm256_add_epi32(vi_even_chunks(a, b), vi_odd_chunks(a, b));
}

/* Two vectors of each row, v[2 * l] and v[2 * l + 1]: lane l of t[j] is lane j of the first of row l, and of t[8 + j]
 * that of the second. */
static inline __attribute__((always_inline)) void vi_columns(const VI v[2 * VF_LANES], VI t[2 * VF_LANES]) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        VI low[4], high[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            low[i] = vi_even_chunks(v[2 * i + h], v[2 * (i + 4) + h]);
            high[i] = vi_odd_chunks(v[2 * i + h], v[2 * (i + 4) + h]);
        }
        vi_transpose4(low, t + 8 * h);
        vi_transpose4(high, t + 8 * h + 4);
    }
}

/* --------------------------------------------------------------------------- bytes of one row, see row-unpack-tpl.h */

/* Byte i with its sign turned where bit i is set. */
static inline VB vb_negate(VB x, uint32_t where) {
    const VB byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const VB bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    VB bits = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)where), byte), bit);
    VB mask = _mm256_cmpeq_epi8(bits, bit);
    return _mm256_sub_epi8(_mm256_xor_si256(x, mask), mask);
}
