#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/blocks.h"
#include "kernels/quants.h"

static void test_knows_every_format_of_a_file(void **state) {
    static const struct {
        uint32_t type;
        const char *name;
        uint32_t block_size, block_bytes;
    } want[] = {
        {0, "F32", 1, 4},
        {1, "F16", 1, 2},
        {2, "Q4_0", 32, 18},
        {3, "Q4_1", 32, 20},
        {6, "Q5_0", 32, 22},
        {7, "Q5_1", 32, 24},
        {8, "Q8_0", 32, 34},
        {10, "Q2_K", 256, 84},
        {11, "Q3_K", 256, 110},
        {12, "Q4_K", 256, 144},
        {13, "Q5_K", 256, 176},
        {14, "Q6_K", 256, 210},
        {16, "IQ2_XXS", 256, 66},
        {17, "IQ2_XS", 256, 74},
        {18, "IQ3_XXS", 256, 98},
        {19, "IQ1_S", 256, 50},
        {20, "IQ4_NL", 32, 18},
        {21, "IQ3_S", 256, 110},
        {22, "IQ2_S", 256, 82},
        {23, "IQ4_XS", 256, 136},
        {29, "IQ1_M", 256, 56},
        {30, "BF16", 1, 2},
        {34, "TQ1_0", 256, 54},
        {35, "TQ2_0", 256, 66},
        {39, "MXFP4", 32, 17},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        const QuantTraits *t = quant_traits(want[i].type);
        assert_non_null(t);
        assert_string_equal(t->name, want[i].name);
        assert_int_equal(t->block_size, want[i].block_size);
        assert_int_equal(t->block_bytes, want[i].block_bytes);
    }
    assert_null(quant_traits(4)); /* retired formats leave holes */
    assert_null(quant_traits(TENSOR_TYPE_COUNT));
    assert_null(quant_traits(UINT32_MAX));
}

/* To the nearest of 255 steps, and the greatest magnitude exactly at the end of the scale. */
static void test_rounds_to_bytes(void **state) {
    float x[96], back[96];
    BlockQ8_0 blocks[3];
    for (int i = 0; i < 96; i++)
        x[i] = i < 32 ? sinf((float)i) * 3 : i < 64 ? 0 : (float)(i - 80) * 1e-3f;
    quantize_q8_0(x, blocks, 96);
    quant_traits(TENSOR_Q8_0)->dequantize(blocks, back, 96);
    for (int b = 0; b < 3; b++) {
        int greatest = 0;
        float step = half_to_float(blocks[b].d);
        for (int i = 0; i < 32; i++) {
            greatest = abs(blocks[b].qs[i]) > greatest ? abs(blocks[b].qs[i]) : greatest;
            assert_true(fabsf(back[32 * b + i] - x[32 * b + i]) <= 0.56f * step); /* half a step, and d is a half */
        }
        assert_int_equal(greatest, b == 1 ? 0 : 127);
    }
}

/* Every half survives the way to float and back, but that NaNs become quiet. */
static void test_halves(void **state) {
    assert_true(half_to_float(0x3C00) == 1.0f);
    assert_true(half_to_float(0xC000) == -2.0f);
    assert_true(half_to_float(0x0001) == 0x1p-24f);
    assert_true(half_to_float(0x7BFF) == 65504.0f);
    assert_true(isinf(half_to_float(0x7C00)));
    assert_true(signbit(half_to_float(0x8000)));
    for (uint32_t h = 0; h <= 0xFFFF; h++) {
        float f = half_to_float((uint16_t)h);
        if (isnan(f))
            assert_int_equal(float_to_half(f) & 0x7E00, 0x7E00);
        else
            assert_int_equal(float_to_half(f), h);
    }
    assert_int_equal(float_to_half(1.0f + 0x1p-11f), 0x3C00); /* ties go to even */
    assert_int_equal(float_to_half(1.0f + 3 * 0x1p-11f), 0x3C02);
    assert_int_equal(float_to_half(65519.0f), 0x7BFF);
    assert_int_equal(float_to_half(65520.0f), 0x7C00);
    assert_int_equal(float_to_half(0x1p-25f), 0);
    assert_int_equal(float_to_half(0x1.8p-25f), 1);
}

static void test_q4_0(void **state) {
    BlockQ4_0 b = {.d = 0x3800}; /* 0.5 */
    b.qs[0] = 0xF0;
    b.qs[15] = 0x9A;
    float out[32];
    quant_traits(TENSOR_Q4_0)->dequantize(&b, out, 32);
    assert_true(out[0] == -4.0f && out[16] == 3.5f);
    assert_true(out[15] == 1.0f && out[31] == 0.5f);
    assert_true(out[1] == -4.0f);
}

