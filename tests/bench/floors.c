#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "floors.h"

#define BUFFER      (512u << 20)
#define MAX_THREADS 64

typedef float Vector __attribute__((vector_size(32)));
typedef uint64_t Words __attribute__((vector_size(32)));

typedef struct Part {
    const Words *words;
    size_t n;
    double rate;
} Part;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *read_part(void *userdata) {
    Part *p = userdata;
    Words sums[8] = {};
    for (size_t i = 0; i + 8 <= p->n; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] |= p->words[i + j];
    for (size_t j = 1; j < 8; j++)
        sums[0] |= sums[j];
    volatile uint64_t sink = sums[0][0];
    (void)sink;
    return NULL;
}

static double run_threads(unsigned n, void *(*fn)(void *userdata), Part *parts) {
    pthread_t threads[MAX_THREADS];
    double started = now();
    for (unsigned i = 1; i < n; i++)
        pthread_create(&threads[i], NULL, fn, &parts[i]);
    fn(&parts[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(threads[i], NULL);
    return now() - started;
}

double floor_read_bandwidth(unsigned n_threads) {
    Words *buffer = aligned_alloc(64, BUFFER);
    if (!buffer)
        return 0;
    memset(buffer, 1, BUFFER);

    unsigned n = n_threads < MAX_THREADS ? n_threads : MAX_THREADS;
    Part parts[MAX_THREADS];
    size_t share = BUFFER / sizeof(Words) / n;
    for (unsigned i = 0; i < n; i++)
        parts[i] = (Part){.words = buffer + i * share, .n = share};
    double fastest = 1e9;
    for (int run = 0; run < 7; run++) {
        double t = run_threads(n, read_part, parts);
        fastest = t < fastest ? t : fastest;
    }
    free(buffer);
    return (double)(share * n * sizeof(Words)) / fastest;
}

#define FMA_STEPS 4000000u

/* Twelve chains hide the latency. */
static void *multiply_add(void *userdata) {
    Vector sums[12], a, b;
    for (int j = 0; j < 8; j++) {
        a[j] = 0.999f;
        b[j] = 1e-3f;
    }
    memset(sums, 0, sizeof(sums));
    for (size_t i = 0; i < FMA_STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
            sums[j] = sums[j] * a + b;
    volatile float sink = 0;
    for (int j = 0; j < 12; j++)
        sink += sums[j][0];
    (void)sink;
    return NULL;
}

double floor_fma_rate(unsigned n_threads) {
    unsigned n = n_threads < MAX_THREADS ? n_threads : MAX_THREADS;
    Part parts[MAX_THREADS] = {};
    double fastest = 1e9;
    for (int run = 0; run < 5; run++) {
        double t = run_threads(n, multiply_add, parts);
        fastest = t < fastest ? t : fastest;
    }
    return 2.0 * 8 * 12 * FMA_STEPS * n / fastest;
}
