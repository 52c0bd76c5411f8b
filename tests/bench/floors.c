/* Loops that do one thing only, on as many threads as the engine has. Each loop of arithmetic exists for the
 * instructions that a tier of kernels may use, so that a result with fewer of them has a floor of its own. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "floors.h"

#define BUFFER      (512u << 20)
#define LARGE_PAGE  (2u << 20)
#define MAX_THREADS 64
#define STEPS       2000000u
#define CHAINS      10 /* independent sums: they hide the latency, and leave registers for the rest */

typedef uint64_t Words __attribute__((vector_size(16)));

typedef struct Part {
    const Words *words;
    size_t n;
} Part;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
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

static double fastest_of(unsigned tries, unsigned n_threads, void *(*fn)(void *userdata), Part *parts) {
    double fastest = 1e9;
    for (unsigned i = 0; i < tries; i++) {
        double t = run_threads(n_threads, fn, parts);
        fastest = t < fastest ? t : fastest;
    }
    return fastest;
}

static void *read_part(void *userdata) {
    Part *p = userdata;
    Words sums[8] = {};
    for (size_t i = 0; i + 8 <= p->n; i += 8)
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++)
            sums[j] |= p->words[i + j];
#pragma GCC unroll 8
    for (size_t j = 1; j < 8; j++)
        sums[0] |= sums[j];
    volatile uint64_t sink = sums[0][0];
    (void)sink;
    return NULL;
}

double floor_read_bandwidth(unsigned n_threads) {
    static Words *buffer; /* kept: a benchmark asks again and again */
    if (!buffer) {
        buffer = aligned_alloc(LARGE_PAGE, BUFFER);
        if (!buffer)
            return 0;
        madvise(buffer, BUFFER, MADV_HUGEPAGE); /* as weights and KV rows may lie */
        memset(buffer, 1, BUFFER);
    }
    unsigned n = n_threads < MAX_THREADS ? n_threads : MAX_THREADS;
    Part parts[MAX_THREADS];
    size_t share = BUFFER / sizeof(Words) / n;
    for (unsigned i = 0; i < n; i++)
        parts[i] = (Part){.words = buffer + i * share, .n = share};
    return (double)(share * n * sizeof(Words)) / fastest_of(5, n, read_part, parts);
}

/* ------------------------------------------------------------------------------------------------ arithmetic */

/* For all the compiler knows a is another one after this: it would else do a step's product once, before the loop, and
 * copy sums about. */
#if defined(__x86_64__)
#define CHANGED(a) __asm__ volatile("" : "+x"(a))
#elif defined(__aarch64__)
#define CHANGED(a) __asm__ volatile("" : "+w"(a))
#else
#define CHANGED(a) __asm__ volatile("" : "+m"(a))
#endif

/* A loop of steps that add products of a and b to sums. All of it stays in registers, so nothing may ask for the place
 * of a sum in memory, nor for one by a number that is known only when the loop runs. */
#define EACH_SUM _Pragma("GCC unroll 10") for (int j = 0; j < CHAINS; j++)
#define ARITHMETIC(name, attribute, Vec, zero, step)                                                                   \
    attribute static void *name(void *userdata) {                                                                      \
        Vec sums[CHAINS], a, b;                                                                                        \
        memset(&a, 1, sizeof(a));                                                                                      \
        memset(&b, 1, sizeof(b));                                                                                      \
        EACH_SUM sums[j] = zero;                                                                                       \
        for (size_t i = 0; i < STEPS; i++)                                                                             \
            EACH_SUM {                                                                                                 \
                CHANGED(a);                                                                                            \
                sums[j] = step;                                                                                        \
                CHANGED(sums[j]);                                                                                      \
            }                                                                                                          \
        return NULL;                                                                                                   \
    }

typedef struct Loop {
    void *(*fn)(void *userdata);
    unsigned multiply_adds; /* of one step */
} Loop;

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))
#define VNNI   __attribute__((target("avx512f,avx512bw,avx512vnni")))

ARITHMETIC(floats_sse2, , __m128, _mm_setzero_ps(), _mm_add_ps(sums[j], _mm_mul_ps(a, b)))
ARITHMETIC(floats_avx2, AVX2, __m256, _mm256_setzero_ps(), _mm256_fmadd_ps(a, b, sums[j]))
ARITHMETIC(floats_avx512, AVX512, __m512, _mm512_setzero_ps(), _mm512_fmadd_ps(a, b, sums[j]))
/* Bytes are multiplied and added to sums of 32 bits, in as many instructions as a tier needs for that: VNNI one, those
 * before it three. */
ARITHMETIC(bytes_sse2, , __m128i, _mm_setzero_si128(), _mm_add_epi32(sums[j], _mm_madd_epi16(a, b)))
ARITHMETIC(bytes_avx2, AVX2, __m256i, _mm256_setzero_si256(),
    _mm256_add_epi32(sums[j], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), b)))
ARITHMETIC(bytes_avx512, AVX512, __m512i, _mm512_setzero_si512(),
    _mm512_add_epi32(sums[j], _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), b)))
ARITHMETIC(bytes_vnni, VNNI, __m512i, _mm512_setzero_si512(), _mm512_dpbusd_epi32(sums[j], a, b))

static void choose(const char *tier, Loop *floats, Loop *bytes) {
    *floats = (Loop){floats_sse2, 4};
    *bytes = (Loop){bytes_sse2, 8};
    if (strncmp(tier, "avx512", 6) == 0) {
        *floats = (Loop){floats_avx512, 16};
        *bytes = strstr(tier, "vnni") ? (Loop){bytes_vnni, 64} : (Loop){bytes_avx512, 64};
    } else if (strncmp(tier, "avx", 3) == 0) {
        *floats = (Loop){floats_avx2, 8};
        *bytes = (Loop){bytes_avx2, 32};
    }
}

#else

typedef float Floats __attribute__((vector_size(16)));
typedef int16_t Shorts __attribute__((vector_size(16)));

ARITHMETIC(floats_plain, , Floats, (Floats){}, sums[j] + a * b)
ARITHMETIC(bytes_plain, , Shorts, (Shorts){}, sums[j] + a * b)

static void choose(const char *tier, Loop *floats, Loop *bytes) {
    (void)tier;
    *floats = (Loop){floats_plain, 4};
    *bytes = (Loop){bytes_plain, 8};
}

#endif

static double rate(unsigned n_threads, Loop loop) {
    unsigned n = n_threads < MAX_THREADS ? n_threads : MAX_THREADS;
    Part parts[MAX_THREADS] = {};
    return 2.0 * loop.multiply_adds * CHAINS * STEPS * n / fastest_of(15, n, loop.fn, parts);
}

double floor_fma_rate(unsigned n_threads, const char *tier) {
    Loop floats, bytes;
    choose(tier, &floats, &bytes);
    return rate(n_threads, floats);
}

double floor_int8_rate(unsigned n_threads, const char *tier) {
    Loop floats, bytes;
    choose(tier, &floats, &bytes);
    return rate(n_threads, bytes);
}
