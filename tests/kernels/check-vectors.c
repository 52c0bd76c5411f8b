/* Norms, activations, rotations and attention against the scalar tier, at every length up to a few vectors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define LONGEST 67u

/* An input, and room for a result whose end is watched. */
typedef struct Buffers {
    float x[LONGEST], z[LONGEST], want[LONGEST + 1], got[LONGEST + 1];
    size_t n;
} Buffers;

static void prepare(Buffers *b, size_t n, float spread) {
    b->n = n;
    for (size_t i = 0; i < LONGEST; i++) {
        b->x[i] = random_float();
        b->z[i] = random_float();
        b->want[i] = b->got[i] = random_float() * spread;
    }
    b->want[n] = b->got[n] = 12345;
}

static int compare(const char *tier, const char *what, const Buffers *b, double tolerance) {
    for (size_t i = 0; i <= b->n; i++)
        if (!(fabs((double)b->want[i] - b->got[i]) <= tolerance * fmax(1, fabs(b->want[i])))) {
            printf("%s: %s of %zu: element %zu is %.9g, not %.9g\n", tier, what, b->n, i, (double)b->got[i],
                (double)b->want[i]);
            return 1;
        }
    return 0;
}

static int check_elementwise(const Kernels *k, const Kernels *oracle, size_t n) {
    Buffers b;
    int failures = 0;

    prepare(&b, n, 1);
    oracle->add(b.want, b.x, n);
    k->add(b.got, b.x, n);
    failures += compare(k->name, "add", &b, 0);

    prepare(&b, n, 1);
    oracle->scale(b.want, 0.7f, n);
    k->scale(b.got, 0.7f, n);
    failures += compare(k->name, "scale", &b, 0);

    for (float spread = 1; spread < 1e4f; spread *= 10) {
        prepare(&b, n, spread);
        oracle->silu_mul(b.want, b.x, n);
        k->silu_mul(b.got, b.x, n);
        failures += compare(k->name, "silu_mul", &b, 1e-6);

        prepare(&b, n, spread);
        oracle->gelu_mul(b.want, b.x, n);
        k->gelu_mul(b.got, b.x, n);
        failures += compare(k->name, "gelu_mul", &b, 1e-6);
    }

    prepare(&b, n, 1);
    oracle->rms_norm(b.want, b.x, b.z, n, 1e-5f);
    k->rms_norm(b.got, b.x, b.z, n, 1e-5f);
    failures += compare(k->name, "rms_norm", &b, 1e-6);

    if (n % 2 == 0) {
        prepare(&b, n, 1);
        oracle->rope_interleaved(b.want, b.x, b.z, n);
        k->rope_interleaved(b.got, b.x, b.z, n);
        failures += compare(k->name, "rope_interleaved", &b, 1e-6);

        prepare(&b, n, 1);
        oracle->rope_halves(b.want, b.x, b.z, n);
        k->rope_halves(b.got, b.x, b.z, n);
        failures += compare(k->name, "rope_halves", &b, 1e-6);
    }
    return failures;
}

/* Every half and what lies between halves rounds alike. */
static int check_to_half(const Kernels *k, const Kernels *oracle, int parts) {
    enum { N = 1 << 16 };
    float *x = malloc(N * sizeof(float));
    uint16_t *want = malloc(N * sizeof(uint16_t)), *got = malloc(N * sizeof(uint16_t)), halves[N / 256];
    int failures = 0;

    for (int part = 0; part < parts && failures == 0; part++) {
        for (int i = 0; i < N; i++) {
            uint32_t bits = (uint32_t)random_bits();
            if (i % 4 == 0) /* ties, and the neighbourhood of ties */
                bits = (bits & 0xFFFFE000u) | (0x1000u + (i / 4 % 3) - 1);
            if (i % 4 < 3) /* in the range of halves */
                bits = (bits & 0x807FFFFFu) | (100u + bits % 48) << 23;
            memcpy(&x[i], &bits, sizeof(bits));
            if (isnan(x[i]))
                x[i] = 0;
        }
        oracle->to_half(x, want, N);
        k->to_half(x, got, N);
        failures += memcmp(want, got, N * sizeof(uint16_t)) != 0;
    }
    for (size_t n = 0; n < ELEMENTSOF(halves) && n < LONGEST; n++) {
        memset(halves, 0xAA, sizeof(halves));
        k->to_half(x, halves, n);
        failures += halves[n] != 0xAAAA;
    }
    if (failures)
        printf("%s: to_half differs\n", k->name);
    free(x);
    free(want);
    free(got);
    return failures;
}

