/* The unpacking of weight formats into the sets of strip-tpl.h: which bytes of STRIP_WIDTH rows, in which order, the
 * format's StripOrder says. Layouts: blocks.h. */
#pragma once

#include "q8-unpack-tpl.h"
#include "strip-tpl.h"

static inline __attribute__((always_inline)) void split_nibbles(const VI packed[4], StripSets *ret) {
    VI t[4];
    vi_transpose4(packed, t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        ret->a[j] = low_nibbles_of(t[j]);
        ret->b[j] = high_nibbles_of(t[j]);
    }
}

/* STRIP_HALVES: nibbles of 8 tiles, the first of which begin at `qs`, the next ones a step further on each. */
static inline __attribute__((always_inline)) void strip_nibbles(
    const uint8_t *const rows[STRIP_WIDTH], size_t qs, size_t step, StripSets *ret) {
    VI packed[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        packed[i] = strip_load_chunks(rows, qs + 2 * i * step, qs + (2 * i + 1) * step);
    split_nibbles(packed, ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q4_0(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    strip_nibbles(rows, at * sizeof(BlockQ4_0) + offsetof(BlockQ4_0, qs), sizeof(BlockQ4_0), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q4_1(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    strip_nibbles(rows, at * sizeof(BlockQ4_1) + offsetof(BlockQ4_1, qs), sizeof(BlockQ4_1), ret);
}

/* The fifth bits of 8 tiles, whose words begin at `qh`. */
static inline __attribute__((always_inline)) void strip_fifth_bits(
    const uint8_t *const rows[STRIP_WIDTH], size_t qh, size_t step, StripSets *ret) {
    VI words[4], turned[4]; /* and what follows them, which is dropped */
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        words[i] = strip_load_chunks(rows, qh + 2 * i * step, qh + (2 * i + 1) * step);
    vi_transpose4(words, turned);
    VI q[8];
    memcpy(q, ret->a, sizeof(ret->a));
    memcpy(q + 4, ret->b, sizeof(ret->b));
    add_fifth_bits(turned[0], q);
    memcpy(ret->a, q, sizeof(ret->a));
    memcpy(ret->b, q + 4, sizeof(ret->b));
}

static inline __attribute__((always_inline)) void strip_unpack_q5_0(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    size_t block = at * sizeof(BlockQ5_0);
    strip_nibbles(rows, block + offsetof(BlockQ5_0, qs), sizeof(BlockQ5_0), ret);
    strip_fifth_bits(rows, block + offsetof(BlockQ5_0, qh), sizeof(BlockQ5_0), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q5_1(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    size_t block = at * sizeof(BlockQ5_1);
    strip_nibbles(rows, block + offsetof(BlockQ5_1, qs), sizeof(BlockQ5_1), ret);
    strip_fifth_bits(rows, block + offsetof(BlockQ5_1, qh), sizeof(BlockQ5_1), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q8_0(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t qs = at * sizeof(BlockQ8_0) + offsetof(BlockQ8_0, qs);
    VI a[4], b[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = q8_place(strip_load(rows, qs + 2 * i * sizeof(BlockQ8_0)), 0);
        b[i] = q8_place(strip_load(rows, qs + (2 * i + 1) * sizeof(BlockQ8_0)), 0);
    }
    vi_transpose4(a, ret->a);
    vi_transpose4(b, ret->b);
}

static inline __attribute__((always_inline)) void strip_unpack_q4_k(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t qs = at / 8 * sizeof(BlockQ4_K) + offsetof(BlockQ4_K, qs);
    VI packed[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        packed[i] = strip_load(rows, qs + 32 * i);
    split_nibbles(packed, ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q5_k(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t block = at / 8 * sizeof(BlockQ5_K);
    VI high = strip_load(rows, block + offsetof(BlockQ5_K, qh)), a[4], b[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        VI packed = strip_load(rows, block + offsetof(BlockQ5_K, qs) + 32 * i);
        a[i] = vi_or(low_nibbles_of(packed), move_bit(high, 2 * i, 4));
        b[i] = vi_or(high_nibbles_of(packed), move_bit(high, 2 * i + 1, 4));
    }
    vi_transpose4(a, ret->a);
    vi_transpose4(b, ret->b);
}

/* 128 elements. */
static inline __attribute__((always_inline)) void strip_q6_k_set(
    const uint8_t *const rows[STRIP_WIDTH], size_t ql, size_t qh, VI ret[4]) {
    const VI mask = vi_set8(0x30);
    VI a = strip_load(rows, ql), b = strip_load(rows, ql + 32), high = strip_load(rows, qh);
    const VI q[4] = {
        vi_or(low_nibbles_of(a), vi_and(vi_shl16(high, 4), mask)),
        vi_or(low_nibbles_of(b), vi_and(vi_shl16(high, 2), mask)),
        vi_or(high_nibbles_of(a), vi_and(high, mask)),
        vi_or(high_nibbles_of(b), vi_and(vi_shr16(high, 2), mask)),
    };
    vi_transpose4(q, ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q6_k(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t block = at / 8 * sizeof(BlockQ6_K);
    const size_t ql = block + offsetof(BlockQ6_K, ql), qh = block + offsetof(BlockQ6_K, qh);
    strip_q6_k_set(rows, ql, qh, ret->a);
    strip_q6_k_set(rows, ql + 64, qh + 32, ret->b);
}

static inline __attribute__((always_inline)) void strip_two_bits(
    const uint8_t *const rows[STRIP_WIDTH], size_t qs, VI ret[4]) {
    VI packed = strip_load(rows, qs);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        ret[i] = two_bits_of(packed, 2 * i);
}

/* STRIP_TILE_FOURS: 64 bytes as in Q2_K. */
static inline __attribute__((always_inline)) void strip_fours(
    const uint8_t *const rows[STRIP_WIDTH], size_t qs, StripSets *ret) {
    VI a[4], b[4];
    strip_two_bits(rows, qs, a);
    strip_two_bits(rows, qs + 32, b);
    vi_transpose4(a, ret->a);
    vi_transpose4(b, ret->b);
}

static inline __attribute__((always_inline)) void strip_unpack_q2_k(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    strip_fours(rows, at / 8 * sizeof(BlockQ2_K) + offsetof(BlockQ2_K, qs), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_tq2_0(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    strip_fours(rows, at / 8 * sizeof(BlockTQ2_0) + offsetof(BlockTQ2_0, qs), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_q3_k(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t block = at / 8 * sizeof(BlockQ3_K);
    VI high = strip_load(rows, block + offsetof(BlockQ3_K, hmask)), a[4], b[4];
    strip_two_bits(rows, block + offsetof(BlockQ3_K, qs), a);
    strip_two_bits(rows, block + offsetof(BlockQ3_K, qs) + 32, b);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = vi_or(a[i], move_bit(high, i, 2));
        b[i] = vi_or(b[i], move_bit(high, 4 + i, 2));
    }
    vi_transpose4(a, ret->a);
    vi_transpose4(b, ret->b);
}

/* STRIP_HALVES: nibbles that stand for the values of a table. */
static inline __attribute__((always_inline)) void strip_look_up(
    const uint8_t *const rows[STRIP_WIDTH], size_t qs, size_t step, VI table, StripSets *ret) {
    strip_nibbles(rows, qs, step, ret);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        ret->a[j] = vi_look_up(table, ret->a[j]);
        ret->b[j] = vi_look_up(table, ret->b[j]);
    }
}

static inline __attribute__((always_inline)) void strip_unpack_iq4_nl(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t qs = at * sizeof(BlockIQ4_NL) + offsetof(BlockIQ4_NL, qs);
    strip_look_up(rows, qs, sizeof(BlockIQ4_NL), q8_place(vi_table(iq4_values), 0), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_iq4_xs(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    strip_look_up(
        rows, at / 8 * sizeof(BlockIQ4_XS) + offsetof(BlockIQ4_XS, qs), 16, q8_place(vi_table(iq4_values), 0), ret);
}

static inline __attribute__((always_inline)) void strip_unpack_mxfp4(
    const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret) {
    const size_t qs = at * sizeof(BlockMXFP4) + offsetof(BlockMXFP4, qs);
    strip_look_up(rows, qs, sizeof(BlockMXFP4), mxfp4_table(), ret);
}
