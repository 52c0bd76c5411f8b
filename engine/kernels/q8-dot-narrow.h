/* Dot products for tiers that multiply unsigned by signed bytes into sums of 16 bits, over vi_dot_narrow() and the like
 * of simd-*.h. The sums stay in 16 bits for as many steps as cannot overflow them, which the size of the weights
 * decides; x is never -128. */
#pragma once

#include <stdbool.h>

#define Q8_FLOAT_OFFSETS true  /* weights stay unsigned, their offset is taken off as a minimum */
#define Q8_STARTS        false /* sums start from 0, never raised; but those of 6 bits from what their offset makes */

typedef struct Q8Sum {
    VI narrow, wide;
} Q8Sum;

static inline VI q8_place(VI q, const int offset) {
    return q;
}

#define Q8_WORD_SCALES true
#define Q8_OFFSET_6    32 /* of weights of 6 bits */

/* Without their offset the eight products of weights of 6 bits that meet in a word fit there: 8 * 32 * 127 < 2^15. It
 * is taken off first; on the way sums may overflow and come back. */
static inline int32_t q8_start_of(const int8_t *bytes, int32_t sum) {
    return pair_sums16_i8(bytes, -Q8_OFFSET_6);
}

static inline int32_t q8_lane_start(int32_t start16, const int excess, const bool raised) {
    return start16;
}

static inline __attribute__((always_inline)) void q8_sum_start(Q8Sum *s, const bool takes_start, VI start) {
    s->narrow = start;
}

/* Step `step` of `steps`, four or eight: four products a lane. */
static inline __attribute__((always_inline)) void q8_sum_add(
    Q8Sum *s, const int bits, const int step, const int steps, VI w, VI x) {
    /* the largest sums of a run: 8 * 2 * 15 * 127, 4 * 2 * 31 * 127, 2 * 128 * 127 < 2^15 */
    const int run = bits == 4 ? steps : bits == 8 ? 1 : 4;
    VI products = bits == 8 ? vi_dot_narrow(vi_abs8(w), vi_sign8(x, w)) : vi_dot_narrow(w, x);
    const bool first = bits != 6 && step % run == 0;
    s->narrow = first ? products : vi_settle(vi_add16(s->narrow, products));
    if (step % run == run - 1) {
        VI wide = vi_widen_pairs(s->narrow);
        s->wide = step < run ? wide : vi_settle(vi_add32(s->wide, wide));
    }
}

/* Two products of words a lane. */
static inline __attribute__((always_inline)) void q8_sum_add_words(Q8Sum *s, const bool first, VI w, VI x) {
    VI products = vi_dot_words(w, x);
    s->wide = first ? products : vi_settle(vi_add32(s->wide, products));
}

/* The sum of a half times its scale, which is a word, twice in every lane. */
static inline __attribute__((always_inline)) VI q8_sum_scaled(const Q8Sum *s, VI scale) {
    return vi_dot_words(s->narrow, scale);
}

static inline __attribute__((always_inline)) VF q8_sum_raised(const Q8Sum *s) {
    return vf_from_int(s->wide);
}

/* Of two sums over four steps of eight. */
static inline __attribute__((always_inline)) VF q8_sum_both(const Q8Sum *a, const Q8Sum *b, const int bits) {
    return vf_from_int(bits == 4 ? vi_widen_pairs(vi_add16(a->narrow, b->narrow)) : vi_add32(a->wide, b->wide));
}

/* Of the sums' chunks every other one; see simd-*.h. */
static inline __attribute__((always_inline)) Q8Sum q8_sum_even_chunks(const Q8Sum *a, const Q8Sum *b) {
    return (Q8Sum){vi_even_chunks(a->narrow, b->narrow), vi_even_chunks(a->wide, b->wide)};
}

static inline __attribute__((always_inline)) Q8Sum q8_sum_odd_chunks(const Q8Sum *a, const Q8Sum *b) {
    return (Q8Sum){vi_odd_chunks(a->narrow, b->narrow), vi_odd_chunks(a->wide, b->wide)};
}

static inline __attribute__((always_inline)) VF q8_chain(VF sum, VF scale, VF lower, const bool lowers) {
    return lowers ? vf_fma(scale, sum, lower) : vf_mul(scale, sum);
}
