/* From rows of logits, written by hand, to tokens, text and the end. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "fake-model.h"
#include "generation.h"

typedef struct Fixture {
    FakeModel model;
    GenerationContext context;
    Generation *g;
    char text[2][256]; /* by kind */
    unsigned n_logprobs;
} Fixture;

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    fake_model_init(&f->model, 1024);
    *state = f;
    return generation_context_init(&f->context, f->model.model.tokenizer, FAKE_N_VOCAB, NULL);
}

static int teardown(void **state) {
    Fixture *f = *state;
    generation_free(f->g);
    generation_context_done(&f->context);
    free(f);
    return 0;
}

static EngineRequest request(void) {
    static const Token prompt[] = {'x', 'y'};
    EngineRequest r = {
        .prompt = prompt,
        .n_prompt = 2,
        .max_tokens = 100,
        .sampler = SAMPLER_OPTIONS_DEFAULT,
        .top_logprobs = -1,
        .reasoning_budget = ENGINE_UNLIMITED,
    };
    r.sampler.temperature = 0;
    return r;
}

static void start(Fixture *f, const EngineRequest *r, uint32_t capacity) {
    f->g = generation_free(f->g);
    memset(f->text, 0, sizeof(f->text));
    f->n_logprobs = 0;
    assert_int_equal(generation_new(r, capacity, 1000, &f->g, NULL), 0);
    f->g->started = 1500;
}

/* The model wants `token` next. */
static int step(Fixture *f, Token token, EngineFinish *ret, Error *e) {
    float logits[FAKE_N_VOCAB];
    for (uint32_t i = 0; i < FAKE_N_VOCAB; i++)
        logits[i] = 0;
    logits[token] = 10;
    return generation_next(f->g, &f->context, logits, 2000 + f->g->usage.completion_tokens, ret, e);
}

static void take_text(Fixture *f) {
    OutputText t;
    while (output_take(f->g->output, &t) > 0) {
        strncat(f->text[t.kind], t.text, sizeof(f->text[0]) - strlen(f->text[t.kind]) - 1);
        f->n_logprobs += (unsigned)t.n_logprobs;
        output_text_done(&t);
    }
}

/* Each letter is a token; all but the last must not end the request. Returns what the last step did. */
static int say(Fixture *f, const char *letters, EngineFinish *ret) {
    int r = 0;
    for (; *letters; letters++) {
        assert_int_equal(r, 0);
        r = step(f, (unsigned char)*letters, ret, NULL);
    }
    take_text(f);
    return r;
}

static void test_writes_what_the_model_wants(void **state) {
    Fixture *f = *state;
    EngineFinish why;
    EngineRequest r = request();
    start(f, &r, 100);
    assert_int_equal(say(f, "abc", &why), 0);
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "abc");
    assert_int_equal(f->g->sequence.n_tokens, 5);
    assert_int_equal(f->g->sequence.tokens[4], 'c');
    assert_int_equal(f->g->usage.prompt_tokens, 2);
    assert_int_equal(f->g->usage.completion_tokens, 3);
    assert_int_equal(f->g->usage.reasoning_tokens, 0);
    assert_int_equal(f->g->usage.prefill_usec, 500);
    assert_int_equal(f->g->usage.decode_usec, 2);
    assert_int_equal(f->n_logprobs, 0);
}

static void test_ends_with_the_end_token(void **state) {
    Fixture *f = *state;
    EngineFinish why = ENGINE_FINISH_ERROR;
    EngineRequest r = request();
    start(f, &r, 100);
    assert_int_equal(say(f, "ab", &why), 0);
    assert_int_equal(step(f, FAKE_END, &why, NULL), 1);
    assert_int_equal(why, ENGINE_FINISH_STOP);
    assert_int_equal(f->g->sequence.n_tokens, 4); /* it is no part of the text */
    assert_int_equal(f->g->usage.completion_tokens, 3);
}

static void test_ends_when_full(void **state) {
    Fixture *f = *state;
    EngineFinish why = ENGINE_FINISH_ERROR;
    EngineRequest r = request();
    start(f, &r, 4);
    assert_int_equal(say(f, "ab", &why), 1);
    assert_int_equal(why, ENGINE_FINISH_LENGTH);
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "ab");
}

