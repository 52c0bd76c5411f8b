/* The scheduler and the pool by simulation: no model, no threads, and a clock that the test turns. A page's "rows" are
 * hashes of all tokens up to their position, so that every step can check that a sequence stands on its own history. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "forward.h"
#include "scheduler.h"

#define P            KV_PAGE_TOKENS
#define MAX_REQUESTS 64

typedef struct Request {
    Sequence sequence;
    bool live;
    uint32_t target; /* tokens at which it ends */
} Request;

typedef struct Sim {
    SchedulerOptions options;
    KvPool *pool;
    PrefixIndex *index;
    Scheduler *scheduler;
    uint64_t now;
    uint64_t step_usec, token_usec; /* a step takes, and each token in it */
    uint64_t last_id;
    Request requests[MAX_REQUESTS];
    uint32_t n_live;
    uint64_t n_submitted, n_completed, n_cancelled, n_expired;
    uint64_t served[8]; /* tokens computed, by owner */
    uint64_t n_prompt_computed;
} Sim;

static void sim_start(Sim *s, uint32_t n_pages, SchedulerOptions o) {
    *s = (Sim){.options = o, .step_usec = 10000};
    assert_int_equal(kv_pool_new(n_pages, P * sizeof(uint64_t), &s->pool, NULL), 0);
    assert_int_equal(prefix_index_new(s->pool, P, &s->index, NULL), 0);
    assert_int_equal(scheduler_new(&o, s->pool, s->index, &s->scheduler), 0);
}

static void sim_stop(Sim *s) {
    assert_int_equal(s->n_live, 0);
    assert_int_equal(s->n_submitted, s->n_completed + s->n_cancelled + s->n_expired);
    assert_int_equal(kv_pool_n_available(s->pool), kv_pool_n_pages(s->pool));
    scheduler_free(s->scheduler);
    prefix_index_free(s->index);
    kv_pool_free(s->pool);
}

static Request *sim_submit(
    Sim *s, uint64_t owner, EnginePriority priority, const Token *prompt, uint32_t n, uint32_t target) {
    Request *r = s->requests;
    while (r->live)
        r++;
    assert_int_equal(sequence_init(&r->sequence, owner, priority, prompt, n, target), 0);
    r->sequence.id = ++s->last_id;
    r->live = true;
    r->target = target;
    s->n_live++;
    s->n_submitted++;
    scheduler_add(s->scheduler, &r->sequence, s->now);
    return r;
}

static void sim_end(Sim *s, Request *r) {
    assert_true(r->live);
    scheduler_remove(s->scheduler, &r->sequence);
    sequence_done(&r->sequence);
    r->live = false;
    s->n_live--;
}

static Request *request_of(Sequence *q) {
    return (Request *)((char *)q - offsetof(Request, sequence));
}

