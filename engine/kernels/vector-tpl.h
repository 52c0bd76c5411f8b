/* Norms, rotations and activations, written over the primitives of simd-*.h. An element's
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
