/* Scores and weighted sums over cached rows against the scalar tier, and many queries at once against each alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "kernels/key-columns.h"

#define STRIDE 5 /* that rows lie further apart than they are wide */

static const TensorType types[] = {TENSOR_F32, TENSOR_F16, TENSOR_Q8_0};

/* Floats of the size of keys, in a type that is cached. */
static void fill_cached(TensorType type, uint8_t *row, size_t n) {
    float x[576];
    fill_floats(x, n);
    if (type == TENSOR_Q8_0)
        quantize_q8_0(x, row, n);
    else if (type == TENSOR_F32)
        memcpy(row, x, n * sizeof(*x));
    else
        for (size_t i = 0; i < n; i++)
            memcpy(row + i * sizeof(uint16_t), &(uint16_t){float_to_half(x[i])}, sizeof(uint16_t));
}

static int compare(const char *tier, const char *what, const float *want, const float *got, const float *alone,
    size_t n_rows, size_t width, size_t stride, double tolerance) {
    for (size_t i = 0; i < n_rows * stride; i++) {
        bool beyond = i % stride >= width;
        if (!(fabsf(want[i] - got[i]) <= (beyond ? 0 : tolerance)) || (!beyond && got[i] != alone[i])) {
            printf("%s: %s: row %zu of %zu, element %zu of %zu is %.9g, not %.9g, and %.9g alone\n", tier, what,
                i / stride, n_rows, i % stride, width, (double)got[i], (double)want[i], (double)alone[i]);
            return 1;
        }
    }
    return 0;
}

/* The oracle takes the keys as rows, which the columns were made of. */
static int check_key_scores(const Kernels *k, const Kernels *oracle, TensorType type, size_t n_rows, size_t width) {
    const size_t row_bytes = quant_bytes(type, width), stride = KEY_COLUMNS + STRIDE, n = n_rows * stride;
    uint8_t *rows = malloc(KEY_COLUMNS * row_bytes), *keys = malloc(KEY_COLUMNS * row_bytes);
    float *q = malloc(n_rows * width * sizeof(float)), *results = calloc(4 * n, sizeof(float));
    float *want = results, *got = want + n, *alone = got + n, *columns = alone + n;

    fill_floats(q, n_rows * width);
    memset(keys, 0xFF, KEY_COLUMNS * row_bytes); /* NaN where nothing is put */
    for (size_t j = 0; j < KEY_COLUMNS; j++) {
        uint8_t *row = rows + j * row_bytes;
        fill_cached(type, row, width);
        for (size_t i = 0; i < width; i += KEY_PART)
            key_put(type, keys, i, MIN(width - i, (size_t)KEY_PART), j, row + quant_bytes(type, i));
    }
    oracle->matmul[type](&(Matmul){.traits = quant_traits(type),
        .w = rows,
        .w_stride = row_bytes,
        .x = (const uint8_t *)q,
        .x_stride = width * sizeof(float),
        .y = want,
        .y_stride = stride,
        .n_out = KEY_COLUMNS,
        .n_rows = n_rows,
        .k = width});

    KeyScores s = {.type = type,
        .keys = keys,
        .q = q,
        .q_stride = width,
        .scores = columns,
        .scores_stride = stride,
        .n_rows = n_rows,
        .width = width};
    oracle->key_scores[type](&s);
    s.scores = got;
    s.ahead = keys;
    k->key_scores[type](&s);
    s.n_rows = 1;
    for (size_t r = 0; r < n_rows; r++) {
        s.q = q + r * width;
        s.scores = alone + r * stride;
        s.ahead = NULL;
        k->key_scores[type](&s);
    }

    double tolerance = 2e-6 * sqrt((double)width) * 8;
    int failures = compare("scalar", "key_scores", want, columns, columns, n_rows, KEY_COLUMNS, stride, 1e-6) +
                   compare(k->name, "key_scores", want, got, alone, n_rows, KEY_COLUMNS, stride, tolerance);
    free(rows);
    free(keys);
    free(q);
    free(results);
    return failures;
}

static int check_weighted_sum(
    const Kernels *k, const Kernels *oracle, TensorType type, size_t n_rows, size_t n, size_t width, bool rescaled) {
    const size_t stride = width + STRIDE, p_stride = n + STRIDE, v_stride = quant_bytes(type, width);
    float *p = malloc(n_rows * p_stride * sizeof(float)), *rescale = malloc(n_rows * sizeof(float));
    float *want = malloc(3 * n_rows * stride * sizeof(float)), *got = want + n_rows * stride;
    float *alone = got + n_rows * stride;
    uint8_t *v = malloc(n * v_stride);
    fill_floats(p, n_rows * p_stride);
    fill_floats(rescale, n_rows);
    fill_floats(want, n_rows * stride);
    for (size_t j = 0; j < n; j++)
        fill_cached(type, v + j * v_stride, width);
    memcpy(got, want, n_rows * stride * sizeof(float));
    memcpy(alone, want, n_rows * stride * sizeof(float));

    WeightedSum s = {.type = type,
        .acc = want,
        .acc_stride = stride,
        .rescale = rescaled ? rescale : NULL,
        .p = p,
        .p_stride = p_stride,
        .v = v,
        .v_stride = v_stride,
        .n_rows = n_rows,
        .n = n,
        .width = width};
    oracle->weighted_sum[type](&s);
    s.acc = got;
    s.ahead = v;
    k->weighted_sum[type](&s);
    s.n_rows = 1;
    for (size_t r = 0; r < n_rows; r++) {
        s.acc = alone + r * stride;
        s.rescale = rescaled ? rescale + r : NULL;
        s.p = p + r * p_stride;
        s.ahead = NULL;
        k->weighted_sum[type](&s);
    }

    int failures = compare(k->name, "weighted_sum", want, got, alone, n_rows, width, stride, 1e-5);
    free(p);
    free(rescale);
    free(want);
    free(v);
    return failures;
}

int check_attention(const Kernels *k, const Kernels *oracle, bool quick) {
    static const size_t widths[] = {2, 8, 12, 16, 24, 32, 64, 70, 96, 128, 512};
    int failures = 0;
    for (size_t t = 0; t < ELEMENTSOF(types); t++)
        for (size_t i = 0; i < ELEMENTSOF(widths); i++)
            for (size_t rows = 1; rows < 20; rows += quick ? 6 : 1) {
                if (widths[i] % quant_traits(types[t])->block_size != 0)
                    continue;
                failures += check_key_scores(k, oracle, types[t], rows, widths[i]);
                for (size_t n = 1; n <= 32; n += quick ? 31 : 10)
                    failures += check_weighted_sum(k, oracle, types[t], rows, n, widths[i], n % 2);
            }
    return failures;
}
