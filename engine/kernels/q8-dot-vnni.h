/* Dot products for tiers that add four products of unsigned with signed bytes to 32 bits, over vi_dot() of simd-*.h.
 * Weights that may be negative are kept 128 too high; what that makes too much is where the sums start from. */
#pragma once

#include <stdbool.h>

#define Q8_FLOAT_OFFSETS false
#define Q8_STARTS        true
#define Q8_WORD_SCALES   false

typedef struct Q8Sum {
    VI wide;
} Q8Sum;

static inline VI q8_place(VI q, const int offset) {
    return vi_add8(q, vi_set8(128 - offset));
}

/* Of half a block. */
static inline int32_t q8_start_of(const int8_t *bytes, int32_t sum) {
    return Q8_RAISE_BITS - 128 * sum;
}

/* Half of a block, for weights `excess` too high. */
static inline int32_t q8_lane_start(int32_t start16, const int excess, const bool raised) {
    return (start16 - Q8_RAISE_BITS) / 128 * excess + (raised ? Q8_RAISE_BITS : 0);
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

/* Of a sum that started raised, without a conversion: still too high by Q8_RAISE. */
static inline __attribute__((always_inline)) VF q8_sum_raised(const Q8Sum *s) {
    return vf_from_bits(s->wide);
}

/* Begins a chain of raised sums times their scales; `lower` takes off what all of them will be too high by. So what is
 * left of the chain is rounded to about a unit of the sums, in the larger scale. */
static inline __attribute__((always_inline)) VF q8_chain(VF sum, VF scale, VF lower) {
    return vf_fma(scale, sum, lower);
}
