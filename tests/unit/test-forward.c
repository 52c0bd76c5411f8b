#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tiny-model.h"

#define N        83 /* positions: two pages and a half */
#define N_PAGES  16
#define MAX_ROWS 128

/* One Forward with its pool. Fresh pages are full of NaN: whatever reads a row that nobody wrote shows. */
typedef struct Rig {
    Model *model;
    Forward *forward;
    uint8_t *pool;
    size_t page_bytes;
    Token tokens[N];
} Rig;

static void rig_init(Rig *r, const TinyOptions *o, EngineKvType kv, unsigned n_threads) {
    r->model = tiny_model_new(o);
    ForwardOptions options = {
        .n_threads = n_threads, .max_rows = MAX_ROWS, .max_logits = MAX_ROWS, .max_context = 512, .kv_type = kv};
    Error e = {};
    assert_int_equal(forward_new(r->model, &options, &r->forward, &e), 0);
    KvLayout layout;
    assert_int_equal(kv_layout(&r->model->config, kv, &layout, &e), 0);
    r->page_bytes = layout.page_bytes;
    assert_int_equal(r->page_bytes % 64, 0);
    r->pool = aligned_alloc(64, N_PAGES * r->page_bytes);
    memset(r->pool, 0xFF, N_PAGES * r->page_bytes);
    for (size_t i = 0; i < N; i++)
        r->tokens[i] = (Token)(i * i * 7 + 3) % TINY_VOCAB;
}

static void rig_done(Rig *r) {
    forward_free(r->forward);
    tiny_model_free(r->model);
    free(r->pool);
}

static const uint32_t pages_a[] = {5, 2, 9}, pages_b[] = {1, 14, 0};

/* Reads n tokens in chunks of `chunk`; logits of all of them. */
static void read_in_chunks(Rig *r, const uint32_t *pages, size_t n, size_t chunk, float *logits) {
    for (size_t i = 0; i < n; i += chunk) {
        uint32_t count = (uint32_t)MIN(chunk, n - i);
        BatchRun run = {
            .pages = pages, .tokens = r->tokens + i, .n_tokens = count, .position = (uint32_t)i, .n_logits = count};
        float *step;
        forward_step(r->forward, r->pool, &run, 1, &step);
        memcpy(logits + i * TINY_VOCAB, step, count * TINY_VOCAB * sizeof(float));
    }
}

static double nmse(const float *got, const double *want, size_t n) {
    double error = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        sum += want[i] * want[i];
    }
    return error / sum;
}

static void check_against_reference(const TinyOptions *o, EngineKvType kv, double tolerance) {
    Rig r;
    rig_init(&r, o, kv, 2);
    float got[N * TINY_VOCAB];
    double want[N * TINY_VOCAB];
    read_in_chunks(&r, pages_a, N, N, got);
    tiny_reference(r.model, r.tokens, N, want);
    double error = nmse(got, want, N * TINY_VOCAB);
    if (!(error < tolerance))
        fail_msg("NMSE %g", error);
    rig_done(&r);
}

static void test_computes_what_the_formulas_say(void **state) {
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    check_against_reference(&o, ENGINE_KV_F32, 1e-10);
    check_against_reference(&o, ENGINE_KV_F16, 1e-6);
    o.layout = ROPE_INTERLEAVED;
    check_against_reference(&o, ENGINE_KV_F32, 1e-10);
    o.biases = true;
    o.scaling = ROPE_SCALING_LINEAR;
    check_against_reference(&o, ENGINE_KV_F32, 1e-10);
    o.n_heads = 6;
    o.n_kv_heads = 1;
    o.head_dim = 18;
    check_against_reference(&o, ENGINE_KV_F32, 1e-10);
    o = TINY_OPTIONS_DEFAULT;
    o.type = TENSOR_Q8_0;
    o.n_embd = 64;
    o.n_ff = 96;
    o.head_dim = 16;
    check_against_reference(&o, ENGINE_KV_F32, 1e-3); /* activations are rounded to bytes */
    setenv("INFERD_KERNELS_MAX", "scalar", 1);
    check_against_reference(&o, ENGINE_KV_F32, 1e-10);
    unsetenv("INFERD_KERNELS_MAX");
}

/* Sizes that fill vectors and leave tails. */
static TinyOptions awkward_options(TensorType type) {
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    o.type = type;
    o.n_embd = type == TENSOR_F32 ? 52 : 544; /* more than one segment of a sum */
    o.n_ff = type == TENSOR_F32 ? 700 : 96;
    o.head_dim = 32;
    o.biases = true;
    return o;
}

