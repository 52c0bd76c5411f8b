/* Exact dequantisation of the common weight formats, the bits of dequantize.c. */
#pragma once

#include <string.h>

#include "blocks.h"
#include "simd-avx2.h"

/* out[0..16) = bytes * scale */
static inline void store_scaled16(float *out, __m128i bytes, VF scale) {
    vf_store(out, vf_mul(vf_from_i8(bytes), scale));
    vf_store(out + 8, vf_mul(vf_from_i8(_mm_srli_si128(bytes, 8)), scale));
}

/* out[0..16) = bytes * scale - min, rounded twice as the format is defined */
static inline void store_affine16(float *out, __m128i bytes, VF scale, VF min) {
    vf_store(out, vf_sub(vf_mul(vf_from_i8(bytes), scale), min));
    vf_store(out + 8, vf_sub(vf_mul(vf_from_i8(_mm_srli_si128(bytes, 8)), scale), min));
}

static inline __m128i low_nibbles(__m128i x) {
    return _mm_and_si128(x, _mm_set1_epi8(15));
}

static inline __m128i high_nibbles(__m128i x) {
    return _mm_and_si128(_mm_srli_epi16(x, 4), _mm_set1_epi8(15));
}

static void unpack_q8_0(const void *blocks, float *out, size_t n) {
    const BlockQ8_0 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        VF d = vf_set(half_to_float_hw(b->d));
        store_scaled16(out, _mm_loadu_si128((const __m128i *)b->qs), d);
        store_scaled16(out + 16, _mm_loadu_si128((const __m128i *)(b->qs + 16)), d);
    }
}

static void unpack_q4_0(const void *blocks, float *out, size_t n) {
    const BlockQ4_0 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        VF d = vf_set(half_to_float_hw(b->d));
        __m128i q = _mm_loadu_si128((const __m128i *)b->qs);
        store_scaled16(out, _mm_sub_epi8(low_nibbles(q), _mm_set1_epi8(8)), d);
        store_scaled16(out + 16, _mm_sub_epi8(high_nibbles(q), _mm_set1_epi8(8)), d);
    }
}

static void unpack_q4_k(const void *blocks, float *out, size_t n) {
    const BlockQ4_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        uint8_t scales[8], mins[8];
        k4_scales(b->scales, scales, mins);
        float d = half_to_float_hw(b->d), dmin = half_to_float_hw(b->dmin);
        for (int g = 0; g < 8; g += 2) {
            VF low = vf_set(d * (float)scales[g]), low_min = vf_set(dmin * (float)mins[g]);
            VF high = vf_set(d * (float)scales[g + 1]), high_min = vf_set(dmin * (float)mins[g + 1]);
            for (int i = 0; i < 32; i += 16) {
                __m128i q = _mm_loadu_si128((const __m128i *)(b->qs + g * 16 + i));
                store_affine16(out + g * 32 + i, low_nibbles(q), low, low_min);
                store_affine16(out + g * 32 + 32 + i, high_nibbles(q), high, high_min);
            }
        }
    }
}

static void unpack_q6_k(const void *blocks, float *out, size_t n) {
    const BlockQ6_K *b = blocks;
    const __m128i two_high_bits = _mm_set1_epi8(0x30), offset = _mm_set1_epi8(32);
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        float d = half_to_float_hw(b->d);
        for (int half = 0; half < 2; half++)
            for (int i = 0; i < 32; i += 16) {
                const int8_t *scales = b->scales + half * 8 + i / 16;
                float *o = out + half * 128 + i;
                __m128i a = _mm_loadu_si128((const __m128i *)(b->ql + half * 64 + i));
                __m128i c = _mm_loadu_si128((const __m128i *)(b->ql + half * 64 + 32 + i));
                __m128i h = _mm_loadu_si128((const __m128i *)(b->qh + half * 32 + i));
                __m128i q0 = _mm_or_si128(low_nibbles(a), _mm_and_si128(_mm_slli_epi16(h, 4), two_high_bits));
                __m128i q1 = _mm_or_si128(low_nibbles(c), _mm_and_si128(_mm_slli_epi16(h, 2), two_high_bits));
                __m128i q2 = _mm_or_si128(high_nibbles(a), _mm_and_si128(h, two_high_bits));
                __m128i q3 = _mm_or_si128(high_nibbles(c), _mm_and_si128(_mm_srli_epi16(h, 2), two_high_bits));
                store_scaled16(o, _mm_sub_epi8(q0, offset), vf_set(d * (float)scales[0]));
                store_scaled16(o + 32, _mm_sub_epi8(q1, offset), vf_set(d * (float)scales[2]));
                store_scaled16(o + 64, _mm_sub_epi8(q2, offset), vf_set(d * (float)scales[4]));
                store_scaled16(o + 96, _mm_sub_epi8(q3, offset), vf_set(d * (float)scales[6]));
            }
    }
}
