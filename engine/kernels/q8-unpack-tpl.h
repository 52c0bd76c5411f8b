/* The unpacking of weight formats into the tiles of q8-tpl.h, written over the primitives of simd-*.h. The layouts are
 * those of blocks.h; each format is loaded in columns of 16 bytes of VF_LANES rows at once. Values that the format
 * counts from an offset go through q8_place(), for each family of dot products wants them in another form. */
#pragma once

#include <string.h>

#include "blocks.h"
#include "q8-tpl.h"

static inline VI low_nibbles_of(VI x) {
    return vi_and(x, vi_set8(15));
}

static inline VI high_nibbles_of(VI x) {
    return vi_and(vi_shr16(x, 4), vi_set8(15));
}

/* Byte i of every lane as a float. */
static inline __attribute__((always_inline)) VF byte_of(VI x, const int i) {
    const int8_t byte[16] = {i, -1, -1, -1, 4 + i, -1, -1, -1, 8 + i, -1, -1, -1, 12 + i, -1, -1, -1};
    return vf_from_int(vi_look_up(x, vi_table(byte)));
}

static inline __attribute__((always_inline)) VF signed_byte_of(VI x, const int i) {
    return vf_from_int(vi_sar32(vi_shl32(x, 24 - 8 * i), 24));
}

/* Bit `from` of every byte, moved to bit `to`. */
static inline __attribute__((always_inline)) VI move_bit(VI x, const int from, const int to) {
    VI moved = from > to ? vi_shr16(x, from - to) : vi_shl16(x, to - from);
    return vi_and(moved, vi_set8(1 << to));
}

static inline __attribute__((always_inline)) VI two_bits_of(VI x, const int at) {
    return vi_and(vi_shr16(x, at), vi_set8(3));
}

/* Bits 4j..4j+3 of every lane to its bytes of q[j], as their fifth ones. */
static inline __attribute__((always_inline)) void add_fifth_bits(VI bits, VI q[8]) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const int8_t byte[16] = {
            i, i, i, i, 4 + i, 4 + i, 4 + i, 4 + i, 8 + i, 8 + i, 8 + i, 8 + i, 12 + i, 12 + i, 12 + i, 12 + i};
        VI eight = vi_look_up(bits, vi_table(byte)); /* byte i of each lane, to all of it */
        q[2 * i] = vi_or_where(q[2 * i], eight, vi_set32(0x08040201), vi_set8(16));
        q[2 * i + 1] = vi_or_where(q[2 * i + 1], eight, vi_set32((int32_t)0x80402010u), vi_set8(16));
    }
}

/* The scale of elements 16h.. of a tile, or of all of them, whose values count from `offset`; in super-blocks. */
static inline __attribute__((always_inline)) void set_scale(Q8Tile *t, const int h, VF scale, const int offset) {
    t->scale[h] = scale;
    if (Q8_FLOAT_OFFSETS)
        t->min[h] = vf_mul(scale, vf_set((float)offset));
}

/* The scales of the sixteen halves of a super-block, signed bytes times d; their values count from `offset`. */
static inline __attribute__((always_inline)) void set_half_scales(
    Q8Tile *tiles, VF d, const VI scales[4], const int offset) {
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        Q8Tile *t = &tiles[s / 2];
        if (Q8_WORD_SCALES) {
            const int8_t i = s % 4;
            const int8_t byte[16] = {-1, i, -1, i, -1, 4 + i, -1, 4 + i, -1, 8 + i, -1, 8 + i, -1, 12 + i, -1, 12 + i};
            t->scale[0] = d;
            t->words[s % 2] = vi_sar16(vi_look_up(scales[s / 4], vi_table(byte)), 8);
        } else
            set_scale(t, s % 2, vf_mul(d, signed_byte_of(scales[s / 4], s % 4)), offset);
    }
}

/* 16 bytes of nibbles of each row: the low ones are the first half of a tile. */
static inline __attribute__((always_inline)) void nibbles(const uint8_t *const rows[VF_LANES], size_t qs, VI q[8]) {
    VI t[4];
    load_columns(rows, qs, t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        q[j] = low_nibbles_of(t[j]);
        q[4 + j] = high_nibbles_of(t[j]);
    }
}

static inline __attribute__((always_inline)) void place_all(VI q[8], const int offset) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        q[j] = q8_place(q[j], offset);
}

