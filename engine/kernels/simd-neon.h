/* The vector primitives of the templates, for NEON as every 64-bit ARM has it. */
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF_LANES          4
#define VECTOR_REGISTERS  32
#define MATMUL_ROWS       5   /* rows of x in one register tile: 4 * 5 sums, 4 weights and 1 x of the 32 registers */
#define MATMUL_SEGMENT    512 /* elements of a row that are added up in one go */
#define MATMUL_OUT        16 /* rows of weights unpacked for as many elements: 32 KiB, in the first-level cache beside x */
#define ATTENTION_VECTORS 2

typedef float32x4_t VF;
typedef uint8x16_t VI; /* bytes, or whatever else a function says */

static inline VF vf_zero(void) {
    return vdupq_n_f32(0);
}

static inline VF vf_set(float x) {
    return vdupq_n_f32(x);
}

static inline VF vf_load(const float *p) {
    return vld1q_f32(p);
}

static inline void vf_store(float *p, VF x) {
    vst1q_f32(p, x);
}

/* The first n < VF_LANES elements, zeros beyond; nothing beyond is touched. */
static inline VF vf_load_part(const float *p, size_t n) {
    float part[VF_LANES] = {};
    memcpy(part, p, n * sizeof(*p));
    return vld1q_f32(part);
}

static inline void vf_store_part(float *p, size_t n, VF x) {
    float part[VF_LANES];
    vst1q_f32(part, x);
    memcpy(p, part, n * sizeof(*p));
}

static inline VF vf_add(VF a, VF b) {
    return vaddq_f32(a, b);
}

static inline VF vf_sub(VF a, VF b) {
    return vsubq_f32(a, b);
}

static inline VF vf_mul(VF a, VF b) {
    return vmulq_f32(a, b);
}

static inline VF vf_div(VF a, VF b) {
    return vdivq_f32(a, b);
}

/* a * b + c, rounded once */
static inline VF vf_fma(VF a, VF b, VF c) {
    return vfmaq_f32(c, a, b);
}

/* c - a * b, rounded once */
static inline VF vf_fnma(VF a, VF b, VF c) {
    return vfmsq_f32(c, a, b);
}

/* NaN is handed on. */
static inline VF vf_max(VF a, VF b) {
    return vmaxq_f32(a, b);
}

static inline VF vf_min(VF a, VF b) {
    return vminq_f32(a, b);
}

static inline VF vf_round(VF x) {
    return vrndnq_f32(x);
}

static inline VF vf_abs(VF x) {
    return vabsq_f32(x);
}

/* Of floats without signs: the larger, where NaN is above all else. */
static inline VF vf_max_magnitude(VF a, VF b) {
    return vmaxq_f32(a, b);
}

/* 2^n for integral n in [-126, 127] */
static inline VF vf_pow2(VF n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}

/* Neighbours 2i and 2i + 1 exchanged. */
static inline VF vf_swap_pairs(VF x) {
    return vrev64q_f32(x);
}

/* out[i] = sum of the lanes of the i-th argument, each in the same order */
static inline void vf_sum4(VF a, VF b, VF c, VF d, float out[4]) {
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

static inline float vf_sum(VF a) {
    return vaddvq_f32(a);
}

static inline float vf_max_lane(VF a) {
    return vmaxvq_f32(a);
}

static inline float vf_max_magnitude_lane(VF a) {
    return vmaxvq_f32(a);
}

static inline VF vf_load_half(const void *p) {
    uint16_t h[VF_LANES];
    memcpy(h, p, sizeof(h));
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h)));
}

/* The same half in every lane. */
static inline VF vf_set_half(const void *p) {
    uint16_t half;
    memcpy(&half, p, sizeof(half));
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
}

static inline VF vf_load_i8(const void *p) {
    uint32_t four;
    memcpy(&four, p, sizeof(four));
    int16x8_t words = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(words)));
}

static inline void vf_store_half(uint16_t *p, VF x) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline VF vf_load_bfloat(const void *p) {
    uint16_t b[VF_LANES];
    memcpy(b, p, sizeof(b));
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(b), 16));
}

