#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "sampler.h"

#define N 1000u

typedef struct Fixture {
    SamplerScratch *scratch;
    float logits[N + 10];
    Token history[100];
    SamplerInput in;
    SamplerOptions o; /* draws from the whole distribution */
    TokenLogprob logprob;
} Fixture;

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(sampler_scratch_new(N, &f->scratch), 0);
    f->in = (SamplerInput){
        .logits = f->logits, .n_logits = N, .history = f->history, .forced = TOKEN_NONE, .top_logprobs = -1};
    f->o = (SamplerOptions){.temperature = 1, .top_p = 1, .repeat_penalty = 1};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    sampler_scratch_free(f->scratch);
    free(f);
    return 0;
}

/* Some logits that are the same every time (the sampler overwrites them). */
static void fill(Fixture *f) {
    for (uint32_t i = 0; i < N + 10; i++)
        f->logits[i] = (float)(sampler_random(9, i) * 10 - 5);
}

static Token next(Fixture *f) {
    return sampler_sample(&f->o, f->scratch, &f->in, &f->logprob);
}

/* How often each token comes in n draws with the logits that `prepare` makes. */
static void count(Fixture *f, void (*prepare)(Fixture *), unsigned n, unsigned *ret) {
    memset(ret, 0, N * sizeof(*ret));
    for (unsigned i = 0; i < n; i++) {
        prepare(f);
        f->o.seed = i * 77;
        Token t = next(f);
        assert_in_range(t, 0, N - 1);
        ret[t]++;
    }
}

/* ------------------------------------------------------------------------------------------------ choosing */

static void test_greedy_takes_the_largest_and_of_equals_the_first(void **state) {
    Fixture *f = *state;
    f->o.temperature = 0;
    fill(f);
    f->logits[700] = f->logits[300] = f->logits[999] = 6;
    assert_int_equal(next(f), 300);
    fill(f);
    f->logits[999] = 7;
    assert_int_equal(next(f), 999);
    f->in.n_logits = N + 10; /* a row of the embedding that the tokenizer does not know */
    fill(f);
    f->logits[N + 1] = 100;
    f->logits[5] = 6;
    assert_int_equal(next(f), 5);
}

static void two_of_three(Fixture *f) {
    for (uint32_t i = 0; i < N; i++)
        f->logits[i] = -100;
    f->logits[1] = logf(0.7f);
    f->logits[2] = logf(0.2f);
    f->logits[998] = logf(0.1f);
}

static void test_draws_as_often_as_the_probabilities_say(void **state) {
    Fixture *f = *state;
    unsigned n[N];
    count(f, two_of_three, 10000, n);
    assert_in_range(n[1], 6800, 7200);
    assert_in_range(n[2], 1850, 2150);
    assert_in_range(n[998], 850, 1150);

    f->o.temperature = 2; /* square roots: 0.837, 0.447, 0.316 of 1.6 */
    count(f, two_of_three, 10000, n);
    assert_in_range(n[1], 5000, 5450);
    assert_in_range(n[2], 2600, 2990);
    f->o.temperature = 1e-6f;
    count(f, two_of_three, 100, n);
    assert_int_equal(n[1], 100);
}

static void test_filters_leave_what_they_say(void **state) {
    Fixture *f = *state;
    unsigned n[N];
    f->o.top_k = 2;
    count(f, two_of_three, 3000, n);
    assert_int_equal(n[998], 0);
    assert_in_range(n[1], 2250, 2420); /* 7/9 */
    f->o.top_k = 1;
    count(f, two_of_three, 100, n);
    assert_int_equal(n[1], 100);
    f->o.top_k = N * 2;
    count(f, two_of_three, 1000, n);
    assert_true(n[998] > 50);

    f->o.top_k = 0;
    f->o.top_p = 0.85f; /* 0.7 does not reach it, 0.9 does */
    count(f, two_of_three, 3000, n);
    assert_int_equal(n[998], 0);
    assert_true(n[2] > 500);
    f->o.top_p = 0.7f * 0.999f;
    count(f, two_of_three, 100, n);
    assert_int_equal(n[1], 100);

    f->o.top_p = 1;
    f->o.min_p = 0.2f; /* of 0.7: 0.14 */
    count(f, two_of_three, 3000, n);
    assert_int_equal(n[998], 0);
    assert_true(n[2] > 500);
    f->o.min_p = 1;
    count(f, two_of_three, 100, n);
    assert_int_equal(n[1], 100);
}

static void flat(Fixture *f) {
    for (uint32_t i = 0; i < N; i++)
        f->logits[i] = 3;
}

/* Every token alike, so top-p has to take 500: the first ones, since equal logits go by id. */
static void test_top_p_asks_for_more_when_the_first_do_not_suffice(void **state) {
    Fixture *f = *state;
    unsigned n[N];
    f->o.top_p = 0.4995f;
    count(f, flat, 6000, n);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(n[i] > 0, i < 500);
}

