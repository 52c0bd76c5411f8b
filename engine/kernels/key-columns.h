/* How the keys of one head and KEY_COLUMNS positions lie in a page: column by column, a position each, so that
 * neighbours in memory are the same element of neighbouring positions. The lanes of a vector are then positions, and a
 * score is a chain of multiplications and additions in one lane; with a key's elements side by side, adding up the
 * lanes would cost more than the products of a head of 64.
 *
 * F32 and F16: [element][KEY_COLUMNS]. Q8_0: for every 32 elements the halves d[KEY_COLUMNS], then the bytes
 * [32][KEY_COLUMNS]: as large as the blocks that they are made of. */
#pragma once

#include <string.h>

#include "blocks.h"
#include "macros.h"
#include "kernels.h"

#define KEY_PART 32u /* elements of a block of Q8_0 */

#define KEY_BLOCK_BYTES (KEY_COLUMNS * sizeof(BlockQ8_0))
#define KEY_BLOCK_BEGIN (KEY_COLUMNS * sizeof(uint16_t)) /* of the bytes, behind the halves */

/* Element i of a position's key. */
static inline float key_at(TensorType type, const uint8_t *keys, size_t i, size_t column) {
    uint16_t half;
    float f;
    if (type == TENSOR_F32) {
        memcpy(&f, keys + (i * KEY_COLUMNS + column) * sizeof(f), sizeof(f));
        return f;
    }
    if (type == TENSOR_F16) {
        memcpy(&half, keys + (i * KEY_COLUMNS + column) * sizeof(half), sizeof(half));
        return half_to_float(half);
    }
    const uint8_t *block = keys + i / KEY_PART * KEY_BLOCK_BYTES;
    memcpy(&half, block + column * sizeof(half), sizeof(half));
    return half_to_float(half) * (int8_t)block[KEY_BLOCK_BEGIN + i % KEY_PART * KEY_COLUMNS + column];
}

/* Elements [i, i + n) of a position's key to their places, from a row of the type. i: a multiple of KEY_PART; n: up to
 * KEY_PART, and not less in Q8_0. Touches no other position's bytes: each may have a writer of its own. */
static inline void key_put(TensorType type, uint8_t *keys, size_t i, size_t n, size_t column, const void *row) {
    if (type == TENSOR_Q8_0) {
        const BlockQ8_0 *from = row;
        uint8_t *to = keys + i / KEY_PART * KEY_BLOCK_BYTES;
        memcpy(to + column * sizeof(from->d), &from->d, sizeof(from->d));
        for (size_t j = 0; j < n; j++)
            to[KEY_BLOCK_BEGIN + j * KEY_COLUMNS + column] = (uint8_t)from->qs[j];
        return;
    }
    const float *floats = row;
    const uint16_t *halves = row;
    for (size_t j = 0; j < n; j++)
        if (type == TENSOR_F32)
            ((float *)keys)[(i + j) * KEY_COLUMNS + column] = floats[j];
        else
            ((uint16_t *)keys)[(i + j) * KEY_COLUMNS + column] = halves[j];
}
