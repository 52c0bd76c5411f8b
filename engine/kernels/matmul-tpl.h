/* Matrix products over float rows, written over the primitives of simd-*.h.
 *
 * The order of summation, for every shape of call: a row of k elements is cut into segments of SEGMENT; inside a
 * segment lane l of a vector sums elements l, l + VF_LANES, ... in order; the lanes are added in the order of vf_sum4;
 * the segments are added in order. A register tile holds one vector per output, so any number of rows of either side
 * can share loads without touching that order, and cutting k lets a tile of unpacked weights stay in the first-level
 * cache while the rows of x pass by. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "kernels.h"

#define SEGMENT    512
#define TILE_OUT   16  /* rows of weights unpacked at a time: 32 KiB */
#define TILE_PAD   16  /* floats between them, which would else compete for the same places in the cache */
#define BLOCK_ROWS 240 /* rows of x that pass by a tile: 480 KiB, so they come from the second-level cache */
/* Rows of x that each product of four rows of weights fetches for the register tiles to come. */
#define AHEAD_ROWS ((MATMUL_ROWS + TILE_OUT / 4 - 1) / (TILE_OUT / 4))

typedef enum FloatType {
    FLOAT_32,
    FLOAT_HALF,
    FLOAT_BFLOAT,
} FloatType;

static inline __attribute__((always_inline)) size_t float_size(const FloatType type) {
    return type == FLOAT_32 ? 4 : 2;
}

static inline __attribute__((always_inline)) VF load_weights(const FloatType type, const uint8_t *p) {
    return type == FLOAT_32 ? vf_load((const float *)p) : type == FLOAT_HALF ? vf_load_half(p) : vf_load_bfloat(p);
}

static inline VF load_weights_part(const FloatType type, const uint8_t *p, size_t n) {
    uint8_t part[VF_LANES * sizeof(float)] = {};
    memcpy(part, p, n * float_size(type));
    return load_weights(type, part);
}

typedef float Four __attribute__((vector_size(16)));

/* sums[r][i] for 4 rows of weights and `rows` of x, over n elements. Of AHEAD_ROWS rows from `ahead` on, if it is not
 * NULL, as much is fetched. */
