#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine-client.h"
#include "sampler.h"

/* What a plain request must give, from its tokens alone. */
static size_t expect(const FakeModel *m, const EngineRequest *r, uint32_t context, char *ret) {
    Token tokens[4096];
    float logits[FAKE_N_VOCAB];
    SamplerScratch *sc;
    assert_int_equal(sampler_scratch_new(FAKE_BEYOND, &sc), 0);
    memcpy(tokens, r->prompt, r->n_prompt * sizeof(Token));
    size_t n = r->n_prompt, size = 0;
    while (n < context && n - r->n_prompt < r->max_tokens) {
        fake_logits(m, tokens, n, logits);
        SamplerInput in = {logits, FAKE_N_VOCAB, tokens, n, r->n_prompt, TOKEN_NONE, -1};
        Token t = sampler_sample(&r->sampler, sc, &in, NULL);
        if (t == FAKE_END)
            break;
        tokens[n++] = t;
        if (t == FAKE_WORD) {
            memcpy(ret + size, "the ", 4);
            size += 4;
        } else if (t < 128)
            ret[size++] = (char)t;
        else if (t < 256) {
            memcpy(ret + size, "\xEF\xBF\xBD", 3); /* the options of these tests never let two make a character */
            size += 3;
        }
    }
    ret[size] = '\0';
    sampler_scratch_free(sc);
    return n - r->n_prompt;
}

/* ------------------------------------------------------------------------------------------------ tests */

static void test_generates_what_the_model_says(void **state) {
    Client *c = *state;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[100];
    client_prompt(prompt, 100, 3);
    EngineRequest r = client_request(prompt, 100, 200);
    r.sampler.seed = 42;
    Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);

    char want[8192];
    size_t n = expect(&c->model, &r, 1024, want);
    assert_string_equal(result->text[ENGINE_TEXT_ANSWER], want);
    assert_int_equal(result->usage.prompt_tokens, 100);
    assert_int_equal(result->usage.cached_tokens, 0);
    assert_in_range(result->usage.completion_tokens, n, n + 1);
    client_stop(c);
}

/* Ten requests of three classes and three owners at once, in a pool that cannot hold them all: every one gets exactly
 * the bytes it gets alone, paused and resumed or not. */
static void test_bytes_do_not_depend_on_the_others(void **state) {
    Client *c = *state;
    static const uint32_t pools[] = {10, 17, 64, 1024};
    c->model.never_ends = true;
    for (size_t k = 0; k < ELEMENTSOF(pools); k++) {
        client_start(c,
            &(EngineOptions){
                .pool_bytes = pools[k] * PAGE, .context_size = 320, .step_tokens = k % 2 ? 64 : 7, .max_running = 6});
        Token prompt[10][200];
        EngineRequest r[10];
        uint64_t id[10];
        for (unsigned i = 0; i < 10; i++) {
            size_t n = 1 + i * 17;
            client_prompt(prompt[i], n, i < 5 ? 1 : i); /* half of them begin alike */
            r[i] = client_request(prompt[i], n, 40 + 9 * i);
            r[i].owner = i % 3;
            r[i].priority = (EnginePriority)(2 - i % 3);
            r[i].sampler.seed = i;
            r[i].sampler.temperature = i % 2 ? 0 : 1;
            r[i].sampler.repeat_penalty = 1.1f;
            id[i] = client_submit(c, &r[i]);
        }
        for (unsigned i = 0; i < 10; i++) {
            client_wait(c, id[i]);
            char want[8192];
            size_t n = expect(&c->model, &r[i], 320, want);
            const Result *result = client_find(c, id[i]);
            assert_int_equal(result->finish, ENGINE_FINISH_LENGTH);
            assert_string_equal(result->text[ENGINE_TEXT_ANSWER], want);
            assert_int_equal(result->usage.completion_tokens, n);
        }
        EngineStats stats;
        engine_stats(c->engine, &stats);
        assert_int_equal(stats.pages_total, pools[k]);
        client_stop(c);
    }
}

