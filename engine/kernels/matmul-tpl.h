/* Matrix products over float rows, written over the primitives of simd-*.h.
 *
 * The order of summation, for every shape of call: a row of k elements is cut into segments of SEGMENT; inside a
 * segment lane l of a vector sums elements l, l + VF_LANES, ... in order; the lanes are added in the order of vf_sum4;
 * the segments are added in order. A register tile holds one vector per output, so any number of rows of either side
 * can share loads without touching that order, and cutting k lets a tile of unpacked weights stay in the first-level
 * cache while the rows of x pass by. */
#pragma once

#include "kernels.h"

#define SEGMENT  512 /* a multiple of every block size */
#define TILE_OUT 8   /* rows of weights unpacked at a time: 16 KiB */

/* sums[r][i] for 4 rows of weights and `rows` of x, over n elements */
static inline __attribute__((always_inline)) void tile_dot(
    const float *const w[4], const float *x, size_t x_stride, size_t n, const int rows, float (*sums)[4]) {
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
            wv[i] = vf_load(w[i] + j);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF xv = vf_load(x + r * x_stride + j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                acc[r][i] = vf_fma(wv[i], xv, acc[r][i]);
        }
    }
    if (j < n) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF xv = vf_load_part(x + r * x_stride + j, n - j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                acc[r][i] = vf_fma(vf_load_part(w[i] + j, n - j), xv, acc[r][i]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        vf_sum4(acc[r][0], acc[r][1], acc[r][2], acc[r][3], sums[r]);
}

/* 4 outputs (n_out of them wanted) of all rows, over elements [at, at + n) */
static void tile_rows(const Matmul *m, const float *const w[4], size_t out, size_t n_out, size_t at, size_t n) {
    const size_t stride = m->x_stride / sizeof(float);
    for (size_t r = 0; r < m->n_rows;) {
        float sums[MATMUL_ROWS][4];
        const float *x = (const float *)(m->x + r * m->x_stride) + at;
        size_t rows = MIN(m->n_rows - r, (size_t)MATMUL_ROWS);
        if (rows == MATMUL_ROWS)
            tile_dot(w, x, stride, n, MATMUL_ROWS, sums);
        else
            for (size_t i = 0; i < rows; i++)
                tile_dot(w, x + i * stride, stride, n, 1, sums + i);

        for (size_t i = 0; i < rows; i++) {
            float *y = m->y + (r + i) * m->y_stride + out;
            for (size_t o = 0; o < n_out; o++)
                y[o] = at == 0 ? sums[i][o] : y[o] + sums[i][o];
        }
        r += rows;
    }
}

/* Unpacks TILE_OUT rows of weights a segment at a time, then takes all rows of x through them. `dequantize` NULL: the
 * weights are floats already. */
static inline __attribute__((always_inline)) void matmul_tiles(
    const Matmul *m, void (*dequantize)(const void *blocks, float *out, size_t n)) {
    float tile[TILE_OUT][SEGMENT] __attribute__((aligned(64)));

    for (size_t out = 0; out < m->n_out; out += TILE_OUT) {
        size_t n_out = MIN(m->n_out - out, (size_t)TILE_OUT);
        for (size_t at = 0; at < m->k; at += SEGMENT) {
            size_t n = MIN(m->k - at, (size_t)SEGMENT);
            const float *w[TILE_OUT];
            for (size_t o = 0; o < n_out; o++) {
                const uint8_t *row = m->w + (out + o) * m->w_stride;
                const uint8_t *blocks = row + at / m->traits->block_size * m->traits->block_bytes;
                w[o] = dequantize ? tile[o] : (const float *)blocks;
                if (dequantize)
                    dequantize(blocks, tile[o], n);
            }
            /* a group of 4 at the edge repeats its last row: the product is computed and dropped */
            for (size_t o = n_out; o < TILE_OUT; o++)
                w[o] = w[n_out - 1];
            for (size_t o = 0; o < n_out; o += 4)
                tile_rows(m, w + o, out + o, MIN(n_out - o, (size_t)4), at, n);
        }
    }
}
