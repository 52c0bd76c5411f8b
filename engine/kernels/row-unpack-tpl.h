/* Super-blocks of formats whose codebooks stand for 4 or 8 elements at once, unpacked to bytes one row at a time, for a
 * point of a codebook lies along a row. Written over the 32 bytes of a row of simd-*.h. */
#pragma once

#include <string.h>

#include "blocks.h"
#include "iq-points.h"

#define ROW_TILES (SUPER_BLOCK / 32)

/* The 256 elements of a block. A function of its own: tiles and strips, for one row of x and for more, all call it. */
typedef void RowUnpack(const uint8_t *block, uint8_t out[SUPER_BLOCK]);

typedef uint32_t U32x8 __attribute__((vector_size(32)));
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
