/* Times of every slot, one thread: the best of several runs, as bytes of weights read or operations done a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checks.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#include <openblas_config.h>
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may run here too */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds of the fastest of a few calls. */
static double best(void (*fn)(void *userdata), void *userdata) {
    double fastest = 1e9, started = now();
    for (int i = 0; i < 50 && (i < 3 || now() - started < 0.3); i++) {
        double t = now();
        fn(userdata);
        t = now() - t;
        fastest = t < fastest ? t : fastest;
    }
    return fastest;
}

typedef struct Product {
    const Kernels *k;
    TensorType type;
    Matmul m;
} Product;

static void run_matmul(void *userdata) {
    Product *p = userdata;
    p->k->matmul[p->type](&p->m);
}

#ifdef HAVE_OPENBLAS
static void run_openblas(void *userdata) {
    const Matmul *m = &((Product *)userdata)->m;
    if (m->n_rows == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)m->n_out, (int)m->k, 1, (const float *)m->w, (int)m->k,
            (const float *)m->x, 1, 0, m->y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m->n_rows, (int)m->n_out, (int)m->k, 1,
            (const float *)m->x, (int)m->k, (const float *)m->w, (int)m->k, 0, m->y, (int)m->n_out);
}
#endif

static void report(const char *tier, const char *type, const Matmul *m, double t) {
    double gflops = 2.0 * (double)m->n_out * (double)m->n_rows * (double)m->k / t * 1e-9;
    double gbytes = (double)m->n_out * (double)m->w_stride / t * 1e-9;
    printf("%s,matmul,%s,%zu,%zu,%zu,%.1f,%.2f,%.2f\n", tier, type, m->n_out, m->k, m->n_rows, t * 1e6, gflops, gbytes);
    fflush(stdout);
}

/* Weights as models have them. Random bits of F32 and BF16 are now and then subnormal, which a processor multiplies so
 * slowly that nothing else would be timed. */
static void fill_weights(TensorType type, uint8_t *w, size_t n) {
    if (type == TENSOR_F32)
        fill_floats((float *)w, n);
    else if (type == TENSOR_BF16)
        for (size_t i = 0; i < n; i++) {
            float x;
            fill_floats(&x, 1);
            memcpy(w + i * 2, (const uint8_t *)&x + 2, 2); /* its upper half */
        }
    else
        fill_blocks(type, w, n);
}

static void bench_matmul(const Kernels *k, TensorType type, size_t n_out, size_t length, size_t n_rows) {
    const QuantTraits *traits = quant_traits(type);
    size_t row_bytes = length / traits->block_size * traits->block_bytes;
    Product p = {.k = k, .type = type};
    uint8_t *w = aligned_alloc(64, (n_out * row_bytes + 63) & ~(size_t)63);
    float *x = malloc(n_rows * length * sizeof(float)), *y = malloc(n_rows * n_out * sizeof(float));
    fill_weights(type, w, n_out * length);
    fill_floats(x, n_rows * length);
    ActFormat format = k->act[type];
    size_t x_stride = act_row_bytes(format, length);
    uint8_t *rows = aligned_alloc(64, (n_rows * x_stride + 63) & ~(size_t)63);
    for (size_t r = 0; r < n_rows; r++)
        if (format != ACT_F32)
            k->quantize[format](x + r * length, rows + r * x_stride, length, 0, length);
        else
            memcpy(rows + r * x_stride, x + r * length, x_stride);
    p.m = (Matmul){.traits = traits,
        .w = w,
        .w_stride = row_bytes,
        .x = rows,
        .x_stride = x_stride,
        .y = y,
        .y_stride = n_out,
        .n_out = n_out,
        .n_rows = n_rows,
        .k = length};

    report(k->name, traits->name, &p.m, best(run_matmul, &p));
#ifdef HAVE_OPENBLAS
    if (type == TENSOR_F32) {
        openblas_set_num_threads(1);
        report("openblas", traits->name, &p.m, best(run_openblas, &p));
    }
#endif
    free(w);
    free(x);
    free(rows);
    free(y);
}

