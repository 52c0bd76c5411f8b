/* Products of halves and bfloats with rows of words, written over the primitives of simd-*.h.
 *
 * An instruction multiplies twice as many words as floats. So weights are rounded to 14 bits on the way, as x is: sums
 * over the 32 elements of a block of x are integers, so exact, and are scaled and added in the order of the row, one
 * chain per output, whatever the shape of the call. Many rows of x share weights that have been turned into columns, a
 * lane for every output; few take them as they lie, see q14-few-tpl.h. */
#pragma once

#include "lanes.h"
#include "load-store-tpl.h"
#include "matmul-tpl.h"
#include "q14-quantize-tpl.h"
#include "q8-tpl.h"

#define Q14_GROUP          4u /* blocks in which weights share a scale */
#define Q14_GROUP_ELEMENTS (Q14_GROUP * Q8_UNIT)
#define Q14_BLOCK_BYTES    (Q8_UNIT * 2)
#define Q14_GROUP_BYTES    (Q14_GROUP * Q14_BLOCK_BYTES)
#define Q14_COLUMNS        (Q8_UNIT / 2)
_Static_assert(Q14_DEPTH % Q14_GROUP == 0, "tiles are unpacked in whole groups");

/* w = scale * round(w * inverse), a lane each. In memory, from where one lane becomes a vector at no cost. */
typedef struct Q14Scales {
    float inverse[VF_LANES];
    VF scale;
} Q14Scales;

/* Some rows of weights, up to VF_LANES of them, from a group on. */
typedef struct Q14Rows {
    const uint8_t *rows[VF_LANES];
} Q14Rows;

/* The ends of rows that are no whole number of groups, with zeros behind them. */
typedef uint8_t Q14End[VF_LANES][Q14_GROUP_BYTES];

static inline size_t q14_n_blocks(const Matmul *m) {
    return (m->k + Q8_UNIT - 1) / Q8_UNIT;
}

/* n_groups further on. */
static inline __attribute__((always_inline)) void q14_forward(const int lanes, size_t n_groups, Q14Rows *w) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++)
        w->rows[i] += n_groups * Q14_GROUP_BYTES;
}

/* The last bytes of rows, of which there are fewer than a group's. ret may be w. */
static inline __attribute__((always_inline)) void q14_end(
    const Q14Rows *w, const int lanes, size_t bytes, Q14End *copies, Q14Rows *ret) {
    memset(copies, 0, sizeof(*copies));
    for (int i = 0; i < lanes; i++) {
        memcpy((*copies)[i], w->rows[i], bytes);
        ret->rows[i] = (*copies)[i];
    }
}

/* By the largest magnitude, found among the 16 bits as they are, whose order is that of the numbers in both types, NaN
 * above all. With fewer than VF_LANES rows, those of lane i are of row i % lanes. */
static inline __attribute__((always_inline)) void q14_scales(
    const FloatType type, const int lanes, const Q14Rows *w, Q14Scales *ret) {
    const VI magnitude = vi_set16(0x7FFF);
    VI v[VF_LANES];
    uint16_t words[VF_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) {
        v[i] = vi_and(vi_load(w->rows[i]), magnitude);
#pragma GCC unroll 8
        for (size_t at = sizeof(VI); at < Q14_GROUP_BYTES; at += sizeof(VI))
            v[i] = vi_max_u16(v[i], vi_and(vi_load(w->rows[i] + at), magnitude));
    }
    if (lanes == VF_LANES)
        vi_max_words(v, words);
    else
        vi_max_words_of_few(v, words);
    const VF largest = vf_max(vf_set(Q14_TINY), load_weights(type, (const uint8_t *)words));
    vf_store(ret->inverse, vf_div(vf_set(Q14_MAX), largest));
    __asm__("" : "+m"(ret->inverse)); /* or compilers take the vector apart by shuffles */
    ret->scale = vf_mul(largest, vf_set(1 / Q14_MAX));
}