/* The scales of n <= Q8_GROUP blocks, which begin with them, and of which load_halves8() knows the size. */
static inline __attribute__((always_inline)) void block_scales(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, const int block_bytes, Q8Tile *tiles) {
    VF scales[Q8_GROUP];
    if (n == Q8_GROUP)
        load_halves8(rows, at * block_bytes, block_bytes, scales);
    for (size_t b = 0; b < n; b++)
        tiles[b].scale[0] = n == Q8_GROUP ? scales[b] : load_halves(rows, (at + b) * block_bytes);
}

static inline __attribute__((always_inline)) void q8_scales_q4_0(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    block_scales(rows, at, n, sizeof(BlockQ4_0), tiles);
}

static void q8_unpack_q4_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_q4_0(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ4_0);
        nibbles(rows, block + offsetof(BlockQ4_0, qs), tiles[b].q);
        place_all(tiles[b].q, 8);
    }
}

static inline __attribute__((always_inline)) void q8_scales_q8_0(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    block_scales(rows, at, n, sizeof(BlockQ8_0), tiles);
}

static void q8_unpack_q8_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ8_0);
        tiles[b].scale[0] = load_halves(rows, block); /* beside the quants no slower than all at once */
        load_columns(rows, block + offsetof(BlockQ8_0, qs), tiles[b].q);
        load_columns(rows, block + offsetof(BlockQ8_0, qs) + 16, tiles[b].q + 4);
        place_all(tiles[b].q, 0);
    }
}

static inline __attribute__((always_inline)) void q8_scales_q4_1(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ4_1);
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_sub(vf_zero(), load_halves(rows, block + offsetof(BlockQ4_1, m)));
    }
}

static void q8_unpack_q4_1(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_q4_1(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ4_1);
        nibbles(rows, block + offsetof(BlockQ4_1, qs), tiles[b].q);
    }
}

/* The quants of Q5_0 and Q5_1. */
static inline __attribute__((always_inline)) void five_bits(
    const uint8_t *const rows[VF_LANES], size_t qs, size_t qh, VI q[8]) {
    VI bits = load_words32(rows, qh);
    nibbles(rows, qs, q);
    add_fifth_bits(bits, q);
}

static inline __attribute__((always_inline)) void q8_scales_q5_0(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    block_scales(rows, at, n, sizeof(BlockQ5_0), tiles);
}

static void q8_unpack_q5_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_q5_0(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ5_0);
        five_bits(rows, block + offsetof(BlockQ5_0, qs), block + offsetof(BlockQ5_0, qh), tiles[b].q);
        place_all(tiles[b].q, 16);
    }
}

static inline __attribute__((always_inline)) void q8_scales_q5_1(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ5_1);
        tiles[b].scale[0] = load_halves(rows, block);
        tiles[b].min[0] = vf_sub(vf_zero(), load_halves(rows, block + offsetof(BlockQ5_1, m)));
    }
}

static void q8_unpack_q5_1(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_q5_1(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockQ5_1);
        five_bits(rows, block + offsetof(BlockQ5_1, qs), block + offsetof(BlockQ5_1, qh), tiles[b].q);
    }
}

/* The sixteen bytes before the quants of Q4_K and Q5_K: d, dmin and the packed scales (see k4_scales()), all rows at
 * once. */
static inline __attribute__((always_inline)) void k4_tile_scales(
    const uint8_t *const rows[VF_LANES], size_t block, Q8Tile *tiles) {
    VI t[4], scales[2], mins[2];
    load_columns(rows, block, t);
    VF d = vf_from_half_lanes(t[0]), dmin = vf_from_half_lanes(vi_shr32(t[0], 16));

    scales[0] = vi_and(t[1], vi_set8(63));
    mins[0] = vi_and(t[2], vi_set8(63));
    scales[1] = vi_or(low_nibbles_of(t[3]), vi_shl16(two_bits_of(t[1], 6), 4));
    mins[1] = vi_or(high_nibbles_of(t[3]), vi_shl16(two_bits_of(t[2], 6), 4));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        tiles[g].scale[0] = vf_mul(d, byte_of(scales[g / 4], g % 4));
        tiles[g].min[0] = vf_mul(dmin, byte_of(mins[g / 4], g % 4));
    }
}

static inline __attribute__((always_inline)) void q8_scales_q4_k(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    k4_tile_scales(rows, at / 8 * sizeof(BlockQ4_K), tiles);
}

