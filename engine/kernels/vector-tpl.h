/* Norms, rotations, activations and the pieces of attention, written over the primitives of simd-*.h. An element's
 * result never depends on which lane or tail it falls into. */
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"
#include "load-store-tpl.h"

#define FOR_VECTORS(i, n) for (size_t i = 0; i < (n); i += VF_LANES)

/* e^x within 2 units in the last place: x = n ln 2 + r, a polynomial for e^r (Cody and Waite's reduction, Taylor
 * coefficients: |r| <= 0.35 needs degree 7). Saturates instead of overflowing into the exponent's sign. */
static inline VF exp_vector(VF x) {
    x = vf_min(vf_set(88.0f), vf_max(vf_set(-87.3f), x));
    VF n = vf_round(vf_mul(x, vf_set(1.44269504088896341f)));
    VF r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);

    VF p = vf_set(1.0f / 5040);
    p = vf_fma(p, r, vf_set(1.0f / 720));
    p = vf_fma(p, r, vf_set(1.0f / 120));
    p = vf_fma(p, r, vf_set(1.0f / 24));
    p = vf_fma(p, r, vf_set(1.0f / 6));
    p = vf_fma(p, r, vf_set(0.5f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_mul(p, vf_pow2(n));
}

static void unpack_f16(const void *blocks, float *out, size_t n) {
    const uint8_t *p = blocks;
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, vf_load_half(p + 2 * i));
    if (i < n) {
        uint16_t tail[VF_LANES] = {};
        memcpy(tail, p + 2 * i, (n - i) * sizeof(*tail));
        vf_store_part(out + i, n - i, vf_load_half(tail));
    }
}

static void unpack_bf16(const void *blocks, float *out, size_t n) {
    const uint8_t *p = blocks;
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, vf_load_bfloat(p + 2 * i));
    if (i < n) {
        uint16_t tail[VF_LANES] = {};
        memcpy(tail, p + 2 * i, (n - i) * sizeof(*tail));
        vf_store_part(out + i, n - i, vf_load_bfloat(tail));
    }
}

static void vector_to_half(const float *x, uint16_t *out, size_t n) {
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store_half(out + i, vf_load(x + i));
    if (i < n) {
        uint16_t tail[VF_LANES];
        vf_store_half(tail, vf_load_part(x + i, n - i));
        memcpy(out + i, tail, (n - i) * sizeof(*out));
    }
}

static void vector_add(float *y, const float *x, size_t n) {
    FOR_VECTORS(i, n)
    store_upto(y + i, n - i, vf_add(load_upto(y + i, n - i), load_upto(x + i, n - i)));
}

static void vector_scale(float *y, float factor, size_t n) {
    FOR_VECTORS(i, n)
    store_upto(y + i, n - i, vf_mul(load_upto(y + i, n - i), vf_set(factor)));
}

static void vector_silu_mul(float *y, const float *x, size_t n) {
    FOR_VECTORS(i, n) {
        VF v = load_upto(y + i, n - i);
        VF denominator = vf_add(vf_set(1.0f), exp_vector(vf_sub(vf_zero(), v)));
        store_upto(y + i, n - i, vf_mul(vf_div(v, denominator), load_upto(x + i, n - i)));
    }
}

/* gelu(v) = v / (1 + exp(-2 u)) with u = sqrt(2 / pi) (v + 0.044715 v^3), since (1 + tanh u) / 2 is the logistic
 * function of 2 u. */
static void vector_gelu_mul(float *y, const float *x, size_t n) {
    FOR_VECTORS(i, n) {
        VF v = load_upto(y + i, n - i);
        VF u = vf_mul(v, vf_fma(vf_mul(v, v), vf_set(-2 * 0.79788456080286535588f * 0.044715f),
                             vf_set(-2 * 0.79788456080286535588f)));
        VF denominator = vf_add(vf_set(1.0f), exp_vector(u));
        store_upto(y + i, n - i, vf_mul(vf_div(v, denominator), load_upto(x + i, n - i)));
    }
}

