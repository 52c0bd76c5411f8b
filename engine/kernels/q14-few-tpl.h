/* Few rows of x with halves and bfloats: weights are multiplied as they lie, and the lanes of the products added up.
 * Part of q14-tpl.h. */
#pragma once

#define Q14_AHEAD 512u /* bytes of a row between what is fetched and what is multiplied */

/* A block of one row of x times a group's. What is rounded goes into the products as it is, the upper words of its
 * lanes meet zeros. */
static inline __attribute__((always_inline)) VI q14_one_sums(
    const FloatType type, const Q14Group *g, size_t b, const Q14Scales *s, const Q14Block *x) {
    VI words[2 * Q14_VECTORS], sums[VF_LANES];
#pragma GCC unroll 2
    for (size_t v = 0; v < Q14_VECTORS; v++) {
        const VI both = vi_load(x->q + v * 2 * VF_LANES);
        words[2 * v] = vi_and(both, vi_set32(0xFFFF));
        words[2 * v + 1] = vi_shr32(both, 16);
    }
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++) {
        const uint8_t *p = g->rows[i] + b * Q14_BLOCK_BYTES;
        const VF inverse = vf_set(s->inverse[i]);
        sums[i] = vi_dot_words(q14_low(load_weights(type, p), inverse), words[0]);
#pragma GCC unroll 4
        for (size_t v = 1; v < 2 * Q14_VECTORS; v++) {
            VI w = q14_low(load_weights(type, p + v * sizeof(VI) / 2), inverse);
            sums[i] = vi_settle(vi_add32(sums[i], vi_dot_words(w, words[v])));
        }
    }
    return vi_sum_lanes(sums);
}

/* The same for weights that have become words, which several rows of x share. */
static inline __attribute__((always_inline)) VI q14_few_sums(const VI q[Q14_COLUMNS], const Q14Block *x) {
    VI words[Q14_VECTORS], sums[VF_LANES];
#pragma GCC unroll 2
    for (size_t v = 0; v < Q14_VECTORS; v++)
        words[v] = vi_load(x->q + v * 2 * VF_LANES);
#pragma GCC unroll 8
    for (int i = 0; i < VF_LANES; i++)
        sums[i] = vi_settle(
            vi_add32(vi_dot_words(q[i * Q14_VECTORS], words[0]), vi_dot_words(q[i * Q14_VECTORS + 1], words[1])));
    return vi_sum_lanes(sums);
}

/* acc[r] plus n blocks from `at` on, which are those of the group. */
static inline __attribute__((always_inline)) void q14_few_group(const FloatType type, const Matmul *m, const bool one,
    const Q14Group *g, const Q14Scales *s, size_t at, size_t n, VF acc[Q14_FEW_ROWS]) {
#pragma GCC unroll 1
    for (size_t b = 0; b < n; b++) {
        const uint8_t *x = m->x + (at + b) * sizeof(Q14Block);
#pragma GCC unroll 8
        for (int i = 0; i < VF_LANES; i++)
            prefetch_line(g->rows[i] + b * Q14_BLOCK_BYTES + Q14_AHEAD);
        if (one) {
            acc[0] = q14_add(acc[0], q14_one_sums(type, g, b, s, (const Q14Block *)x), s->scale, (const Q14Block *)x);
            continue;
        }
        VI q[Q14_COLUMNS];
        q14_block(type, g, b, s, q);
#pragma GCC unroll 1
        for (size_t r = 0; r < m->n_rows; r++, x += m->x_stride)
            acc[r] = q14_add(acc[r], q14_few_sums(q, (const Q14Block *)x), s->scale, (const Q14Block *)x);
    }
}

/* The outputs of the out-th row of every lane. A group's scales are found while the one before is multiplied, since
 * they take long. */
static inline __attribute__((always_inline)) void q14_few_outputs(
    const FloatType type, const Matmul *m, const bool one, size_t out) {
    const size_t step = lanes_step(m, VF_LANES), n_blocks = q14_n_blocks(m);
    const uint8_t *rows[VF_LANES];
    VF acc[Q14_FEW_ROWS];
    Q14Group groups[2];
    Q14Scales scales[2];
    for (size_t i = 0; i < VF_LANES; i++)
        rows[i] = lane_row(m, out + i * step);
#pragma GCC unroll 1
    for (size_t r = 0; r < m->n_rows; r++)
        acc[r] = vf_zero();

    q14_group(rows, m->k, 0, &groups[0]);
    q14_scales(type, &groups[0], &scales[0]);
    for (size_t at = 0, now = 0; at < n_blocks; at += Q14_GROUP, now ^= 1) {
        if (n_blocks - at > Q14_GROUP) {
            q14_group(rows, m->k, at + Q14_GROUP, &groups[now ^ 1]);
            q14_scales(type, &groups[now ^ 1], &scales[now ^ 1]);
        }
        q14_few_group(type, m, one, &groups[now], &scales[now], at, MIN(n_blocks - at, (size_t)Q14_GROUP), acc);
    }
#pragma GCC unroll 1
    for (size_t r = 0; r < m->n_rows; r++)
        store_apart(m->y + r * m->y_stride + out, step, lanes_filled(m, out, step), acc[r]);
}

static inline __attribute__((always_inline)) void q14_few(const FloatType type, const Matmul *m) {
    for (size_t out = 0; out < lanes_step(m, VF_LANES); out++)
        if (m->n_rows == 1)
            q14_few_outputs(type, m, true, out);
        else
            q14_few_outputs(type, m, false, out);
}
