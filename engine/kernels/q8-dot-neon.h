/* Dot products for NEON, over q8_step() of the tier's own file: weights are signed bytes, like x, so nothing is to be
 * put right afterwards. */
#pragma once

#include <stdbool.h>

#define Q8_FLOAT_OFFSETS false
#define Q8_STARTS        false
#define Q8_WORD_SCALES   false

static inline VI q8_place(VI q, const int offset) {
    return offset == 0 ? q : vi_add8(q, vi_set8(-offset));
}

static inline int32_t q8_start_of(const int8_t *bytes, int32_t sum) {
    return Q8_RAISE_BITS - 128 * sum;
}

static inline __attribute__((always_inline)) void q8_sum_start(Q8Sum *s, const bool takes_start, VI start) {
    *s = (Q8Sum){}; /* zeros */
}

static inline __attribute__((always_inline)) void q8_sum_add(
    Q8Sum *s, const int bits, const int step, const int steps, VI w, VI x) {
    q8_step(s, vreinterpretq_s8_u8(w), vreinterpretq_s8_u8(x));
}

static inline __attribute__((always_inline)) VF q8_sum_raised(const Q8Sum *s) {
    return q8_sum_end(s);
}

static inline __attribute__((always_inline)) VF q8_chain(VF sum, VF scale, VF lower, const bool lowers) {
    return vf_mul(scale, sum);
}
