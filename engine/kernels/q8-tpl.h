/* Products of quantised weights with rows of bytes, written over the primitives of simd-*.h and the dot products of
 * q8-dot-*.h.
 *
 * VF_LANES rows of weights are unpacked side by side, a lane each, 32 elements at a time; the sums over 16
 * or 32 elements are integers, so exact, and are scaled and added in the order of the row, one chain per output. Every
 * call goes through the same two steps, unpack and multiply, and differs only in how many rows of x and how many
 * outputs share what is loaded; but few rows of x, on x86, go the way of strip-tpl.h, to the same sums. */
#pragma once

#include <stdbool.h>

#include "kernels.h"
#include "lanes.h"
#include "load-store-tpl.h"

/* 32 elements of VF_LANES rows. Lane l of q[j] holds elements 4j..4j+3 of row l as bytes, in the form that q8_place()
 * gave them. Meaning: x = scale * q - min, with a scale and a min per 32 elements (index 0), or per 16. With scales
 * that are words (q8_word_scales()) x = scale[0] * words * (q - offset), with words per 16 elements, twice in every
 * lane. */
typedef struct Q8Tile {
    VI q[8];
    VF scale[2];
    union {
        VF min[2];
        VI words[2];
    };
} Q8Tile;

/* Over how many elements scales go: 32, or on one side 16. */
typedef enum Q8Scales {
    Q8_WHOLE,       /* x is ACT_Q8_32 */
    Q8_HALVES_OF_W, /* scales and minima; x is ACT_Q8_32 */
    Q8_HALVES_OF_X, /* x is ACT_Q8_16 */
} Q8Scales;

/* What there is in a format's tiles; always a constant. */
typedef struct Q8Kind {
    Q8Scales scales;
    int bits;   /* of an unsigned q; 8: q is signed */
    bool min;   /* the format has minima */
    int offset; /* that the format's q count from */
} Q8Kind;

#define Q8_GROUP    8u                     /* tiles unpacked by one call: a super-block */
#define Q8_FEW_ROWS 8u                     /* of x at most: fewer tiles at a time, of rows far apart */
#define Q8_WIDTH    (Q8_GROUPS * VF_LANES) /* rows of weights side by side */
_Static_assert(Q8_DEPTH % Q8_GROUP == 0 && Q8_FEW_DEPTH % Q8_GROUP == 0, "tiles are unpacked in whole groups");

/* In tiers that have them, Q8_WORDS is defined, and 8 bits of a kind mean that its tiles come as these. */
typedef struct Q8Words Q8Words;
#include "q8-words-tpl.h"

/* Whether a super-block's scales stay integers, 8 bits of them; there, those of weights of 6 bits. */
static inline __attribute__((always_inline)) bool q8_word_scales(const Q8Kind kind) {
    return Q8_WORD_SCALES && kind.scales == Q8_HALVES_OF_W && kind.bits == 6;
}

/* Unpacks n <= Q8_GROUP tiles from block index `at` (counted in 32 elements) of the rows on. */
typedef void Q8Unpack(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles);

#include "q8-ahead-tpl.h"

/* What offsets add to the products is taken off before they are scaled by w, which then is the last of their scales. */
static inline __attribute__((always_inline)) bool q8_takes_lower(const Q8Kind kind) {
    return Q8_FLOAT_OFFSETS && kind.offset && kind.scales == Q8_HALVES_OF_X;
}

/* Minima are taken off after the products, and offsets that stand there as minima. */
static inline __attribute__((always_inline)) bool q8_takes_min(const Q8Kind kind) {
    return kind.min || (Q8_FLOAT_OFFSETS && kind.offset && kind.scales != Q8_HALVES_OF_X && !q8_word_scales(kind));
}

/* The sums start from what the offset makes of them. */
static inline __attribute__((always_inline)) bool q8_takes_start(const Q8Kind kind) {
    return q8_word_scales(kind) || (Q8_STARTS && (kind.offset || kind.bits == 8));
}

/* Where the sums over half h of a tile, or over all of it, start from. */
static inline __attribute__((always_inline)) int32_t q8_start(const Q8Block *x, const bool whole, const int h) {
    return whole ? x->start16[0] + (x->start16[1] - Q8_RAISE_BITS) : x->start16[h];
}

/* sums[i][g]: of rows[i] times the outputs of group g, over half h of a tile, or over all of it; raised, where
 * sums have starts. */