static void test_the_filters_agree_with_a_full_sort(void **state) {
    Fixture *f = *state;
    for (unsigned k = 1; k < 200; k += 33) {
        unsigned n[N], rank[N] = {};
        fill(f);
        for (uint32_t i = 0; i < N; i++)
            for (uint32_t j = 0; j < N; j++)
                rank[i] += f->logits[j] > f->logits[i] || (f->logits[j] == f->logits[i] && j < i);
        f->o.top_k = k;
        f->o.temperature = 50; /* nearly even, so that each of them comes */
        count(f, fill, k * 12, n);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(n[i] > 0, rank[i] < k);
    }
}

/* ------------------------------------------------------------------------------------------------ penalties */

static void test_logit_bias_forbids_and_forces(void **state) {
    Fixture *f = *state;
    LogitBias bias[] = {{1, -100}, {2, 100}, {N + 500, 100}};
    f->o.logit_bias = bias;
    f->o.n_logit_bias = 1;
    unsigned n[N];
    count(f, two_of_three, 200, n);
    assert_int_equal(n[1], 0);
    f->o.n_logit_bias = 3;
    count(f, two_of_three, 200, n);
    assert_int_equal(n[2], 200);
}

static void test_penalties_count_what_they_should(void **state) {
    Fixture *f = *state;
    f->o.temperature = 0;
    const Token history[] = {1, 1, 2, 3, 3, 3}; /* a prompt of 3, and three times token 3 */
    memcpy(f->history, history, sizeof(history));
    f->in.n_history = 6;
    f->in.n_prompt = 3;

    /* once per token however often it came, the prompt's too, and only within the last n */
    f->o.repeat_penalty = 2;
    f->o.repeat_last_n = 4;
    flat(f);
    f->logits[2] = -1;
    next(f);
    assert_true(f->logits[1] == 3 && f->logits[2] == -2 && f->logits[3] == 1.5f && f->logits[4] == 3);
    f->o.repeat_last_n = 0;
    flat(f);
    next(f);
    assert_true(f->logits[3] == 3);
    f->o.repeat_last_n = 64;
    flat(f);
    next(f);
    assert_true(f->logits[1] == 1.5f);

    /* only what was generated, the frequency for each time */
    f->o.repeat_penalty = 1;
    f->o.presence_penalty = 0.5f;
    f->o.frequency_penalty = 0.25f;
    flat(f);
    next(f);
    assert_true(f->logits[1] == 3 && f->logits[2] == 3 && f->logits[3] == 3 - 0.5f - 0.75f);
    flat(f);
    next(f); /* nothing is left over from the last call */
    assert_true(f->logits[3] == 3 - 0.5f - 0.75f);
}

/* ------------------------------------------------------------------------------------------------ bad numbers */

static void test_survives_bad_numbers(void **state) {
    Fixture *f = *state;
    const SamplerOptions options[] = {
        {.temperature = 0, .top_p = 1, .repeat_penalty = 1},
        {.temperature = 1, .top_p = 1, .repeat_penalty = 1},
        {.temperature = 0.1f, .top_p = 0.5f, .top_k = 5, .min_p = 0.1f, .repeat_penalty = 0.01f, .repeat_last_n = 64},
        {.temperature = 100, .top_p = 0.5f, .repeat_penalty = 1, .presence_penalty = -100, .frequency_penalty = -100},
    };
    const float bad[] = {NAN, -INFINITY, -NAN};
    for (size_t i = 0; i < ELEMENTSOF(options); i++) {
        f->o = options[i];
        f->in.n_history = 100; /* all token 0 */
        for (uint32_t j = 0; j < N; j++)
            f->logits[j] = bad[j % 3];
        assert_int_equal(next(f), TOKEN_NONE);
        for (uint32_t j = 0; j < N; j++)
            f->logits[j] = bad[j % 3];
        f->logits[123] = -5;
        assert_int_equal(next(f), 123);
        for (uint32_t j = 0; j < N; j++)
            f->logits[j] = bad[j % 3];
        f->logits[123] = INFINITY;
        assert_int_equal(next(f), 123);
        fill(f);
        f->logits[0] = INFINITY;
        f->logits[123] = FLT_MAX;
        Token t = next(f);
        assert_true(t == 0 || t == 123);
    }
}