static uint64_t hash(uint64_t h, Token t) {
    h = (h + t + 1) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t *row(Sim *s, const Sequence *q, uint32_t position) {
    return (uint64_t *)kv_pool_page(s->pool, q->pages[position / P]) + position % P;
}

/* Computes a run, reading what it stands on. */
static void sim_compute(Sim *s, const ScheduledRun *run) {
    const Sequence *q = run->sequence;
    uint64_t h = 0;
    for (uint32_t i = 0; i < run->position + run->n_tokens; i++) {
        h = hash(h, q->tokens[i]);
        if (i < run->position)
            assert_int_equal(*row(s, q, i), h);
        else {
            assert_int_equal(kv_pool_n_refs(s->pool, q->pages[i / P]), 1); /* nobody else's page is written */
            *row(s, q, i) = h;
        }
    }
    s->served[q->owner] += run->n_tokens;
    if (run->position < q->n_prompt)
        s->n_prompt_computed += run->n_tokens;
}

/* What must hold after every plan. */
static void sim_check_plan(Sim *s, const ScheduledRun *runs, size_t n) {
    uint32_t n_tokens = 0, n_willing = 0;
    for (size_t i = 0; i < n; i++) {
        n_tokens += runs[i].n_tokens;
        assert_true(runs[i].n_tokens > 0);
        assert_true(runs[i].sequence->running && !runs[i].sequence->stalled);
        assert_int_equal(runs[i].position, runs[i].sequence->n_computed);
        assert_int_equal(runs[i].last, runs[i].position + runs[i].n_tokens == runs[i].sequence->n_tokens);
        assert_true(runs[i].sequence->n_pages * P >= runs[i].position + runs[i].n_tokens);
    }
    assert_true(n_tokens <= s->options.step_tokens);
    assert_true(n <= s->options.max_running);
    assert_true(scheduler_n_running(s->scheduler) <= s->options.max_running);
    assert_int_equal(scheduler_n_running(s->scheduler) + scheduler_n_queued(s->scheduler), s->n_live);

    int most_urgent_waiting = ENGINE_PRIORITY_BACKGROUND;
    for (Request *r = s->requests; r < s->requests + MAX_REQUESTS; r++) {
        if (!r->live || r->sequence.stalled)
            continue;
        n_willing++;
        if (!r->sequence.running)
            most_urgent_waiting = MIN(most_urgent_waiting, (int)r->sequence.priority);
        else if (sequence_is_decoding(&r->sequence))
            assert_int_equal(r->sequence.n_planned, 1); /* every one that generates gets its token */
    }
    assert_true(n > 0 || n_willing == 0); /* there is always progress */
    for (Request *r = s->requests; r < s->requests + MAX_REQUESTS; r++)
        if (r->live && r->sequence.running) /* nobody waits for a lower class */
            assert_true((int)r->sequence.priority <= most_urgent_waiting);
}

/* Every reference to a page is that of a live sequence, and no page is lost. */
static void sim_check_pages(Sim *s) {
    static uint32_t refs[4096];
    uint32_t n = kv_pool_n_pages(s->pool), n_used = 0;
    memset(refs, 0, n * sizeof(*refs));
    for (Request *r = s->requests; r < s->requests + MAX_REQUESTS; r++)
        for (uint32_t i = 0; r->live && i < r->sequence.n_pages; i++)
            refs[r->sequence.pages[i]]++;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(kv_pool_n_refs(s->pool, i), refs[i]);
        n_used += refs[i] > 0;
    }
    assert_int_equal(n_used + kv_pool_n_available(s->pool), n);
}

static size_t sim_step(Sim *s) {
    Sequence *expired;
    while ((expired = scheduler_expired(s->scheduler, s->now))) {
        assert_true(s->now - expired->queued_since >= s->options.queue_usec);
        sim_end(s, request_of(expired));
        s->n_expired++;
    }
    const ScheduledRun *runs;
    size_t n = scheduler_plan(s->scheduler, s->now, &runs);
    sim_check_plan(s, runs, n);
    uint64_t took = s->step_usec;
    for (size_t i = 0; i < n; i++) {
        sim_compute(s, &runs[i]);
        took += runs[i].n_tokens * s->token_usec;
    }
    scheduler_took(s->scheduler, took);
    for (size_t i = 0; i < n; i++) {
        Request *r = request_of(runs[i].sequence);
        scheduler_commit(s->scheduler, &runs[i]);
        if (!runs[i].last)
            continue;
        Sequence *q = &r->sequence;
        sequence_append(q, (Token)hash(q->n_tokens, q->tokens[q->n_tokens - 1]) % 1000);
        if (q->n_tokens == r->target) {
            sim_end(s, r);
            s->n_completed++;
        }
    }
    s->now += took;
    return n;
}

static void random_prompt(Token *prompt, uint32_t n, unsigned seed) {
    for (uint32_t i = 0; i < n; i++)
        prompt[i] = (Token)rand_r(&seed) % 1000;
}

/* ------------------------------------------------------------------------------------------------ properties */

static void random_submit(Sim *s, unsigned *seed, uint32_t capacity) {
    Token prompt[1024];
    bool large = rand_r(seed) % 8 == 0;
    uint32_t n = 1 + (unsigned)rand_r(seed) % (large ? capacity - 1 : MIN(capacity - 1, 80u));
    random_prompt(prompt, n, 1 + (unsigned)rand_r(seed) % 3); /* few beginnings, so that many are shared */
    uint32_t target = n + 1 + (unsigned)rand_r(seed) % (large ? capacity - n : MIN(capacity - n, 40u));
    sim_submit(s, (unsigned)rand_r(seed) % 4, (EnginePriority)((unsigned)rand_r(seed) % 3), prompt, n, target);
}

/* A second request that goes on from where another one is. */
static void random_fork(Sim *s, unsigned *seed, const Request *r, uint32_t capacity) {
    const Sequence *q = &r->sequence;
    if (r->live && q->n_tokens < capacity)
        sim_submit(s, q->owner, (EnginePriority)((unsigned)rand_r(seed) % 3), q->tokens, q->n_tokens,
            q->n_tokens + 1 + (unsigned)rand_r(seed) % (capacity - q->n_tokens));
}

