/* OpenAI's fields become options, and what is not supported is refused by name: http-openai.c. Tools belong to chats
 * (test-http-openai-chat.c): here, in a plain completion, they are refused. */
#include "test-http.h"

#include "http-openai.h"

static int parse(TestHttp *h, const char *body, HttpOpenaiRequest *q, HttpError *he) {
    json_t *json = json_loads(body, 0, NULL);
    assert_non_null(json);
    *he = (HttpError){};
    int r = http_openai_request_parse(&h->t.d, json, false, q, he);
    json_decref(json);
    return r;
}

static void test_defaults_come_from_the_configuration(void **state) {
    TestHttp *h = *state;
    HttpOpenaiRequest q = {};
    HttpError he;
    Options *defaults = &h->t.d.config->defaults;
    assert_int_equal(options_set_double(defaults, "temperature", 0.25, NULL), 0);
    assert_int_equal(options_set_string(defaults, "system", "Be brief.", NULL), 0);
    assert_int_equal(parse(h, "{\"temperature\":null}", &q, &he), 0);
    assert_true(q.options.sampler.temperature == 0.25f);
    assert_string_equal(q.options.system, "Be brief.");
    assert_int_equal(q.n, 1);
    assert_false(q.stream);
    assert_null(q.model);
    http_openai_request_done(&q);
}

static void test_fields_become_options(void **state) {
    TestHttp *h = *state;
    HttpOpenaiRequest q = {};
    HttpError he;
    assert_int_equal(
        parse(h,
            "{\"model\":\"alpha\",\"max_tokens\":5,\"max_completion_tokens\":7,\"temperature\":1,\"top_p\":0.5,\"top_"
            "k\":3,"
            "\"min_p\":0.25,\"repeat_penalty\":1.5,\"presence_penalty\":-1,\"frequency_penalty\":2,\"seed\":9,"
            "\"priority\":\"background\",\"reasoning_effort\":\"none\",\"stop\":[\"a\",\"b\"],\"n\":4,"
            "\"logit_bias\":{\"12\":-100,\"13\":0.5},\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
            &q, &he),
        0);
    const SamplerOptions *s = &q.options.sampler;
    assert_int_equal(q.options.max_tokens, 7);
    assert_true(s->temperature == 1 && s->top_p == 0.5f && s->top_k == 3 && s->min_p == 0.25f);
    assert_true(s->repeat_penalty == 1.5f && s->presence_penalty == -1 && s->frequency_penalty == 2 && s->seed == 9);
    assert_true(q.options.seed_given);
    assert_int_equal(q.options.priority, ENGINE_PRIORITY_BACKGROUND);
    assert_int_equal(q.options.reasoning_budget, 0);
    assert_string_equal(q.options.stop[1], "b");
    assert_null(q.options.stop[2]);
    assert_int_equal(s->n_logit_bias, 2);
    assert_true((s->logit_bias[0].token == 12 && s->logit_bias[0].bias == -100) || s->logit_bias[1].token == 12);
    assert_true(q.stream && q.include_usage);
    assert_int_equal(q.n, 4);
    assert_string_equal(q.model, "alpha");
    http_openai_request_done(&q);
}

static void assert_param(TestHttp *h, const char *body, const char *param) {
    HttpOpenaiRequest q = {};
    HttpError he;
    assert_true(parse(h, body, &q, &he) < 0);
    assert_int_equal(he.status, 400);
    assert_string_equal(he.param, param);
    assert_null(q.options.stop); /* untouched */
}

static void test_what_cannot_be_done_is_refused_by_name(void **state) {
    TestHttp *h = *state;
    assert_param(h, "{\"temperature\":-1}", "temperature");
    assert_param(h, "{\"temperature\":[1]}", "temperature");
    assert_param(h, "{\"max_tokens\":0.5}", "max_tokens");
    assert_param(h, "{\"reasoning_effort\":\"extreme\"}", "reasoning_effort");
    assert_param(h, "{\"stop\":[\"a\",1]}", "stop");
    assert_param(h, "{\"logit_bias\":{\"a\":1}}", "logit_bias");
    assert_param(h, "{\"logit_bias\":{\"1 \":1}}", "logit_bias");
    assert_param(h, "{\"n\":9}", "n");
    assert_param(h, "{\"stream_options\":{}}", "stream_options");
    assert_param(h, "{\"tools\":[{}]}", "tools");
    assert_param(h, "{\"tools\":1}", "tools");
    assert_param(h, "{\"tool_choice\":\"required\"}", "tool_choice");
    assert_param(h, "{\"response_format\":{\"type\":\"json_object\"}}", "response_format");
    assert_param(h, "{\"modalities\":[\"text\",\"audio\"]}", "modalities");
    assert_param(h, "{\"verbosity\":\"low\"}", "verbosity");
}

static void test_what_changes_nothing_is_ignored(void **state) {
    HttpOpenaiRequest q = {};
    HttpError he;
    assert_int_equal(parse(*state,
                         "{\"user\":\"me\",\"store\":true,\"metadata\":{},\"tools\":[],\"tool_choice\":\"auto\","
                         "\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"verbosity\":\"medium\","
                         "\"best_of\":1,\"suffix\":\"\",\"stop\":[],\"model\":\"default\"}",
                         &q, &he),
        0);
    assert_null(q.model);
    http_openai_request_done(&q);
}

static void test_the_model_must_be_the_shared_one(void **state) {
    TestHttp *h = *state;
    HttpError he = {};
    test_daemon_install(&h->t, "beta", "FAKE context=4096");
    assert_int_equal(http_openai_check_model(h->t.d.host, "alpha", &he), 0);
    assert_int_equal(http_openai_check_model(h->t.d.host, "alpha.gguf", &he), 0);
    static const struct {
        const char *name, *code;
    } rows[] = {{"beta", "model_not_loaded"}, {"alpha2", "model_not_found"}, {"alph", "model_not_found"},
        {"", "model_not_found"}, {"../alpha", "model_not_found"}};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_true(http_openai_check_model(h->t.d.host, rows[i].name, &he) < 0);
        assert_int_equal(he.status, 404);
        assert_string_equal(he.code, rows[i].code);
        assert_string_equal(he.param, "model");
    }
}

static void test_an_idle_model_comes_back_for_its_name_only(void **state) {
    TestHttp *h = *state;
    json_t *json;
    test_daemon_install(&h->t, "beta", "FAKE context=4096");
    for (int i = 0; i < 2; i++) {
        h->t.d.config->idle_unload_usec = 1000;
        model_host_busy(h->t.d.host, false);
        turn_until(h, !model_host_model(h->t.d.host));
        h->t.d.config->idle_unload_usec = 0;
        int status = test_http_post(h, "/v1/completions",
            i == 0 ? "{\"prompt\":\"x\",\"model\":\"alpha\"}" : "{\"prompt\":\"x\",\"model\":\"beta\"}", &json);
        assert_int_equal(status, i == 0 ? 200 : 404);
        json_decref(json);
        turn_until(h, h->t.d.n_requests == 0);
    }
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_defaults_come_from_the_configuration),
        with_server(test_fields_become_options),
        with_server(test_what_cannot_be_done_is_refused_by_name),
        with_server(test_what_changes_nothing_is_ignored),
        with_server(test_the_model_must_be_the_shared_one),
        with_server(test_an_idle_model_comes_back_for_its_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
