/* Few rows of x with halves and bfloats: weights are multiplied as they lie, and the lanes of the products added up.
 * Part of q14-tpl.h.
 *
 * A step is some blocks of some rows of weights, so many that each pair of them has a lane. The fewer rows, the fewer
 * stretches of memory that are read at a time, and the longer each. */
#pragma once

#define Q14_FEW_BLOCKS (VF_LANES / Q14_FEW_LANES)
_Static_assert(Q14_GROUP % Q14_FEW_BLOCKS == 0, "groups are whole steps");

/* A step's sums for one row of x, from block b of the group on. What is rounded goes into the products as it is, the
 * upper words of its lanes meet zeros. */
static inline __attribute__((always_inline)) VI q14_one_sums(
    const FloatType type, const Q14Rows *w, size_t b, const Q14Scales *s, const Q14Block *x) {
    VI sums[VF_LANES];
#pragma GCC unroll 4
    for (size_t at = 0; at < Q14_FEW_BLOCKS; at++) {
        VI words[2 * Q14_VECTORS];
#pragma GCC unroll 2
        for (size_t v = 0; v < Q14_VECTORS; v++) {
            const VI both = vi_load(x[at].q + v * 2 * VF_LANES);
            words[2 * v] = vi_and(both, vi_set32(0xFFFF));
            words[2 * v + 1] = vi_shr32(both, 16);
        }
#pragma GCC unroll 8
        for (int i = 0; i < Q14_FEW_LANES; i++) {
            const uint8_t *p = w->rows[i] + (b + at) * Q14_BLOCK_BYTES;
            const VF inverse = vf_set(s->inverse[i]);
            VI sum = vi_dot_words(q14_low(load_weights(type, p), inverse), words[0]);
#pragma GCC unroll 4
            for (size_t v = 1; v < 2 * Q14_VECTORS; v++)
                sum = vi_add_dot_words(sum, q14_low(load_weights(type, p + v * sizeof(VI) / 2), inverse), words[v]);
            sums[at * Q14_FEW_LANES + i] = sum;
        }
    }
    return vi_sum_lanes(sums);
}

/* The same for weights that have become words, which several rows of x share. */
static inline __attribute__((always_inline)) VI q14_few_sums(const VI q[Q14_COLUMNS], const Q14Block *x) {
    VI sums[VF_LANES];
#pragma GCC unroll 4
    for (size_t at = 0; at < Q14_FEW_BLOCKS; at++) {
        VI words[Q14_VECTORS];
#pragma GCC unroll 2
        for (size_t v = 0; v < Q14_VECTORS; v++)
            words[v] = vi_load(x[at].q + v * 2 * VF_LANES);
#pragma GCC unroll 8
        for (int i = 0; i < Q14_FEW_LANES; i++) {
            const VI *block = &q[(at * Q14_FEW_LANES + i) * Q14_VECTORS];
            VI sum = vi_dot_words(block[0], words[0]);
#pragma GCC unroll 2
            for (size_t v = 1; v < Q14_VECTORS; v++)
                sum = vi_add_dot_words(sum, block[v], words[v]);
            sums[at * Q14_FEW_LANES + i] = sum;
        }
    }
    return vi_sum_lanes(sums);
}

/* Products of a row of x, in the first Q14_FEW_LANES lanes, plus those of a step's first n blocks, but for the scales
 * of the weights. */
static inline __attribute__((always_inline)) VF q14_few_add(VF products, VI sums, const Q14Block *x, size_t n) {
    const VF floats = vf_from_int(sums);
#pragma GCC unroll 4
    for (size_t i = 0; i < Q14_FEW_BLOCKS; i++)
        if (i < n)
            products = vf_fma(vf_few(floats, i), vf_set(x[i].d), products);
    return products;
}

