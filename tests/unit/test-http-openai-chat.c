/* /v1/chat/completions: http-openai-chat.c. */
#include "test-http.h"

#define CHAT "/v1/chat/completions"

static void test_answers_with_reasoning_apart(void **state) {
    json_t *json;
    assert_int_equal(
        test_http_post(*state, CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"/think hm\"}]}", &json), 200);
    assert_string_equal(test_json_string(json, "object"), "chat.completion");
    assert_string_equal(test_json_string(json, "model"), "alpha");
    assert_int_equal(strncmp(test_json_string(json, "id"), "chatcmpl-", 9), 0);
    assert_string_equal(test_json_string(json, "choices/0/message/role"), "assistant");
    assert_string_equal(test_json_string(json, "choices/0/message/reasoning_content"), "hm");
    assert_string_equal(test_json_string(json, "choices/0/message/content"), "echo: /think hm");
    assert_string_equal(test_json_string(json, "choices/0/finish_reason"), "stop");
    assert_true(json_is_null(test_json_at(json, "choices/0/logprobs")));
    assert_int_equal(json_integer_value(test_json_at(json, "usage/completion_tokens_details/reasoning_tokens")), 2);
    json_decref(json);
}

static void test_takes_roles_and_parts(void **state) {
    json_t *json;
    assert_int_equal(
        test_http_post(*state, CHAT,
            "{\"messages\":[{\"role\":\"developer\",\"content\":\"be nice\"},"
            "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"c\"},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"d\"},"
            "{\"type\":\"text\",\"text\":\"e\"}]}]}",
            &json),
        200);
    assert_string_equal(test_json_string(json, "choices/0/message/content"), "echo: de");
    json_decref(json);
}

static int prompt_tokens(TestHttp *h, const char *body) {
    json_t *json;
    assert_int_equal(test_http_post(h, CHAT, body, &json), 200);
    int n = json_integer_value(test_json_at(json, "usage/prompt_tokens"));
    json_decref(json);
    return n;
}

static void test_a_clients_system_message_replaces_the_default_one(void **state) {
    TestHttp *h = *state;
    static const char plain[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    static const char own[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"own\"},{\"role\":\"user\",\"content\":\"x\"}]}";
    int without = prompt_tokens(h, plain), with_own = prompt_tokens(h, own);
    assert_int_equal(options_set_string(&h->t.d.config->defaults, "system", "the default one", NULL), 0);
    assert_true(prompt_tokens(h, plain) > without);
    assert_int_equal(prompt_tokens(h, own), with_own);
}

static void test_refuses_messages(void **state) {
    assert_refused(*state, CHAT, "{}", 400, "messages");
    assert_refused(*state, CHAT, "{\"messages\":[]}", 400, "messages");
    assert_refused(*state, CHAT, "{\"messages\":[3]}", 400, "messages[0]");
    assert_refused(*state, CHAT, "{\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", 400, "messages[0]");
    assert_refused(*state, CHAT, "{\"messages\":[{\"role\":\"user\"}]}", 400, "messages[0]");
    assert_refused(*state, CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", 400,
        "messages[0]");
    assert_refused(*state, CHAT,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
        "{}]}]}",
        400, "messages[1]");
    assert_refused(
        *state, CHAT, "{\"top_logprobs\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 400, "top_logprobs");
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_answers_with_reasoning_apart),
        with_server(test_takes_roles_and_parts),
        with_server(test_a_clients_system_message_replaces_the_default_one),
        with_server(test_refuses_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
