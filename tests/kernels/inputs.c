#include <math.h>

#include "checks.h"

static uint64_t state = 0x9E3779B97F4A7C15u;

uint64_t random_bits(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}

float random_float(void) {
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)(random_bits() >> 40) * 0x1p-24f - 0.5f;
    return sum * 1.7320508f;
}

void fill_floats(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
}

static bool finite_block(const QuantTraits *traits, const uint8_t *block) {
    float values[256];
    bool good = true;
    traits->dequantize(block, values, traits->block_size);
    for (size_t i = 0; i < traits->block_size; i++)
        good = good && fabsf(values[i]) < 1e5f;
    return good;
}

void fill_blocks(TensorType type, void *blocks, size_t n) {
    const QuantTraits *traits = quant_traits(type);
    for (size_t i = 0; i < n / traits->block_size; i++) {
        uint8_t *block = (uint8_t *)blocks + i * traits->block_bytes;
        do
            for (size_t j = 0; j < traits->block_bytes; j++)
                block[j] = (uint8_t)(random_bits() >> 32);
        while (!finite_block(traits, block));
    }
}

void flatten_blocks(TensorType type, void *blocks, size_t n, uint8_t pattern) {
    const QuantTraits *traits = quant_traits(type);
    for (size_t i = 0; i < n / traits->block_size; i++) {
        uint8_t *block = (uint8_t *)blocks + i * traits->block_bytes;
        for (size_t j = 0; j < traits->block_bytes; j++) {
            uint8_t before = block[j];
            block[j] = pattern;
            if (!finite_block(traits, block))
                block[j] = before;
        }
    }
}