static void random_operation(Sim *s, unsigned *seed, uint32_t capacity) {
    Request *r = &s->requests[(unsigned)rand_r(seed) % MAX_REQUESTS];
    switch (rand_r(seed) % 16) {
    case 0:
    case 1:
        if (s->n_live < s->options.max_sequences && rand_r(seed) % 2 == 0)
            random_submit(s, seed, capacity);
        break;
    case 2:
        if (s->n_live < s->options.max_sequences && rand_r(seed) % 4 == 0)
            random_fork(s, seed, r, capacity);
        break;
    case 3:
        if (r->live && rand_r(seed) % 4 == 0) {
            sim_end(s, r);
            s->n_cancelled++;
        }
        break;
    case 4:
        if (r->live)
            r->sequence.stalled = rand_r(seed) % 4 == 0;
        break;
    case 5:
        s->now += (unsigned)rand_r(seed) % 20000;
        s->token_usec = (unsigned)rand_r(seed) % 4 * 2000;
        break;
    default: sim_step(s); break;
    }
}

static void test_random_operations(void **state) {
    static const struct {
        uint32_t n_pages;
        SchedulerOptions options;
        int n_operations;
    } cases[] = {
        {16, {.step_tokens = 64, .max_running = 8, .max_sequences = 40, .queue_usec = 3000000}, 120000},
        {12, {.step_tokens = 5, .max_running = 5, .max_sequences = 30, .queue_usec = 1000000}, 120000},
        {200, {.step_tokens = 256, .max_running = 32, .max_sequences = 60, .queue_usec = 60000000}, 60000},
        {3, {.step_tokens = 33, .max_running = 2, .max_sequences = 10, .queue_usec = UINT64_MAX}, 60000},
        {40, {.step_tokens = 1, .max_running = 1, .max_sequences = 20, .queue_usec = 60000000}, 60000},
    };
    static Sim s;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        unsigned seed = 1 + (unsigned)i;
        uint32_t capacity = MIN(cases[i].n_pages * P, 512u);
        sim_start(&s, cases[i].n_pages, cases[i].options);
        for (int j = 0; j < cases[i].n_operations; j++) {
            random_operation(&s, &seed, capacity);
            if (j % 8 == 0)
                sim_check_pages(&s);
        }
        /* nobody else comes: all that is left ends */
        for (Request *r = s.requests; r < s.requests + MAX_REQUESTS; r++)
            r->sequence.stalled = false;
        for (int j = 0; s.n_live > 0 && j < 100000; j++)
            sim_step(&s);
        assert_true(s.n_completed > 300);
        sim_stop(&s);
    }
}

/* ------------------------------------------------------------------------------------------------ policy */

static const SchedulerOptions ordinary = {
    .step_tokens = 64, .max_running = 4, .max_sequences = 60, .queue_usec = 60000000};

static void test_an_interactive_request_starts_in_the_next_step(void **state) {
    static Sim s;
    sim_start(&s, 20, ordinary);
    Token prompt[1000];
    for (unsigned i = 0; i < 10; i++) {
        random_prompt(prompt, 100, 10 + i);
        sim_submit(&s, 1, ENGINE_PRIORITY_BACKGROUND, prompt, 100, 600);
    }
    for (int i = 0; i < 50; i++)
        sim_step(&s); /* all places and most pages are taken */
    random_prompt(prompt, 60, 5);
    Request *r = sim_submit(&s, 1, ENGINE_PRIORITY_INTERACTIVE, prompt, 60, 500);
    sim_step(&s);
    assert_int_equal(r->sequence.n_tokens, 61); /* the whole prompt and the first token */
    while (s.n_live > 0)
        sim_step(&s);
    assert_int_equal(s.n_completed, 11);
    sim_stop(&s);
}

static void test_a_long_prompt_delays_nobody_by_more_than_a_chunk(void **state) {
    static Sim s;
    sim_start(&s, 100, ordinary);
    Token prompt[2000];
    random_prompt(prompt, 2000, 1);
    Request *writing = sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt, 1, 1000);
    sim_step(&s);
    Request *reading = sim_submit(&s, 2, ENGINE_PRIORITY_NORMAL, prompt, 2000, 2001);
    Request *later = NULL;
    for (uint32_t n = writing->sequence.n_tokens; reading->live; n++) {
        assert_int_equal(writing->sequence.n_tokens, n);
        sim_step(&s);
        if (n == 5)
            later = sim_submit(&s, 3, ENGINE_PRIORITY_NORMAL, prompt + 7, 30, 40);
        assert_true(
            n < 6 || !later->live || later->sequence.n_tokens > 30); /* nor does a short prompt wait behind it */
    }
    while (s.n_live > 0)
        sim_step(&s);
    sim_stop(&s);
}

