/* Super-blocks unpacked to bytes one row at a time: of formats whose codebooks stand for 4 or 8 elements at once, for a
 * point of a codebook lies along a row, and of TQ1_0, whose digits lie in runs of 32, 16 and 4 bytes. Written over the
 * 32 bytes of a row of simd-*.h. */
#pragma once

#include <string.h>

#include "blocks.h"
#include "iq-points.h"

#define ROW_TILES (SUPER_BLOCK / 32)

/* The 256 elements of a block. A function of its own: tiles and strips, for one row of x and for more, all call it. */
typedef void RowUnpack(const uint8_t *block, uint8_t out[SUPER_BLOCK]);

typedef uint8_t U8x4 __attribute__((vector_size(4)));
typedef uint8_t U8x8 __attribute__((vector_size(8)));
typedef uint8_t U8x16 __attribute__((vector_size(16)));
typedef uint16_t U16x4 __attribute__((vector_size(8)));
typedef uint16_t U16x8 __attribute__((vector_size(16)));
typedef uint16_t U16x16 __attribute__((vector_size(32)));
typedef uint32_t U32x4 __attribute__((vector_size(16)));
typedef uint32_t U32x8 __attribute__((vector_size(32)));
typedef uint64_t U64x2 __attribute__((vector_size(16)));
typedef uint64_t U64x4 __attribute__((vector_size(32)));

/* In each lane four times seven signs, from the lowest bits on, and with each seven an eighth that makes their number
 * even. */
static inline __attribute__((always_inline)) U32x8 even_signs(U32x8 sevens) {
    U32x8 s = (sevens & 0x7F) | (sevens & 0x7F << 7) << 1 | (sevens & 0x7F << 14) << 2 | (sevens & 0x7F << 21) << 3;
    U32x8 parity = s ^ s >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return s | (parity & 0x01010101) << 7;
}

static inline __attribute__((always_inline)) VB tile_of_points4(const uint32_t *points, const uint16_t i[8]) {
    return vb_set32(
        points[i[0]], points[i[1]], points[i[2]], points[i[3]], points[i[4]], points[i[5]], points[i[6]], points[i[7]]);
}

static inline __attribute__((always_inline)) VB tile_of_points8(const uint64_t *points, const uint16_t i[4]) {
    return vb_set64(points[i[0]], points[i[1]], points[i[2]], points[i[3]]);
}

/* Sixteen indices: of each a byte, and `bits` higher ones in fields `step` apart, those of four indices in a lane of
 * `high`. */
static inline __attribute__((always_inline)) void long_indices(
    const uint8_t low[16], U64x4 high, const int bits, const int step, uint16_t ret[16]) {
    U64x4 fields = {};
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        fields |= high << (8 + (16 - step) * k) & ((UINT64_C(1) << bits) - 1) << (8 + 16 * k);
    U8x16 bytes;
    memcpy(&bytes, low, sizeof(bytes));
    U16x16 i = __builtin_convertvector(bytes, U16x16) | (U16x16)fields;
    memcpy(ret, &i, sizeof(i));
}

static void row_unpack_iq3_xxs(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ3_XXS *b = (const BlockIQ3_XXS *)block;
    const uint32_t *points = iq_points.iq3_xxs;
    U32x8 words;
    uint32_t signs[ROW_TILES];
    memcpy(&words, b->signs, sizeof(words));
    words = even_signs(words);
    memcpy(signs, &words, sizeof(signs));
    for (int g = 0; g < ROW_TILES; g++) {
        const uint8_t *i = &b->qs[8 * g];
        VB tile = vb_set32(points[i[0]], points[i[1]], points[i[2]], points[i[3]], points[i[4]], points[i[5]],
            points[i[6]], points[i[7]]);
        vb_store(out + 32 * g, vb_negate(tile, signs[g]));
    }
}

static void row_unpack_iq2_xxs(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ2_XXS *b = (const BlockIQ2_XXS *)block;
    const uint64_t *points = iq_points.iq2_xxs;
    U64x4 first, last, words;
    uint32_t signs[ROW_TILES];
    memcpy(&first, &b->groups[0], sizeof(first)); /* one by one: together they would go through the stack */
    memcpy(&last, &b->groups[4], sizeof(last));
    words = first >> 32 | (last & 0xFFFFFFFF00000000u); /* of groups 0, 4, 1, 5, .. */
    words = (U64x4)even_signs((U32x8)words);
    memcpy(signs, &words, sizeof(signs));
    for (int g = 0; g < ROW_TILES; g++) {
        const uint8_t *i = b->groups[g].grid;
        VB tile = vb_set64(points[i[0]], points[i[1]], points[i[2]], points[i[3]]);
        vb_store(out + 32 * g, vb_negate(tile, signs[g % 4 * 2 + g / 4]));
    }
}

static void row_unpack_iq3_s(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ3_S *b = (const BlockIQ3_S *)block;
    const U16x8 bit = {1, 2, 4, 8, 16, 32, 64, 128};
    uint16_t at[SUPER_BLOCK / 4];
    for (int g = 0; g < ROW_TILES; g++) {
        U8x8 low;
        memcpy(&low, b->qs + 8 * g, sizeof(low));
        U16x8 i = __builtin_convertvector(low, U16x8) | ((U16x8)((bit & b->qh[g]) == bit) & 256);
        memcpy(at + 8 * g, &i, sizeof(i));
    }
    for (int g = 0; g < ROW_TILES; g++) {
        uint32_t signs;
        memcpy(&signs, b->signs + 4 * g, sizeof(signs));
        vb_store(out + 32 * g, vb_negate(tile_of_points4(iq_points.iq3_s, at + 8 * g), signs));
    }
}

