/* Dequantisation of the formats with a codebook: the IQ family, whose points stand for 4 or 8 elements at once, and the
 * 4-bit ones with a table of 16 values; see dequantize.h. */
#include <stdbool.h>

#include "blocks.h"
#include "dequantize.h"
#include "iq-tables.h"

static const float iq2_levels[3] = {8, 25, 43};
static const float iq3_xxs_levels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const float iq3_s_levels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/* Seven stored signs and an eighth that makes their number even. */
static uint8_t even_signs(uint32_t seven) {
    seven &= 127;
    return (uint8_t)(seven | (uint32_t)__builtin_parity(seven) << 7);
}

static void point8(float *out, uint16_t point, uint8_t signs, float scale) {
    for (int j = 0; j < 8; j++) {
        float v = scale * iq2_levels[point >> 2 * j & 3];
        out[j] = signs >> j & 1 ? -v : v;
    }
}

static void point4(float *out, uint16_t point, const float levels[8], unsigned signs, float scale) {
    for (int j = 0; j < 4; j++) {
        float v = scale * levels[point >> 3 * j & 7];
        out[j] = signs >> j & 1 ? -v : v;
    }
}

void dequantize_iq2_xxs(const void *blocks, float *out, size_t n) {
    const BlockIQ2_XXS *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int g = 0; g < 8; g++) {
            uint32_t signs = b->groups[g].signs;
            float scale = d * (0.5f + (float)(signs >> 28)) * 0.25f;
            for (int i = 0; i < 4; i++, out += 8)
                point8(out, iq2_xxs_grid[b->groups[g].grid[i]], even_signs(signs >> 7 * i), scale);
        }
    }
}

void dequantize_iq2_xs(const void *blocks, float *out, size_t n) {
    const BlockIQ2_XS *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 32; i++, out += 8) {
            float scale = d * (0.5f + (float)(b->scales[i / 4] >> i % 4 / 2 * 4 & 15)) * 0.25f;
            point8(out, iq2_xs_grid[b->qs[i] & 511], even_signs(b->qs[i] >> 9), scale);
        }
    }
}

void dequantize_iq2_s(const void *blocks, float *out, size_t n) {
    const BlockIQ2_S *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 32; i++, out += 8) {
            float scale = d * (0.5f + (float)(b->scales[i / 4] >> i % 4 / 2 * 4 & 15)) * 0.25f;
            int point = b->qs[i] | (b->qh[i / 4] >> i % 4 * 2 & 3) << 8;
            point8(out, iq2_s_grid[point], b->signs[i], scale);
        }
    }
}

void dequantize_iq3_xxs(const void *blocks, float *out, size_t n) {
    const BlockIQ3_XXS *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int g = 0; g < 8; g++) {
            float scale = d * (0.5f + (float)(b->signs[g] >> 28)) * 0.5f;
            for (int i = 0; i < 8; i++, out += 4) {
                unsigned signs = even_signs(b->signs[g] >> 7 * (i / 2)) >> i % 2 * 4;
                point4(out, iq3_xxs_grid[b->qs[g * 8 + i]], iq3_xxs_levels, signs, scale);
            }
        }
    }
}

void dequantize_iq3_s(const void *blocks, float *out, size_t n) {
    const BlockIQ3_S *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 64; i++, out += 4) {
            int g = i / 8;
            float scale = d * (float)(1 + 2 * (b->scales[g / 2] >> g % 2 * 4 & 15));
            int point = b->qs[i] | (b->qh[g] >> i % 8 & 1) << 8;
            point4(out, iq3_s_grid[point], iq3_s_levels, b->signs[i / 2] >> i % 2 * 4, scale);
        }
    }
}

/* Eight ternary elements, all shifted a little to one side. */
static void point8_shifted(float *out, uint16_t point, bool negative, float scale) {
    float shift = negative ? -0.125f : 0.125f;
    for (int j = 0; j < 8; j++)
        out[j] = scale * ((float)((point >> 2 * j & 3) - 1) + shift);
}

void dequantize_iq1_s(const void *blocks, float *out, size_t n) {
    const BlockIQ1_S *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 32; i++, out += 8) {
            uint16_t qh = b->qh[i / 4];
            int point = b->qs[i] | (qh >> i % 4 * 3 & 7) << 8;
            point8_shifted(out, iq1_s_grid[point], qh & 0x8000, d * (float)(2 * (qh >> 12 & 7) + 1));
        }
    }
}

void dequantize_iq1_m(const void *blocks, float *out, size_t n) {
    const BlockIQ1_M *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        uint16_t half = 0;
        for (int i = 0; i < 4; i++)
            half |= (uint16_t)((b->scales[i] >> 12) << 4 * i);
        float d = half_to_float(half);
        for (int i = 0; i < 32; i++, out += 8) {
            int qh = b->qh[i / 2] >> i % 2 * 4, scale = b->scales[i / 8] >> i % 8 / 2 * 3 & 7;
            point8_shifted(out, iq1_s_grid[b->qs[i] | (qh & 7) << 8], qh & 8, d * (float)(2 * scale + 1));
        }
    }
}

void dequantize_iq4_nl(const void *blocks, float *out, size_t n) {
    const BlockIQ4_NL *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = half_to_float(b->d);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)iq4_values[b->qs[i] & 15];
            out[i + 16] = d * (float)iq4_values[b->qs[i] >> 4];
        }
    }
}

void dequantize_iq4_xs(const void *blocks, float *out, size_t n) {
    const BlockIQ4_XS *b = blocks;
    for (const float *end = out + n; out < end; b++) {
        float d = half_to_float(b->d);
        for (int g = 0; g < 8; g++, out += 32) {
            int scale = (b->scales_l[g / 2] >> g % 2 * 4 & 15) | (b->scales_h >> 2 * g & 3) << 4;
            float dl = d * (float)(scale - 32);
            for (int i = 0; i < 16; i++) {
                out[i] = dl * (float)iq4_values[b->qs[g * 16 + i] & 15];
                out[i + 16] = dl * (float)iq4_values[b->qs[g * 16 + i] >> 4];
            }
        }
    }
}

void dequantize_mxfp4(const void *blocks, float *out, size_t n) {
    const BlockMXFP4 *b = blocks;
    for (const float *end = out + n; out < end; out += 32, b++) {
        float d = mxfp4_scale(b->e);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)mxfp4_values[b->qs[i] & 15] * d;
            out[i + 16] = (float)mxfp4_values[b->qs[i] >> 4] * d;
        }
    }
}