static inline __attribute__((always_inline)) void q8_sums(const Q8Kind kind, const int rows, const int groups,
    const Q8Tile (*tiles)[Q8_DEPTH], size_t b, const Q8Block *const x[Q8_ROWS], const Q8Words *words, const int h,
    Q8Sum sums[Q8_ROWS][Q8_GROUPS]) {
    const bool takes_start = q8_takes_start(kind), whole = kind.scales == Q8_WHOLE;
    const int steps = whole ? 8 : 4;
#ifdef Q8_WORDS
    if (words) {
        q8_word_sums(rows, groups, words, b, h * 8, steps * 2, sums);
        return;
    }
#endif
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            q8_sum_start(&sums[i][g], takes_start, vi_set32(takes_start ? q8_start(&x[i][b], whole, h) : 0));
#pragma GCC unroll 8
    for (int j = 0; j < steps; j++) {
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            VI bytes = vi_four_of(x[i][b].q + h * 16 + j * 4);
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                q8_sum_add(&sums[i][g], kind.bits, j, steps, tiles[g][b].q[h * 4 + j], bytes);
        }
    }
}

/* Products that have the scale of w, less what its minima take off. That x's scale comes last keeps them out of the
 * chain of additions to acc, which few rows of x wait for. */
static inline __attribute__((always_inline)) VF q8_less_min(
    const Q8Kind kind, const Q8Tile *t, const Q8Block *x, VF products) {
    if (!q8_takes_min(kind) || kind.scales == Q8_HALVES_OF_X)
        return products;
    if (kind.scales == Q8_WHOLE)
        return vf_fnma(t->min[0], vf_set(x->total), products);
    products = vf_fnma(vf_sub(t->min[0], t->min[1]), vf_set(x->total16), products);
    return vf_fnma(t->min[1], vf_set(x->total), products);
}

/* acc += a tile's products, which have one scale already: that of the side that has them for 16 elements, else w's. */
static inline __attribute__((always_inline)) VF q8_scale(
    const Q8Kind kind, const Q8Tile *t, const Q8Block *x, VF products, VF acc) {
    if (kind.scales != Q8_HALVES_OF_X)
        return vf_fma(vf_set(x->d[0]), q8_less_min(kind, t, x, products), acc);
    acc = vf_fma(t->scale[0], products, acc);
    return q8_takes_min(kind) ? vf_fnma(t->min[0], vf_set(x->sum), acc) : acc;
}

/* What the sums of both halves, or of all, are too high by, with scales of w. Exact with one scale: no format's has so
 * many bits. */
static inline __attribute__((always_inline)) VF q8_lower_of(const Q8Kind kind, const Q8Tile *t) {
    const bool whole = kind.scales == Q8_WHOLE;
    return vf_mul(whole ? t->scale[0] : vf_add(t->scale[0], t->scale[1]), vf_set(-Q8_RAISE));
}

/* With those of x; or what the offset adds to the products. */
static inline __attribute__((always_inline)) float q8_lower_of_x(const Q8Kind kind, const Q8Block *x) {
    return q8_takes_lower(kind) ? (float)-kind.offset * x->sum : x->lower;
}

/* products[i][g] = the sums of half h, or those of the whole tile, with their first scale; added, if it is the second
 * half. */
static inline __attribute__((always_inline)) void q8_products(const Q8Kind kind, const int rows, const int groups,
    const Q8Tile (*tiles)[Q8_DEPTH], size_t b, const Q8Block *const x[Q8_ROWS], const Q8Words *words, const int h,
    VF products[Q8_ROWS][Q8_GROUPS]) {
    Q8Sum sums[Q8_ROWS][Q8_GROUPS];
    q8_sums(kind, rows, groups, tiles, b, x, words, h, sums);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++) {
            const bool of_x = kind.scales == Q8_HALVES_OF_X;
            VF scale = of_x ? vf_set(x[i][b].d[h]) : tiles[g][b].scale[h];
            VF lower = of_x ? vf_set(q8_lower_of_x(kind, &x[i][b])) : q8_lower_of(kind, &tiles[g][b]);
            VF sum = q8_sum_raised(&sums[i][g]);
            products[i][g] =
                h == 0 ? q8_chain(sum, scale, lower, q8_takes_lower(kind)) : vf_fma(scale, sum, products[i][g]);
        }
}

/* The first half's products go to memory if the registers do not hold them beside the second half's sums and those of
 * all tiles. Compilers would rather keep them, and load weights anew for every row. With halves of w, whose scales are
 * loads of their own, nothing is gained. */