#define VECTOR 4096

typedef struct Vectors {
    const Kernels *k;
    float x[VECTOR], y[VECTOR], z[VECTOR];
    uint16_t h[VECTOR];
} Vectors;

static void run_add(void *u) {
    Vectors *v = u;
    v->k->add(v->y, v->x, VECTOR);
}

static void run_silu_mul(void *u) {
    Vectors *v = u;
    memcpy(v->y, v->z, sizeof(v->y));
    v->k->silu_mul(v->y, v->x, VECTOR);
}

static void run_rms_norm(void *u) {
    Vectors *v = u;
    v->k->rms_norm(v->y, v->x, v->z, VECTOR, 1e-6f);
}

static void run_rope_interleaved(void *u) {
    Vectors *v = u;
    for (size_t i = 0; i < VECTOR; i += 128)
        v->k->rope_interleaved(v->y + i, v->x, v->z, 128);
}

static void run_rope_halves(void *u) {
    Vectors *v = u;
    for (size_t i = 0; i < VECTOR; i += 128)
        v->k->rope_halves(v->y + i, v->x, v->z, 128);
}

static void run_to_half(void *u) {
    Vectors *v = u;
    v->k->to_half(v->x, v->h, VECTOR);
}

static void run_softmax(void *u) {
    Vectors *v = u;
    float max = 0, sum = 0;
    memcpy(v->y, v->x, sizeof(v->y));
    for (size_t i = 0; i < VECTOR; i += 32)
        v->k->softmax_block(v->y + i, 32, &max, &sum);
}

static void run_weighted_sum(void *u) {
    Vectors *v = u;
    WeightedSum s = {.type = TENSOR_F32,
        .acc = v->y,
        .acc_stride = 128,
        .rescale = v->z,
        .p = v->x,
        .p_stride = 32,
        .v = (const uint8_t *)v->x,
        .v_stride = 128 * sizeof(float),
        .n_rows = 6,
        .n = 32,
        .width = 128};
    v->k->weighted_sum[s.type](&s);
}

static void bench_vectors(const Kernels *k) {
    static const struct {
        const char *name;
        size_t elements;
        void (*run)(void *userdata);
    } slots[] = {
        {"add", VECTOR, run_add},
        {"silu_mul", VECTOR, run_silu_mul},
        {"rms_norm", VECTOR, run_rms_norm},
        {"rope_interleaved", VECTOR, run_rope_interleaved},
        {"rope_halves", VECTOR, run_rope_halves},
        {"to_half", VECTOR, run_to_half},
        {"softmax_block", VECTOR, run_softmax},
        {"weighted_sum", 6 * 32 * 128, run_weighted_sum},
    };
    static Vectors v;
    v.k = k;
    fill_floats(v.x, VECTOR);
    fill_floats(v.z, VECTOR);
    for (size_t i = 0; i < ELEMENTSOF(slots); i++) {
        memset(v.y, 0, sizeof(v.y));
        double t = best(slots[i].run, &v);
        printf("%s,%s,,,,,%.2f,%.2f,\n", k->name, slots[i].name, t * 1e6, (double)slots[i].elements / t * 1e-9);
    }
}

void bench(const Kernels *k, const char *only) {
    static const size_t rows[] = {1, 4, 8, 64, 256};

    printf("tier,slot,type,n_out,k,rows,microseconds,G operations/s,GB weights/s\n");
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        if (!k->matmul[type] || (only && strcmp(quant_traits(type)->name, only) != 0))
            continue;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
            if (rows[i] <= 8 || strcmp(k->name, "scalar") != 0)
                bench_matmul(k, type, 512, 1536, rows[i]);
    }
    if (!only)
        bench_vectors(k);
}