/* Written out, since gcc takes a loop that only prefetches for one that does nothing. */
static inline void prefetch_line(const uint8_t *p) {
    __asm__ volatile("prfm pldl1keep, [%0]" : : "r"(p));
}

static inline void prefetch_range(const uint8_t *p, size_t size) {
    for (size_t i = 0; i < size; i += 64)
        prefetch_line(p + i);
}

/* Values in [-127, 127] as the nearest bytes, ties to even. */
static inline void vf_store_i8(int8_t *p, VF x) {
    int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(x));
    int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
    uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    memcpy(p, &four, sizeof(four));
}

/* Of 16 bytes. */
static inline int32_t sum16_i8(const int8_t *p) {
    return vaddlvq_s8(vld1q_s8(p));
}

/* ------------------------------------------------------------------------------------------------------- integers */

static inline VI vi_set8(int x) {
    return vdupq_n_u8((uint8_t)x);
}

static inline VI vi_set32(int32_t x) {
    return vreinterpretq_u8_s32(vdupq_n_s32(x));
}

static inline VI vi_and(VI a, VI b) {
    return vandq_u8(a, b);
}

static inline VI vi_or(VI a, VI b) {
    return vorrq_u8(a, b);
}

static inline __attribute__((always_inline)) VI vi_shl16(VI x, const int n) {
    return vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(x), vdupq_n_s16((int16_t)n)));
}

static inline __attribute__((always_inline)) VI vi_shr16(VI x, const int n) {
    return vi_shl16(x, -n);
}

static inline __attribute__((always_inline)) VI vi_shl32(VI x, const int n) {
    return vreinterpretq_u8_u32(vshlq_u32(vreinterpretq_u32_u8(x), vdupq_n_s32(n)));
}

static inline __attribute__((always_inline)) VI vi_shr32(VI x, const int n) {
    return vi_shl32(x, -n);
}

static inline __attribute__((always_inline)) VI vi_sar16(VI x, const int n) {
    return vreinterpretq_u8_s16(vshlq_s16(vreinterpretq_s16_u8(x), vdupq_n_s16(-n)));
}

static inline __attribute__((always_inline)) VI vi_sar32(VI x, const int n) {
    return vreinterpretq_u8_s32(vshlq_s32(vreinterpretq_s32_u8(x), vdupq_n_s32(-n)));
}

static inline VI vi_add8(VI a, VI b) {
    return vaddq_u8(a, b);
}

static inline VI vi_add32(VI a, VI b) {
    return vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

static inline VI vi_max32(VI a, VI b) {
    return vreinterpretq_u8_s32(vmaxq_s32(vreinterpretq_s32_u8(a), vreinterpretq_s32_u8(b)));
}

static inline VF vf_from_int(VI x) {
    return vcvtq_f32_s32(vreinterpretq_s32_u8(x));
}

static inline VF vf_from_bits(VI x) {
    return vreinterpretq_f32_u8(x);
}

/* The half in the lower part of every lane. */
static inline VF vf_from_half_lanes(VI x) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(vreinterpretq_u32_u8(x))));
}

/* values[i] for every byte i < 16 */
static inline VI vi_table(const int8_t values[16]) {
    return vreinterpretq_u8_s8(vld1q_s8(values));
}

static inline VI vi_look_up(VI table, VI index) {
    return vqtbl1q_u8(table, index);
}

/* q or `value` in the bytes where x has the bit that `bits` has there; in q it is 0. */
static inline VI vi_or_where(VI q, VI x, VI bits, VI value) {
    return vorrq_u8(q, vandq_u8(vtstq_u8(x, bits), value));
}

/* Four bytes of x for every lane. */
static inline VI vi_four_of(const int8_t *x) {
    uint32_t bytes;
    memcpy(&bytes, x, sizeof(bytes));
    return vreinterpretq_u8_u32(vdupq_n_u32(bytes));
}