static void check_cuts(TensorType type, EngineKvType kv) {
    static float whole[N * TINY_VOCAB], cut[N * TINY_VOCAB];
    static const size_t chunks[] = {1, 2, 7, 31, 32, 33, 64};
    TinyOptions o = awkward_options(type);
    Rig r;
    rig_init(&r, &o, kv, 1);
    read_in_chunks(&r, pages_a, N, N, whole);
    for (size_t i = 0; i < ELEMENTSOF(chunks); i++) {
        memset(r.pool, 0xFF, N_PAGES * r.page_bytes);
        read_in_chunks(&r, pages_b, N, chunks[i], cut);
        assert_memory_equal(whole, cut, sizeof(whole));
    }
    rig_done(&r);
}

static void test_a_prompt_may_be_cut_anywhere(void **state) {
    check_cuts(TENSOR_F32, ENGINE_KV_F32);
    check_cuts(TENSOR_F32, ENGINE_KV_F16);
    check_cuts(TENSOR_Q8_0, ENGINE_KV_F16);
    check_cuts(TENSOR_Q4_0, ENGINE_KV_F16);
    check_cuts(TENSOR_Q4_0, ENGINE_KV_Q8_0);
}

static void test_any_number_of_threads(void **state) {
    static float one[N * TINY_VOCAB], many[N * TINY_VOCAB];
    TinyOptions o = awkward_options(TENSOR_F32);
    for (unsigned n = 1; n <= 5; n++) {
        Rig r;
        rig_init(&r, &o, ENGINE_KV_F16, n);
        read_in_chunks(&r, pages_a, N, 29, n == 1 ? one : many);
        if (n > 1)
            assert_memory_equal(one, many, sizeof(one));
        rig_done(&r);
    }
}

/* A sequence decodes alone, and then beside the prompt of another and a third that decodes. */
static void test_company_does_not_matter(void **state) {
    static float alone[N * TINY_VOCAB];
    static const uint32_t pages_c[] = {7};
    TinyOptions o = awkward_options(TENSOR_Q8_0);
    Rig r;
    rig_init(&r, &o, ENGINE_KV_F16, 2);
    read_in_chunks(&r, pages_a, N, 1, alone);

    memset(r.pool, 0xFF, N_PAGES * r.page_bytes);
    float *logits;
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t start = 2 * i < N ? 2 * i : N - 1, count = MIN(2u, N - start);
        BatchRun runs[] = {
            {.pages = pages_b,
                .tokens = r.tokens + start,
                .n_tokens = count,
                .position = start,
                .n_logits = i % 3 ? 0 : 1},
            {.pages = pages_a, .tokens = r.tokens + i, .n_tokens = 1, .position = i, .n_logits = 1},
            {.pages = pages_c, .tokens = r.tokens + i % 30, .n_tokens = 1, .position = i % 30, .n_logits = 1},
        };
        forward_step(r.forward, r.pool, runs, ELEMENTSOF(runs), &logits);
        const float *mine = logits + runs[0].n_logits * TINY_VOCAB;
        assert_memory_equal(mine, alone + i * TINY_VOCAB, TINY_VOCAB * sizeof(float));
        if (runs[0].n_logits)
            assert_memory_equal(logits, alone + (start + count - 1) * TINY_VOCAB, TINY_VOCAB * sizeof(float));
    }
    rig_done(&r);
}

/* A chunk inside a prompt needs no logits, and leaves the same keys and values behind. */
static void test_without_logits(void **state) {
    static float all[N * TINY_VOCAB];
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    Rig r;
    rig_init(&r, &o, ENGINE_KV_F16, 2);
    read_in_chunks(&r, pages_a, N, N, all);

    float *logits;
    BatchRun run = {.pages = pages_b, .tokens = r.tokens, .n_tokens = N - 3, .position = 0, .n_logits = 0};
    forward_step(r.forward, r.pool, &run, 1, &logits);
    run = (BatchRun){.pages = pages_b, .tokens = r.tokens + N - 3, .n_tokens = 3, .position = N - 3, .n_logits = 2};
    forward_step(r.forward, r.pool, &run, 1, &logits);
    assert_memory_equal(logits, all + (N - 2) * TINY_VOCAB, 2 * TINY_VOCAB * sizeof(float));
    rig_done(&r);
}

/* So long that attention goes through several spans, which are dealt out to the workers where there are few rows. */
#define LONG_N     1300
#define LONG_PAGES ((LONG_N + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS)

typedef struct LongRig {
    Model *model;
    Forward *forward;
    uint8_t *pool;
    uint32_t pages[LONG_PAGES];
    Token tokens[LONG_N];
} LongRig;

