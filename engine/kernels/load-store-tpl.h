/* Vectors at the end of an array, written over the primitives of simd-*.h. */
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
