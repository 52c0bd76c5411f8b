/* Dequantisation of the formats that need no codebook; see dequantize.h. */
#include "blocks.h"
#include "dequantize.h"

void dequantize_f32(const void *blocks, float *out, size_t n) {
    memcpy(out, blocks, n * sizeof(float));
}

void dequantize_f16(const void *blocks, float *out, size_t n) {
    const uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof(h));
        out[i] = half_to_float(h);
    }
}

void dequantize_bf16(const void *blocks, float *out, size_t n) {
    const uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++) {
        uint16_t b;
        memcpy(&b, p + 2 * i, sizeof(b));
        out[i] = bfloat_to_float(b);
    }
}

void dequantize_q4_0(const void *blocks, float *out, size_t n) {
    const BlockQ4_0 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((b->qs[i] & 15) - 8) * d;
            out[i + 16] = (float)((b->qs[i] >> 4) - 8) * d;
        }
    }
}

void dequantize_q4_1(const void *blocks, float *out, size_t n) {
    const BlockQ4_1 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d), m = half_to_float(b->m);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)(b->qs[i] & 15) * d + m;
            out[i + 16] = (float)(b->qs[i] >> 4) * d + m;
        }
    }
}

void dequantize_q5_0(const void *blocks, float *out, size_t n) {
    const BlockQ5_0 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 16; i++) {
            int low = (b->qs[i] & 15) | (int)(b->qh >> i & 1) << 4;
            int high = b->qs[i] >> 4 | (int)(b->qh >> (i + 16) & 1) << 4;
            out[i] = (float)(low - 16) * d;
            out[i + 16] = (float)(high - 16) * d;
        }
    }
}

void dequantize_q5_1(const void *blocks, float *out, size_t n) {
    const BlockQ5_1 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d), m = half_to_float(b->m);
        for (int i = 0; i < 16; i++) {
            int low = (b->qs[i] & 15) | (int)(b->qh >> i & 1) << 4;
            int high = b->qs[i] >> 4 | (int)(b->qh >> (i + 16) & 1) << 4;
            out[i] = (float)low * d + m;
            out[i + 16] = (float)high * d + m;
        }
    }
}

void dequantize_q8_0(const void *blocks, float *out, size_t n) {
    const BlockQ8_0 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 32; i++)
            out[i] = (float)b->qs[i] * d;
    }
}

/* Element i of a super-block whose quants lie as two-bit fields: 128 elements in 32 bytes. */
static int two_bits(const uint8_t qs[64], int i) {
    return qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
}

void dequantize_q2_k(const void *blocks, float *out, size_t n) {
    const BlockQ2_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        float d = half_to_float(b->d), dmin = half_to_float(b->dmin);
        for (int i = 0; i < SUPER_BLOCK; i++) {
            float scale = d * (float)(b->scales[i / 16] & 15), min = dmin * (float)(b->scales[i / 16] >> 4);
            out[i] = scale * (float)two_bits(b->qs, i) - min;
        }
    }
}

void dequantize_q3_k(const void *blocks, float *out, size_t n) {
    const BlockQ3_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        int8_t scales[16];
        q3_k_scales(b->scales, scales);
        float d = half_to_float(b->d);
        for (int i = 0; i < SUPER_BLOCK; i++) {
            int q = two_bits(b->qs, i) | (b->hmask[i % 32] >> i / 32 & 1) << 2;
            out[i] = d * (float)scales[i / 16] * (float)(q - 4);
        }
    }
}

void dequantize_q4_k(const void *blocks, float *out, size_t n) {
    const BlockQ4_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        uint8_t scales[8], mins[8];
        k4_scales(b->scales, scales, mins);
        float d = half_to_float(b->d), dmin = half_to_float(b->dmin);
        for (int g = 0; g < 8; g++) {
            float scale = d * (float)scales[g], min = dmin * (float)mins[g];
            const uint8_t *qs = b->qs + g / 2 * 32;
            for (int i = 0; i < 32; i++)
                out[g * 32 + i] = scale * (float)(qs[i] >> g % 2 * 4 & 15) - min;
        }
    }
}

void dequantize_q5_k(const void *blocks, float *out, size_t n) {
    const BlockQ5_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        uint8_t scales[8], mins[8];
        k4_scales(b->scales, scales, mins);
        float d = half_to_float(b->d), dmin = half_to_float(b->dmin);
        for (int g = 0; g < 8; g++) {
            float scale = d * (float)scales[g], min = dmin * (float)mins[g];
            const uint8_t *qs = b->qs + g / 2 * 32;
            for (int i = 0; i < 32; i++) {
                int q = (qs[i] >> g % 2 * 4 & 15) | (b->qh[i] >> g & 1) << 4;
                out[g * 32 + i] = scale * (float)q - min;
            }
        }
    }
}

void dequantize_q6_k(const void *blocks, float *out, size_t n) {
    const BlockQ6_K *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < SUPER_BLOCK; i++) {
            int low = b->ql[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
            int q = low | two_bits(b->qh, i) << 4;
            out[i] = d * (float)b->scales[i / 16] * (float)(q - 32);
        }
    }
}

/* Ternary digit i (most significant first) of a byte that holds q * 256 / 3^digits, rounded up. */
static int ternary_digit(uint8_t byte, int i) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    uint8_t rest = (uint8_t)(byte * power[i]);
    return rest * 3 >> 8;
}

void dequantize_tq1_0(const void *blocks, float *out, size_t n) {
    const BlockTQ1_0 *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 160; i++)
            out[i] = (float)(ternary_digit(b->qs[i % 32], i / 32) - 1) * d;
        for (int i = 0; i < 80; i++)
            out[160 + i] = (float)(ternary_digit(b->qs[32 + i % 16], i / 16) - 1) * d;
        for (int i = 0; i < 16; i++)
            out[240 + i] = (float)(ternary_digit(b->qh[i % 4], i / 4) - 1) * d;
    }
}

void dequantize_tq2_0(const void *blocks, float *out, size_t n) {
    const BlockTQ2_0 *b = blocks;
    for (const float *end = out + n; out < end; out += SUPER_BLOCK, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < SUPER_BLOCK; i++)
            out[i] = (float)(two_bits(b->qs, i) - 1) * d;
    }
}