/* What a step takes, and how much of a long prompt is read in it, after a few of them: beside n_writing who
 * generate. Without them the chunk would be of 256 tokens. */
static uint64_t pace_of(
    uint64_t token_usec, unsigned n_writing, EnginePriority writing, EnginePriority reading, uint32_t *ret_chunk) {
    static Sim s;
    SchedulerOptions o = ordinary;
    o.step_tokens = 256;
    o.max_running = 32;
    sim_start(&s, 2000, o);
    s.step_usec = 50000;
    s.token_usec = token_usec;
    Token prompt[4000];
    random_prompt(prompt, 4000, 1);
    for (unsigned i = 0; i < n_writing; i++)
        sim_submit(&s, 1, writing, prompt + i, 1, 1000);
    sim_step(&s);
    Request *r = sim_submit(&s, 2, reading, prompt, 4000, 4001);
    sim_step(&s); /* how long it takes is not known yet */
    assert_true(r->sequence.n_computed <= (writing <= reading && writing < ENGINE_PRIORITY_BACKGROUND ? 64 : 255));
    for (int i = 0; i < 4; i++)
        sim_step(&s);
    uint64_t began = s.now;
    uint32_t n_computed = r->sequence.n_computed;
    sim_step(&s);
    uint64_t took = s.now - began;
    *ret_chunk = r->sequence.n_computed - n_computed;
    while (s.n_live > 0)
        sim_step(&s);
    sim_stop(&s);
    return took;
}

static void test_chunks_keep_a_pace_beside_who_generates(void **state) {
    uint32_t chunk;
    for (uint64_t token_usec = 1000; token_usec <= 10000; token_usec += 500) {
        uint64_t took = pace_of(token_usec, 1, ENGINE_PRIORITY_NORMAL, ENGINE_PRIORITY_NORMAL, &chunk);
        assert_true(took > 250000 && took < 310000);
    }
    pace_of(100, 1, ENGINE_PRIORITY_NORMAL, ENGINE_PRIORITY_NORMAL, &chunk);
    assert_int_equal(chunk, 255); /* never more than a step has */
    pace_of(100000, 1, ENGINE_PRIORITY_NORMAL, ENGINE_PRIORITY_NORMAL, &chunk);
    assert_int_equal(chunk, 16); /* nor so few that reading gets nowhere */
    pace_of(10000, 20, ENGINE_PRIORITY_NORMAL, ENGINE_PRIORITY_NORMAL, &chunk);
    assert_int_equal(chunk, 40);
    assert_true(pace_of(10000, 1, ENGINE_PRIORITY_INTERACTIVE, ENGINE_PRIORITY_BACKGROUND, &chunk) < 310000);
    pace_of(10000, 1, ENGINE_PRIORITY_BACKGROUND, ENGINE_PRIORITY_NORMAL, &chunk);
    assert_int_equal(chunk, 255); /* nobody waits for the sake of a lower class */
    pace_of(10000, 1, ENGINE_PRIORITY_BACKGROUND, ENGINE_PRIORITY_BACKGROUND, &chunk);
    assert_int_equal(chunk, 255);
}

/* One owner with many requests, one with few: both always have some waiting, both get the same. */
static void test_owners_share_evenly(void **state) {
    static const uint32_t n_pages[] = {200, 24};
    for (size_t k = 0; k < ELEMENTSOF(n_pages); k++) {
        static Sim s;
        sim_start(&s, n_pages[k], ordinary);
        Token prompt[100];
        uint32_t n[2] = {};
        for (unsigned step = 0; step < 5000; step++) {
            memset(n, 0, sizeof(n));
            for (Request *r = s.requests; r < s.requests + MAX_REQUESTS; r++)
                if (r->live)
                    n[r->sequence.owner]++;
            for (unsigned owner = 0; owner < 2; owner++)
                for (; n[owner] < (owner ? 2u : 30u); n[owner]++) {
                    random_prompt(prompt, 50, step * 64 + n[owner]);
                    sim_submit(&s, owner, ENGINE_PRIORITY_NORMAL, prompt, 50, 150);
                }
            sim_step(&s);
        }
        double ratio = (double)s.served[0] / (double)s.served[1];
        assert_true(ratio > 0.7 && ratio < 1.43);
        while (s.n_live > 0)
            sim_step(&s);
        sim_stop(&s);
    }
}