static void q8_unpack_q4_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ4_K);
    q8_scales_q4_k(rows, at, n, tiles);
    for (size_t g = 0; g < n; g += 2)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            VI t[4];
            load_columns(rows, block + offsetof(BlockQ4_K, qs) + g * 16 + h * 16, t);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                tiles[g].q[4 * h + j] = low_nibbles_of(t[j]);
                tiles[g + 1].q[4 * h + j] = high_nibbles_of(t[j]);
            }
        }
}

static inline __attribute__((always_inline)) void q8_scales_q5_k(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    k4_tile_scales(rows, at / 8 * sizeof(BlockQ5_K), tiles);
}

static void q8_unpack_q5_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ5_K);
    q8_scales_q5_k(rows, at, n, tiles);
    for (int h = 0; h < 2; h++) {
        VI high[4];
        load_columns(rows, block + offsetof(BlockQ5_K, qh) + h * 16, high);
#pragma GCC unroll 4
        for (int g = 0; g < 8; g += 2) {
            VI t[4];
            load_columns(rows, block + offsetof(BlockQ5_K, qs) + g * 16 + h * 16, t);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                tiles[g].q[4 * h + j] = vi_or(low_nibbles_of(t[j]), move_bit(high[j], g, 4));
                tiles[g + 1].q[4 * h + j] = vi_or(high_nibbles_of(t[j]), move_bit(high[j], g + 1, 4));
            }
        }
    }
}

static inline __attribute__((always_inline)) void q8_scales_q6_k(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ6_K);

    VF d = load_halves(rows, block + offsetof(BlockQ6_K, d));
    VI scales[4];
    load_columns(rows, block + offsetof(BlockQ6_K, scales), scales);
    set_half_scales(tiles, d, scales, 32);
}

static void q8_unpack_q6_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    const VI high = vi_set8(0x30);
    size_t block = at / 8 * sizeof(BlockQ6_K);
    q8_scales_q6_k(rows, at, n, tiles);
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
                Q8Tile *t = &tiles[g];
                int i = 4 * h + j;
                t[0].q[i] = q8_place(vi_or(low_nibbles_of(a[j]), vi_and(vi_shl16(c[j], 4), high)), 32);
                t[1].q[i] = q8_place(vi_or(low_nibbles_of(b[j]), vi_and(vi_shl16(c[j], 2), high)), 32);
                t[2].q[i] = q8_place(vi_or(high_nibbles_of(a[j]), vi_and(c[j], high)), 32);
                t[3].q[i] = q8_place(vi_or(high_nibbles_of(b[j]), vi_and(vi_shr16(c[j], 2), high)), 32);
            }
        }
}

static inline __attribute__((always_inline)) void q8_scales_q2_k(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ2_K);

    VF d = load_halves(rows, block + offsetof(BlockQ2_K, d));
    VF dmin = load_halves(rows, block + offsetof(BlockQ2_K, dmin));
    VI scales[4];
    load_columns(rows, block + offsetof(BlockQ2_K, scales), scales);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        tiles[s / 2].scale[s % 2] = vf_mul(d, byte_of(low_nibbles_of(scales[s / 4]), s % 4));
        tiles[s / 2].min[s % 2] = vf_mul(dmin, byte_of(high_nibbles_of(scales[s / 4]), s % 4));
    }
}

static void q8_unpack_q2_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ2_K);
    q8_scales_q2_k(rows, at, n, tiles);
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
    VI a = load_words32(rows, offset), b = load_words32(rows, offset + 4), c = load_words32(rows, offset + 8);
    scales[0] = vi_or(low_nibbles_of(a), vi_shl16(two_bits_of(c, 0), 4));
    scales[1] = vi_or(low_nibbles_of(b), vi_shl16(two_bits_of(c, 2), 4));
    scales[2] = vi_or(high_nibbles_of(a), vi_shl16(two_bits_of(c, 4), 4));
    scales[3] = vi_or(high_nibbles_of(b), vi_shl16(two_bits_of(c, 6), 4));
}

static inline __attribute__((always_inline)) void q8_scales_q3_k(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ3_K);

    VF d = load_halves(rows, block + offsetof(BlockQ3_K, d));
    VI scales[4];
    q3_k_tile_scales(rows, block + offsetof(BlockQ3_K, scales), scales);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++)
        set_scale(&tiles[s / 2], s % 2, vf_mul(d, vf_sub(byte_of(scales[s / 4], s % 4), vf_set(32))), 4);
}

static void q8_unpack_q3_k(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockQ3_K);
    VI mask[2][4];
    q8_scales_q3_k(rows, at, n, tiles);
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
                    q8_place(vi_or(two_bits_of(t[j], 2 * g), move_bit(mask[h][j], first + g, 2)), 4);
    }
}

