/* /v1/completions: http-openai-completions.c. */
#include "test-http.h"

#define COMPLETIONS "/v1/completions"

static void test_numbers_choices_prompt_by_prompt(void **state) {
    static const char *const wanted[] = {"aecho: a", "aecho: a", "bcecho: bc", "bcecho: bc"};
    json_t *json;
    assert_int_equal(
        test_http_post(*state, COMPLETIONS, "{\"prompt\":[\"a\",\"bc\"],\"n\":2,\"echo\":true}", &json), 200);
    assert_string_equal(test_json_string(json, "object"), "text_completion");
    for (int i = 0; i < 4; i++) {
        char path[40];
        snprintf(path, sizeof(path), "choices/%d/text", i);
        assert_string_equal(test_json_string(json, path), wanted[i]);
        snprintf(path, sizeof(path), "choices/%d/index", i);
        assert_int_equal(json_integer_value(test_json_at(json, path)), i);
    }
    assert_int_equal(json_integer_value(test_json_at(json, "usage/prompt_tokens")), 1 + 2 + 2);
    json_decref(json);
}

static void test_takes_token_ids(void **state) {
    json_t *json;
    assert_int_equal(test_http_post(*state, COMPLETIONS, "{\"prompt\":[104,105.0]}", &json), 200);
    assert_string_equal(test_json_string(json, "choices/0/text"), "echo: hi");
    json_decref(json);
    assert_int_equal(test_http_post(*state, COMPLETIONS, "{\"prompt\":[[104],\"x\"]}", &json), 200);
    assert_string_equal(test_json_string(json, "choices/1/text"), "echo: x");
    json_decref(json);
}

static void test_ends_at_a_length(void **state) {
    json_t *json;
    assert_int_equal(test_http_post(*state, COMPLETIONS, "{\"prompt\":\"hello\",\"max_tokens\":3}", &json), 200);
    assert_string_equal(test_json_string(json, "choices/0/text"), "ech");
    assert_string_equal(test_json_string(json, "choices/0/finish_reason"), "length");
    json_decref(json);
}

static void test_refuses_prompts(void **state) {
    static const char *const bodies[] = {"{}", "{\"prompt\":null}", "{\"prompt\":[]}", "{\"prompt\":{}}",
        "{\"prompt\":7}", "{\"prompt\":[-1]}", "{\"prompt\":[1.5]}", "{\"prompt\":[4294967295]}",
        "{\"prompt\":[1,\"x\"]}", "{\"prompt\":[\"x\",1]}", "{\"prompt\":[[]]}", "{\"prompt\":[[[1]]]}"};
    for (size_t i = 0; i < ELEMENTSOF(bodies); i++)
        assert_refused(*state, COMPLETIONS, bodies[i], 400, "prompt");
    assert_refused(*state, COMPLETIONS, "{\"prompt\":[1],\"echo\":true}", 400, "echo");
    assert_refused(*state, COMPLETIONS, "{\"prompt\":\"x\",\"echo\":true,\"logprobs\":1}", 400, "echo");
    assert_refused(*state, COMPLETIONS, "{\"prompt\":\"x\",\"logprobs\":true}", 400, "logprobs");
    assert_refused(*state, COMPLETIONS, "{\"prompt\":\"x\",\"suffix\":\"y\"}", 400, "suffix");
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_numbers_choices_prompt_by_prompt),
        with_server(test_takes_token_ids),
        with_server(test_ends_at_a_length),
        with_server(test_refuses_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
