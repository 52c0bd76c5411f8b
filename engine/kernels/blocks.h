/* The blocks of each weight format as they lie in a file, and the few conversions that every kernel shares.
 *
 * Packed, because a tensor starts wherever the file's alignment puts it. Little endian, as GGUF and every machine we
 * build for. Layouts: ggml's published formats. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#define SUPER_BLOCK 256 /* elements of a block of the K, IQ and TQ formats */

typedef struct __attribute__((packed)) BlockQ4_0 {
    uint16_t d;     /* half; x = d * (q - 8) */
    uint8_t qs[16]; /* low nibbles: elements 0..15, high: 16..31 */
} BlockQ4_0;

typedef struct __attribute__((packed)) BlockQ4_1 {
    uint16_t d, m; /* x = d * q + m */
    uint8_t qs[16];
} BlockQ4_1;

typedef struct __attribute__((packed)) BlockQ5_0 {
    uint16_t d;  /* x = d * (q - 16) */
    uint32_t qh; /* bit i: the fifth bit of element i */
    uint8_t qs[16];
} BlockQ5_0;

typedef struct __attribute__((packed)) BlockQ5_1 {
    uint16_t d, m; /* x = d * q + m */
    uint32_t qh;
    uint8_t qs[16];
} BlockQ5_1;

typedef struct __attribute__((packed)) BlockQ8_0 {
    uint16_t d;
    int8_t qs[32];
} BlockQ8_0;

typedef struct __attribute__((packed)) BlockQ2_K {
    uint8_t scales[16]; /* of 16 elements each: low nibble scale, high nibble minimum */
    uint8_t qs[64];     /* per 128 elements 32 bytes; bits 2i, 2i+1 of byte b: element 32 * i + b */
    uint16_t d, dmin;   /* x = d * scale * q - dmin * min */
} BlockQ2_K;

typedef struct __attribute__((packed)) BlockQ3_K {
    uint8_t hmask[32];  /* bit i of byte b: third bit of element 32 * i + b */
    uint8_t qs[64];     /* as in Q2_K */
    uint8_t scales[12]; /* 16 scales of 6 bits, see q3_k_scales() */
    uint16_t d;         /* x = d * (scale - 32) * (q - 4) */
} BlockQ3_K;

typedef struct __attribute__((packed)) BlockQ4_K {
    uint16_t d, dmin;   /* x = d * scale * q - dmin * min */
    uint8_t scales[12]; /* 8 scales and 8 minima of 6 bits, see k4_scales() */
    uint8_t qs[128];    /* per 64 elements 32 bytes: low nibbles first 32, high nibbles next 32 */
} BlockQ4_K;

typedef struct __attribute__((packed)) BlockQ5_K {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32]; /* bit i of byte b: fifth bit of element 32 * i + b */
    uint8_t qs[128];
} BlockQ5_K;

typedef struct __attribute__((packed)) BlockQ6_K {
    uint8_t ql[128]; /* per 128 elements 64 bytes: low nibbles elements 0..63, high nibbles 64..127 */
    uint8_t qh[64];  /* per 128 elements 32 bytes; bits 2i, 2i+1 of byte b: element 32 * i + b */
    int8_t scales[16];
    uint16_t d; /* x = d * scale * (q - 32) */
} BlockQ6_K;

typedef struct __attribute__((packed)) BlockTQ1_0 {
    uint8_t qs[48]; /* five ternary digits a byte */
    uint8_t qh[4];  /* four */
    uint16_t d;
} BlockTQ1_0;

typedef struct __attribute__((packed)) BlockTQ2_0 {
    uint8_t qs[64]; /* as in Q2_K; x = d * (q - 1) */
    uint16_t d;
} BlockTQ2_0;

typedef struct __attribute__((packed)) BlockIQ2_XXS {
    uint16_t d;
    struct __attribute__((packed)) {
        uint8_t grid[4];
        uint32_t signs; /* 4 x 7 bits, then a scale of 4 */
    } groups[8];        /* of 32 elements */
} BlockIQ2_XXS;

typedef struct __attribute__((packed)) BlockIQ2_XS {
    uint16_t d;
    uint16_t qs[32];   /* of 8 elements: 9 bits grid, 7 bits signs */
    uint8_t scales[8]; /* a nibble for 16 elements */
} BlockIQ2_XS;

