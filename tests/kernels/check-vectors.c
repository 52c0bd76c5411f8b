/* Norms, activations, rotations and softmax against the scalar tier, at every length up to a few vectors. */
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