static void long_init(LongRig *r, const TinyOptions *o, EngineKvType kv, unsigned n_threads) {
    r->model = tiny_model_new(o);
    ForwardOptions options = {
        .n_threads = n_threads, .max_rows = 512, .max_logits = 512, .max_context = LONG_N, .kv_type = kv};
    Error e = {};
    assert_int_equal(forward_new(r->model, &options, &r->forward, &e), 0);
    KvLayout layout;
    assert_int_equal(kv_layout(&r->model->config, kv, &layout, &e), 0);
    size_t bytes = LONG_PAGES * layout.page_bytes;
    r->pool = aligned_alloc(64, bytes);
    memset(r->pool, 0xFF, bytes);
    for (uint32_t i = 0; i < LONG_PAGES; i++)
        r->pages[i] = LONG_PAGES - 1 - i;
    for (uint32_t i = 0; i < LONG_N; i++)
        r->tokens[i] = (Token)(i * i * 7 + i / 90) % TINY_VOCAB;
}

static void long_done(LongRig *r) {
    forward_free(r->forward);
    tiny_model_free(r->model);
    free(r->pool);
}

static void long_read(LongRig *r, uint32_t from, uint32_t to, uint32_t chunk, float *logits) {
    for (uint32_t i = from; i < to; i += chunk) {
        uint32_t count = MIN(chunk, to - i);
        BatchRun run = {
            .pages = r->pages, .tokens = r->tokens + i, .n_tokens = count, .position = i, .n_logits = count};
        float *step;
        forward_step(r->forward, r->pool, &run, 1, &step);
        memcpy(logits + i * TINY_VOCAB, step, count * TINY_VOCAB * sizeof(float));
    }
}

static void test_a_long_past(void **state) {
    static float whole[LONG_N * TINY_VOCAB], other[LONG_N * TINY_VOCAB];
    static double want[LONG_N * TINY_VOCAB];
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    LongRig r;
    long_init(&r, &o, ENGINE_KV_F32, 1);
    long_read(&r, 0, LONG_N, 512, whole);
    tiny_reference(r.model, r.tokens, LONG_N, want);
    double error = nmse(whole, want, LONG_N * TINY_VOCAB);
    if (!(error < 1e-10))
        fail_msg("NMSE %g", error);
    long_done(&r);

    /* by spans and by tasks, whatever the number of threads */
    for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
        long_init(&r, &o, ENGINE_KV_F32, n_threads);
        long_read(&r, 0, 509, 509, other);
        long_read(&r, 509, 515, 1, other);
        long_read(&r, 515, LONG_N - 3, 77, other);
        long_read(&r, LONG_N - 3, LONG_N, 1, other);
        assert_memory_equal(whole, other, sizeof(whole));
        long_done(&r);
    }
}

static void test_rows_in_bytes(void **state) {
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    o.head_dim = 32;
    check_against_reference(&o, ENGINE_KV_Q8_0, 1e-3);

    o.head_dim = 24;
    _cleanup_(tiny_model_freep) Model *m = tiny_model_new(&o);
    ForwardOptions options = {
        .n_threads = 1, .max_rows = 1, .max_logits = 1, .max_context = 1, .kv_type = ENGINE_KV_Q8_0};
    Forward *f = NULL;
    Error e = {};
    assert_int_equal(forward_new(m, &options, &f, &e), -EINVAL);
    assert_non_null(strstr(e.message, "24 wide"));

    /* asked before anything is sized by it: rows of less than a block would have no bytes */
    KvLayout layout = {};
    Config narrow = m->config;
    narrow.n_kv_heads = 1;
    narrow.head_dim_k = narrow.head_dim_v = 16;
    assert_int_equal(kv_layout(&narrow, ENGINE_KV_Q8_0, &layout, &e), -EINVAL);
    assert_int_equal(layout.page_bytes, 0);
}

static void test_refuses_an_unknown_tier(void **state) {
    TinyOptions o = TINY_OPTIONS_DEFAULT;
    _cleanup_(tiny_model_freep) Model *m = tiny_model_new(&o);
    ForwardOptions options = {.n_threads = 1, .max_rows = 1, .max_logits = 1, .max_context = 1};
    Forward *f = NULL;
    Error e = {};
    setenv("INFERD_KERNELS_MAX", "mmx", 1);
    assert_true(forward_new(m, &options, &f, &e) < 0);
    assert_non_null(strstr(e.message, "mmx"));
    assert_null(f);
    setenv("INFERD_KERNELS_MAX", "scalar", 1);
    assert_int_equal(forward_new(m, &options, &f, &e), 0);
    forward_free(f);
    unsetenv("INFERD_KERNELS_MAX");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_computes_what_the_formulas_say),
        cmocka_unit_test(test_a_prompt_may_be_cut_anywhere),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_company_does_not_matter),
        cmocka_unit_test(test_without_logits),
        cmocka_unit_test(test_a_long_past),
        cmocka_unit_test(test_rows_in_bytes),
        cmocka_unit_test(test_refuses_an_unknown_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