static inline __attribute__((always_inline)) void q8_set_aside(
    const Q8Kind kind, const int rows, const int groups, VF products[Q8_ROWS][Q8_GROUPS]) {
    const int wanted = 3 * rows * groups + groups + 1; /* weights and x besides */
    if (kind.scales != Q8_HALVES_OF_X || wanted <= VECTOR_REGISTERS)
        return;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            __asm__("" : "+m"(products[i][g]));
}

#if Q8_WORD_SCALES
/* With scales of words, exact up to the scale of floats, as the sums are below 2^24. Those of the first half are set
 * aside, if the registers do not hold them beside the second half's. */
static inline __attribute__((always_inline)) void q8_word_products(const Q8Kind kind, const int rows, const int groups,
    const Q8Tile (*tiles)[Q8_DEPTH], size_t b, const Q8Block *const x[Q8_ROWS], VF products[Q8_ROWS][Q8_GROUPS]) {
    const bool aside = 2 * rows * groups + groups + 1 > VECTOR_REGISTERS; /* weights and x besides */
    VI scaled[2][Q8_ROWS][Q8_GROUPS];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        Q8Sum sums[Q8_ROWS][Q8_GROUPS];
        q8_sums(kind, rows, groups, tiles, b, x, NULL, h, sums);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++) {
                scaled[h][i][g] = q8_sum_scaled(&sums[i][g], tiles[g][b].words[h]);
                if (h == 0 && aside)
                    __asm__("" : "+m"(scaled[h][i][g]));
            }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            products[i][g] = vf_mul(tiles[g][b].scale[0], vf_from_int(vi_add32(scaled[0][i][g], scaled[1][i][g])));
}
#endif

/* products[i][g]: of a whole tile, but for the scale that q8_scale() is left with. */
static inline __attribute__((always_inline)) void q8_tile_products(const Q8Kind kind, const int rows, const int groups,
    const Q8Tile (*tiles)[Q8_DEPTH], size_t b, const Q8Block *const x[Q8_ROWS], const Q8Words *words,
    VF products[Q8_ROWS][Q8_GROUPS]) {
#if Q8_WORD_SCALES
    if (q8_word_scales(kind)) {
        q8_word_products(kind, rows, groups, tiles, b, x, products);
        return;
    }
#endif
    q8_products(kind, rows, groups, tiles, b, x, words, 0, products);
    if (kind.scales == Q8_WHOLE)
        return;
    q8_set_aside(kind, rows, groups, products);
    q8_products(kind, rows, groups, tiles, b, x, words, 1, products);
}

/* acc[i][g] += rows[i] times the outputs of group g, over n tiles. Of many rows of x those x_step bytes further on
 * will be next: they come from the second-level cache at best, and long ones from beyond it. Few are soon where they
 * are wanted. */
static inline __attribute__((always_inline)) void q8_multiply(const Q8Kind kind, const bool few, const int rows,
    const int groups, const Q8Tile (*tiles)[Q8_DEPTH], size_t n, const Q8Block *const x[Q8_ROWS], const Q8Words *words,
    size_t x_step, Q8Ahead *ahead, VF acc[Q8_ROWS][Q8_GROUPS]) {
    Q8Ahead a = *ahead;
    for (size_t b = 0; b < n; b++) {
        VF products[Q8_ROWS][Q8_GROUPS];
        q8_fetch(&a, few);
        if (Q8_FETCHES_X && !few)
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++)
                prefetch_line((const uint8_t *)&x[i][b] + x_step);
        q8_tile_products(kind, rows, groups, tiles, b, x, words, products);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int g = 0; g < groups; g++)
                acc[i][g] = q8_scale(kind, &tiles[g][b], &x[i][b], products[i][g], acc[i][g]);
    }
    *ahead = a;
}

/* What y holds of `rows` rows from r on and the outputs of `groups` from `out` on: the sums over the tiles before the
 * at-th. */
static inline __attribute__((always_inline)) void q8_load_sums(
    const Matmul *m, const int rows, const int groups, size_t r, size_t at, size_t out, VF acc[Q8_ROWS][Q8_GROUPS]) {
    const size_t left = m->n_out - out;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        const float *y = m->y + (r + i) * m->y_stride + out;
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            acc[i][g] = at == 0 ? vf_zero() : load_upto(y + g * VF_LANES, left - g * VF_LANES);
    }
}