typedef struct __attribute__((packed)) BlockIQ2_S {
    uint16_t d;
    uint8_t qs[32]; /* low 8 bits of the grid index of 8 elements */
    uint8_t signs[32];
    uint8_t qh[8]; /* high 2 bits of 4 of them */
    uint8_t scales[8];
} BlockIQ2_S;

typedef struct __attribute__((packed)) BlockIQ3_XXS {
    uint16_t d;
    uint8_t qs[64];    /* grid index of 4 elements */
    uint32_t signs[8]; /* as in IQ2_XXS */
} BlockIQ3_XXS;

typedef struct __attribute__((packed)) BlockIQ3_S {
    uint16_t d;
    uint8_t qs[64];
    uint8_t qh[8]; /* bit i: ninth bit of grid index i of 32 elements */
    uint8_t signs[32];
    uint8_t scales[4]; /* a nibble for 32 elements */
} BlockIQ3_S;

typedef struct __attribute__((packed)) BlockIQ1_S {
    uint16_t d;
    uint8_t qs[32];
    uint16_t qh[8]; /* of 32 elements: 4 x 3 high bits of the grid index, 3 bits scale, sign of the shift */
} BlockIQ1_S;

typedef struct __attribute__((packed)) BlockIQ1_M {
    uint8_t qs[32];
    uint8_t qh[16];     /* a nibble for 8 elements: 3 high bits of the grid index, sign of the shift */
    uint16_t scales[4]; /* 4 x 3 bits for 16 elements each; the top nibbles together are the half d */
} BlockIQ1_M;

typedef struct __attribute__((packed)) BlockIQ4_NL {
    uint16_t d;
    uint8_t qs[16];
} BlockIQ4_NL;

typedef struct __attribute__((packed)) BlockIQ4_XS {
    uint16_t d;
    uint16_t scales_h; /* high 2 bits of 8 scales */
    uint8_t scales_l[4];
    uint8_t qs[128]; /* per 32 elements 16 bytes */
} BlockIQ4_XS;

typedef struct __attribute__((packed)) BlockMXFP4 {
    uint8_t e; /* power of two, biased by 127 */
    uint8_t qs[16];
} BlockMXFP4;

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/* E2M1, doubled */
static const int8_t mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
#define MXFP4_OFFSET 12 /* which makes none of them negative */

static inline float float_from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t float_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

/* Exact, subnormals included: the mantissa is placed as it is and the exponent's bias corrected by a multiplication. */
static inline float half_to_float(uint16_t h) {
    uint32_t magnitude = h & 0x7FFFu;
    float f = magnitude >= 0x7C00u ? float_from_bits(0x7F800000u | (magnitude & 0x3FFu) << 13)
                                   : float_from_bits(magnitude << 13) * 0x1p112f;
    return h & 0x8000u ? -f : f;
}

/* Rounds to nearest, ties to even; overflow becomes infinity. */
static inline uint16_t float_to_half(float f) {
    uint32_t bits = float_bits(f);
    uint16_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return sign | 0x7E00u;
    if (magnitude >= 0x477FF000u)
        return sign | 0x7C00u;
    if (magnitude < 0x38800000u) {
        /* subnormal: adding 0.5 leaves the rounded result in the low mantissa bits */
        return sign | (uint16_t)(float_bits(float_from_bits(magnitude) + 0.5f) - 0x3F000000u);
    }
    return sign | (uint16_t)((magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13);
}

static inline float bfloat_to_float(uint16_t b) {
    return float_from_bits((uint32_t)b << 16);
}

/* 2^(e-128): MXFP4's values are kept doubled, as integers. */
static inline float mxfp4_scale(uint8_t e) {
    return float_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* The eight 6-bit scales and minima of Q4_K and Q5_K: four of each lie in the low six bits of bytes 0..7, the other
 * four are split between the nibbles of bytes 8..11 and the spare high bits of 0..7. */
static inline void k4_scales(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]) {
    for (int i = 0; i < 4; i++) {
        scales[i] = packed[i] & 63;
        mins[i] = packed[i + 4] & 63;
        scales[i + 4] = (packed[i + 8] & 15) | (packed[i] >> 6) << 4;
        mins[i + 4] = packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4;
    }
}

/* The sixteen scales of Q3_K: nibbles of bytes 0..7, and two high bits each in bytes 8..11. */
static inline void q3_k_scales(const uint8_t packed[12], int8_t scales[16]) {
    for (int i = 0; i < 16; i++) {
        int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
        int high = packed[8 + i % 4] >> 2 * (i / 4) & 3;
        scales[i] = (int8_t)((low | high << 4) - 32);
    }
}
