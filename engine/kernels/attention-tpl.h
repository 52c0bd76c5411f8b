/* The pieces of attention over cached rows, written over the primitives of simd-*.h. Halves and bytes of the cache
 * become floats in registers, once for up to ATTENTION_ROWS queries.
 *
 * The order of summation, for every shape of call: a score is one chain over the elements of the key (in Q8_0 one chain
 * per block, and the blocks in order), a weighted sum one chain over the positions. */
#pragma once

#include <math.h>

#include "key-columns.h"
#include "vector-tpl.h"

/* A register tile: so many queries times ATTENTION_VECTORS vectors. */
#define ATTENTION_ROWS 8

typedef enum CacheType {
    CACHE_F32,
    CACHE_F16,
    CACHE_Q8_0,
} CacheType;

static inline __attribute__((always_inline)) size_t cache_size(const CacheType type) {
    return type == CACHE_F32 ? 4 : type == CACHE_F16 ? 2 : 1;
}

/* tile(.., rows) with `rows` known to the compiler */
#define WITH_ROWS(rows, tile, ...)                                                                                     \
    switch (rows) {                                                                                                    \
    case 1: tile(__VA_ARGS__, 1); break;                                                                               \
    case 2: tile(__VA_ARGS__, 2); break;                                                                               \
    case 3: tile(__VA_ARGS__, 3); break;                                                                               \
    case 4: tile(__VA_ARGS__, 4); break;                                                                               \
    case 5: tile(__VA_ARGS__, 5); break;                                                                               \
    case 6: tile(__VA_ARGS__, 6); break;                                                                               \
    case 7: tile(__VA_ARGS__, 7); break;                                                                               \
    default: tile(__VA_ARGS__, ATTENTION_ROWS);                                                                        \
    }

/* ---- scores */

static inline __attribute__((always_inline)) VF load_keys(const CacheType type, const uint8_t *p) {
    return type == CACHE_F32 ? vf_load((const float *)p) : type == CACHE_F16 ? vf_load_half(p) : vf_load_i8(p);
}

/* sums += n elements of the queries times those of the keys of ATTENTION_VECTORS vectors of positions. A page lies
 * anywhere, so that the processor cannot guess it: what will be read `ahead` bytes further on is asked for here, a line
 * at a time. */
static inline __attribute__((always_inline)) void key_products(const CacheType type, const float *q, size_t q_stride,
    const uint8_t *keys, ptrdiff_t ahead, size_t n, const int rows, VF sums[ATTENTION_ROWS][ATTENTION_VECTORS]) {
    const size_t size = cache_size(type);
    for (size_t i = 0; i < n; i++) {
        VF k[ATTENTION_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < ATTENTION_VECTORS; v++)
            k[v] = load_keys(type, keys + (i * KEY_COLUMNS + v * VF_LANES) * size);
        prefetch_range(keys + i * KEY_COLUMNS * size + ahead, ATTENTION_VECTORS * VF_LANES * size);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF x = vf_set(q[r * q_stride + i]);
#pragma GCC unroll 2
            for (int v = 0; v < ATTENTION_VECTORS; v++)
                sums[r][v] = vf_fma(x, k[v], sums[r][v]);
        }
    }
}

static inline __attribute__((always_inline)) void clear_tile(
    VF sums[ATTENTION_ROWS][ATTENTION_VECTORS], const int rows) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < ATTENTION_VECTORS; v++)
            sums[r][v] = vf_zero();
}

static inline __attribute__((always_inline)) void key_tile(
    const CacheType type, const KeyScores *s, size_t row, size_t column, const int rows) {
    const float *q = s->q + row * s->q_stride;
    const ptrdiff_t ahead = s->ahead ? s->ahead - s->keys : 0;
    VF sums[ATTENTION_ROWS][ATTENTION_VECTORS];
    clear_tile(sums, rows);

    if (type == CACHE_Q8_0)
        for (size_t i = 0; i < s->width; i += KEY_PART) {
            const uint8_t *block = s->keys + i / KEY_PART * KEY_BLOCK_BYTES;
            VF part[ATTENTION_ROWS][ATTENTION_VECTORS];
            clear_tile(part, rows);
            key_products(type, q + i, s->q_stride, block + KEY_BLOCK_BEGIN + column, ahead, KEY_PART, rows, part);
#pragma GCC unroll 2
            for (int v = 0; v < ATTENTION_VECTORS; v++) {
                VF d = vf_load_half(block + (column + v * VF_LANES) * sizeof(uint16_t));
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++)
                    sums[r][v] = vf_fma(part[r][v], d, sums[r][v]);
            }
        }
    else
        key_products(type, q, s->q_stride, s->keys + column * cache_size(type), ahead, s->width, rows, sums);

#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < ATTENTION_VECTORS; v++)
            vf_store(s->scores + (row + r) * s->scores_stride + column + v * VF_LANES, sums[r][v]);
}

static inline __attribute__((always_inline)) void key_scores(const CacheType type, const KeyScores *s) {
    for (size_t row = 0; row < s->n_rows; row += ATTENTION_ROWS)
        for (size_t column = 0; column < KEY_COLUMNS; column += ATTENTION_VECTORS * VF_LANES)
            WITH_ROWS(s->n_rows - row, key_tile, type, s, row, column);
}

static void key_scores_f32(const KeyScores *s) {
    key_scores(CACHE_F32, s);
}

static void key_scores_f16(const KeyScores *s) {
    key_scores(CACHE_F16, s);
}

static void key_scores_q8_0(const KeyScores *s) {
    key_scores(CACHE_Q8_0, s);
}

/* ---- softmax */

