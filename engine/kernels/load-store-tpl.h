/* Vectors at the end of an array, or of elements that are apart, written over the primitives of simd-*.h. */
#pragma once

#include <stddef.h>

static inline VF load_upto(const float *p, size_t left) {
    return left >= VF_LANES ? vf_load(p) : vf_load_part(p, left);
}

static inline void store_upto(float *p, size_t left, VF x) {
    if (left >= VF_LANES)
        vf_store(p, x);
    else
        vf_store_part(p, left, x);
}

/* The first n <= VF_LANES lanes, `step` floats between them. */
static inline VF load_apart(const float *p, size_t step, size_t n) {
    float lanes[VF_LANES] = {};
    for (size_t i = 0; i < n; i++)
        lanes[i] = p[i * step];
    return vf_load(lanes);
}

static inline void store_apart(float *p, size_t step, size_t n, VF x) {
    float lanes[VF_LANES];
    vf_store(lanes, x);
    if (n == VF_LANES) /* most of the time; then without counting */
#pragma GCC unroll 16
        for (size_t i = 0; i < VF_LANES; i++)
            p[i * step] = lanes[i];
    else
        for (size_t i = 0; i < n; i++)
            p[i * step] = lanes[i];
}