static inline __attribute__((always_inline)) void q8_store_sums(
    const Matmul *m, const int rows, const int groups, size_t r, size_t out, const VF acc[Q8_ROWS][Q8_GROUPS]) {
    const size_t left = m->n_out - out;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        float *y = m->y + (r + i) * m->y_stride + out;
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++)
            store_upto(y + g * VF_LANES, left - g * VF_LANES, acc[i][g]);
    }
}

/* Takes `rows` rows of x from r on through n tiles at `at`, adding to what y holds of the tiles before. */
static inline __attribute__((always_inline)) void q8_rows(const Q8Kind kind, const bool few, const int rows,
    const int groups, const Q8Tile (*tiles)[Q8_DEPTH], size_t n, Q8Words *words, const Matmul *m, size_t r, size_t at,
    size_t out, Q8Ahead *ahead) {
    const Q8Block *x[Q8_ROWS];
    VF acc[Q8_ROWS][Q8_GROUPS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        x[i] = (const Q8Block *)(m->x + (r + i) * m->x_stride) + at;
    q8_load_sums(m, rows, groups, r, at, out, acc);
#ifdef Q8_WORDS
    if (words)
        q8_words_of_x(rows, x, n, words);
#endif
    q8_multiply(kind, few, rows, groups, tiles, n, x, words, rows * m->x_stride, ahead, acc);
    q8_store_sums(m, rows, groups, r, out, (const VF(*)[Q8_GROUPS])acc);
}

/* Takes all rows of x through n tiles. `few`: they are no more than Q8_FEW_ROWS, or are treated so. */
static inline __attribute__((always_inline)) void q8_all_rows(const Q8Kind kind, const bool few, const int groups,
    const Q8Tile (*tiles)[Q8_DEPTH], size_t n, const Matmul *m, size_t at, size_t out, Q8Ahead *ahead) {
    Q8Words *words = NULL;
    size_t r = 0;
#ifdef Q8_WORDS
    Q8Words these;
    if (kind.bits == 8) {
        q8_words_of_tiles(groups, tiles, n, &these);
        words = &these;
    }
#endif
    for (; r + Q8_ROWS <= m->n_rows; r += Q8_ROWS)
        q8_rows(kind, few, Q8_ROWS, groups, tiles, n, words, m, r, at, out, ahead);
    if (Q8_ROWS > 2 && m->n_rows - r >= 2) {
        q8_rows(kind, few, 2, groups, tiles, n, words, m, r, at, out, ahead);
        r += 2;
    }
    if (m->n_rows > r)
        q8_rows(kind, few, 1, groups, tiles, n, words, m, r, at, out, ahead);
}

typedef void Q8Rows(const int groups, const Q8Tile (*tiles)[Q8_DEPTH], size_t n, const Matmul *m, size_t at, size_t out,
    Q8Ahead *ahead);

/* One function for each kind of format. Single groups are those of few rows of x, and what is left over of many. */
#define Q8_KIND(name, ...)                                                                                             \
    static const Q8Kind name##_kind = {__VA_ARGS__};                                                                   \
    static void name(const int groups, const Q8Tile(*tiles)[Q8_DEPTH], size_t n, const Matmul *m, size_t at,           \
        size_t out, Q8Ahead *ahead) {                                                                                  \
        if (groups == 1)                                                                                               \
            q8_all_rows(name##_kind, true, 1, tiles, n, m, at, out, ahead);                                            \
        else if (m->n_rows <= Q8_FEW_ROWS)                                                                             \
            q8_all_rows(name##_kind, true, Q8_GROUPS, tiles, n, m, at, out, ahead);                                    \
        else                                                                                                           \
            q8_all_rows(name##_kind, false, Q8_GROUPS, tiles, n, m, at, out, ahead);                                   \
    }

/* Tiles unpacked at a time. */
static inline __attribute__((always_inline)) size_t q8_depth(const Q8Kind kind, size_t n_rows) {
#ifdef Q8_WORDS
    if (kind.bits == 8)
        return n_rows <= Q8_FEW_ROWS ? Q8_GROUP : Q8_WORD_DEPTH;
#endif
    return n_rows <= Q8_FEW_ROWS ? Q8_FEW_DEPTH : Q8_DEPTH;
}

/* The rows of weights that share tiles, a lane each. For many rows of x they lie side by side, so that their outputs
 * do; for few, as far apart as they can. */
static inline Q8Lanes q8_lanes(const Matmul *m, size_t width, size_t turn) {
    Q8Lanes l = {.first = turn * width, .step = 1, .below = width};
    if (m->n_rows <= Q8_FEW_ROWS) {
        const size_t step = lanes_step(m, width);
        l = (Q8Lanes){.first = turn, .step = step, .below = lanes_below(m, turn, step)};
    }
    l.n = MIN(lanes_filled(m, l.first, l.step), width);
    l.groups = l.n > VF_LANES ? Q8_GROUPS : 1;
    for (size_t i = 0; i < l.groups * VF_LANES; i++)
        l.rows[i] = lane_row(m, l.first + i * l.step);
    return l;
}

/* A product on its way through tiles. */
typedef struct Q8Product {
    Q8Chunks chunks;
    size_t last; /* tiles of the last one */
    Q8Pace pace, last_pace;
    bool few;    /* rows of x: their outputs do not lie side by side, and come together in `sums` first */
    Matmul part; /* the product, or what goes there */
    float sums[Q8_FEW_ROWS][Q8_WIDTH] __attribute__((aligned(64)));
} Q8Product;

/* Of rows of n_tiles tiles, `width` of them at a time. */
static inline __attribute__((always_inline)) void q8_product(
    const Matmul *m, size_t n_tiles, size_t width, size_t depth, Q8Product *ret) {
    ret->chunks = q8_chunks(m, n_tiles, depth);
    ret->last = n_tiles - (ret->chunks.n - 1) * depth;
    ret->pace = q8_pace(m, &ret->chunks, width, depth);
    ret->last_pace = q8_pace(m, &ret->chunks, width, ret->last);
    ret->few = m->n_rows <= Q8_FEW_ROWS;
    ret->part = *m;
    if (ret->few) {
        ret->part.y = ret->sums[0];
        ret->part.y_stride = ret->part.n_out = Q8_WIDTH;
    }
}

static inline size_t q8_chunk_tiles(const Q8Product *p, size_t chunk) {
    return chunk + 1 < p->chunks.n ? p->chunks.depth : p->last;
}

/* What is fetched during a chunk. */
static inline Q8Ahead q8_chunk_ahead(const Matmul *m, const Q8Product *p, const Q8Lanes *l, size_t chunk) {
    return q8_ahead(m, l, &p->chunks, chunk + 1 < p->chunks.n ? &p->pace : &p->last_pace, chunk);
}

/* Among the outputs of p->part. */
static inline size_t q8_first_output(const Q8Product *p, const Q8Lanes *l) {
    return p->few ? 0 : l->first;
}

/* At the end of a turn. */
static inline void q8_spread(const Matmul *m, const Q8Product *p, const Q8Lanes *l) {
    for (size_t r = 0; p->few && r < m->n_rows; r++)
        for (size_t i = 0; i < l->n; i += VF_LANES)
            store_apart(m->y + r * m->y_stride + l->first + i * l->step, l->step, MIN(l->n - i, (size_t)VF_LANES),
                vf_load(&p->sums[r][i]));
}

/* y[r][o] for all rows and outputs, a turn of lanes at a time, and of each a chunk of the rows at a time. */
static inline __attribute__((always_inline)) void q8_matmul(
    const Matmul *m, const Q8Kind kind, Q8Unpack *unpack, Q8Rows *multiply) {
    Q8Tile tiles[Q8_GROUPS][Q8_DEPTH];
    Q8Product p;
    /* where memory is what limits, the fewer rows of weights are read side by side, the better it keeps up */
    const size_t width = m->n_rows < Q8_ROWS ? VF_LANES : Q8_WIDTH;
    q8_product(m, m->k / Q8_UNIT, width, q8_depth(kind, m->n_rows), &p);

    for (size_t turn = 0; turn * width < m->n_out; turn++) {
        const Q8Lanes l = q8_lanes(m, width, turn);
        for (size_t c = 0; c < p.chunks.n; c++) {
            const size_t at = c * p.chunks.depth, n = q8_chunk_tiles(&p, c);
            Q8Ahead ahead = q8_chunk_ahead(m, &p, &l, c);
            for (size_t g = 0; g < l.groups; g++)
                for (size_t i = 0; i < n; i += Q8_GROUP)
                    unpack(l.rows + g * VF_LANES, at + i, MIN((size_t)Q8_GROUP, n - i), tiles[g] + i);
            multiply((int)l.groups, (const Q8Tile(*)[Q8_DEPTH])tiles, n, &p.part, at, q8_first_output(&p, &l), &ahead);
        }
        q8_spread(m, &p, &l);
    }
}
