/* The unpacking of the formats of row-unpack-tpl.h into the sets of strip-tpl.h: rows are what both are made of. */
#pragma once

#include "q8-unpack-iq-tpl.h"
#include "strip-tpl.h"

/* is_signed: as q8_place() has it. */
static inline __attribute__((always_inline)) void strip_unpack_rows(RowUnpack *unpack, size_t block_bytes,
    const StripOrder order, const bool is_signed, const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    uint8_t bytes[STRIP_WIDTH][SUPER_BLOCK] __attribute__((aligned(64)));
    const uint8_t *unpacked[STRIP_WIDTH];
    VI a[4], b[4];
#pragma GCC unroll 2
    for (int w = 0; w < STRIP_WIDTH; w++) {
        unpack(rows[w] + at / ROW_TILES * block_bytes, bytes[w]);
        unpacked[w] = bytes[w];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = strip_load(unpacked, 32 * (order == STRIP_TILE_FOURS ? i : 2 * i));
        b[i] = strip_load(unpacked, 32 * (order == STRIP_TILE_FOURS ? 4 + i : 2 * i + 1));
        if (is_signed) {
            a[i] = q8_place(a[i], 0);
            b[i] = q8_place(b[i], 0);
        }
    }
    vi_transpose4(a, ret->a);
    vi_transpose4(b, ret->b);
}

#define STRIP_ROWS(format, type, ...)                                                                                  \
    static inline __attribute__((always_inline)) void strip_unpack_##format(                                           \
        const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {                                           \
        strip_unpack_rows(row_unpack_##format, sizeof(type), __VA_ARGS__, rows, at, ret);                              \
    }

STRIP_ROWS(iq3_xxs, BlockIQ3_XXS, STRIP_TILE_PAIRS, true)
STRIP_ROWS(iq2_xxs, BlockIQ2_XXS, STRIP_TILE_PAIRS, true)
STRIP_ROWS(iq3_s, BlockIQ3_S, STRIP_TILE_PAIRS, true)
STRIP_ROWS(iq2_xs, BlockIQ2_XS, STRIP_TILE_FOURS, true)
STRIP_ROWS(iq2_s, BlockIQ2_S, STRIP_TILE_FOURS, true)
STRIP_ROWS(iq1_s, BlockIQ1_S, STRIP_TILE_PAIRS, false)
STRIP_ROWS(iq1_m, BlockIQ1_M, STRIP_TILE_FOURS, false)
STRIP_ROWS(tq1_0, BlockTQ1_0, STRIP_TILE_PAIRS, false)