/* A flood of long generations holds every place; somebody else's request still gets one at once. */
static void test_a_place_is_made_for_another_owner(void **state) {
    static Sim s;
    sim_start(&s, 200, ordinary);
    Token prompt[100];
    for (unsigned i = 0; i < 20; i++) {
        random_prompt(prompt, 10, i + 1);
        sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt, 10, 1000);
    }
    for (int i = 0; i < 20; i++)
        sim_step(&s);
    Request *r = sim_submit(&s, 2, ENGINE_PRIORITY_NORMAL, prompt, 10, 30);
    sim_step(&s);
    assert_true(r->sequence.running);
    while (s.n_live > 0)
        sim_step(&s);
    assert_int_equal(s.n_completed, 21);
    sim_stop(&s);
}

/* Several sequences each need one more page and there is none: the younger ones make room, all of them end. */
static void test_there_is_no_deadlock_over_the_last_pages(void **state) {
    static Sim s;
    sim_start(&s, 8, ordinary);
    Token prompt[100];
    for (unsigned i = 0; i < 4; i++) {
        random_prompt(prompt, 2 * P - 2, i + 1);
        sim_submit(&s, i, ENGINE_PRIORITY_NORMAL, prompt, 2 * P - 2, 8 * P);
    }
    while (s.n_live > 0) {
        sim_step(&s);
        sim_check_pages(&s);
    }
    assert_int_equal(s.n_completed, 4);
    sim_stop(&s);
}

static void test_gives_up_when_the_pool_stays_exhausted(void **state) {
    static Sim s;
    SchedulerOptions o = ordinary;
    o.queue_usec = 1000000; /* 100 steps of the simulation */
    sim_start(&s, 8, o);
    Token prompt[8 * P];
    random_prompt(prompt, 8 * P, 1);
    sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt, 10, 8 * P);
    for (int i = 0; i < 50; i++)
        sim_step(&s);
    assert_int_equal(scheduler_deadline(s.scheduler), UINT64_MAX);
    sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt + 1, 7 * P, 7 * P + 1);
    sim_step(&s);
    assert_int_equal(scheduler_deadline(s.scheduler), s.now - 10000 + 1000000);
    while (s.n_live > 0)
        sim_step(&s);
    assert_int_equal(s.n_expired, 1);
    assert_int_equal(s.n_completed, 1);
    sim_stop(&s);
}

/* Waiting for a place is not waiting for pages. */
static void test_does_not_give_up_in_a_long_queue(void **state) {
    static Sim s;
    SchedulerOptions o = ordinary;
    o.queue_usec = 1000000;
    sim_start(&s, 200, o);
    Token prompt[10];
    for (unsigned i = 0; i < 12; i++) {
        random_prompt(prompt, 10, i + 1);
        sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt, 10, 300);
    }
    while (s.n_live > 0)
        sim_step(&s);
    assert_int_equal(s.n_completed, 12);
    sim_stop(&s);
}

/* The same long prompt many times at once is computed once, but for what is under way at the same moment. */
static void test_computes_a_common_prompt_once(void **state) {
    static Sim s;
    sim_start(&s, 200, ordinary);
    Token prompt[1000];
    random_prompt(prompt, 1000, 1);
    for (int i = 0; i < 8; i++)
        sim_submit(&s, 1, ENGINE_PRIORITY_NORMAL, prompt, 1000, 1010);
    while (s.n_live > 0)
        sim_step(&s);
    assert_true(s.n_prompt_computed < 2000);
    sim_stop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_an_interactive_request_starts_in_the_next_step),
        cmocka_unit_test(test_a_long_prompt_delays_nobody_by_more_than_a_chunk),
        cmocka_unit_test(test_chunks_keep_a_pace_beside_who_generates),
        cmocka_unit_test(test_owners_share_evenly),
        cmocka_unit_test(test_a_place_is_made_for_another_owner),
        cmocka_unit_test(test_there_is_no_deadlock_over_the_last_pages),
        cmocka_unit_test(test_gives_up_when_the_pool_stays_exhausted),
        cmocka_unit_test(test_does_not_give_up_in_a_long_queue),
        cmocka_unit_test(test_computes_a_common_prompt_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
