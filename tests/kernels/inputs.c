#include <math.h>
#include <string.h>

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

void fill_blocks(TensorType type, void *blocks, size_t n) {
    const QuantTraits *traits = quant_traits(type);
    float values[256];

    for (size_t i = 0; i < n; i += traits->block_size) {
        uint8_t *block = (uint8_t *)blocks + i / traits->block_size * traits->block_bytes;
        bool good;
        do {
            for (size_t j = 0; j < traits->block_bytes; j++)
                block[j] = (uint8_t)(random_bits() >> 32);
            traits->dequantize(block, values, traits->block_size);
            good = true;
            for (size_t j = 0; j < traits->block_size; j++)
                good = good && fabsf(values[j]) < 1e5f;
        } while (!good);
    }
}
