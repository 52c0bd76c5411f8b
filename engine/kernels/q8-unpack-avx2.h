/* The unpacking of weight formats into the tiles of q8-tpl.h, for AVX2. The layouts are those of blocks.h; each format
 * is loaded in columns of 16 bytes of 8 rows at once. */
#pragma once

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

/* ------------------------------------------------------------------------------------------------ less common ones */

/* Four bytes at `offset` of each row. */
static inline VI load_words(const uint8_t *const rows[VF_LANES], size_t offset) {
    int32_t w[VF_LANES];
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&w[i], rows[i] + offset, sizeof(w[i]));
    return _mm256_setr_epi32(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
}

/* Bit `from` of every byte, moved to bit `to`. */
static inline __attribute__((always_inline)) VI move_bit(VI x, const int from, const int to) {
    VI moved = from > to ? _mm256_srli_epi16(x, from - to) : _mm256_slli_epi16(x, to - from);
    return _mm256_and_si256(moved, _mm256_set1_epi8((char)(1 << to)));
}

/* Bits 4j..4j+3 of every lane, one to a byte, as its fifth bit. */
static inline __attribute__((always_inline)) VI fifth_bits(VI bits, const int j) {
    VI four = _mm256_and_si256(_mm256_srli_epi32(bits, 4 * j), _mm256_set1_epi32(15));
    VI spread = _mm256_mullo_epi32(four, _mm256_set1_epi32(0x00204081));
    return _mm256_slli_epi16(_mm256_and_si256(spread, _mm256_set1_epi8(1)), 4);
}

static inline __attribute__((always_inline)) VI two_bits_of(VI x, const int at) {
    return _mm256_and_si256(_mm256_srli_epi16(x, at), _mm256_set1_epi8(3));
}

static void q8_unpack_q4_1(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockQ4_1) + ahead, n * sizeof(BlockQ4_1));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ4_1);
        VI t[4];
        load_columns(rows, block + offsetof(BlockQ4_1, qs), t);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            tiles[b].q[j] = low_nibbles256(t[j]);
            tiles[b].q[4 + j] = high_nibbles256(t[j]);
        }
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_sub(vf_zero(), load_halves(rows, block + offsetof(BlockQ4_1, m)));
    }
}

/* The quants of Q5_0 and Q5_1. */
static inline __attribute__((always_inline)) void five_bits(
    const uint8_t *const rows[VF_LANES], size_t qs, size_t qh, VI q[8]) {
    VI t[4], bits = load_words(rows, qh);
    load_columns(rows, qs, t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        q[j] = _mm256_or_si256(low_nibbles256(t[j]), fifth_bits(bits, j));
        q[4 + j] = _mm256_or_si256(high_nibbles256(t[j]), fifth_bits(bits, 4 + j));
    }
}

static void q8_unpack_q5_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockQ5_0) + ahead, n * sizeof(BlockQ5_0));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ5_0);
        five_bits(rows, block + offsetof(BlockQ5_0, qs), block + offsetof(BlockQ5_0, qh), tiles[b].q);
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_mul(tiles[b].scale[0], vf_set(16));
    }
}

static void q8_unpack_q5_1(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockQ5_1) + ahead, n * sizeof(BlockQ5_1));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ5_1);
        five_bits(rows, block + offsetof(BlockQ5_1, qs), block + offsetof(BlockQ5_1, qh), tiles[b].q);
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_sub(vf_zero(), load_halves(rows, block + offsetof(BlockQ5_1, m)));
    }
}

static void q8_unpack_q5_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ5_K);
    prefetch_rows(rows, block + ahead, sizeof(BlockQ5_K));
    k4_tile_scales(rows, block, tiles);
    for (int h = 0; h < 2; h++) {
        VI high[4];
        load_columns(rows, block + offsetof(BlockQ5_K, qh) + h * 16, high);
#pragma GCC unroll 4
        for (int g = 0; g < 8; g += 2) {
            VI t[4];
            load_columns(rows, block + offsetof(BlockQ5_K, qs) + g * 16 + h * 16, t);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                tiles[g].q[4 * h + j] = _mm256_or_si256(low_nibbles256(t[j]), move_bit(high[j], g, 4));
                tiles[g + 1].q[4 * h + j] = _mm256_or_si256(high_nibbles256(t[j]), move_bit(high[j], g + 1, 4));
            }
        }
    }
}

static void q8_unpack_q2_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ2_K);
    prefetch_rows(rows, block + ahead, sizeof(BlockQ2_K));

    VF d = load_halves(rows, block + offsetof(BlockQ2_K, d)),
       dmin = load_halves(rows, block + offsetof(BlockQ2_K, dmin));
    VI scales[4];
    load_columns(rows, block + offsetof(BlockQ2_K, scales), scales);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        tiles[s / 2].scale[s % 2] = vf_mul(d, byte_of(low_nibbles256(scales[s / 4]), s % 4));
        tiles[s / 2].min[s % 2] = vf_mul(dmin, byte_of(high_nibbles256(scales[s / 4]), s % 4));
    }
    for (int part = 0; part < 4; part++) { /* 16 bytes hold a half of four tiles */
        int first = part / 2 * 4, h = part % 2;
        VI t[4];
        load_columns(rows, block + offsetof(BlockQ2_K, qs) + part * 16, t);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                tiles[first + g].q[4 * h + j] = two_bits_of(t[j], 2 * g);
    }
}