static void test_reuses_what_the_same_owner_has_computed(void **state) {
    Client *c = *state;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[600];
    client_prompt(prompt, 128, 1);
    EngineRequest r = client_request(prompt, 128, 40);
    r.sampler.temperature = 0;
    c->model.never_ends = true;
    const Result *first = client_find(c, client_submit(c, &r));
    client_wait(c, first->id);
    assert_int_equal(first->usage.cached_tokens, 0);

    /* the same prompt: all but the page with its last token */
    const Result *again = client_find(c, client_submit(c, &r));
    client_wait(c, again->id);
    assert_int_equal(again->usage.cached_tokens, 96);
    assert_string_equal(again->text[0], first->text[0]);

    /* the next turn of the conversation: what was generated is there as well */
    float logits[FAKE_N_VOCAB];
    size_t n = 128;
    for (; n < 168; n++) {
        fake_logits(&c->model, prompt, n, logits);
        prompt[n] = 0;
        for (Token t = 1; t < FAKE_BEYOND; t++)
            prompt[n] = logits[t] > logits[prompt[n]] ? t : prompt[n];
    }
    client_prompt(prompt + n, 40, 2);
    EngineRequest turn = client_request(prompt, n + 40, 5);
    const Result *next = client_find(c, client_submit(c, &turn));
    client_wait(c, next->id);
    assert_int_equal(next->usage.cached_tokens, 160);

    /* nobody else finds any of it */
    r.owner = 2;
    const Result *other = client_find(c, client_submit(c, &r));
    client_wait(c, other->id);
    assert_int_equal(other->usage.cached_tokens, 0);
    assert_string_equal(other->text[0], first->text[0]);

    EngineStats stats;
    engine_stats(c->engine, &stats);
    assert_int_equal(stats.prompt_tokens, 128 + 128 + 208 + 128);
    assert_int_equal(stats.cached_tokens, 96 + 160);
    assert_int_equal(stats.completion_tokens, 40 + 40 + 5 + 40);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.pages_used, 0);
    client_stop(c);
}

static void test_refuses_more_than_the_queue_holds(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.step_usec = 1000;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE, .max_running = 1, .max_queued = 2});
    Token prompt[4] = {'a', 'b', 'c', 'd'};
    EngineRequest r = client_request(prompt, 4, 1000);
    for (int i = 0; i < 3; i++)
        client_submit(c, &r);
    Error e;
    assert_int_equal(client_refused(c, &r, &e), -EBUSY);

    engine_cancel(c->engine, c->results[1].id, 0, NULL);
    client_wait(c, c->results[1].id);
    assert_int_equal(c->results[1].finish, ENGINE_FINISH_CANCELLED);
    client_submit(c, &r); /* there is room again as soon as the event has come */
    client_stop(c);
}

static void test_cancels_in_the_middle(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.step_usec = 500;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE, .step_tokens = 16});
    Token prompt[1000];
    client_prompt(prompt, 1000, 1);
    EngineRequest r = client_request(prompt, 1000, ENGINE_UNLIMITED);
    const Result *reading = client_find(c, client_submit(c, &r));
    r.n_prompt = 5;
    const Result *writing = client_find(c, client_submit(c, &r));
    while (writing->n_deltas < 3)
        client_read(c, 10);

    engine_cancel(c->engine, reading->id, -ESHUTDOWN, "the service is stopping");
    client_wait(c, reading->id);
    assert_int_equal(reading->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(reading->error.code, -ESHUTDOWN);
    assert_string_equal(reading->error.message, "the service is stopping");
    assert_int_equal(reading->usage.completion_tokens, 0);

    engine_cancel(c->engine, writing->id, 0, NULL);
    engine_cancel(c->engine, writing->id, -EIO, "only the first counts");
    client_wait(c, writing->id);
    assert_int_equal(writing->finish, ENGINE_FINISH_CANCELLED);
    engine_cancel(c->engine, writing->id, 0, NULL); /* long gone */
    engine_cancel(c->engine, 123456, 0, NULL);
    engine_consumed(c->engine, 123456, 1);
    client_stop(c);
}

static void test_ends_at_its_time_limit(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.step_usec = 1000;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, ENGINE_UNLIMITED);
    r.timeout_usec = 50000;
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(result->error.code, -ETIMEDOUT);
    client_stop(c);
}

/* A reader that does not read is skipped, then failed, and disturbs nobody. */
static void test_ends_for_a_reader_that_does_not_read(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->keep_credit = true;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE, .outbox_bytes = 20, .stall_usec = 50000});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, 500);
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->error.code, -EPIPE);
    assert_in_range(result->size[0], 20, 30);

    /* with credit it goes on to the end */
    const Result *slow = client_find(c, client_submit(c, &r));
    for (size_t given = 0; !slow->done;) {
        client_read(c, 1);
        assert_true(slow->size[0] - given <= 30);
        engine_consumed(c->engine, slow->id, slow->size[0] - given);
        given = slow->size[0];
    }
    assert_int_equal(slow->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(slow->usage.completion_tokens, 500);
    client_stop(c);
}