/* 16 bytes at `offset` of each row, as 4 vectors: lane l of t[j] holds bytes 4j..4j+3 of row l. */
static inline __attribute__((always_inline)) void load_columns(
    const uint8_t *const rows[VF_LANES], size_t offset, VI t[4]) {
    uint32x4_t v[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        v[j] = vreinterpretq_u32_u8(vld1q_u8(rows[j] + offset));
    uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(v[0], v[1])), b = vreinterpretq_u64_u32(vtrn2q_u32(v[0], v[1]));
    uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(v[2], v[3])), d = vreinterpretq_u64_u32(vtrn2q_u32(v[2], v[3]));
    t[0] = vreinterpretq_u8_u64(vtrn1q_u64(a, c));
    t[1] = vreinterpretq_u8_u64(vtrn1q_u64(b, d));
    t[2] = vreinterpretq_u8_u64(vtrn2q_u64(a, c));
    t[3] = vreinterpretq_u8_u64(vtrn2q_u64(b, d));
}

/* A half at `offset` of each row. */
static inline VF load_halves(const uint8_t *const rows[VF_LANES], size_t offset) {
    uint16_t h[VF_LANES];
#pragma GCC unroll 4
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&h[i], rows[i] + offset, sizeof(h[i]));
    return vf_load_half(h);
}

/* out[b]: the half at `offset` of each row, b blocks of 18, 22 or 34 bytes further on. */
static inline __attribute__((always_inline)) void load_halves8(
    const uint8_t *const rows[VF_LANES], size_t offset, const int block_bytes, VF out[8]) {
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++)
        out[b] = load_halves(rows, offset + (size_t)(b * block_bytes));
}

/* Four bytes at `offset` of each row. */
static inline VI load_words32(const uint8_t *const rows[VF_LANES], size_t offset) {
    uint32_t w[VF_LANES];
#pragma GCC unroll 4
    for (int i = 0; i < VF_LANES; i++)
        memcpy(&w[i], rows[i] + offset, sizeof(w[i]));
    return vreinterpretq_u8_u32(vld1q_u32(w));
}

/* out[b]: the byte at `offset` of each row, b blocks of 17 bytes further on. */
static inline void load_bytes8(const uint8_t *const rows[VF_LANES], size_t offset, VI out[8]) {
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++)
        out[b] = vi_and(load_words32(rows, offset + b * 17u), vi_set32(255));
}

/* --------------------------------------------------------------------------- bytes of one row, see row-unpack-tpl.h */

typedef uint8x16x2_t VB; /* 32 */

static inline VB vb_set64(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    return (VB){{vcombine_u8(vcreate_u8(a), vcreate_u8(b)), vcombine_u8(vcreate_u8(c), vcreate_u8(d))}};
}

static inline VB vb_set32(
    uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f, uint32_t g, uint32_t h) {
    return vb_set64(a | (uint64_t)b << 32, c | (uint64_t)d << 32, e | (uint64_t)f << 32, g | (uint64_t)h << 32);
}

static inline void vb_store(uint8_t *p, VB x) {
    vst1q_u8(p, x.val[0]);
    vst1q_u8(p + 16, x.val[1]);
}

/* 16 bytes, with the sign of byte i turned where bit i is set. */
static inline uint8x16_t negate16(uint8x16_t x, uint32_t where) {
    uint8x16_t bits = vcombine_u8(vdup_n_u8((uint8_t)where), vdup_n_u8((uint8_t)(where >> 8)));
    uint8x16_t mask = vtstq_u8(bits, vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)));
    return vsubq_u8(veorq_u8(x, mask), mask);
}

static inline VB vb_negate(VB x, uint32_t where) {
    return (VB){{negate16(x.val[0], where), negate16(x.val[1], where >> 16)}};
}

/* Of 16 bytes, how many thirds of 256 each holds. */
static inline uint8x16_t thirds16(uint8x16_t x) {
    uint8x16_t none = vcleq_u8(x, vdupq_n_u8(85)), one_at_most = vcleq_u8(x, vdupq_n_u8(170));
    return vaddq_u8(vaddq_u8(none, one_at_most), vdupq_n_u8(2));
}

/* How many thirds of 256 each byte holds: 0, 1 or 2. */
static inline VB vb_thirds(VB x) {
    return (VB){{thirds16(x.val[0]), thirds16(x.val[1])}};
}
