/* Dot products for tiers that add four products of unsigned with signed bytes to 32 bits, over vi_dot() of simd-*.h.
 * Weights that may be negative are kept 128 too high; what that makes too much is where the sums start from. */
#pragma once

#include <stdbool.h>

#define Q8_FLOAT_OFFSETS false
#define Q8_STARTS        true

typedef struct Q8Sum {
    VI wide;
} Q8Sum;

static inline VI q8_place(VI q, const int offset) {
    return vi_add8(q, vi_set8(128 - offset));
}

static inline __attribute__((always_inline)) void q8_sum_start(
    Q8Sum *s, const bool takes_start, const bool raised, VI start) {
    s->wide = takes_start ? start : vi_set32(raised ? Q8_RAISE_BITS : 0);
}

static inline __attribute__((always_inline)) void q8_sum_add(
    Q8Sum *s, const int bits, const int step, const int steps, VI w, VI x) {
    s->wide = vi_dot(s->wide, w, x);
}

static inline __attribute__((always_inline)) VF q8_sum_end(const Q8Sum *s) {
    return vf_from_int(s->wide);
}

/* Of a raised sum; `lower` is -Q8_RAISE * scale, to the bit. The result is rounded once, as scale * sum is. */
static inline __attribute__((always_inline)) VF q8_sum_scaled(const Q8Sum *s, VF scale, VF lower) {
    return vf_fma(scale, vf_from_bits(s->wide), lower);
}
