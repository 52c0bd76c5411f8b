/* What a client may have made up, refused before the engine sees it. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "admission.h"

#define CONTEXT 1024

static const Config config = {.n_vocab = 100};
static const Config encoder = {.n_vocab = 100, .encoder = true};
static Token prompt[6000];

static EngineRequest request(size_t n) {
    return (EngineRequest){
        .priority = ENGINE_PRIORITY_NORMAL,
        .prompt = prompt,
        .n_prompt = n,
        .max_tokens = 1,
        .sampler = SAMPLER_OPTIONS_DEFAULT,
        .top_logprobs = -1,
        .reasoning_budget = ENGINE_UNLIMITED,
    };
}

static void refuse(const EngineRequest *r, const Config *c, int code, const char *words) {
    Error e = {};
    assert_int_equal(admission_check(r, c, CONTEXT, &e), code);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
}

static void test_takes_what_fits(void **state) {
    EngineRequest r = request(1);
    assert_int_equal(admission_check(&r, &config, CONTEXT, NULL), 0);
    r.n_prompt = CONTEXT - 1;
    r.max_tokens = ENGINE_UNLIMITED;
    assert_int_equal(admission_check(&r, &config, CONTEXT, NULL), 0);
    r.n_prompt = CONTEXT; /* only to be read */
    r.max_tokens = 0;
    assert_int_equal(admission_check(&r, &config, CONTEXT, NULL), 0);
    r.embed = true;
    r.max_tokens = 5;
    assert_int_equal(admission_check(&r, &encoder, CONTEXT, NULL), 0);
}

static void test_refuses_bad_prompts(void **state) {
    EngineRequest r = request(0);
    refuse(&r, &config, -EINVAL, "the prompt is empty");
    r = request(5000);
    refuse(&r, &config, -EMSGSIZE, "the prompt has 5,000 tokens, 3,976 more than the context of 1,024");
    r = request(CONTEXT);
    refuse(&r, &config, -EMSGSIZE, "fills the whole context");
    r = request(10);
    prompt[9] = 100;
    refuse(&r, &config, -EINVAL, "token 100 is not in the model's vocabulary of 100");
    prompt[9] = 0;
}

static void test_refuses_the_other_kind_of_model(void **state) {
    EngineRequest r = request(1);
    refuse(&r, &encoder, -EOPNOTSUPP, "computes embeddings and generates no text");
    r.embed = true;
    refuse(&r, &config, -EOPNOTSUPP, "generates text and computes no embeddings");
}

static void test_refuses_bad_options(void **state) {
    EngineRequest r = request(1);
    r.priority = 3;
    refuse(&r, &config, -EINVAL, "there is no priority 3");
    r = request(1);
    r.top_logprobs = 21;
    refuse(&r, &config, -EINVAL, "top-logprobs");
    r.top_logprobs = -2;
    refuse(&r, &config, -EINVAL, "top-logprobs");
    r = request(1);
    r.sampler.top_p = 0;
    refuse(&r, &config, -EINVAL, "top-p");
    r = request(1);
    const LogitBias bias = {100, 1};
    r.sampler.logit_bias = &bias;
    r.sampler.n_logit_bias = 1;
    refuse(&r, &config, -EINVAL, "logit-bias names token 100");
}

static void test_refuses_bad_stop_strings(void **state) {
    static char longest[1026];
    memset(longest, 'x', sizeof(longest) - 1);
    const char *stop[17] = {""};
    EngineRequest r = request(1);
    r.stop = stop;
    r.n_stop = 1;
    refuse(&r, &config, -EINVAL, "must not be empty");
    stop[0] = NULL;
    refuse(&r, &config, -EINVAL, "must not be empty");
    stop[0] = longest;
    refuse(&r, &config, -EINVAL, "longer than 1024 bytes");
    stop[0] = longest + 1;
    assert_int_equal(admission_check(&r, &config, CONTEXT, NULL), 0);
    r.n_stop = 17;
    refuse(&r, &config, -EINVAL, "17 stop strings");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_fits),
        cmocka_unit_test(test_refuses_bad_prompts),
        cmocka_unit_test(test_refuses_the_other_kind_of_model),
        cmocka_unit_test(test_refuses_bad_options),
        cmocka_unit_test(test_refuses_bad_stop_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
