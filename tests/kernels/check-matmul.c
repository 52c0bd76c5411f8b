/* Dequantisation must be equal to the bit; products within the rounding of a float sum, and equal to the bit among
 * themselves however the call is cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define ROUNDING 1e-6 /* of the sum of magnitudes */

int check_dequantize(const Kernels *k, const Kernels *oracle) {
    int failures = 0;
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        if (!oracle->dequantize[type])
            continue;
        const QuantTraits *traits = quant_traits(type);
        for (size_t blocks = 1; blocks < 40; blocks++) {
            size_t n = blocks * traits->block_size;
            uint8_t *in = malloc(blocks * traits->block_bytes);
            float *want = malloc(n * sizeof(float)), *got = malloc(n * sizeof(float));
            fill_blocks(type, in, n);
            oracle->dequantize[type](in, want, n);
            k->dequantize[type](in, got, n);
            if (memcmp(want, got, n * sizeof(float)) != 0) {
                printf("%s: dequantize %s of %zu blocks differs\n", k->name, traits->name, blocks);
                failures++;
            }
            free(in);
            free(want);
            free(got);
        }
    }
    return failures;
}

static float *matrix(size_t n) {
    float *x = malloc(n * sizeof(float));
    fill_floats(x, n);
    return x;
}

/* The sum of magnitudes of one product, by which its rounding is measured. */
static double magnitude(const Matmul *m, size_t r, size_t o) {
    float *w = malloc(m->k * sizeof(float));
    double sum = 0;
    m->traits->dequantize(m->w + o * m->w_stride, w, m->k);
    for (size_t i = 0; i < m->k; i++)
        sum += fabs((double)w[i] * m->x[r * m->x_stride + i]);
    free(w);
    return sum;
}

static int compare(const char *what, const Kernels *k, const Matmul *m, const float *want) {
    for (size_t r = 0; r < m->n_rows; r++)
        for (size_t o = 0; o < m->n_out; o++) {
            double error = fabs((double)m->y[r * m->y_stride + o] - want[r * m->n_out + o]);
            if (error > ROUNDING * magnitude(m, r, o) + 1e-30) {
                printf("%s: matmul %s %s (%zu x %zu, %zu rows): output %zu of row %zu is off by %g\n", k->name,
                    m->traits->name, what, m->n_out, m->k, m->n_rows, o, r, error);
                return 1;
            }
        }
    return 0;
}

/* The same product one row and a few outputs at a time. */
static int check_cuts(const Kernels *k, TensorType type, const Matmul *m) {
    float *y = malloc(m->n_rows * m->n_out * sizeof(float));
    size_t step = 1 + random_bits() % 7;
    for (size_t r = 0; r < m->n_rows; r++)
        for (size_t o = 0; o < m->n_out; o += step) {
            Matmul part = *m;
            part.w += o * m->w_stride;
            part.x += r * m->x_stride;
            part.y = y + r * m->n_out + o;
            part.y_stride = m->n_out;
            part.n_rows = 1;
            part.n_out = MIN(step, m->n_out - o);
            k->matmul[type](&part);
        }
    int differs = 0;
    for (size_t r = 0; r < m->n_rows; r++)
        differs |= memcmp(y + r * m->n_out, m->y + r * m->y_stride, m->n_out * sizeof(float)) != 0;
    if (differs)
        printf("%s: matmul %s (%zu x %zu, %zu rows) depends on how it is cut\n", k->name, m->traits->name, m->n_out,
            m->k, m->n_rows);
    free(y);
    return differs;
}

static int check_shape(
    const Kernels *k, const Kernels *oracle, TensorType type, size_t n_out, size_t n_rows, size_t length) {
    const QuantTraits *traits = quant_traits(type);
    size_t row_bytes = length / traits->block_size * traits->block_bytes, gap = 3;
    uint8_t *w = malloc(n_out * row_bytes);
    float *x = matrix(n_rows * length), *want = malloc(n_out * n_rows * sizeof(float));
    float *y = matrix(n_rows * (n_out + gap)), *untouched = malloc(n_rows * (n_out + gap) * sizeof(float));
    memcpy(untouched, y, n_rows * (n_out + gap) * sizeof(float));
    fill_blocks(type, w, n_out * length);
    if (random_bits() % 4 == 0) /* extremes: one huge, the rest tiny */
        x[random_bits() % (n_rows * length)] = 1e6f;

    Matmul m = {.traits = traits,
        .w = w,
        .w_stride = row_bytes,
        .x = x,
        .x_stride = length,
        .y = want,
        .y_stride = n_out,
        .n_out = n_out,
        .n_rows = n_rows,
        .k = length};
    oracle->matmul[type](&m);
    m.y = y;
    m.y_stride = n_out + gap;
    k->matmul[type](&m);

    int failures = compare("", k, &m, want) + check_cuts(k, type, &m);
    for (size_t r = 0; r < n_rows; r++)
        if (memcmp(y + r * (n_out + gap) + n_out, untouched + r * (n_out + gap) + n_out, gap * sizeof(float)) != 0) {
            printf("%s: matmul %s writes beyond its outputs\n", k->name, traits->name);
            failures++;
        }
    free(w);
    free(x);
    free(want);
    free(y);
    free(untouched);
    return failures;
}

int check_matmul(const Kernels *k, const Kernels *oracle) {
    static const size_t outs[] = {1, 3, 4, 8, 13}, rows[] = {1, 2, 3, 7, 16}, lengths[] = {1, 8, 172, 512, 1537};
    int failures = 0;
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        if (!oracle->matmul[type])
            continue;
        size_t block = quant_traits(type)->block_size;
        for (size_t i = 0; i < ELEMENTSOF(lengths); i++)
            for (size_t j = 0; j < ELEMENTSOF(outs); j++)
                for (size_t l = 0; l < ELEMENTSOF(rows); l++) {
                    size_t length = (lengths[i] + block - 1) / block * block;
                    failures += check_shape(k, oracle, type, outs[j], rows[l], length);
                }
    }
    return failures;
}
