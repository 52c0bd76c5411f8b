/* Matrix products over float rows, written over the primitives of simd-*.h.
 *
 * The order of summation, for every shape of call: a row of k elements is cut into segments of MATMUL_SEGMENT; inside a
 * segment lane l of a vector sums elements l, l + VF_LANES, ... in order; the lanes are added in the order of vf_sum4;
 * the segments are added in order. A register tile holds one vector per output, so any number of rows of either side
 * can share loads without touching that order, and cutting k lets a tile of unpacked weights stay in the first-level
 * cache while the rows of x pass by. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

/* Rows of x that pass by a tile: 516 KiB at most, so they come from the second-level cache. */
#define BLOCK_ROWS 258
/* Few rows of x: up to so many reading the weights takes longer than turning halves into floats for every tile. */
#define STREAM_ROWS (6 * MATMUL_ROWS)
/* Rows of x that each product of four rows of weights fetches for the register tiles to come. */
#define AHEAD_ROWS ((MATMUL_ROWS + MATMUL_OUT / 4 - 1) / (MATMUL_OUT / 4))
_Static_assert(MATMUL_SEGMENT % VF_LANES == 0 && MATMUL_OUT % 4 == 0, "unpacked weights are whole vectors of 4 rows");

typedef enum FloatType {
    FLOAT_32,
    FLOAT_HALF,
    FLOAT_BFLOAT,
    FLOAT_UNPACKED, /* of 32 bits, by unpack_four() */
} FloatType;

static inline __attribute__((always_inline)) size_t float_size(const FloatType type) {
    return type == FLOAT_32 || type == FLOAT_UNPACKED ? sizeof(float) : 2;
}

static inline __attribute__((always_inline)) VF load_weights(const FloatType type, const uint8_t *p) {
    return type == FLOAT_32 ? vf_load((const float *)p) : type == FLOAT_HALF ? vf_load_half(p) : vf_load_bfloat(p);
}

static inline VF load_weights_part(const FloatType type, const uint8_t *p, size_t n) {
    uint8_t part[VF_LANES * sizeof(float)] = {};
    memcpy(part, p, n * float_size(type));
    return load_weights(type, part);
}

/* Elements [j, j + VF_LANES) of row i of 4. */
static inline __attribute__((always_inline)) VF weights_of(
    const FloatType type, const uint8_t *const w[4], const int i, size_t j) {
    if (type == FLOAT_UNPACKED)
        return vf_load((const float *)w[0] + j * 4 + i * VF_LANES);
    return load_weights(type, w[i] + j * float_size(type));
}

/* The same of a row's last n elements, zeros beyond. */
static inline __attribute__((always_inline)) VF weights_part_of(
    const FloatType type, const uint8_t *const w[4], const int i, size_t j, size_t n) {
    if (type == FLOAT_UNPACKED)
        return weights_of(type, w, i, j);
    return load_weights_part(type, w[i] + j * float_size(type), n);
}

/* n elements of 4 rows as floats of 32 bits: VF_LANES of each row and so on, zeros beyond the end. So a register tile
 * reads one stretch of memory. From four that lie at certain distances, some processors would load one after another.
 */
static inline __attribute__((always_inline)) void unpack_four(
    const FloatType type, const uint8_t *const w[4], size_t n, float *out) {
    size_t j = 0;
    for (; j + VF_LANES <= n; j += VF_LANES)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            vf_store(out + j * 4 + i * VF_LANES, weights_of(type, w, i, j));
    for (int i = 0; j < n && i < 4; i++)
        vf_store(out + j * 4 + i * VF_LANES, weights_part_of(type, w, i, j, n - j));
}

typedef float Four __attribute__((vector_size(16)));

/* Rows of floats of the weights' size that will be wanted soon: 4 of weights or AHEAD_ROWS of x. */
typedef struct Ahead {
    const uint8_t *rows[4];
} Ahead;

/* acc[r][i] += elements [j, j + VF_LANES) of `rows` rows of x times those of 4 rows of weights. */
static inline __attribute__((always_inline)) void tile_step(const FloatType type, const uint8_t *const w[4],
    const float *x, size_t x_stride, size_t j, const int rows, VF acc[MATMUL_ROWS][4]) {
    VF wv[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        wv[i] = weights_of(type, w, i, j);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        VF xv = vf_load(x + r * x_stride + j);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            acc[r][i] = vf_fma(wv[i], xv, acc[r][i]);
    }
}

