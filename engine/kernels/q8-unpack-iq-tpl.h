/* The unpacking of the formats of row-unpack-tpl.h into the tiles of q8-tpl.h: each row on its own, and then turned. */
#pragma once

#include "q8-unpack-tpl.h"
#include "row-unpack-tpl.h"

static inline __attribute__((always_inline)) void q8_unpack_rows(RowUnpack *unpack, size_t block_bytes,
    const int offset, const uint8_t *const rows[VF_LANES], size_t at, Q8Tile *tiles) {
    uint8_t bytes[VF_LANES][SUPER_BLOCK] __attribute__((aligned(64)));
    const uint8_t *unpacked[VF_LANES];
#pragma GCC unroll 1
    for (int l = 0; l < VF_LANES; l++) {
        unpack(rows[l] + at / ROW_TILES * block_bytes, bytes[l]);
        unpacked[l] = bytes[l];
    }
#pragma GCC unroll 1
    for (int g = 0; g < ROW_TILES; g++) {
        load_columns(unpacked, 32 * g, tiles[g].q);
        load_columns(unpacked, 32 * g + 16, tiles[g].q + 4);
        place_all(tiles[g].q, offset);
    }
}

static inline __attribute__((always_inline)) void q8_scales_iq3_xxs(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ3_XXS);
    VF d = vf_mul(load_halves(rows, block), vf_set(0.5f));
#pragma GCC unroll 2
    for (int g = 0; g < 8; g += 4) {
        VI words[4];
        load_columns(rows, block + offsetof(BlockIQ3_XXS, signs) + 4 * g, words);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            tiles[g + i].scale[0] = vf_mul(d, vf_add(vf_from_int(vi_shr32(words[i], 28)), vf_set(0.5f)));
    }
}

static void q8_unpack_iq3_xxs(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq3_xxs(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq3_xxs, sizeof(BlockIQ3_XXS), 0, rows, at, tiles);
}

static inline __attribute__((always_inline)) void q8_scales_iq2_xxs(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ2_XXS);
    VF d = vf_mul(load_halves(rows, block), vf_set(0.25f));
#pragma GCC unroll 4
    for (int g = 0; g < 8; g += 2) {
        VI words[4]; /* points, signs, points, signs */
        load_columns(rows, block + offsetof(BlockIQ2_XXS, groups) + 8 * g, words);
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++)
            tiles[g + i].scale[0] = vf_mul(d, vf_add(vf_from_int(vi_shr32(words[2 * i + 1], 28)), vf_set(0.5f)));
    }
}

static void q8_unpack_iq2_xxs(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq2_xxs(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq2_xxs, sizeof(BlockIQ2_XXS), 0, rows, at, tiles);
}

static inline __attribute__((always_inline)) void q8_scales_iq3_s(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ3_S);
    VF d = load_halves(rows, block);
    VI nibbles = load_words32(rows, block + offsetof(BlockIQ3_S, scales));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        VI odd = vi_or(vi_shl32(vi_and(vi_shr32(nibbles, 4 * g), vi_set32(15)), 1), vi_set32(1));
        tiles[g].scale[0] = vf_mul(d, vf_from_int(odd));
    }
}

static void q8_unpack_iq3_s(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq3_s(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq3_s, sizeof(BlockIQ3_S), 0, rows, at, tiles);
}

/* Of IQ2_XS and IQ2_S: a nibble for 16 elements. */
static inline __attribute__((always_inline)) void iq2_scales(
    const uint8_t *const rows[VF_LANES], size_t block, size_t scales, Q8Tile *tiles) {
    VF d = vf_mul(load_halves(rows, block), vf_set(0.25f));
    const VI nibbles[2] = {load_words32(rows, block + scales), load_words32(rows, block + scales + 4)};
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
        VI nibble = vi_and(vi_shr32(nibbles[s / 8], 4 * (s % 8)), vi_set32(15));
        tiles[s / 2].scale[s % 2] = vf_mul(d, vf_add(vf_from_int(nibble), vf_set(0.5f)));
    }
}

static inline __attribute__((always_inline)) void q8_scales_iq2_xs(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    iq2_scales(rows, at / 8 * sizeof(BlockIQ2_XS), offsetof(BlockIQ2_XS, scales), tiles);
}

static void q8_unpack_iq2_xs(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq2_xs(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq2_xs, sizeof(BlockIQ2_XS), 0, rows, at, tiles);
}

static inline __attribute__((always_inline)) void q8_scales_iq2_s(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    iq2_scales(rows, at / 8 * sizeof(BlockIQ2_S), offsetof(BlockIQ2_S, scales), tiles);
}

static void q8_unpack_iq2_s(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq2_s(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq2_s, sizeof(BlockIQ2_S), 0, rows, at, tiles);
}

/* One more than twice the three bits at `at`, times d / 8. */
static inline __attribute__((always_inline)) VF iq1_scale(VF d, VI word, const int at) {
    VI odd = vi_or(vi_shl32(vi_and(vi_shr32(word, at), vi_set32(7)), 1), vi_set32(1));
    return vf_mul(vf_mul(d, vf_set(0.125f)), vf_from_int(odd));
}

static inline __attribute__((always_inline)) void q8_scales_iq1_s(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t block = at / 8 * sizeof(BlockIQ1_S);
    VF d = load_halves(rows, block);
    VI words[4];
    load_columns(rows, block + offsetof(BlockIQ1_S, qh), words);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++)
        set_scale(&tiles[g], 0, iq1_scale(d, words[g / 2], 12 + 16 * (g % 2)), 9);
}

static void q8_unpack_iq1_s(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq1_s(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq1_s, sizeof(BlockIQ1_S), 9, rows, at, tiles);
}

static inline __attribute__((always_inline)) void q8_scales_iq1_m(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    size_t scales = at / 8 * sizeof(BlockIQ1_M) + offsetof(BlockIQ1_M, scales);
    const VI words[2] = {load_words32(rows, scales), load_words32(rows, scales + 4)};
    VI half = vi_set32(0); /* of the top nibbles of the four scales */
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        half = vi_or(half, vi_shl32(vi_and(vi_shr32(words[i / 2], 12 + 16 * (i % 2)), vi_set32(15)), 4 * i));
    VF d = vf_from_half_lanes(half);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++)
        set_scale(&tiles[s / 2], s % 2, iq1_scale(d, words[s / 8], 16 * (s / 4 % 2) + 3 * (s % 4)), 9);
}

static void q8_unpack_iq1_m(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_iq1_m(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_iq1_m, sizeof(BlockIQ1_M), 9, rows, at, tiles);
}

static inline __attribute__((always_inline)) void q8_scales_tq1_0(
    const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_ternary(rows, at / 8 * sizeof(BlockTQ1_0) + offsetof(BlockTQ1_0, d), tiles);
}

static void q8_unpack_tq1_0(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles) {
    q8_scales_tq1_0(rows, at, n, tiles);
    q8_unpack_rows(row_unpack_tq1_0, sizeof(BlockTQ1_0), 1, rows, at, tiles);
}