static void test_ends_with_a_stop_string(void **state) {
    Fixture *f = *state;
    EngineFinish why = ENGINE_FINISH_ERROR;
    EngineRequest r = request();
    r.stop = (const char *const[]){"END"};
    r.n_stop = 1;
    start(f, &r, 100);
    assert_int_equal(say(f, "aENbEND", &why), 1);
    assert_int_equal(why, ENGINE_FINISH_STOP);
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "aENb");
}

static void test_fails_without_probabilities(void **state) {
    Fixture *f = *state;
    EngineFinish why = ENGINE_FINISH_CANCELLED;
    Error e = {};
    float logits[FAKE_N_VOCAB];
    EngineRequest r = request();
    start(f, &r, 100);
    for (uint32_t i = 0; i < FAKE_N_VOCAB; i++)
        logits[i] = NAN;
    assert_int_equal(generation_next(f->g, &f->context, logits, 2000, &why, &e), -EBADMSG);
    assert_int_equal(why, ENGINE_FINISH_CANCELLED);
    assert_non_null(strstr(e.message, "NaN"));
}

static void test_reports_log_probabilities_where_wanted(void **state) {
    Fixture *f = *state;
    EngineFinish why;
    EngineRequest r = request();
    r.top_logprobs = 2;
    start(f, &r, 100);
    say(f, "abc", &why);
    assert_int_equal(f->n_logprobs, 3);
}

/* The client's array may be gone, and the bias decides. */
static void test_keeps_a_bias_of_its_own(void **state) {
    Fixture *f = *state;
    EngineFinish why;
    LogitBias bias = {'z', 50};
    EngineRequest r = request();
    r.sampler.logit_bias = &bias;
    r.sampler.n_logit_bias = 1;
    start(f, &r, 100);
    bias = (LogitBias){'q', 50};
    say(f, "aa", &why);
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "zz");
}

/* After its budget the reasoning is closed, whatever the model wants, and the rest is answer. */
static void test_closes_reasoning_at_its_budget(void **state) {
    Fixture *f = *state;
    EngineFinish why;
    EngineRequest r = request();
    r.split_reasoning = true;
    r.reasoning_open = true;
    r.reasoning_budget = 3;
    start(f, &r, 100);
    /* three thoughts, then the four tokens of "\n</think>\n\n", then an answer */
    assert_int_equal(f->context.closing.n, 4);
    assert_int_equal(say(f, "abcXXXXde", &why), 0);
    assert_string_equal(f->text[ENGINE_TEXT_REASONING], "abc");
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "de");
    assert_int_equal(f->g->sequence.tokens[2 + 4], FAKE_END_THINK);
    assert_int_equal(f->g->usage.reasoning_tokens, 5); /* with the line break and the tag */

    r.reasoning_budget = ENGINE_UNLIMITED;
    start(f, &r, 100);
    assert_int_equal(say(f, "abcXXXXde", &why), 0);
    assert_string_equal(f->text[ENGINE_TEXT_REASONING], "abcXXXXde");

    r.split_reasoning = false; /* nothing is split off, so there is no budget */
    r.reasoning_budget = 3;
    start(f, &r, 100);
    assert_int_equal(say(f, "abcXX", &why), 0);
    assert_string_equal(f->text[ENGINE_TEXT_ANSWER], "abcXX");
}

static void test_has_the_deadline_asked_for(void **state) {
    Fixture *f = *state;
    EngineRequest r = request();
    start(f, &r, 100);
    assert_true(f->g->deadline == UINT64_MAX);
    r.timeout_usec = 500;
    start(f, &r, 100);
    assert_true(f->g->deadline == 1500);
    r.timeout_usec = UINT64_MAX; /* plus now wraps */
    start(f, &r, 100);
    assert_true(f->g->deadline == UINT64_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_writes_what_the_model_wants),
        TEST(test_ends_with_the_end_token),
        TEST(test_ends_when_full),
        TEST(test_ends_with_a_stop_string),
        TEST(test_fails_without_probabilities),
        TEST(test_reports_log_probabilities_where_wanted),
        TEST(test_keeps_a_bias_of_its_own),
        TEST(test_closes_reasoning_at_its_budget),
        TEST(test_has_the_deadline_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