/* sums[r][i] for 4 rows of weights and `rows` of x, over n elements. Of the rows of `ahead`, if it is not NULL, as
 * much is fetched, a line of each at a time: a core has room for few lines that are on their way, and waits when more
 * are asked for at once. */
static inline __attribute__((always_inline)) void tile_dot(const FloatType type, const uint8_t *const w[4],
    const float *x, size_t x_stride, size_t n, const int rows, const Ahead *ahead, const int n_ahead,
    float sums[MATMUL_ROWS][4]) {
    const size_t line = 64 / float_size(type);
    VF acc[MATMUL_ROWS][4];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            acc[r][i] = vf_zero();

    size_t j = 0;
    for (; j + line <= n; j += line) {
#pragma GCC unroll 4
        for (int i = 0; ahead && i < n_ahead; i++)
            prefetch_line(ahead->rows[i] + j * float_size(type));
#pragma GCC unroll 8
        for (size_t v = 0; v < line; v += VF_LANES)
            tile_step(type, w, x, x_stride, j + v, rows, acc);
    }
    for (; j + VF_LANES <= n; j += VF_LANES)
        tile_step(type, w, x, x_stride, j, rows, acc);
    if (j < n) {
        VF wv[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            wv[i] = weights_part_of(type, w, i, j, n - j);
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
        vf_sum4(acc[r][0], acc[r][1], acc[r][2], acc[r][3], sums[r]);
}

/* 4 outputs, `step` apart (n_out of them wanted), of rows [r, r + rows), over elements [at, at + n), where w points */
static inline __attribute__((always_inline)) void tile_add(const FloatType type, const Matmul *m,
    const uint8_t *const w[4], size_t r, const int rows, const Ahead *ahead, const int n_ahead, size_t out,
    const size_t step, size_t n_out, size_t at, size_t n) {
    const size_t x_stride = m->x_stride / sizeof(float), y_stride = m->y_stride;
    const float *x = (const float *)(m->x + r * m->x_stride) + at;
    float *y = m->y + r * y_stride + out;
    const bool together = step == 1 && n_out == 4;
    float sums[MATMUL_ROWS][4] __attribute__((aligned(16)));

    tile_dot(type, w, x, x_stride, n, rows, ahead, n_ahead, sums);
    for (int i = 0; !together && i < rows; i++)
        for (size_t o = 0; o < n_out; o++) {
            float *sum = &y[i * y_stride + o * step];
            *sum = at == 0 ? sums[i][o] : *sum + sums[i][o];
        }
#pragma GCC unroll 8
    for (int i = 0; together && i < rows; i++) {
        Four before, sum;
        memcpy(&before, y + i * y_stride, sizeof(before));
        memcpy(&sum, sums[i], sizeof(sum));
        sum = at == 0 ? sum : before + sum;
        memcpy(y + i * y_stride, &sum, sizeof(sum));
    }
}

/* 4 rows of weights, past which few rows of x go. */
typedef struct Stream {
    const uint8_t *w[4]; /* at the segment */
    Ahead ahead;
    size_t out, step, n_out; /* of the first, between two, and how many are wanted */
} Stream;

/* The rows of x from r on, as far as they are whole register tiles of `rows` rows. Where those end is returned. */
static inline __attribute__((always_inline)) size_t stream_tiles(
    const FloatType type, const Matmul *m, const Stream *s, size_t r, const int rows, size_t at, size_t n) {
    for (; r + rows <= m->n_rows; r += rows)
        tile_add(type, m, s->w, r, rows, r == 0 ? &s->ahead : NULL, 4, s->out, s->step, s->n_out, at, n);
    return r;
}

/* Each row's next segment, or the first one of the row that comes next. A last segment that is short is too little work
 * to fetch a whole one by the way, so it asks for the rest at once. */
static inline __attribute__((always_inline)) void stream_ahead(
    const FloatType type, const Matmul *m, size_t at, size_t n, Stream *s) {
    const size_t size = float_size(type);
    const bool ends = at + n == m->k;
    for (int i = 0; i < 4; i++) {
        s->ahead.rows[i] = s->w[i] + (ends ? lanes_below(m, s->out, s->step) * m->w_stride - at * size : n * size);
        if (ends && n < MATMUL_SEGMENT)
            prefetch_range(s->ahead.rows[i] + n * size, (MIN(m->k, (size_t)MATMUL_SEGMENT) - n) * size);
    }
}

/* Few rows of x: the weights go straight from the mapping into the products, and the 4 rows that share what is loaded
 * of x lie as far apart as they can. */
static inline __attribute__((always_inline)) void matmul_stream(const FloatType type, const Matmul *m) {
    const size_t step = lanes_step(m, 4);
    for (size_t out = 0; out < step; out++)
        for (size_t at = 0; at < m->k; at += MATMUL_SEGMENT) {
            size_t n = MIN(m->k - at, (size_t)MATMUL_SEGMENT), r = 0;
            Stream s = {.out = out, .step = step, .n_out = lanes_filled(m, out, step)};
            for (size_t i = 0; i < 4; i++)
                s.w[i] = lane_row(m, out + i * step) + at * float_size(type);
            stream_ahead(type, m, at, n, &s);
            r = stream_tiles(type, m, &s, r, MATMUL_ROWS, at, n);
            if (MATMUL_ROWS > 4)
                r = stream_tiles(type, m, &s, r, MIN(MATMUL_ROWS, 4), at, n);
            r = stream_tiles(type, m, &s, r, 2, at, n);
            stream_tiles(type, m, &s, r, 1, at, n);
        }
}

/* AHEAD_ROWS rows of x from r on. */
static inline __attribute__((always_inline)) Ahead ahead_of_x(const Matmul *m, size_t r, size_t at) {
    Ahead a = {};
    for (int i = 0; i < AHEAD_ROWS; i++)
        a.rows[i] = m->x + (r + i) * m->x_stride + at * sizeof(float);
    return a;
}

/* Weights that have been unpacked, four rows each. */
typedef float Unpacked[4 * MATMUL_SEGMENT];

/* n_out outputs from `out` on of [r, end), as far as those are whole register tiles of `rows` rows. Where they end is
 * returned. */
static inline __attribute__((always_inline)) size_t tiles_add(const Matmul *m, const Unpacked *unpacked, size_t r,
    size_t end, const int rows, size_t out, size_t n_out, size_t at, size_t n) {
    for (; r + rows <= end; r += rows)
        for (size_t o = 0; o < n_out; o += 4) {
            const Ahead x = ahead_of_x(m, r + rows + o / 4 * AHEAD_ROWS, at);
            const uint8_t *const w[4] = {(const uint8_t *)unpacked[o / 4]};
            const size_t wanted = MIN(n_out - o, (size_t)4);
            tile_add(FLOAT_UNPACKED, m, w, r, rows, &x, AHEAD_ROWS, out + o, 1, wanted, at, n);
        }
    return r;
}

/* Some rows of x past every tile of a segment of weights. */
static inline __attribute__((always_inline)) void block_add(
    const FloatType type, const Matmul *m, size_t r, size_t end, size_t at, size_t n) {
    Unpacked unpacked[MATMUL_OUT / 4] __attribute__((aligned(64)));

    for (size_t out = 0; out < m->n_out; out += MATMUL_OUT) {
        size_t n_out = MIN(m->n_out - out, (size_t)MATMUL_OUT);
        for (size_t o = 0; o < n_out; o += 4) {
            const uint8_t *w[4];
            for (size_t i = 0; i < 4; i++) {
                w[i] = lane_row(m, out + o + i) + at * float_size(type);
                prefetch_range(w[i] + MATMUL_OUT * m->w_stride, n * float_size(type));
            }
            unpack_four(type, w, n, unpacked[o / 4]);
        }
        const Unpacked *u = (const Unpacked *)unpacked;
        size_t done = tiles_add(m, u, r, end, MATMUL_ROWS, out, n_out, at, n);
        if (MATMUL_ROWS > 4)
            done = tiles_add(m, u, done, end, MIN(MATMUL_ROWS, 4), out, n_out, at, n);
        done = tiles_add(m, u, done, end, 2, out, n_out, at, n);
        tiles_add(m, u, done, end, 1, out, n_out, at, n);
    }
}

/* Many rows: MATMUL_OUT rows of weights a segment at a time become floats of 32 bits, then rows of x pass by, as many
 * as the second-level cache holds of a segment; the next ones begin again. */
static inline __attribute__((always_inline)) void matmul_tiles(const FloatType type, const Matmul *m) {
    for (size_t r = 0; r < m->n_rows; r += BLOCK_ROWS)
        for (size_t at = 0; at < m->k; at += MATMUL_SEGMENT)
            block_add(type, m, r, MIN(m->n_rows, r + BLOCK_ROWS), at, MIN(m->k - at, (size_t)MATMUL_SEGMENT));
}

/* Floats of any size. */
static inline __attribute__((always_inline)) void matmul_floats(const FloatType type, const Matmul *m) {
    if (m->n_rows <= STREAM_ROWS)
        matmul_stream(type, m);
    else
        matmul_tiles(type, m);
}