static void test_refuses_options_out_of_range(void **state) {
    static const LogitBias nan_bias = {7, NAN};
    static const struct {
        SamplerOptions o;
        const char *name;
    } bad[] = {
        {{.temperature = -1, .top_p = 1, .repeat_penalty = 1}, "temperature"},
        {{.temperature = NAN, .top_p = 1, .repeat_penalty = 1}, "temperature"},
        {{.temperature = INFINITY, .top_p = 1, .repeat_penalty = 1}, "temperature"},
        {{.top_p = 0, .repeat_penalty = 1}, "top-p"},
        {{.top_p = 1.1f, .repeat_penalty = 1}, "top-p"},
        {{.top_p = NAN, .repeat_penalty = 1}, "top-p"},
        {{.top_p = 1, .min_p = -0.1f, .repeat_penalty = 1}, "min-p"},
        {{.top_p = 1, .min_p = NAN, .repeat_penalty = 1}, "min-p"},
        {{.top_p = 1, .repeat_penalty = 0}, "repeat-penalty"},
        {{.top_p = 1, .repeat_penalty = 1, .presence_penalty = NAN}, "presence-penalty"},
        {{.top_p = 1, .repeat_penalty = 1, .frequency_penalty = -INFINITY}, "frequency-penalty"},
        {{.top_p = 1, .repeat_penalty = 1, .logit_bias = &nan_bias, .n_logit_bias = 1}, "token 7"},
        {{.top_p = 1, .repeat_penalty = 1, .n_logit_bias = 1}, "logit-bias"},
    };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Error e = {};
        assert_int_equal(sampler_options_check(&bad[i].o, &e), -EINVAL);
        assert_non_null(strstr(e.message, bad[i].name));
    }
    assert_int_equal(sampler_options_check(&SAMPLER_OPTIONS_DEFAULT, NULL), 0);
}

/* ------------------------------------------------------------------------------------------------ log-probabilities */

static void test_log_probabilities_are_the_models_own(void **state) {
    Fixture *f = *state;
    f->in.top_logprobs = 4;
    f->o.temperature = 0.5f;
    f->o.top_k = 1;
    LogitBias bias = {2, 100};
    f->o.logit_bias = &bias;
    f->o.n_logit_bias = 1;
    two_of_three(f);
    assert_int_equal(next(f), 2);
    assert_int_equal(f->logprob.token, 2);
    assert_float_equal(f->logprob.logprob, logf(0.2f), 1e-5);
    assert_int_equal(f->logprob.n_top, 4);
    assert_int_equal(f->logprob.top[0].token, 1);
    assert_float_equal(f->logprob.top[0].logprob, logf(0.7f), 1e-5);
    assert_int_equal(f->logprob.top[1].token, 2);
    assert_int_equal(f->logprob.top[2].token, 998);
    assert_int_equal(f->logprob.top[3].token, 0); /* of equals the first */
    assert_float_equal(f->logprob.top[3].logprob, -100, 1e-3);

    /* against the plainest way to compute it, and for a token that was forced */
    fill(f);
    double sum = 0;
    for (uint32_t i = 0; i < N; i++)
        sum += exp(f->logits[i]);
    float want = (float)(f->logits[17] - log(sum));
    f->in.forced = 17;
    f->in.top_logprobs = 0;
    assert_int_equal(next(f), 17);
    assert_float_equal(f->logprob.logprob, want, 1e-5);
    assert_int_equal(f->logprob.n_top, 0);

    flat(f);
    f->logits[17] = -INFINITY;
    next(f);
    assert_true(f->logprob.logprob < -1000 && isfinite(f->logprob.logprob));
}

/* ------------------------------------------------------------------------------------------------ seeds */

static void test_the_same_seed_gives_the_same_tokens(void **state) {
    Fixture *f = *state;
    f->o = SAMPLER_OPTIONS_DEFAULT;
    Token first[50];
    unsigned n_same = 0;
    for (int round = 0; round < 3; round++) {
        f->o.seed = round == 2 ? 1235 : 1234;
        for (unsigned i = 0; i < 50; i++) {
            fill(f);
            f->in.n_history = i;
            Token t = next(f);
            if (round == 0)
                first[i] = t;
            else if (round == 1)
                assert_int_equal(t, first[i]);
            else
                n_same += t == first[i];
        }
    }
    assert_true(n_same < 40);

    /* and on every machine */
    assert_true(sampler_random(0, 0) == 0xE220A8397B1DCDAFu / 2048 * 0x1p-53);
    assert_true(sampler_random(0, 1) == 0x6E789E6AA1B965F4u / 2048 * 0x1p-53);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_greedy_takes_the_largest_and_of_equals_the_first),
        TEST(test_draws_as_often_as_the_probabilities_say),
        TEST(test_filters_leave_what_they_say),
        TEST(test_top_p_asks_for_more_when_the_first_do_not_suffice),
        TEST(test_the_filters_agree_with_a_full_sort),
        TEST(test_logit_bias_forbids_and_forces),
        TEST(test_penalties_count_what_they_should),
        TEST(test_survives_bad_numbers),
        TEST(test_refuses_options_out_of_range),
        TEST(test_log_probabilities_are_the_models_own),
        TEST(test_the_same_seed_gives_the_same_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