static void vector_rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) {
    VF even = vf_zero(), odd = vf_zero(); /* two chains hide the latency of the additions */
    FOR_VECTORS(i, n) {
        VF v = load_upto(x + i, n - i);
        VF *sum = i / VF_LANES % 2 ? &odd : &even;
        *sum = vf_fma(v, v, *sum);
    }
    float factor = 1.0f / sqrtf(vf_sum(vf_add(even, odd)) / (float)n + eps);
    FOR_VECTORS(i, n) {
        VF v = vf_mul(load_upto(x + i, n - i), vf_set(factor));
        store_upto(y + i, n - i, vf_mul(v, load_upto(weight + i, n - i)));
    }
}

static void vector_rope_interleaved(float *x, const float *cos, const float *sin, size_t n_dims) {
    FOR_VECTORS(i, n_dims) {
        size_t left = n_dims - i;
        VF v = load_upto(x + i, left);
        VF rotated = vf_mul(vf_swap_pairs(v), load_upto(sin + i, left));
        store_upto(x + i, left, vf_fma(v, load_upto(cos + i, left), rotated));
    }
}

static void vector_rope_halves(float *x, const float *cos, const float *sin, size_t n_dims) {
    size_t half = n_dims / 2;
    FOR_VECTORS(i, half) {
        size_t left = half - i, j = i + half;
        VF a = load_upto(x + i, left), b = load_upto(x + j, left);
        VF rotated_a = vf_mul(b, load_upto(sin + i, left)), rotated_b = vf_mul(a, load_upto(sin + j, left));
        store_upto(x + i, left, vf_fma(a, load_upto(cos + i, left), rotated_a));
        store_upto(x + j, left, vf_fma(b, load_upto(cos + j, left), rotated_b));
    }
}

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

#define SUM_ROWS    4
#define SUM_VECTORS 2

/* acc of `rows` rows and `vectors` whole vectors from column d on, held in registers over all positions */
static inline __attribute__((always_inline)) void weighted_tile(
    const WeightedSum *s, size_t row, size_t d, const int rows, const int vectors) {
    VF acc[SUM_ROWS][SUM_VECTORS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[r][v] =
                vf_mul(vf_load(s->acc + (row + r) * s->acc_stride + d + v * VF_LANES), vf_set(s->rescale[row + r]));

    for (size_t j = 0; j < s->n; j++) {
        VF value[SUM_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            value[v] = vf_load(s->v + j * s->v_stride + d + v * VF_LANES);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            VF p = vf_set(s->p[(row + r) * s->p_stride + j]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                acc[r][v] = vf_fma(p, value[v], acc[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            vf_store(s->acc + (row + r) * s->acc_stride + d + v * VF_LANES, acc[r][v]);
}

/* The last columns of a width that is no multiple of a vector. */
static void weighted_tail(const WeightedSum *s, size_t row, size_t d) {
    float *acc = s->acc + row * s->acc_stride + d;
    size_t left = s->width - d;
    VF sum = vf_mul(vf_load_part(acc, left), vf_set(s->rescale[row]));
    for (size_t j = 0; j < s->n; j++)
        sum = vf_fma(vf_set(s->p[row * s->p_stride + j]), vf_load_part(s->v + j * s->v_stride + d, left), sum);
    vf_store_part(acc, left, sum);
}

static void vector_weighted_sum(const WeightedSum *s) {
    const size_t wide = SUM_VECTORS * VF_LANES;
    for (size_t row = 0; row < s->n_rows;) {
        bool full = s->n_rows - row >= SUM_ROWS;
        size_t d = 0;
        for (; d + wide <= s->width; d += wide)
            if (full)
                weighted_tile(s, row, d, SUM_ROWS, SUM_VECTORS);
            else
                weighted_tile(s, row, d, 1, SUM_VECTORS);
        for (; d + VF_LANES <= s->width; d += VF_LANES)
            if (full)
                weighted_tile(s, row, d, SUM_ROWS, 1);
            else
                weighted_tile(s, row, d, 1, 1);
        if (d < s->width)
            for (size_t r = 0; r < (full ? SUM_ROWS : 1u); r++)
                weighted_tail(s, row + r, d);
        row += full ? SUM_ROWS : 1;
    }
}