/* Block b of a group as words, Q14_VECTORS of each row. */
static inline __attribute__((always_inline)) void q14_block(
    const FloatType type, const Q14Rows *w, const int lanes, size_t b, const Q14Scales *s, VI q[Q14_COLUMNS]) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++)
#pragma GCC unroll 2
        for (size_t v = 0; v < Q14_VECTORS; v++) {
            const uint8_t *p = w->rows[i] + b * Q14_BLOCK_BYTES + v * sizeof(VI);
            const VF low = load_weights(type, p), high = load_weights(type, p + sizeof(VI) / 2);
            q[i * Q14_VECTORS + v] = q14_words(low, high, vf_set(s->inverse[i]));
        }
}

#include "q14-few-tpl.h"

/* ---- many rows of x */

/* A block of VF_LANES rows: lane l of q[j] holds words 2j and 2j + 1 of row l, in the order that those of x have. */
typedef struct Q14Tile {
    VI q[Q14_COLUMNS];
    VF scale;
} Q14Tile;

/* n tiles from block b of rows of k elements on, the first of a group. */
static inline __attribute__((always_inline)) void q14_unpack(
    const FloatType type, const uint8_t *const rows[VF_LANES], size_t k, size_t b, size_t n, Q14Tile *tiles) {
    Q14Rows w;
    Q14End copies;
    memcpy(w.rows, rows, sizeof(w.rows));
    q14_forward(VF_LANES, b / Q14_GROUP, &w);
    for (size_t first = 0; first < n; first += Q14_GROUP) {
        const size_t bytes = k * sizeof(uint16_t) - (b + first) * Q14_BLOCK_BYTES;
        Q14Scales s;
        if (bytes < Q14_GROUP_BYTES)
            q14_end(&w, VF_LANES, bytes, &copies, &w);
        q14_scales(type, VF_LANES, &w, &s);
        for (size_t i = 0; i < MIN(n - first, (size_t)Q14_GROUP); i++) {
            VI q[Q14_COLUMNS];
            q14_block(type, &w, VF_LANES, i, &s, q);
            vi_columns(q, tiles[first + i].q);
            tiles[first + i].scale = s.scale;
        }
        q14_forward(VF_LANES, 1, &w);
    }
}

/* sums[i][g]: of rows[i] times the outputs of group g, over a block. */
static inline __attribute__((always_inline)) void q14_sums(const int rows, const int groups,
    const Q14Tile (*tiles)[Q14_DEPTH], size_t b, const Q14Block *const x[Q8_ROWS], VI sums[Q8_ROWS][Q8_GROUPS]) {
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            sums[i][g] = vi_set32(0);
#pragma GCC unroll 16
    for (size_t j = 0; j < Q14_COLUMNS; j++) {
        VI w[Q8_GROUPS];
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            w[g] = vi_settle(tiles[g][b].q[j]); /* or compilers, short of registers, load them for every row of x */
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            VI words = vi_two_of(&x[i][b].q[2 * j]);
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                sums[i][g] = vi_add_dot_words(sums[i][g], w[g], words);
        }
    }
}

/* products[i][g]: over the blocks [b, end) of a group, but for the scale of the weights. */
static inline __attribute__((always_inline)) void q14_products(const int rows, const int groups,
    const Q14Tile (*tiles)[Q14_DEPTH], size_t b, size_t end, const Q14Block *const x[Q8_ROWS], Q8Ahead *ahead,
    VF products[Q8_ROWS][Q8_GROUPS]) {
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            products[i][g] = vf_zero();
    for (; b < end; b++) {
        VI sums[Q8_ROWS][Q8_GROUPS];
        q8_fetch(ahead, false);
        q14_sums(rows, groups, tiles, b, x, sums);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                products[i][g] = vf_fma(vf_from_int(sums[i][g]), vf_set(x[i][b].d), products[i][g]);
    }
}

