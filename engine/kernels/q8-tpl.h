/* Products of quantised weights with rows of ACT_Q8, written over the primitives of simd-*.h.
 *
 * VF_LANES rows of weights are unpacked side by side, a lane each, 32 elements at a time; the sums over 16 elements are
 * integers, so exact, and are scaled and added in the order of the row, one chain per output. Every shape of call goes
 * through the same two steps, unpack and multiply, and differs only in how many rows of x a tile serves. */
#pragma once

#include <stdbool.h>

#include "kernels.h"

/* 32 elements of VF_LANES rows. Lane l of q[j] holds elements 4j..4j+3 of row l as bytes. Meaning: x = scale * q - min,
 * with a scale and a min per 32 elements (index 0), or per 16. */
typedef struct Q8Tile {
    VI q[8];
    VF scale[2];
    VF min[2];
} Q8Tile;

typedef enum Q8Kind {
    Q8_SMALL32, /* unsigned bytes up to 31, scale and min per 32 */
    Q8_BYTE16,  /* unsigned bytes up to 63, scale and min per 16 */
    Q8_SIGNED32 /* signed bytes, scale per 32, no min */
} Q8Kind;

#define Q8_GROUP 8u  /* tiles unpacked by one call: a super-block */
#define Q8_DEPTH 64u /* tiles unpacked before the rows of x pass by: 24 KiB */
#define Q8_ROWS  4   /* rows of x at a time */

/* Unpacks n <= Q8_GROUP tiles from block index `at` (counted in 32 elements) of the rows on. `ahead` is the distance in
 * bytes to what will be unpacked after these rows. */
typedef void Q8Unpack(const uint8_t *const rows[VF_LANES], size_t at, size_t n, size_t ahead, Q8Tile *tiles);

static inline __attribute__((always_inline)) void q8_multiply(
    const Q8Kind kind, const int rows, const Q8Tile *tiles, size_t n, const Matmul *m, size_t r, size_t at, VF *acc) {
    const int8_t *q[Q8_ROWS];
    const float *d[Q8_ROWS], *sum16[Q8_ROWS], *sum32[Q8_ROWS];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        const uint8_t *x = m->x + (r + i) * m->x_stride;
        q[i] = (const int8_t *)x + at * 32;
        d[i] = (const float *)(x + m->k) + at * 2;
        sum16[i] = (const float *)(x + m->k) + m->k / 16 + at * 2;
        sum32[i] = (const float *)(x + m->k) + m->k / 8 + at;
    }
    for (size_t b = 0; b < n; b++) {
        const Q8Tile *t = &tiles[b];
        VF scaled[Q8_ROWS];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) {
                const int8_t *x = q[i] + b * 32 + h * 16;
                VF sum = kind == Q8_SMALL32  ? q8_dot_small(t->q + 4 * h, x)
                         : kind == Q8_BYTE16 ? q8_dot_byte(t->q + 4 * h, x)
                                             : q8_dot_signed(t->q + 4 * h, x);
                VF dx = vf_set(d[i][2 * b + h]);
                if (kind == Q8_BYTE16) {
                    acc[i] = vf_fma(t->scale[h], vf_mul(dx, sum), acc[i]);
                    acc[i] = vf_fnma(t->min[h], vf_set(sum16[i][2 * b + h]), acc[i]);
                } else
                    scaled[i] = h == 0 ? vf_mul(dx, sum) : vf_fma(dx, sum, scaled[i]);
            }
        }
        if (kind == Q8_BYTE16)
            continue;
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            acc[i] = vf_fma(t->scale[0], scaled[i], acc[i]);
            if (kind == Q8_SMALL32)
                acc[i] = vf_fnma(t->min[0], vf_set(sum32[i][b]), acc[i]);
        }
    }
}

/* Takes `rows` rows of x from r on through n tiles at `at`, adding to what y holds of the tiles before. */
static inline __attribute__((always_inline)) void q8_rows(const Q8Kind kind, const int rows, const Q8Tile *tiles,
    size_t n, const Matmul *m, size_t r, size_t at, size_t out) {
    VF acc[Q8_ROWS];
    size_t left = m->n_out - out;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
        acc[i] = at == 0 ? vf_zero() : load_upto(m->y + (r + i) * m->y_stride + out, left);
    q8_multiply(kind, rows, tiles, n, m, r, at, acc);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
        store_upto(m->y + (r + i) * m->y_stride + out, left, acc[i]);
}

/* Takes all rows of x through n tiles. */
static inline __attribute__((always_inline)) void q8_all_rows(
    const Q8Kind kind, const Q8Tile *tiles, size_t n, const Matmul *m, size_t at, size_t out) {
    size_t r = 0;
    for (; r + Q8_ROWS <= m->n_rows; r += Q8_ROWS)
        q8_rows(kind, Q8_ROWS, tiles, n, m, r, at, out);
    if (m->n_rows - r == 3)
        q8_rows(kind, 3, tiles, n, m, r, at, out);
    else if (m->n_rows - r == 2)
        q8_rows(kind, 2, tiles, n, m, r, at, out);
    else if (m->n_rows - r == 1)
        q8_rows(kind, 1, tiles, n, m, r, at, out);
}

typedef void Q8Rows(const Q8Tile *tiles, size_t n, const Matmul *m, size_t at, size_t out);

static void q8_small32(const Q8Tile *tiles, size_t n, const Matmul *m, size_t at, size_t out) {
    q8_all_rows(Q8_SMALL32, tiles, n, m, at, out);
}

static void q8_byte16(const Q8Tile *tiles, size_t n, const Matmul *m, size_t at, size_t out) {
    q8_all_rows(Q8_BYTE16, tiles, n, m, at, out);
}

static void q8_signed32(const Q8Tile *tiles, size_t n, const Matmul *m, size_t at, size_t out) {
    q8_all_rows(Q8_SIGNED32, tiles, n, m, at, out);
}

static inline __attribute__((always_inline)) void q8_matmul(const Matmul *m, Q8Unpack *unpack, Q8Rows *multiply) {
    Q8Tile tiles[Q8_DEPTH];
    const size_t depth = m->n_rows <= 2 * Q8_ROWS ? Q8_GROUP : Q8_DEPTH, n_tiles = m->k / 32;

    for (size_t out = 0; out < m->n_out; out += VF_LANES) {
        const uint8_t *rows[VF_LANES]; /* beyond the edge the last one again: computed and dropped */
        for (size_t i = 0; i < VF_LANES; i++)
            rows[i] = m->w + MIN(out + i, m->n_out - 1) * m->w_stride;

        for (size_t at = 0; at < n_tiles; at += depth) {
            size_t n = MIN(depth, n_tiles - at);
            for (size_t i = 0; i < n; i += Q8_GROUP)
                unpack(rows, at + i, MIN((size_t)Q8_GROUP, n - i), VF_LANES * m->w_stride, tiles + i);
            multiply(tiles, n, m, at, out);
        }
    }
}