static int check_softmax(const Kernels *k, const Kernels *oracle, size_t n) {
    Buffers b;
    int failures = 0;
    for (float spread = 0.1f; spread < 1e4f; spread *= 10) {
        float want_max = -INFINITY, want_sum = 0, got_max = -INFINITY, got_sum = 0;
        for (int block = 0; block < 3; block++) {
            prepare(&b, n, spread);
            float want = oracle->softmax_block(b.want, n, &want_max, &want_sum);
            float got = k->softmax_block(b.got, n, &got_max, &got_sum);
            failures += compare(k->name, "softmax_block", &b, 1e-6);
            if (want_max != got_max || fabsf(want - got) > 1e-6f || fabsf(want_sum - got_sum) > 2e-6f * want_sum) {
                printf("%s: softmax_block of %zu: sum %g, not %g\n", k->name, n, (double)got_sum, (double)want_sum);
                failures++;
            }
        }
    }
    return failures;
}

int check_vectors(const Kernels *k, const Kernels *oracle, bool quick) {
    int failures = check_to_half(k, oracle, quick ? 8 : 64);
    for (size_t n = 1; n < LONGEST; n++) {
        failures += check_elementwise(k, oracle, n);
        failures += check_softmax(k, oracle, n);
    }
    return failures;
}

static int check_weighted_sum(const Kernels *k, const Kernels *oracle, size_t n_rows, size_t n, size_t width) {
    size_t stride = width + 5;
    float *p = malloc(n_rows * n * sizeof(float)), *v = malloc(n * width * sizeof(float));
    float *rescale = malloc(n_rows * sizeof(float)), *want = malloc(n_rows * stride * sizeof(float));
    float *got = malloc(n_rows * stride * sizeof(float)), *alone = malloc(n_rows * stride * sizeof(float));
    fill_floats(p, n_rows * n);
    fill_floats(v, n * width);
    fill_floats(rescale, n_rows);
    fill_floats(want, n_rows * stride);
    memcpy(got, want, n_rows * stride * sizeof(float));
    memcpy(alone, want, n_rows * stride * sizeof(float));

    WeightedSum s = {.acc = want,
        .acc_stride = stride,
        .rescale = rescale,
        .p = p,
        .p_stride = n,
        .v = v,
        .v_stride = width,
        .n_rows = n_rows,
        .n = n,
        .width = width};
    oracle->weighted_sum(&s);
    s.acc = got;
    k->weighted_sum(&s);
    for (size_t r = 0; r < n_rows; r++) {
        WeightedSum one = s;
        one.acc = alone + r * stride;
        one.rescale += r;
        one.p += r * n;
        one.n_rows = 1;
        k->weighted_sum(&one);
    }

    int failures = 0;
    for (size_t i = 0; i < n_rows * stride; i++)
        if (fabsf(want[i] - got[i]) > 1e-5f || (i % stride >= width && want[i] != got[i]))
            failures = 1;
    if (memcmp(got, alone, n_rows * stride * sizeof(float)) != 0)
        failures++;
    if (failures)
        printf("%s: weighted_sum (%zu rows, %zu values of %zu) differs\n", k->name, n_rows, n, width);
    free(p);
    free(v);
    free(rescale);
    free(want);
    free(got);
    free(alone);
    return failures;
}

int check_attention(const Kernels *k, const Kernels *oracle, bool quick) {
    static const size_t widths[] = {2, 8, 12, 16, 24, 64, 70, 128};
    int failures = 0;
    for (size_t rows = 1; rows < 10; rows += quick ? 4 : 1)
        for (size_t n = 1; n <= 32; n += 5)
            for (size_t i = 0; i < ELEMENTSOF(widths); i++)
                failures += check_weighted_sum(k, oracle, rows, n, widths[i]);
    return failures;
}