/* Takes `rows` rows of x from r on through n tiles from block `at` on, adding to what y holds of those before. */
static inline __attribute__((always_inline)) void q14_rows(const int rows, const int groups,
    const Q14Tile (*tiles)[Q14_DEPTH], size_t n, const Matmul *m, size_t r, size_t at, size_t out, Q8Ahead *ahead) {
    const Q14Block *x[Q8_ROWS];
    VF acc[Q8_ROWS][Q8_GROUPS];
    Q8Ahead a = *ahead;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        x[i] = (const Q14Block *)(m->x + (r + i) * m->x_stride) + at;
    q8_load_sums(m, rows, groups, r, at, out, acc);
    for (size_t first = 0; first < n; first += Q14_GROUP) {
        VF products[Q8_ROWS][Q8_GROUPS];
        q14_products(rows, groups, tiles, first, MIN(n, first + Q14_GROUP), x, &a, products);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                acc[i][g] = vf_fma(products[i][g], tiles[g][first].scale, acc[i][g]);
    }
    q8_store_sums(m, rows, groups, r, out, (const VF(*)[Q8_GROUPS])acc);
    *ahead = a;
}

/* Takes all rows of x through n tiles. */
static inline __attribute__((always_inline)) void q14_all_rows(const int groups, const Q14Tile (*tiles)[Q14_DEPTH],
    size_t n, const Matmul *m, size_t at, size_t out, Q8Ahead *ahead) {
    size_t r = 0;
    for (; r + Q8_ROWS <= m->n_rows; r += Q8_ROWS)
        q14_rows(Q8_ROWS, groups, tiles, n, m, r, at, out, ahead);
    if (Q8_ROWS > 2 && m->n_rows - r >= 2) {
        q14_rows(2, groups, tiles, n, m, r, at, out, ahead);
        r += 2;
    }
    if (m->n_rows > r)
        q14_rows(1, groups, tiles, n, m, r, at, out, ahead);
}

/* A function of its own, for both types. */
static void q14_multiply(const int groups, const Q14Tile (*tiles)[Q14_DEPTH], size_t n, const Matmul *m, size_t at,
    size_t out, Q8Ahead *ahead) {
    if (groups == 1)
        q14_all_rows(1, tiles, n, m, at, out, ahead);
    else
        q14_all_rows(Q8_GROUPS, tiles, n, m, at, out, ahead);
}

static inline __attribute__((always_inline)) void q14_many(const FloatType type, const Matmul *m) {
    Q14Tile tiles[Q8_GROUPS][Q14_DEPTH];
    Q8Product p;
    q8_product(m, q14_n_blocks(m), Q8_WIDTH, Q14_DEPTH, &p);
    for (size_t turn = 0; turn * Q8_WIDTH < m->n_out; turn++) {
        const Q8Lanes l = q8_lanes(m, Q8_WIDTH, turn);
        for (size_t c = 0; c < p.chunks.n; c++) {
            const size_t at = c * Q14_DEPTH, n = q8_chunk_tiles(&p, c);
            Q8Ahead ahead = q8_chunk_ahead(m, &p, &l, c);
            for (size_t g = 0; g < l.groups; g++)
                q14_unpack(type, l.rows + g * VF_LANES, m->k, at, n, tiles[g]);
            q14_multiply(
                (int)l.groups, (const Q14Tile(*)[Q14_DEPTH])tiles, n, &p.part, at, q8_first_output(&p, &l), &ahead);
        }
        q8_spread(m, &p, &l);
    }
}

static inline __attribute__((always_inline)) void q14_matmul(const FloatType type, const Matmul *m) {
    if (m->n_rows <= Q14_FEW_ROWS)
        q14_few(type, m);
    else
        q14_many(type, m);
}

static void q14_matmul_f16(const Matmul *m) {
    q14_matmul(FLOAT_HALF, m);
}

static void q14_matmul_bf16(const Matmul *m) {
    q14_matmul(FLOAT_BFLOAT, m);
}

static void q14_fill(Kernels *k) {
    k->matmul[TENSOR_F16] = q14_matmul_f16;
    k->matmul[TENSOR_BF16] = q14_matmul_bf16;
    k->act[TENSOR_F16] = k->act[TENSOR_BF16] = ACT_Q14;
    k->quantize[ACT_Q14] = q14_quantize;
}
