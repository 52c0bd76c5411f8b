/* Floats to ACT_Q8, written over the primitives of simd-*.h. */
#pragma once

#include <math.h>

#include "kernels.h"

#define HALF_VECTORS (Q8_UNIT / 2 / VF_LANES)

/* Half a block. NaN among x, or an infinity, makes d a NaN. The sum of the bytes is returned. */
static inline __attribute__((always_inline)) int32_t quantize_half(const float *x, int8_t *bytes, float *ret_d) {
    VF v[HALF_VECTORS], largest = vf_zero(), poison = vf_zero();
#pragma GCC unroll 4
    for (unsigned i = 0; i < HALF_VECTORS; i++) {
        v[i] = vf_load(x + i * VF_LANES);
        largest = vf_max(largest, vf_abs(v[i]));
        poison = vf_fma(v[i], vf_zero(), poison);
    }
    float max = vf_max_lane(largest), d = max / 127 + vf_sum(poison);
    /* below that the inverse would overflow, and the bytes come out as zeros */
    VF inverse = vf_set(max >= 1e-30f ? 127 / max : 0), sum = vf_zero();
#pragma GCC unroll 4
    for (unsigned i = 0; i < HALF_VECTORS; i++) {
        VF q = vf_round(vf_mul(v[i], inverse));
        vf_store_i8(bytes + i * VF_LANES, q);
        sum = vf_add(sum, q); /* of integers, so exact in any order */
    }
    *ret_d = d;
    return isnan(d) ? 0 : (int32_t)vf_sum(sum);
}

static inline __attribute__((always_inline)) void quantize_block(const float *x, Q8Block *out) {
#pragma GCC unroll 2
    for (unsigned h = 0; h < 2; h++) {
        int32_t sum = quantize_half(x + h * 16, out->q + h * 16, &out->d[h]);
        out->sum16[h] = out->d[h] * (float)sum;
        out->start16[h] = -128 * sum;
    }
    out->sum = out->sum16[0] + out->sum16[1];
    out->start = out->start16[0] + out->start16[1];
}

static void q8_quantize(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    Q8Block *blocks = (Q8Block *)row;
    for (size_t i = begin; i < begin + n; i += Q8_UNIT, x += Q8_UNIT)
        quantize_block(x, &blocks[i / Q8_UNIT]);
}
