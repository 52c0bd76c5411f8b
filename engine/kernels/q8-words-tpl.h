/* Tiles and rows of x as words, for tiers whose products of bytes are sums of 16 bits and that have no instruction for
 * signs. One pair of products of 8 bits fills those sums, so that the sign of every weight has to go over to x, and
 * every pair to be widened before it is added: four instructions for 32 products where one is enough for the sign.
 * Two for 16 do without: a pair of words is multiplied and added to 32 bits at once. Making words of weights is soon
 * made up for by the rows that pass by, and of rows by the groups of outputs; but both are more to load. The sums are
 * the same integers. */
#pragma once

#include "kernels.h"

#ifdef Q8_WORDS

#define Q8_TILE_PAIRS 16 /* of elements */
_Static_assert(Q8_WORD_DEPTH <= Q8_DEPTH && Q8_WORD_DEPTH % Q8_GROUP == 0, "tiles are unpacked in whole groups");

typedef struct Q8Words {
    VI w[Q8_GROUPS][Q8_WORD_DEPTH][Q8_TILE_PAIRS]; /* lane l of [..][b][j]: elements 2j and 2j + 1 of row l of tile b */
    int16_t x[Q8_ROWS][Q8_WORD_DEPTH][Q8_UNIT];
} Q8Words;

static inline __attribute__((always_inline)) void q8_words_of_tiles(
    const int groups, const Q8Tile (*tiles)[Q8_DEPTH], size_t n, Q8Words *ret) {
    const int8_t order[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    for (int g = 0; g < groups; g++)
        for (size_t b = 0; b < n; b++)
            for (int j = 0; j < 8; j++) {
                VI mixed = vi_look_up(tiles[g][b].q[j], vi_table(order)); /* a pair below the next one */
                ret->w[g][b][2 * j] = vi_sar16(vi_shl16(mixed, 8), 8);
                ret->w[g][b][2 * j + 1] = vi_sar16(mixed, 8);
            }
}

static inline __attribute__((always_inline)) void q8_words_of_x(
    const int rows, const Q8Block *const x[Q8_ROWS], size_t n, Q8Words *ret) {
    for (int i = 0; i < rows; i++)
        for (size_t b = 0; b < n; b++)
#pragma GCC unroll 2
            for (int at = 0; at < (int)Q8_UNIT; at += 2 * VF_LANES)
                vi_store(&ret->x[i][b][at], vi_words_of(x[i][b].q + at));
}

/* sums[i][g]: of rows[i] times the outputs of group g, over n pairs of elements of tile b, the first of them j. */
static inline __attribute__((always_inline)) void q8_word_sums(const int rows, const int groups, const Q8Words *words,
    size_t b, const int first, const int n, Q8Sum sums[Q8_ROWS][Q8_GROUPS]) {
#pragma GCC unroll 16
    for (int j = 0; j < n; j++)
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            VI pair = vi_four_of((const int8_t *)&words->x[i][b][2 * (first + j)]);
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                q8_sum_add_words(&sums[i][g], j == 0, words->w[g][b][first + j], pair);
        }
}

#endif