static void test_q8_0(void **state) {
    BlockQ8_0 b = {.d = 0x4000, .qs = {-128, 127, 1}};
    float out[32];
    quant_traits(TENSOR_Q8_0)->dequantize(&b, out, 32);
    assert_true(out[0] == -256.0f && out[1] == 254.0f && out[2] == 2.0f && out[31] == 0.0f);
}

static void test_q4_k(void **state) {
    BlockQ4_K b = {.d = 0x3C00, .dmin = 0x4000};
    b.scales[0] = 63;        /* scale of group 0, and no high bits for group 4 */
    b.scales[4] = 5;         /* minimum of group 0 */
    b.scales[1] = 0xC0;      /* the high bits of group 5's scale */
    b.scales[5] = 0x40;      /* and of its minimum */
    b.scales[9] = 0x21;      /* low nibbles of both */
    b.qs[0] = 0x07;          /* element 0 is 7 */
    b.qs[2 * 32 + 3] = 0xF0; /* element 3 of group 5 is 15 */
    float out[256];
    quant_traits(TENSOR_Q4_K)->dequantize(&b, out, 256);
    assert_true(out[0] == 63.0f * 7 - 2 * 5);
    assert_true(out[1] == -10.0f);
    assert_true(out[5 * 32 + 3] == (48.0f + 1) * 15 - 2 * (16 + 2));
    assert_true(out[32] == 0.0f);
}

static void test_q6_k(void **state) {
    BlockQ6_K b = {.d = 0x3C00};
    b.scales[0] = -3;
    b.scales[15] = 2;
    b.ql[0] = 0x05;          /* element 0: low nibble */
    b.qh[0] = 0x03;          /* and its high bits: 0x35 */
    b.ql[64 + 63] = 0xE0;    /* element 255 */
    b.qh[32 + 31] = 2u << 6; /* 0x2E */
    float out[256];
    quant_traits(TENSOR_Q6_K)->dequantize(&b, out, 256);
    assert_true(out[0] == -3.0f * (0x35 - 32));
    assert_true(out[255] == 2.0f * (0x2E - 32));
    assert_true(out[1] == -3.0f * -32);
}

/* Pseudo-random blocks of every format; the sums were taken where the values equalled those of the formats' reference
 * implementation to the bit. */
static void test_every_format_to_the_bit(void **state) {
    static const struct {
        uint32_t type;
        uint32_t sum;
    } want[] = {
        {TENSOR_F32, 0x6A24154F},
        {TENSOR_F16, 0xD3DFB865},
        {TENSOR_Q4_0, 0x5DBDD9C5},
        {TENSOR_Q4_1, 0x613CDF06},
        {TENSOR_Q5_0, 0x9CF047C5},
        {TENSOR_Q5_1, 0x9AB36B66},
        {TENSOR_Q8_0, 0x1DBE6045},
        {TENSOR_Q2_K, 0x0F8FFA43},
        {TENSOR_Q3_K, 0xE5069DC5},
        {TENSOR_Q4_K, 0xB99C7277},
        {TENSOR_Q5_K, 0x62E45D61},
        {TENSOR_Q6_K, 0x5B1D6B4B},
        {TENSOR_IQ2_XXS, 0x8F258C75},
        {TENSOR_IQ2_XS, 0xB29EEDF1},
        {TENSOR_IQ3_XXS, 0xC2E43E7D},
        {TENSOR_IQ1_S, 0x108D4C05},
        {TENSOR_IQ4_NL, 0xC39A3985},
        {TENSOR_IQ3_S, 0x05239215},
        {TENSOR_IQ2_S, 0x029756ED},
        {TENSOR_IQ4_XS, 0x6E3FA095},
        {TENSOR_IQ1_M, 0xCCE98C05},
        {TENSOR_BF16, 0xA194B865},
        {TENSOR_TQ1_0, 0xB0A33DC5},
        {TENSOR_TQ2_0, 0x8878DDC5},
        {TENSOR_MXFP4, 0x4A1EB1C5},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        const QuantTraits *t = quant_traits(want[i].type);
        uint32_t random = 1, sum = 2166136261u; /* FNV-1a */
        for (int block = 0; block < 200; block++) {
            uint8_t bytes[256];
            float values[256];
            for (size_t j = 0; j < sizeof(bytes); j++)
                bytes[j] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
            t->dequantize(bytes, values, t->block_size);
            for (size_t j = 0; j < t->block_size; j++)
                sum = (sum ^ (isfinite(values[j]) ? float_bits(values[j]) : 0)) * 16777619u;
        }
        if (sum != want[i].sum)
            fail_msg("{%u, 0x%08X}, /* %s */", want[i].type, sum, t->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knows_every_format_of_a_file),
        cmocka_unit_test(test_rounds_to_bytes),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_q4_0),
        cmocka_unit_test(test_q8_0),
        cmocka_unit_test(test_q4_k),
        cmocka_unit_test(test_q6_k),
        cmocka_unit_test(test_every_format_to_the_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
