/* The unpacking of the common weight formats into the tiles of q8-tpl.h, and of floats into ACT_Q8, for AVX2. */
#pragma once

#include <math.h>
#include <string.h>

#include "blocks.h"
#include "q8-tpl.h"
#include "simd-avx2.h"

/* 16 bytes at `offset` of each of the 8 rows, as 4 vectors: lane l of t[j] holds bytes 4j..4j+3 of row l. */
static inline __attribute__((always_inline)) void load_columns(
    const uint8_t *const rows[VF_LANES], size_t offset, VI t[4]) {
    VI v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        VI low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(rows[j] + offset)));
        v[j] = _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)(rows[j + 4] + offset)), 1);
    }
    VI a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    VI c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    t[0] = _mm256_unpacklo_epi64(a, c);
    t[1] = _mm256_unpackhi_epi64(a, c);
    t[2] = _mm256_unpacklo_epi64(b, d);
    t[3] = _mm256_unpackhi_epi64(b, d);
}

/* A half at `offset` of each row. */
static inline VF load_halves(const uint8_t *const rows[VF_LANES], size_t offset) {
    uint16_t h[VF_LANES];
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&h[i], rows[i] + offset, sizeof(h[i]));
    return _mm256_cvtph_ps(_mm_setr_epi16(
        (short)h[0], (short)h[1], (short)h[2], (short)h[3], (short)h[4], (short)h[5], (short)h[6], (short)h[7]));
}

static inline void prefetch_rows(const uint8_t *const rows[VF_LANES], size_t offset, size_t size) {
    for (int i = 0; i < VF_LANES; i++)
        prefetch_range(rows[i] + offset, size);
}

static inline VI low_nibbles256(VI x) {
    return _mm256_and_si256(x, _mm256_set1_epi8(15));
}

static inline VI high_nibbles256(VI x) {
    return _mm256_and_si256(_mm256_srli_epi16(x, 4), _mm256_set1_epi8(15));
}

static void q8_unpack_q4_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockQ4_0) + ahead, n * sizeof(BlockQ4_0));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ4_0);
        VI t[4];
        load_columns(rows, block + offsetof(BlockQ4_0, qs), t);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            tiles[b].q[j] = low_nibbles256(t[j]);
            tiles[b].q[4 + j] = high_nibbles256(t[j]);
        }
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_mul(tiles[b].scale[0], vf_set(8));
    }
}

static void q8_unpack_q8_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockQ8_0) + ahead, n * sizeof(BlockQ8_0));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ8_0);
        load_columns(rows, block + offsetof(BlockQ8_0, qs), tiles[b].q);
        load_columns(rows, block + offsetof(BlockQ8_0, qs) + 16, tiles[b].q + 4);
        tiles[b].scale[0] = load_halves(rows, block);
    }
}

/* Byte i of every lane as a float. */
static inline VF byte_of(VI x, int i) {
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(x, 8 * i), _mm256_set1_epi32(255)));
}

static inline VF signed_byte_of(VI x, int i) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(x, 24 - 8 * i), 24));
}

/* The sixteen bytes before the quants of Q4_K and Q5_K: d, dmin and the packed scales (see k4_scales()), all rows at
 * once. */
static inline __attribute__((always_inline)) void k4_tile_scales(
    const uint8_t *const rows[VF_LANES], size_t block, Q8Tile *tiles) {
    const VI six = _mm256_set1_epi8(63), nibble = _mm256_set1_epi8(15), two = _mm256_set1_epi8(3);
    VI t[4];
    load_columns(rows, block, t);

    VI halves = _mm256_packus_epi32(_mm256_and_si256(t[0], _mm256_set1_epi32(0xFFFF)), _mm256_srli_epi32(t[0], 16));
    halves = _mm256_permute4x64_epi64(halves, 0xD8);
    VF d = _mm256_cvtph_ps(_mm256_castsi256_si128(halves)), dmin = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));

    VI scales[2], mins[2];
    scales[0] = _mm256_and_si256(t[1], six);
    mins[0] = _mm256_and_si256(t[2], six);
    scales[1] = _mm256_or_si256(
        _mm256_and_si256(t[3], nibble), _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(t[1], 6), two), 4));
    mins[1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(t[3], 4), nibble),
        _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(t[2], 6), two), 4));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        tiles[g].scale[0] = vf_mul(d, byte_of(scales[g / 4], g % 4));
        tiles[g].min[0] = vf_mul(dmin, byte_of(mins[g / 4], g % 4));
    }
}

static void q8_unpack_q4_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ4_K);
    prefetch_rows(rows, block + ahead, sizeof(BlockQ4_K));
    k4_tile_scales(rows, block, tiles);
    for (size_t g = 0; g < n; g += 2)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            VI t[4];
            load_columns(rows, block + offsetof(BlockQ4_K, qs) + g * 16 + h * 16, t);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                tiles[g].q[4 * h + j] = low_nibbles256(t[j]);
                tiles[g + 1].q[4 * h + j] = high_nibbles256(t[j]);
            }
        }
}

static void q8_unpack_q6_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    const VI high = _mm256_set1_epi8(0x30);
    size_t block = at / 8 * sizeof(BlockQ6_K);
    prefetch_rows(rows, block + ahead, sizeof(BlockQ6_K));

    VF d = load_halves(rows, block + offsetof(BlockQ6_K, d));
    VI scales[4];
    load_columns(rows, block + offsetof(BlockQ6_K, scales), scales);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        VF scale = vf_mul(d, signed_byte_of(scales[s / 4], s % 4));
        tiles[s / 2].scale[s % 2] = scale;
        tiles[s / 2].min[s % 2] = vf_mul(scale, vf_set(32));
    }
    for (size_t g = 0; g < n; g += 4)
        for (int h = 0; h < 2; h++) {
            size_t ql = block + offsetof(BlockQ6_K, ql) + g * 16 + h * 16;
            size_t qh = block + offsetof(BlockQ6_K, qh) + g * 8 + h * 16;
            VI a[4], b[4], c[4];
            load_columns(rows, ql, a);
            load_columns(rows, ql + 32, b);
            load_columns(rows, qh, c);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                VI *q = &tiles[g].q[4 * h + j];
                const size_t next = sizeof(Q8Tile) / sizeof(VI);
                VI c0 = _mm256_and_si256(_mm256_slli_epi16(c[j], 4), high);
                VI c1 = _mm256_and_si256(_mm256_slli_epi16(c[j], 2), high);
                VI c2 = _mm256_and_si256(c[j], high);
                VI c3 = _mm256_and_si256(_mm256_srli_epi16(c[j], 2), high);
                q[0] = _mm256_or_si256(low_nibbles256(a[j]), c0);
                q[next] = _mm256_or_si256(low_nibbles256(b[j]), c1);
                q[2 * next] = _mm256_or_si256(high_nibbles256(a[j]), c2);
                q[3 * next] = _mm256_or_si256(high_nibbles256(b[j]), c3);
            }
        }
}

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