static float exp_one(float x) {
    float out[VF_LANES];
    vf_store(out, exp_vector(vf_set(x)));
    return out[0];
}

static float vector_softmax_block(float *scores, size_t n, float *max, float *sum) {
    VF max_v = vf_set(*max);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        max_v = vf_max(max_v, vf_load(scores + i));
    float new_max = vf_max_lane(max_v);
    for (; i < n; i++)
        new_max = fmaxf(new_max, scores[i]);

    VF sum_v = vf_zero();
    for (i = 0; i + VF_LANES <= n; i += VF_LANES) {
        VF p = exp_vector(vf_sub(vf_load(scores + i), vf_set(new_max)));
        sum_v = vf_add(sum_v, p);
        vf_store(scores + i, p);
    }
    if (i < n) {
        vf_store_part(scores + i, n - i, exp_vector(vf_sub(vf_load_part(scores + i, n - i), vf_set(new_max))));
        sum_v = vf_add(sum_v, vf_load_part(scores + i, n - i));
    }

    /* the first block has nothing to bring forward: exp(-inf) must be 0, which exp_vector() only approaches */
    float rescale = *max == -INFINITY ? 0.0f : exp_one(*max - new_max);
    *sum = *sum * rescale + vf_sum(sum_v);
    *max = new_max;
    return rescale;
}

/* ---- weighted sums */

/* Elements [d, d + VF_LANES) of a row of values. */
static inline __attribute__((always_inline)) VF load_values(const CacheType type, const uint8_t *row, size_t d) {
    if (type == CACHE_F32)
        return vf_load((const float *)row + d);
    if (type == CACHE_F16)
        return vf_load_half(row + d * sizeof(uint16_t));
    const uint8_t *block = row + d / KEY_PART * sizeof(BlockQ8_0);
    return vf_mul(vf_load_i8(block + sizeof(uint16_t) + d % KEY_PART), vf_set_half(block));
}

/* The first n of them; blocks have no part. */
static inline VF load_values_part(const CacheType type, const uint8_t *row, size_t d, size_t n) {
    if (type == CACHE_F32)
        return vf_load_part((const float *)row + d, n);
    uint16_t part[VF_LANES] = {};
    memcpy(part, row + d * sizeof(*part), n * sizeof(*part));
    return vf_load_half(part);
}

/* acc of `rows` rows and `vectors` whole vectors from column d on, held in registers over all positions */
static inline __attribute__((always_inline)) void weighted_vectors(
    const CacheType type, const WeightedSum *s, size_t row, size_t d, const int vectors, const int rows) {
    const ptrdiff_t ahead = s->ahead ? s->ahead - s->v : 0;
    VF acc[ATTENTION_ROWS][2 * ATTENTION_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            acc[r][v] = vf_load(s->acc + (row + r) * s->acc_stride + d + v * VF_LANES);
            if (s->rescale)
                acc[r][v] = vf_mul(acc[r][v], vf_set(s->rescale[row + r]));
        }

    for (size_t j = 0; j < s->n; j++) {
        VF value[2 * ATTENTION_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            value[v] = load_values(type, s->v + j * s->v_stride, d + v * VF_LANES);
        prefetch_range(s->v + j * s->v_stride + d * cache_size(type) + ahead, vectors * VF_LANES * cache_size(type));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            VF p = vf_set(s->p[(row + r) * s->p_stride + j]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                acc[r][v] = vf_fma(p, value[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            vf_store(s->acc + (row + r) * s->acc_stride + d + v * VF_LANES, acc[r][v]);
}

/* The last columns of a width that is no multiple of a vector. */
static inline __attribute__((always_inline)) void weighted_tail(
    const CacheType type, const WeightedSum *s, size_t row, size_t d) {
    float *acc = s->acc + row * s->acc_stride + d;
    size_t left = s->width - d;
    VF sum = vf_load_part(acc, left);
    if (s->rescale)
        sum = vf_mul(sum, vf_set(s->rescale[row]));
    for (size_t j = 0; j < s->n; j++)
        sum = vf_fma(vf_set(s->p[row * s->p_stride + j]), load_values_part(type, s->v + j * s->v_stride, d, left), sum);
    vf_store_part(acc, left, sum);
}

/* Few rows take twice the vectors, so that there are chains enough to hide an addition's latency. */
static inline __attribute__((always_inline)) void weighted_rows(
    const CacheType type, const WeightedSum *s, size_t row, const int rows) {
    const int vectors = rows > ATTENTION_ROWS / 2 ? ATTENTION_VECTORS : 2 * ATTENTION_VECTORS;
    size_t d = 0;
    for (; d + vectors * VF_LANES <= s->width; d += vectors * VF_LANES)
        weighted_vectors(type, s, row, d, vectors, rows);
    for (; d + VF_LANES <= s->width; d += VF_LANES)
        weighted_vectors(type, s, row, d, 1, rows);
    if (type != CACHE_Q8_0 && d < s->width)
        for (int r = 0; r < rows; r++)
            weighted_tail(type, s, row + r, d);
}

static inline __attribute__((always_inline)) void weighted_sum(const CacheType type, const WeightedSum *s) {
    for (size_t row = 0; row < s->n_rows; row += ATTENTION_ROWS)
        WITH_ROWS(s->n_rows - row, weighted_rows, type, s, row);
}

static void weighted_sum_f32(const WeightedSum *s) {
    weighted_sum(CACHE_F32, s);
}

static void weighted_sum_f16(const WeightedSum *s) {
    weighted_sum(CACHE_F16, s);
}

static void weighted_sum_q8_0(const WeightedSum *s) {
    weighted_sum(CACHE_Q8_0, s);
}