static void test_ends_when_the_pool_stays_exhausted(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.step_limit = 5;
    client_start(c, &(EngineOptions){.pool_bytes = 10 * PAGE, .queue_usec = 50000});
    Token prompt[310];
    client_prompt(prompt, 310, 1);
    EngineRequest r = client_request(prompt, 100, ENGINE_UNLIMITED);
    const Result *big = client_find(c, client_submit(c, &r));
    while (c->model.n_steps < 5)
        client_read(c, 1);
    r.prompt = prompt + 1;
    r.n_prompt = 300;
    const Result *late = client_find(c, client_submit(c, &r));
    c->model.step_limit = 7; /* the step after the next one is planned with the new request waiting */
    while (c->model.n_steps < 7)
        client_read(c, 1);
    usleep(60000);
    c->model.step_limit = 9;
    client_wait(c, late->id);
    assert_int_equal(late->error.code, -ENOSPC);
    assert_non_null(strstr(late->error.message, "320 tokens"));
    assert_false(big->done);
    c->model.step_limit = UINT32_MAX;
    client_wait(c, big->id);
    assert_int_equal(big->finish, ENGINE_FINISH_LENGTH);
    client_stop(c);
}

static void test_fails_with_its_model(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.fail_after_steps = 10;
    c->model.step_limit = 5; /* not before both have been accepted */
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE, .max_running = 1});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, 500);
    uint64_t id[2] = {client_submit(c, &r), client_submit(c, &r)};
    c->model.step_limit = UINT32_MAX;
    for (int i = 0; i < 2; i++) {
        client_wait(c, id[i]);
        assert_int_equal(client_find(c, id[i])->error.code, -EIO);
    }
    Error e;
    assert_int_equal(client_refused(c, &r, &e), -EIO);
    EngineStats stats;
    engine_stats(c->engine, &stats);
    assert_true(stats.model_failed);
    client_stop(c);
}

static void test_fails_when_there_is_nothing_to_choose_from(void **state) {
    Client *c = *state;
    c->model.all_nan = true;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, 500);
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->error.code, -EBADMSG);
    client_stop(c);
}

static void test_reads_a_prompt_and_stops_there(void **state) {
    Client *c = *state;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[1024];
    client_prompt(prompt, 1024, 1);
    EngineRequest r = client_request(prompt, 1024, 0);
    const Result *warm = client_find(c, client_submit(c, &r));
    client_wait(c, warm->id);
    assert_int_equal(warm->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(warm->usage.completion_tokens, 0);
    assert_int_equal(warm->n_deltas, 0);
    r.n_prompt = 1000;
    r.max_tokens = 1;
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->usage.cached_tokens, 992);
    client_stop(c);
}

static void test_closes_reasoning_at_its_budget(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, 50);
    r.split_reasoning = true;
    r.reasoning_open = true;
    r.reasoning_budget = 10;
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_true(result->size[ENGINE_TEXT_REASONING] >= 10);
    assert_true(result->size[ENGINE_TEXT_ANSWER] >= 30);
    assert_null(strstr(result->text[0], "think"));
    assert_null(strstr(result->text[1], "think"));
    assert_int_equal(result->usage.reasoning_tokens, 12); /* "\n" and "</think>" too */
    assert_int_equal(result->usage.completion_tokens, 50);

    r.reasoning_budget = 0;
    result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->size[ENGINE_TEXT_REASONING], 0);
    assert_true(result->size[ENGINE_TEXT_ANSWER] >= 40);

    r.reasoning_budget = ENGINE_UNLIMITED;
    result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->size[ENGINE_TEXT_ANSWER], 0);
    client_stop(c);
}

static void test_reports_log_probabilities(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    client_start(c, &(EngineOptions){.pool_bytes = 64 * PAGE});
    Token prompt[1] = {'a'};
    EngineRequest r = client_request(prompt, 1, 30);
    r.top_logprobs = 3;
    const Result *result = client_find(c, client_submit(c, &r));
    client_wait(c, result->id);
    assert_int_equal(result->n_logprobs, 30);
    client_stop(c);
}

static void test_ends_with_requests_under_way(void **state) {
    Client *c = *state;
    c->model.never_ends = true;
    c->model.step_usec = 500;
    client_start(c, &(EngineOptions){.pool_bytes = 16 * PAGE, .max_running = 2});
    Token prompt[200];
    client_prompt(prompt, 200, 1);
    EngineRequest r = client_request(prompt, 200, ENGINE_UNLIMITED);
    for (int i = 0; i < 5; i++)
        client_submit(c, &r);
    while (c->n_wakes < 3)
        client_read(c, 10);
    client_submit(c, &r);
    client_stop(c);
}