/* Ternary digits have one scale for a super-block, a half at `offset` of the rows, and count from 1. */
static inline __attribute__((always_inline)) void q8_scales_ternary(
    const uint8_t *const rows[VF_LANES], size_t offset, Q8Tile *tiles) {
    VF d = load_halves(rows, offset);
    for (int g = 0; g < 8; g++)
        set_scale(&tiles[g], 0, d, 1);
}

static inline __attribute__((always_inline)) void q8_scales_tq2_0(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_ternary(rows, at / 8 * sizeof(BlockTQ2_0) + offsetof(BlockTQ2_0, d), tiles);
}

static void q8_unpack_tq2_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockTQ2_0);
    q8_scales_tq2_0(rows, at, n, tiles);
    for (int part = 0; part < 4; part++) {
        int first = part / 2 * 4, h = part % 2;
        VI t[4];
        load_columns(rows, block + offsetof(BlockTQ2_0, qs) + part * 16, t);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                tiles[first + g].q[4 * h + j] = q8_place(two_bits_of(t[j], 2 * g), 1);
    }
}

/* Nibbles that stand for the values of a table. */
static inline __attribute__((always_inline)) void look_up(
    const uint8_t *const rows[VF_LANES], size_t qs, VI table, VI q[8]) {
    nibbles(rows, qs, q);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        q[j] = vi_look_up(table, q[j]);
}

static inline __attribute__((always_inline)) void q8_scales_iq4_nl(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    block_scales(rows, at, n, sizeof(BlockIQ4_NL), tiles);
}

static void q8_unpack_iq4_nl(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq4_nl(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockIQ4_NL);
        look_up(rows, block + offsetof(BlockIQ4_NL, qs), q8_place(vi_table(iq4_values), 0), tiles[b].q);
    }
}

static inline __attribute__((always_inline)) void q8_scales_iq4_xs(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ4_XS);

    VF d = load_halves(rows, block + offsetof(BlockIQ4_XS, d));
    VI high = vi_shr32(load_words32(rows, block), 16); /* scales_h */
    VI low = load_words32(rows, block + offsetof(BlockIQ4_XS, scales_l));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        VI l = vi_and(vi_shr32(low, 4 * g), vi_set32(15));
        VI h = vi_and(vi_shr32(high, 2 * g), vi_set32(3));
        VF scale = vf_sub(vf_from_int(vi_or(l, vi_shl32(h, 4))), vf_set(32));
        tiles[g].scale[0] = vf_mul(d, scale);
    }
}

static void q8_unpack_iq4_xs(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ4_XS);
    q8_scales_iq4_xs(rows, at, n, tiles);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++)
        look_up(rows, block + offsetof(BlockIQ4_XS, qs) + g * 16, q8_place(vi_table(iq4_values), 0), tiles[g].q);
}

/* mxfp4_scale() of each lane: the exponent is one less than e; for e < 2 what is left of the mantissa's leading bit. */
static inline VF mxfp4_scales(VI e) {
    VI normal = vi_shl32(vi_add32(e, vi_set32(-1)), 23), subnormal = vi_shl32(vi_add32(e, vi_set32(1)), 21);
    return vf_from_bits(vi_max32(normal, subnormal));
}

static inline __attribute__((always_inline)) void q8_scales_mxfp4(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    VI e[Q8_GROUP];
    _Static_assert(sizeof(BlockMXFP4) == 17, "as load_bytes8() wants it");
    if (n == Q8_GROUP)
        load_bytes8(rows, at * sizeof(BlockMXFP4), e);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockMXFP4);
        tiles[b].scale[0] = mxfp4_scales(n == Q8_GROUP ? e[b] : vi_and(load_words32(rows, block), vi_set32(255)));
    }
}

/* Values that count from an offset have fewer bits than signed ones, so more products are added before they widen. */
static inline VI mxfp4_table(void) {
    return vi_add8(vi_table(mxfp4_values), vi_set8(MXFP4_OFFSET));
}

static void q8_unpack_mxfp4(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_mxfp4(rows, at, n, tiles);
    for (size_t b = 0; b < n; b++) {
        size_t block = (at + b) * sizeof(BlockMXFP4);
        look_up(rows, block + offsetof(BlockMXFP4, qs), q8_place(mxfp4_table(), MXFP4_OFFSET), tiles[b].q);
    }
}
