#include <stddef.h>

#include "iq-points.h"
#include "iq-tables.h"
#include "macros.h"

IQPoints iq_points __attribute__((aligned(64)));

static uint64_t spell_out(uint16_t point, unsigned bits, const uint8_t *levels) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 16 / bits; i++)
        bytes |= (uint64_t)levels[point >> bits * i & ((1u << bits) - 1)] << 8 * i;
    return bytes;
}

static void spell_out_all8(uint64_t *out, const uint16_t *grid, size_t n, const uint8_t levels[4]) {
    for (size_t i = 0; i < n; i++)
        out[i] = spell_out(grid[i], 2, levels);
}

static void spell_out_all4(uint32_t *out, const uint16_t *grid, size_t n, const uint8_t levels[8]) {
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)spell_out(grid[i], 3, levels);
}

void iq_points_fill(void) {
    /* as in dequantize-iq.c; no point has an index of 3 among its two-bit ones */
    static const uint8_t iq2[4] = {8, 25, 43}, iq1[4] = {0, 8, 16};
    static const uint8_t iq3_xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62}, iq3_s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    spell_out_all8(iq_points.iq2_xxs, iq2_xxs_grid, ELEMENTSOF(iq_points.iq2_xxs), iq2);
    spell_out_all8(iq_points.iq2_xs, iq2_xs_grid, ELEMENTSOF(iq_points.iq2_xs), iq2);
    spell_out_all8(iq_points.iq2_s, iq2_s_grid, ELEMENTSOF(iq_points.iq2_s), iq2);
    spell_out_all8(iq_points.iq1, iq1_s_grid, ELEMENTSOF(iq_points.iq1), iq1);
    spell_out_all4(iq_points.iq3_xxs, iq3_xxs_grid, ELEMENTSOF(iq_points.iq3_xxs), iq3_xxs);
    spell_out_all4(iq_points.iq3_s, iq3_s_grid, ELEMENTSOF(iq_points.iq3_s), iq3_s);
}