/* Nothing to do: nothing happens. */
static void test_sleeps_when_idle(void **state) {
    Client *c = *state;
    client_start(c, &(EngineOptions){.pool_bytes = 16 * PAGE});
    Token prompt[3] = {'a', 'b', 'c'};
    EngineRequest r = client_request(prompt, 3, 5);
    client_wait(c, client_submit(c, &r));
    client_read(c, 0);
    EngineStats before, after;
    engine_stats(c->engine, &before);
    c->n_wakes = 0;
    client_read(c, 30);
    engine_stats(c->engine, &after);
    assert_int_equal(c->n_wakes, 0);
    assert_int_equal(before.steps, after.steps);
    client_stop(c);
}

/* ------------------------------------------------------------------------------------------------ threads */

typedef struct Crowd {
    Engine *engine;
    atomic_uint n_members, n_submitted, n_refused;
} Crowd;

static void *crowd_member(void *userdata) {
    Crowd *w = userdata;
    unsigned seed = atomic_fetch_add(&w->n_members, 1);
    Token prompt[100];
    for (int i = 0; i < 60; i++) {
        size_t n = 1 + (unsigned)rand_r(&seed) % 100;
        client_prompt(prompt, n, (unsigned)rand_r(&seed) % 3);
        EngineRequest r = client_request(prompt, n, 1 + (unsigned)rand_r(&seed) % 40);
        r.owner = (unsigned)rand_r(&seed) % 3;
        r.priority = (EnginePriority)((unsigned)rand_r(&seed) % 3);
        uint64_t id;
        if (engine_submit(w->engine, &r, &id, NULL) < 0) {
            atomic_fetch_add(&w->n_refused, 1);
            continue;
        }
        atomic_fetch_add(&w->n_submitted, 1);
        if (rand_r(&seed) % 3 == 0)
            engine_cancel(w->engine, id, rand_r(&seed) % 2 ? 0 : -ECANCELED, "enough");
        if (rand_r(&seed) % 2 == 0)
            engine_cancel(w->engine, 1 + (unsigned)rand_r(&seed) % id, 0, NULL);
        EngineStats stats;
        engine_stats(w->engine, &stats);
        engine_consumed(w->engine, id, 1);
    }
    return NULL;
}

/* Submitting, cancelling and crediting from several threads at once: one final event for each request. */
static void test_serves_a_crowd(void **state) {
    Client *c = *state;
    EngineOptions o = {.pool_bytes = 20 * PAGE, .max_running = 4, .max_queued = 60, .step_tokens = 32};
    Crowd w = {};
    o.outbox_bytes = 50;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    o.wake = client_wake;
    o.userdata = c;
    assert_int_equal(engine_new(&c->model.model, &o, &w.engine, NULL), 0);

    pthread_t threads[3];
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &w), 0);
    unsigned n_finished = 0;
    bool joined = false;
    static bool finished[1000];
    memset(finished, 0, sizeof(finished));
    while (!joined || n_finished < w.n_submitted) {
        struct pollfd p = {.fd = c->wake, .events = POLLIN};
        assert_true(poll(&p, 1, 20000) >= 0);
        uint64_t n;
        if (p.revents)
            assert_int_equal(read(c->wake, &n, sizeof(n)), sizeof(n));
        for (EngineEvent *ev = engine_take_events(w.engine); ev; ev = engine_event_free(ev)) {
            if (ev->type == ENGINE_EVENT_DELTA) {
                engine_consumed(w.engine, ev->id, ev->size);
                continue;
            }
            assert_false(finished[ev->id]);
            finished[ev->id] = true;
            n_finished++;
        }
        if (!joined && n_finished >= 20) {
            for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                pthread_join(threads[i], NULL);
            joined = true;
        }
    }
    assert_int_equal(n_finished, w.n_submitted);
    w.engine = engine_free(w.engine);
    close(c->wake);
}

static int setup(void **state) {
    Client *c = calloc(1, sizeof(*c));
    fake_model_init(&c->model, 1024);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_generates_what_the_model_says),
        TEST(test_bytes_do_not_depend_on_the_others),
        TEST(test_reuses_what_the_same_owner_has_computed),
        TEST(test_refuses_more_than_the_queue_holds),
        TEST(test_cancels_in_the_middle),
        TEST(test_ends_at_its_time_limit),
        TEST(test_ends_for_a_reader_that_does_not_read),
        TEST(test_ends_when_the_pool_stays_exhausted),
        TEST(test_fails_with_its_model),
        TEST(test_fails_when_there_is_nothing_to_choose_from),
        TEST(test_reads_a_prompt_and_stops_there),
        TEST(test_closes_reasoning_at_its_budget),
        TEST(test_reports_log_probabilities),
        TEST(test_ends_with_requests_under_way),
        TEST(test_sleeps_when_idle),
        TEST(test_serves_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
