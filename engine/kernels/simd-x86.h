/* The primitives that simd-avx2.h and simd-avx512.h have in common, over 16 and 32 bytes. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Written out, since gcc takes a loop that only prefetches for one that does nothing. */
static inline void prefetch_line(const uint8_t *p) {
    __asm__ volatile("prefetcht0 (%0)" : : "r"(p));
}

/* The line at p + offset, which the instruction itself adds up: in strips, where every tenth instruction fetches, this
 * is up to a tenth faster. In tiles it was as much slower; for all the compiler knows the line is read. */
static inline __attribute__((always_inline)) void prefetch_line_at(const uint8_t *p, size_t offset) {
    __asm__ volatile("prefetcht0 %0" : : "m"(p[offset]));
}

static inline void prefetch_range(const uint8_t *p, size_t size) {
    for (size_t i = 0; i < size; i += 64)
        prefetch_line(p + i);
}

/* 16 bytes, read as the two vectors at most that may just have been stored there. */
static inline __m128i load16_i8(const int8_t *p) {
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadu_si64(p)), (const __m64 *)(p + 8)));
}

static inline int32_t sum16_i8(const int8_t *p) {
    __m128i sums = _mm_sad_epu8(_mm_xor_si128(load16_i8(p), _mm_set1_epi8((char)0x80)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}

/* The sums of every other pair of 16 bytes, times a factor in [-127, 0], as two words. */
static inline int32_t pair_sums16_i8(const int8_t *p, const int factor) {
    __m128i sums = _mm_maddubs_epi16(_mm_set1_epi8((char)-factor), load16_i8(p));
    sums = _mm_add_epi16(sums, _mm_shuffle_epi32(sums, 0x4E));
    sums = _mm_add_epi16(sums, _mm_shuffle_epi32(sums, 0xB1));
    return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), sums));
}

/* Four vectors of chunks of four lanes: lane i of chunk c of t[j] is lane j of chunk c of v[i]. */
static inline void transpose4(const __m256i v[4], __m256i t[4]) {
    __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    t[0] = _mm256_unpacklo_epi64(a, c);
    t[1] = _mm256_unpackhi_epi64(a, c);
    t[2] = _mm256_unpacklo_epi64(b, d);
    t[3] = _mm256_unpackhi_epi64(b, d);
}

/* --------------------------------------------------------- scales at the beginning of blocks of 17, 18 and 22 bytes */

/* Those of 8 blocks of one row, in a lane each: in lane k that of block 2k, in the lower word, and in lane 4 + k that
 * of block odd_block(k), in the upper word, or with 17 bytes from bit 8 on. They lie so that of few vectors each has
 * two where they belong. */
static inline __attribute__((always_inline)) __m256i row_scales(const uint8_t *p, const int block_bytes) {
    __m256i v[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        v[k] = _mm256_loadu_si256((const __m256i *)(p + k * (2 * block_bytes - 4)));
    if (block_bytes == 22) {
        __m256i last = _mm256_loadu_si256((const __m256i *)(p + 7 * 22 - 18));
        __m256i most = _mm256_blend_epi32(_mm256_blend_epi32(v[0], v[1], 0x42), v[2], 0x84);
        return _mm256_blend_epi32(_mm256_blend_epi32(most, v[3], 0x08), last, 0x10);
    }
    return _mm256_blend_epi32(_mm256_blend_epi32(_mm256_blend_epi32(v[0], v[1], 0x22), v[2], 0x44), v[3], 0x88);
}

static inline int odd_block(int k, const int block_bytes) {
    return block_bytes == 22 ? (2 * k + 7) % 8 : 2 * k + 1;
}

/* The scales at `offset` of 8 rows, and those of the 7 blocks that follow, as words: t[k] holds those of block 2k, in
 * the order of the rows, then those of block odd_block(k). With 17 bytes the upper byte of each is anything. */
static inline __attribute__((always_inline)) void load_scales8x8(
    const uint8_t *const rows[8], size_t offset, const int block_bytes, __m256i t[4]) {
    const int down = block_bytes == 17 ? 8 : 16;
    const __m256i low = _mm256_setr_epi32(0, 0, 0, 0, down, down, down, down);
    const __m256i high = _mm256_sub_epi32(_mm256_set1_epi32(16), low);
    __m256i pairs[4]; /* of rows, a word each of a lane */
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m256i a = row_scales(rows[2 * i] + offset, block_bytes);
        __m256i b = row_scales(rows[2 * i + 1] + offset, block_bytes);
        pairs[i] = _mm256_blend_epi16(_mm256_srlv_epi32(a, low), _mm256_sllv_epi32(b, high), 0xAA);
    }
    transpose4(pairs, t);
}

/* --------------------------------------------------------------------------- bytes of one row, see row-unpack-tpl.h */

typedef __m256i VB; /* 32 */

static inline VB vb_set64(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    return _mm256_setr_epi64x((int64_t)a, (int64_t)b, (int64_t)c, (int64_t)d);
}

static inline VB vb_set32(
    uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f, uint32_t g, uint32_t h) {
    return _mm256_setr_epi32((int)a, (int)b, (int)c, (int)d, (int)e, (int)f, (int)g, (int)h);
}

static inline void vb_store(uint8_t *p, VB x) {
    _mm256_storeu_si256((__m256i *)p, x);
}

/* How many thirds of 256 each byte holds: 0, 1 or 2. */
static inline VB vb_thirds(VB x) {
    VB none = _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(85)), x);
    VB one_at_most = _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8((char)170)), x);
    return _mm256_add_epi8(_mm256_add_epi8(none, one_at_most), _mm256_set1_epi8(2));
}
