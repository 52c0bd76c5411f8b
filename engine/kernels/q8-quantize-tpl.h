/* Floats to rows of bytes, written over the primitives of simd-*.h. */
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"

#define UNIT_VECTORS (Q8_UNIT / VF_LANES)

/* Without the bits that a product with Q8_RAISE, which has two, might not have room for. NaN stays NaN. */
static inline float short_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits &= ~3u;
    memcpy(&x, &bits, sizeof(bits));
    return x;
}

/* n vectors of x, the bytes of which are to share a scale. NaN among them, or an infinity, or more than two times
 * Q8_RAISE can be multiplied with, makes it a NaN. */
static inline __attribute__((always_inline)) float q8_scale_of(const VF *v, const unsigned n, VF *ret_inverse) {
    VF largest = vf_zero();
#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++)
        largest = vf_max_magnitude(largest, vf_abs(v[i]));
    float max = vf_max_magnitude_lane(largest);
    /* below that the inverse would overflow, and the bytes come out as zeros */
    *ret_inverse = vf_set(max >= 1e-30f ? 127 / max : 0);
    float d = short_float(max / 127);
    return isinf(2 * Q8_RAISE * d) ? NAN : d;
}

/* Half a block's bytes. Their sum is returned. */
static inline __attribute__((always_inline)) int32_t quantize_half(const VF *v, VF inverse, int8_t *bytes) {
#pragma GCC unroll 4
    for (unsigned i = 0; i < UNIT_VECTORS / 2; i++)
        vf_store_i8(bytes + i * VF_LANES, vf_mul(v[i], inverse));
    return sum16_i8(bytes);
}

static inline __attribute__((always_inline)) void quantize_block(const float *x, const bool halves, Q8Block *out) {
    VF v[UNIT_VECTORS], inverse[2];
#pragma GCC unroll 8
    for (unsigned i = 0; i < UNIT_VECTORS; i++)
        v[i] = vf_load(x + i * VF_LANES);
    out->d[0] = q8_scale_of(v, halves ? UNIT_VECTORS / 2 : UNIT_VECTORS, &inverse[0]);
    out->d[1] = out->d[0];
    inverse[1] = inverse[0];
    if (halves)
        out->d[1] = q8_scale_of(v + UNIT_VECTORS / 2, UNIT_VECTORS / 2, &inverse[1]);
    int32_t sums[2];
#pragma GCC unroll 2
    for (unsigned h = 0; h < 2; h++) {
        sums[h] = quantize_half(v + h * (UNIT_VECTORS / 2), inverse[h], out->q + h * 16);
        out->start16[h] = q8_start_of(out->q + h * 16, sums[h]);
    }
    out->lower = -Q8_RAISE * (halves ? out->d[0] + out->d[1] : out->d[0]);
    out->sum = out->d[0] * (float)sums[0] + out->d[1] * (float)sums[1];
    out->total16 = (float)sums[0];
    out->total = (float)(sums[0] + sums[1]);
}

static inline __attribute__((always_inline)) void quantize_range(
    const float *x, uint8_t *row, size_t begin, size_t n, const bool halves) {
    Q8Block *blocks = (Q8Block *)row;
    for (size_t i = begin; i < begin + n; i += Q8_UNIT, x += Q8_UNIT)
        quantize_block(x, halves, &blocks[i / Q8_UNIT]);
}

static void q8_quantize_16(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    quantize_range(x, row, begin, n, true);
}

static void q8_quantize_32(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    quantize_range(x, row, begin, n, false);
}