/* acc[r] plus the first n blocks of a group, whose first block of x is at x. */
static inline __attribute__((always_inline)) void q14_few_group(const FloatType type, const Matmul *m, const bool one,
    const Q14Rows *w, const Q14Scales *s, const uint8_t *x, size_t x_stride, size_t n, VF acc[Q14_FEW_ROWS]) {
    VF products[Q14_FEW_ROWS];
    const size_t n_rows = one ? 1 : m->n_rows;
#pragma GCC unroll 1
    for (size_t r = 0; r < n_rows; r++)
        products[r] = vf_zero();
#pragma GCC unroll 1
    for (size_t b = 0; b < n; b += Q14_FEW_BLOCKS, x += Q14_FEW_BLOCKS * sizeof(Q14Block)) {
        const uint8_t *row = x;
#pragma GCC unroll 4
        for (size_t i = 0; i < Q14_FEW_BLOCKS; i++)
#pragma GCC unroll 8
            for (int l = 0; l < Q14_FEW_LANES; l++)
                prefetch_line(w->rows[l] + (b + i) * Q14_BLOCK_BYTES + Q14_AHEAD);
        if (one) {
            const Q14Block *blocks = (const Q14Block *)row;
            products[0] = q14_few_add(products[0], q14_one_sums(type, w, b, s, blocks), blocks, n - b);
            continue;
        }
        VI q[Q14_COLUMNS];
#pragma GCC unroll 4
        for (size_t i = 0; i < Q14_FEW_BLOCKS; i++)
            q14_block(type, w, Q14_FEW_LANES, b + i, s, q + i * Q14_FEW_LANES * Q14_VECTORS);
#pragma GCC unroll 1
        for (size_t r = 0; r < m->n_rows; r++, row += x_stride) {
            const Q14Block *blocks = (const Q14Block *)row;
            products[r] = q14_few_add(products[r], q14_few_sums(q, blocks), blocks, n - b);
        }
    }
#pragma GCC unroll 1
    for (size_t r = 0; r < n_rows; r++)
        acc[r] = vf_fma(products[r], s->scale, acc[r]);
}

/* The same for the end of rows that are no whole number of groups, n blocks of which are left. */
static inline __attribute__((always_inline)) void q14_few_end(const FloatType type, const Matmul *m, const bool one,
    const Q14Rows *w, const uint8_t *x, size_t n, VF acc[Q14_FEW_ROWS]) {
    Q14Rows end;
    Q14End copies;
    Q14Scales s;
    Q14Block blocks[Q14_FEW_ROWS][Q14_GROUP] = {};
    q14_end(w, Q14_FEW_LANES, m->k % Q14_GROUP_ELEMENTS * sizeof(uint16_t), &copies, &end);
    q14_scales(type, Q14_FEW_LANES, &end, &s);
    for (size_t r = 0; r < m->n_rows; r++)
        memcpy(blocks[r], x + r * m->x_stride, n * sizeof(Q14Block));
    q14_few_group(type, m, one, &end, &s, (const uint8_t *)blocks, sizeof(blocks[0]), n, acc);
}

/* The outputs of the out-th row of every lane. A group's scales are found while the one before is multiplied, since
 * they take long; the last one's are found again then, which is quicker than to ask. */
static inline __attribute__((always_inline)) void q14_few_outputs(
    const FloatType type, const Matmul *m, const bool one, size_t out) {
    const size_t step = lanes_step(m, Q14_FEW_LANES), n_groups = m->k / Q14_GROUP_ELEMENTS;
    const uint8_t *x = m->x;
    Q14Rows w;
    Q14Scales next;
    VF acc[Q14_FEW_ROWS];
    for (size_t i = 0; i < Q14_FEW_LANES; i++)
        w.rows[i] = lane_row(m, out + i * step);
#pragma GCC unroll 1
    for (size_t r = 0; r < m->n_rows; r++)
        acc[r] = vf_zero();

    if (n_groups > 0)
        q14_scales(type, Q14_FEW_LANES, &w, &next);
    for (size_t g = 0; g < n_groups; g++) {
        const Q14Scales s = next;
        Q14Rows ahead = w;
        q14_forward(Q14_FEW_LANES, g + 1 < n_groups, &ahead);
        q14_scales(type, Q14_FEW_LANES, &ahead, &next);
        q14_few_group(type, m, one, &w, &s, x, m->x_stride, Q14_GROUP, acc);
        q14_forward(Q14_FEW_LANES, 1, &w);
        x += Q14_GROUP * sizeof(Q14Block);
    }
    if (m->k % Q14_GROUP_ELEMENTS)
        q14_few_end(type, m, one, &w, x, q14_n_blocks(m) - n_groups * Q14_GROUP, acc);
#pragma GCC unroll 1
    for (size_t r = 0; r < m->n_rows; r++)
        store_apart(m->y + r * m->y_stride + out, step, lanes_filled(m, out, step), acc[r]);
}

static inline __attribute__((always_inline)) void q14_few(const FloatType type, const Matmul *m) {
    for (size_t out = 0; out < lanes_step(m, Q14_FEW_LANES); out++)
        if (m->n_rows == 1)
            q14_few_outputs(type, m, true, out);
        else
            q14_few_outputs(type, m, false, out);
}
