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

static inline __attribute__((always_inline)) void q8_sum_start(Q8Sum *s, const bool takes_start, VI start) {
    s->wide = takes_start ? start : vi_set32(Q8_RAISE_BITS);
}

static inline __attribute__((always_inline)) void q8_sum_add(
    Q8Sum *s, const int bits, const int step, const int steps, VI w, VI x) {
    s->wide = vi_dot(s->wide, w, x);
}

/* Of two sums one of which started raised, still too high by Q8_RAISE. */
static inline __attribute__((always_inline)) VF q8_sum_both(const Q8Sum *a, const Q8Sum *b, const int bits) {
    return vf_from_bits(vi_add32(a->wide, b->wide));
}

/* Of the sums' chunks every other one; see simd-*.h. */
static inline __attribute__((always_inline)) Q8Sum q8_sum_even_chunks(const Q8Sum *a, const Q8Sum *b) {
    return (Q8Sum){vi_even_chunks(a->wide, b->wide)};
}

static inline __attribute__((always_inline)) Q8Sum q8_sum_odd_chunks(const Q8Sum *a, const Q8Sum *b) {
    return (Q8Sum){vi_odd_chunks(a->wide, b->wide)};
}

/* Of a sum that started raised, without a conversion: still too high by Q8_RAISE. */
static inline __attribute__((always_inline)) VF q8_sum_raised(const Q8Sum *s) {
    return vf_from_bits(s->wide);
}

/* Begins a chain of raised sums times their scales; `lower` takes off what all of them will be too high by. So what is
 * left of the chain is rounded to about a unit of the sums, in the larger scale. */
static inline __attribute__((always_inline)) VF q8_chain(VF sum, VF scale, VF lower, const bool lowers) {
    return vf_fma(scale, sum, lower);
}