static inline __attribute__((always_inline)) void tile_dot(const FloatType type, const uint8_t *const w[4],
    const float *x, size_t x_stride, size_t n, const int rows, const float *ahead, Four *sums) {
    VF acc[MATMUL_ROWS][4];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            acc[r][i] = vf_zero();

    size_t j = 0;
    for (; j + VF_LANES <= n; j += VF_LANES) {
        VF wv[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            wv[i] = load_weights(type, w[i] + j * float_size(type));
#pragma GCC unroll 2
        for (int i = 0; ahead && i < AHEAD_ROWS; i++)
            prefetch_line((const uint8_t *)(ahead + i * x_stride + j));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF xv = vf_load(x + r * x_stride + j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                acc[r][i] = vf_fma(wv[i], xv, acc[r][i]);
        }
    }
    if (j < n) {
        VF wv[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            wv[i] = load_weights_part(type, w[i] + j * float_size(type), n - j);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF xv = vf_load_part(x + r * x_stride + j, n - j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                acc[r][i] = vf_fma(wv[i], xv, acc[r][i]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        vf_sum4(acc[r][0], acc[r][1], acc[r][2], acc[r][3], (float *)&sums[r]);
}

/* 4 outputs (n_out of them wanted) of rows [r, r + rows), over elements [at, at + n), at which w points */
static inline __attribute__((always_inline)) void tile_add(const FloatType type, const Matmul *m,
    const uint8_t *const w[4], size_t r, const int rows, size_t ahead, size_t out, size_t n_out, size_t at, size_t n) {
    const size_t x_stride = m->x_stride / sizeof(float), y_stride = m->y_stride;
    const float *x = (const float *)(m->x + r * m->x_stride) + at;
    float *y = m->y + r * y_stride + out;
    Four sums[MATMUL_ROWS];

    tile_dot(type, w, x, x_stride, n, rows, ahead ? x + ahead * x_stride : NULL, sums);
    for (int i = 0; n_out < 4 && i < rows; i++)
        for (size_t o = 0; o < n_out; o++)
            y[i * y_stride + o] = at == 0 ? sums[i][o] : y[i * y_stride + o] + sums[i][o];
#pragma GCC unroll 8
    for (int i = 0; n_out == 4 && i < rows; i++) {
        Four before;
        memcpy(&before, y + i * y_stride, sizeof(before));
        sums[i] = at == 0 ? sums[i] : before + sums[i];
        memcpy(y + i * y_stride, &sums[i], sizeof(sums[i]));
    }
}

/* n_out outputs from `out` on of [r, end), as far as those are whole register tiles of `rows` rows. Where they end is
 * returned. */
static inline __attribute__((always_inline)) size_t tiles_add(const FloatType type, const Matmul *m,
    const uint8_t *const *w, size_t r, size_t end, const int rows, const bool fetch, size_t out, size_t n_out,
    size_t at, size_t n) {
    for (; r + rows <= end; r += rows)
        for (size_t o = 0; o < n_out; o += 4)
            tile_add(type, m, w + o, r, rows, fetch ? rows + o / 4 * AHEAD_ROWS : 0, out + o, MIN(n_out - o, (size_t)4),
                at, n);
    return r;
}

/* The same for all of [r, end). */
static inline __attribute__((always_inline)) void rows_add(const FloatType type, const Matmul *m,
    const uint8_t *const *w, size_t r, size_t end, const bool fetch, size_t out, size_t n_out, size_t at, size_t n) {
    r = tiles_add(type, m, w, r, end, MATMUL_ROWS, fetch, out, n_out, at, n);
    if (MATMUL_ROWS > 4)
        r = tiles_add(type, m, w, r, end, MIN(MATMUL_ROWS, 4), false, out, n_out, at, n);
    r = tiles_add(type, m, w, r, end, 2, false, out, n_out, at, n);
    tiles_add(type, m, w, r, end, 1, false, out, n_out, at, n);
}

/* Few rows of x: the weights go straight from the mapping into the products, row after row as they lie there. */
static inline __attribute__((always_inline)) void matmul_stream(const FloatType type, const Matmul *m) {
    const size_t size = float_size(type);
    for (size_t out = 0; out < m->n_out; out += 4)
        for (size_t at = 0; at < m->k; at += SEGMENT) {
            size_t n = MIN(m->k - at, (size_t)SEGMENT);
            const uint8_t *w[4]; /* beyond the edge the last row again: its product is computed and dropped */
            for (size_t i = 0; i < 4; i++) {
                w[i] = m->w + MIN(out + i, m->n_out - 1) * m->w_stride + at * size;
                prefetch_range(w[i] + 4 * m->w_stride, n * size);
            }
            rows_add(type, m, w, 0, m->n_rows, false, out, MIN(m->n_out - out, (size_t)4), at, n);
        }
}

/* Some rows of x past every tile of a segment of weights. */
static inline __attribute__((always_inline)) void block_add(const Matmul *m,
    void (*dequantize)(const void *blocks, float *out, size_t n), size_t r, size_t end, size_t at, size_t n) {
    float tile[TILE_OUT][SEGMENT + TILE_PAD] __attribute__((aligned(64)));
    const size_t size = m->traits->block_bytes; /* of a float */

    for (size_t out = 0; out < m->n_out; out += TILE_OUT) {
        size_t n_out = MIN(m->n_out - out, (size_t)TILE_OUT);
        const uint8_t *w[TILE_OUT];
        for (size_t o = 0; o < n_out; o++) {
            const uint8_t *floats = m->w + (out + o) * m->w_stride + at * size;
            prefetch_range(floats + TILE_OUT * m->w_stride, n * size);
            dequantize(floats, tile[o], n);
            w[o] = (const uint8_t *)tile[o];
        }
        for (size_t o = n_out; o < TILE_OUT; o++)
            w[o] = w[n_out - 1];
        rows_add(FLOAT_32, m, w, r, end, true, out, n_out, at, n);
    }
}

/* Many rows: TILE_OUT rows of weights a segment at a time become floats of 32 bits, then rows of x pass by, as many as
 * the second-level cache holds of a segment; the next ones begin again. */
static inline __attribute__((always_inline)) void matmul_tiles(
    const Matmul *m, void (*dequantize)(const void *blocks, float *out, size_t n)) {
    for (size_t r = 0; r < m->n_rows; r += BLOCK_ROWS)
        for (size_t at = 0; at < m->k; at += SEGMENT)
            block_add(m, dequantize, r, MIN(m->n_rows, r + BLOCK_ROWS), at, MIN(m->k - at, (size_t)SEGMENT));
}

/* Floats of any size. */
static inline __attribute__((always_inline)) void matmul_floats(
    const FloatType type, const Matmul *m, void (*dequantize)(const void *blocks, float *out, size_t n)) {
    if (m->n_rows <= 2 * MATMUL_ROWS)
        matmul_stream(type, m);
    else
        matmul_tiles(m, dequantize);
}