/* The 6-bit scales of Q3_K, see q3_k_scales(), before 32 is taken off. */
static inline void q3_k_tile_scales(const uint8_t *const rows[VF_LANES], size_t offset, VI scales[4]) {
    VI a = load_words(rows, offset), b = load_words(rows, offset + 4), c = load_words(rows, offset + 8);
    scales[0] = _mm256_or_si256(low_nibbles256(a), _mm256_slli_epi16(two_bits_of(c, 0), 4));
    scales[1] = _mm256_or_si256(low_nibbles256(b), _mm256_slli_epi16(two_bits_of(c, 2), 4));
    scales[2] = _mm256_or_si256(high_nibbles256(a), _mm256_slli_epi16(two_bits_of(c, 4), 4));
    scales[3] = _mm256_or_si256(high_nibbles256(b), _mm256_slli_epi16(two_bits_of(c, 6), 4));
}

static void q8_unpack_q3_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ3_K);
    prefetch_rows(rows, block + ahead, sizeof(BlockQ3_K));

    VF d = load_halves(rows, block + offsetof(BlockQ3_K, d));
    VI scales[4], mask[2][4];
    q3_k_tile_scales(rows, block + offsetof(BlockQ3_K, scales), scales);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        tiles[s / 2].scale[s % 2] = vf_mul(d, vf_sub(byte_of(scales[s / 4], s % 4), vf_set(32)));
        tiles[s / 2].min[s % 2] = vf_mul(tiles[s / 2].scale[s % 2], vf_set(4));
    }
    load_columns(rows, block + offsetof(BlockQ3_K, hmask), mask[0]);
    load_columns(rows, block + offsetof(BlockQ3_K, hmask) + 16, mask[1]);
#pragma GCC unroll 4
    for (int part = 0; part < 4; part++) {
        const int first = part / 2 * 4, h = part % 2;
        VI t[4];
        load_columns(rows, block + offsetof(BlockQ3_K, qs) + part * 16, t);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                tiles[first + g].q[4 * h + j] =
                    _mm256_or_si256(two_bits_of(t[j], 2 * g), move_bit(mask[h][j], first + g, 2));
    }
}

static void q8_unpack_tq2_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockTQ2_0);
    prefetch_rows(rows, block + ahead, sizeof(BlockTQ2_0));

    VF d = load_halves(rows, block + offsetof(BlockTQ2_0, d));
    for (int g = 0; g < 8; g++)
        tiles[g].scale[0] = tiles[g].min[0] = d;
    for (int part = 0; part < 4; part++) {
        int first = part / 2 * 4, h = part % 2;
        VI t[4];
        load_columns(rows, block + offsetof(BlockTQ2_0, qs) + part * 16, t);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                tiles[first + g].q[4 * h + j] = two_bits_of(t[j], 2 * g);
    }
}

/* Nibbles that stand for the values of a table. */
static inline __attribute__((always_inline)) void look_up(
    const uint8_t *const rows[VF_LANES], size_t qs, const int8_t values[16], VI q[8]) {
    const VI table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)values));
    VI t[4];
    load_columns(rows, qs, t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        q[j] = _mm256_shuffle_epi8(table, low_nibbles256(t[j]));
        q[4 + j] = _mm256_shuffle_epi8(table, high_nibbles256(t[j]));
    }
}

static void q8_unpack_iq4_nl(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockIQ4_NL) + ahead, n * sizeof(BlockIQ4_NL));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockIQ4_NL);
        look_up(rows, block + offsetof(BlockIQ4_NL, qs), iq4_values, tiles[b].q);
        tiles[b].scale[0] = load_halves(rows, block);
    }
}

static void q8_unpack_iq4_xs(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ4_XS);
    prefetch_rows(rows, block + ahead, sizeof(BlockIQ4_XS));

    VF d = load_halves(rows, block + offsetof(BlockIQ4_XS, d));
    VI high = _mm256_srli_epi32(load_words(rows, block), 16); /* scales_h */
    VI low = load_words(rows, block + offsetof(BlockIQ4_XS, scales_l));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        VI l = _mm256_and_si256(_mm256_srli_epi32(low, 4 * g), _mm256_set1_epi32(15));
        VI h = _mm256_and_si256(_mm256_srli_epi32(high, 2 * g), _mm256_set1_epi32(3));
        VI scale = _mm256_sub_epi32(_mm256_or_si256(l, _mm256_slli_epi32(h, 4)), _mm256_set1_epi32(32));
        tiles[g].scale[0] = vf_mul(d, _mm256_cvtepi32_ps(scale));
        look_up(rows, block + offsetof(BlockIQ4_XS, qs) + g * 16, iq4_values, tiles[g].q);
    }
}

/* mxfp4_scale() of each lane. */
static inline VF mxfp4_scales(VI e) {
    const VI one = _mm256_set1_epi32(1);
    VI normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
    VI subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(subnormal, normal, _mm256_cmpgt_epi32(e, one)));
}

static void q8_unpack_mxfp4(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles) {
    prefetch_rows(rows, at * sizeof(BlockMXFP4) + ahead, n * sizeof(BlockMXFP4));
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockMXFP4);
        VI e = _mm256_setr_epi32(rows[0][block], rows[1][block], rows[2][block], rows[3][block], rows[4][block],
            rows[5][block], rows[6][block], rows[7][block]);
        look_up(rows, block + offsetof(BlockMXFP4, qs), mxfp4_values, tiles[b].q);
        tiles[b].scale[0] = mxfp4_scales(e);
    }
}