static void row_unpack_iq2_xs(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ2_XS *b = (const BlockIQ2_XS *)block;
    uint16_t at[SUPER_BLOCK / 8];
    uint32_t signs[ROW_TILES];
    for (int part = 0; part < 2; part++) {
        U16x16 words;
        memcpy(&words, &b->qs[16 * part], sizeof(words));
        U16x16 i = words & 511, s = words >> 9, parity = s ^ s >> 4;
        parity ^= parity >> 2;
        parity ^= parity >> 1;
        U8x16 eights = __builtin_convertvector(s | (parity & 1) << 7, U8x16);
        memcpy(at + 16 * part, &i, sizeof(i));
        memcpy(signs + 4 * part, &eights, sizeof(eights));
    }
    for (int g = 0; g < ROW_TILES; g++)
        vb_store(out + 32 * g, vb_negate(tile_of_points8(iq_points.iq2_xs, at + 4 * g), signs[g]));
}

static void row_unpack_iq2_s(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ2_S *b = (const BlockIQ2_S *)block;
    uint16_t at[SUPER_BLOCK / 8];
    for (int part = 0; part < 2; part++) {
        U8x4 high;
        memcpy(&high, b->qh + 4 * part, sizeof(high));
        long_indices(b->qs + 16 * part, __builtin_convertvector(high, U64x4), 2, 2, at + 16 * part);
    }
    for (int g = 0; g < ROW_TILES; g++) {
        uint32_t signs;
        memcpy(&signs, b->signs + 4 * g, sizeof(signs));
        vb_store(out + 32 * g, vb_negate(tile_of_points8(iq_points.iq2_s, at + 4 * g), signs));
    }
}

/* A tile of points of IQ1, and 2 more where the shift goes up: eight times an element, 9 too high. */
static inline __attribute__((always_inline)) void store_shifted(const uint16_t i[4], U64x4 up, uint8_t out[32]) {
    const uint64_t *points = iq_points.iq1;
    U64x4 tile = {points[i[0]], points[i[1]], points[i[2]], points[i[3]]};
    tile += up & 0x0202020202020202u;
    memcpy(out, &tile, sizeof(tile));
}

static void row_unpack_iq1_s(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ1_S *b = (const BlockIQ1_S *)block;
    uint16_t at[SUPER_BLOCK / 8];
    for (int part = 0; part < 2; part++) {
        U16x4 high;
        memcpy(&high, &b->qh[4 * part], sizeof(high));
        long_indices(b->qs + 16 * part, __builtin_convertvector(high, U64x4), 3, 3, at + 16 * part);
    }
    for (int g = 0; g < ROW_TILES; g++) {
        uint64_t up = (uint64_t)(b->qh[g] >> 15) - 1;
        store_shifted(at + 4 * g, (U64x4){up, up, up, up}, out + 32 * g);
    }
}

static void row_unpack_iq1_m(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockIQ1_M *b = (const BlockIQ1_M *)block;
    const U64x4 down = {0x8, 0x80, 0x800, 0x8000};
    uint16_t at[SUPER_BLOCK / 8];
    for (int part = 0; part < 2; part++) {
        U16x4 high;
        memcpy(&high, b->qh + 8 * part, sizeof(high));
        long_indices(b->qs + 16 * part, __builtin_convertvector(high, U64x4), 3, 4, at + 16 * part);
    }
    for (int g = 0; g < ROW_TILES; g++) {
        uint64_t four = b->qh[2 * g] | b->qh[2 * g + 1] << 8;
        store_shifted(at + 4 * g, (U64x4)((down & four) == 0), out + 32 * g);
    }
}

/* A byte's first ternary digit is how many thirds of 256 it holds, and the next one is that of the low 8 bits of three
 * times the byte. */
static void row_unpack_tq1_0(const uint8_t *block, uint8_t out[SUPER_BLOCK]) {
    const BlockTQ1_0 *b = (const BlockTQ1_0 *)block;
    const U8x16 powers = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    U8x16 x[SUPER_BLOCK / 16]; /* with the elements as first digits */
    uint32_t last;
    memcpy(&x[0], b->qs, sizeof(x[0]));
    memcpy(&x[1], b->qs + 16, sizeof(x[1]));
    memcpy(&x[10], b->qs + 32, sizeof(x[10]));
    memcpy(&last, b->qh, sizeof(last));
#pragma GCC unroll 8
    for (int i = 2; i < 10; i++)
        x[i] = x[i - 2] * 3;
#pragma GCC unroll 4
    for (int i = 11; i < 15; i++)
        x[i] = x[i - 1] * 3;
    x[15] = (U8x16)(U32x4){last, last, last, last} * powers;
#pragma GCC unroll 8
    for (int g = 0; g < ROW_TILES; g++) {
        U64x2 first = (U64x2)x[2 * g], second = (U64x2)x[2 * g + 1];
        vb_store(out + 32 * g, vb_thirds(vb_set64(first[0], first[1], second[0], second[1])));
    }
}
