/* The whole engine on real models: what a request gets is the same to the bit whoever else is served, in a pool of any
 * size, in chunks of any size, with any number of threads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define N_REQUESTS 10
#define MAX_TOKENS 40

typedef struct Result {
    uint64_t id;
    char text[4096];
    size_t size;
    float logprobs[MAX_TOKENS];
    size_t n_logprobs;
    bool done;
    EngineFinish finish;
} Result;

typedef struct Work {
    Model *model;
    TokenArray prompts[N_REQUESTS];
    EngineRequest requests[N_REQUESTS];
} Work;

static void take(Engine *en, Result *results, size_t n) {
    for (EngineEvent *ev = engine_take_events(en); ev; ev = engine_event_free(ev)) {
        Result *r = results;
        while (r->id != ev->id)
            assert_true(++r < results + n);
        if (ev->type == ENGINE_EVENT_FINISHED) {
            assert_false(r->done);
            r->done = true;
            r->finish = ev->finish;
            continue;
        }
        assert_true(r->size + ev->size < sizeof(r->text) && r->n_logprobs + ev->n_logprobs <= MAX_TOKENS);
        memcpy(r->text + r->size, ev->text, ev->size);
        r->size += ev->size;
        for (size_t i = 0; i < ev->n_logprobs; i++)
            r->logprobs[r->n_logprobs++] = ev->logprobs[i].logprob;
        engine_consumed(en, ev->id, ev->size);
    }
}

/* Serves n requests at once: first the background ones, and when they have begun those that push them aside. */
static void serve(Model *m, const EngineOptions *o, const EngineRequest *requests, size_t n, Result *ret) {
    _cleanup_(engine_freep) Engine *en = NULL;
    Error e = {};
    if (engine_new(m, o, &en, &e) < 0)
        fail_msg("%s", e.message);
    memset(ret, 0, n * sizeof(*ret));
    for (int class = ENGINE_PRIORITY_BACKGROUND; class >= ENGINE_PRIORITY_INTERACTIVE; class --) {
        EngineStats stats;
        engine_stats(en, &stats);
        uint64_t enough = n > 1 ? stats.steps + 3 : 0;
        for (size_t i = 0; i < n; i++)
            if ((int)requests[i].priority == class && engine_submit(en, &requests[i], &ret[i].id, &e) < 0)
                fail_msg("%s", e.message);
        for (; stats.steps < enough; engine_stats(en, &stats))
            usleep(200);
    }
    for (size_t i = 0; i < n; i++)
        while (!ret[i].done) {
            take(en, ret, n);
            usleep(500);
        }
}

/* Prompts of one to some 120 tokens, half of them with a common beginning, greedy and not, of all classes. */
static void make_requests(Work *w) {
    static const char common[] = "Once upon a time, there was a little girl named Lily. She loved to play outside in "
                                 "the park. One day, she saw a big, red ball. ";
    for (unsigned i = 0; i < N_REQUESTS; i++) {
        char text[600] = "";
        if (i % 2)
            strcat(text, common);
        for (unsigned j = 0; j < i; j++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u and then %u, ", i + j, i * j);
        strcat(text, "so");
        const TextSpan span = {.text = text, .size = strlen(text)};
        assert_int_equal(model_tokenize(w->model, &span, 1, true, &w->prompts[i], NULL), 0);
        EngineRequest *r = &w->requests[i];
        *r = (EngineRequest){
            .owner = i % 3,
            .priority = (EnginePriority)(i % 3),
            .prompt = w->prompts[i].items,
            .n_prompt = w->prompts[i].n,
            .max_tokens = 10 + i * 3,
            .sampler = SAMPLER_OPTIONS_DEFAULT,
            .top_logprobs = 0,
            .reasoning_budget = ENGINE_UNLIMITED,
        };
        r->sampler.temperature = i % 2 ? 0 : 1;
        r->sampler.seed = i;
        r->sampler.repeat_penalty = 1.1f;
    }
}

static void expect_the_same_whatever_happens(const char *file) {
    static const struct {
        EngineOptions o;
        unsigned context_pages; /* of 32 tokens that the pool holds; 0: as it likes */
    } crowds[] = {
        {{.n_threads = 1}, 0},
        {{.n_threads = 2}, 0},
        {{.n_threads = 2, .step_tokens = 7, .max_running = 3}, 0},
        {{.n_threads = 1, .step_tokens = 50}, 10}, /* too little for all: pauses */
        {{.n_threads = 2, .step_tokens = 33, .max_running = 6}, 14},
    };
    static Result alone[N_REQUESTS], together[N_REQUESTS];
    char path[4096];
    Error e = {};
    Work w = {};
    snprintf(path, sizeof(path), "%s/%s", MODELS_FOLDER, file);
    if (model_load(path, &w.model, &e) < 0)
        fail_msg("%s", e.message);
    make_requests(&w);

    const EngineOptions one = {.n_threads = 1};
    for (size_t i = 0; i < N_REQUESTS; i++)
        serve(w.model, &one, &w.requests[i], 1, &alone[i]);
    assert_true(alone[1].size > 0);

    for (size_t k = 0; k < ELEMENTSOF(crowds); k++) {
        EngineOptions o = crowds[k].o;
        if (crowds[k].context_pages > 0) {
            /* what a page costs shows by asking for too little */
            Engine *en = NULL;
            unsigned long page_bytes = 0;
            const EngineOptions nothing = {.n_threads = 1, .pool_bytes = 1};
            assert_int_equal(engine_new(w.model, &nothing, &en, &e), -ENOMEM);
            assert_int_equal(sscanf(e.message, "the KV pool needs at least %lu bytes", &page_bytes), 1);
            o.pool_bytes = page_bytes * crowds[k].context_pages;
        }
        serve(w.model, &o, w.requests, N_REQUESTS, together);
        for (size_t i = 0; i < N_REQUESTS; i++) {
            assert_int_equal(together[i].finish, alone[i].finish);
            assert_int_equal(together[i].size, alone[i].size);
            assert_memory_equal(together[i].text, alone[i].text, alone[i].size);
            assert_int_equal(together[i].n_logprobs, alone[i].n_logprobs);
            if (alone[i].n_logprobs > 0)
                assert_memory_equal(together[i].logprobs, alone[i].logprobs, alone[i].n_logprobs * sizeof(float));
        }
    }
    for (size_t i = 0; i < N_REQUESTS; i++)
        token_array_done(&w.prompts[i]);
    model_unref(w.model);
}

static void test_llama(void **state) {
    expect_the_same_whatever_happens("stories260K.gguf");
}

static void test_qwen2(void **state) {
    expect_the_same_whatever_happens("qwen2-r1-distill.gguf");
}

static void test_quantised(void **state) {
    expect_the_same_whatever_happens("quant-base-Q4_K_M.gguf");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_quantised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
