/* Floats to words of 14 bits, written over the primitives of simd-*.h. */
#pragma once

#include <math.h>

#include "kernels.h"

#define Q14_VECTORS (Q8_UNIT * sizeof(int16_t) / sizeof(VI)) /* of words in a block */

/* x times the inverse of its scale, in the lower word of each lane: what a sum with Q8_RAISE has for its last bits. */
static inline __attribute__((always_inline)) VI q14_low(VF x, VF inverse) {
    return vi_from_bits(vf_fma(x, inverse, vf_set(Q8_RAISE)));
}

/* The words of a in the lower halves of the lanes, those of b in the upper. */
static inline __attribute__((always_inline)) VI q14_words(VF a, VF b, VF inverse) {
    return vi_pack_low(q14_low(a, inverse), q14_low(b, inverse));
}

/* Beyond the end of a row whose last block is not whole, zeros. NaN or an infinity makes all that the block stands for
 * a NaN. */
static void q14_quantize(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    Q14Block *blocks = (Q14Block *)row + begin / Q8_UNIT;
    for (size_t i = 0; i < n; i += Q8_UNIT, blocks++) {
        VF v[Q8_UNIT / VF_LANES], largest = vf_zero();
#pragma GCC unroll 4
        for (size_t j = 0; j < Q8_UNIT / VF_LANES; j++) {
            const size_t at = i + j * VF_LANES;
            v[j] = at + VF_LANES <= n ? vf_load(x + at) : at < n ? vf_load_part(x + at, n - at) : vf_zero();
            largest = vf_max_magnitude(largest, vf_abs(v[j]));
        }
        const float max = vf_max_magnitude_lane(largest);
        const VF inverse = vf_set(max >= Q14_TINY ? Q14_MAX / max : 0);
#pragma GCC unroll 2
        for (size_t j = 0; j < Q14_VECTORS; j++)
            vi_store(blocks->q + j * 2 * VF_LANES, q14_words(v[2 * j], v[2 * j + 1], inverse));
        blocks->d = max * (1 / Q14_MAX);
    }
}
