/* What the service is doing, and the counting of tokens: client/status.c. */
#include "test-infer.h"

#include "verbs.h"

/* ------------------------------------------------------------------------------------------------ answers */

static int reply_properties(sd_bus_message *call, const char *availability, const char *model_types, ...) {
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    va_list ap;

    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "Availability", "s", availability, "Pages", "u",
            96, "PagesUsed", "u", 7, "Sessions", "u", 3, "Queue", "u", 2, "Version", "s", "9.8.7");
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(reply, "s", "Model");
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'v', "a{sv}");
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    va_start(ap, model_types);
    if (r >= 0)
        r = sd_bus_message_appendv(reply, model_types, ap);
    va_end(ap);
    for (int i = 0; i < 4 && r >= 0; i++)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int ready(Peer *p, sd_bus_message *call) {
    const char *interface;
    if (sd_bus_message_read(call, "s", &interface) > 0)
        peer_note(p, "(%s)", interface);
    return reply_properties(call, "ready", "{sv}{sv}{sv}{sv}", "name", "s", "qwen", "architecture", "s", "qwen3",
        "quantisation", "s", "Q4_K_M", "context-size", "u", 32768);
}

static int built_in(Peer *p, sd_bus_message *call) {
    return reply_properties(call, "ready", "{sv}{sv}{sv}{sv}", "name", "s", "calculator", "architecture", "s", "llama",
        "quantisation", "s", "Q8_0", "embedded", "b", 1);
}

static int loading(Peer *p, sd_bus_message *call) {
    return reply_properties(call, "loading", "{sv}", "name", "s", "qwen");
}

static int failed(Peer *p, sd_bus_message *call) {
    return reply_properties(
        call, "model-failed", "{sv}{sv}", "name", "s", "qwen", "error", "s", "qwen.gguf is cut off");
}

static int no_model(Peer *p, sd_bus_message *call) {
    return reply_properties(call, "no-model", "{sv}{sv}", "name", "s", "", "error", "s", "No model is installed.");
}

static int disabled(Peer *p, sd_bus_message *call) {
    return reply_properties(call, "disabled", "{sv}", "name", "s", "");
}

/* One token for each byte. */
static int count(Peer *p, sd_bus_message *call) {
    const char *text;
    int r = sd_bus_message_read(call, "s", &text);
    if (r < 0)
        return r;
    r = sd_bus_message_skip(call, "a{sv}");
    if (r < 0)
        return r;
    peer_note(p, "(%s)", text);
    return sd_bus_reply_method_return(call, "u", (uint32_t)strlen(text));
}

static int another_form(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_return(call, "s", "many");
}

static int nothing_loaded(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_errorf(call, INFERD_ERROR "NoModel", "No model is loaded; infer load NAME loads one.");
}

/* ------------------------------------------------------------------------------------------------ status */

static void test_a_line_for_each_property(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(ready, verb_status, (Options){NO_WORDS}, NULL, &p, &s), 0);
    assert_string_equal(p.heard, "GetAll(org.inferd.Inference1.Manager)");
    assert_string_equal(s.out, "Availability  ready\n"
                               "Model         qwen (qwen3, Q4_K_M)\n"
                               "Context       32768 tokens\n"
                               "Pages         7 of 96 in use\n"
                               "Sessions      3\n"
                               "Queue         2\n"
                               "Version       9.8.7\n"
                               "Bus           session (this user's own daemon)\n");
    assert_string_equal(s.err, "");
}

static void check_lines(int (*answer)(Peer *, sd_bus_message *), const char *model, const char *context) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(answer, verb_status, (Options){NO_WORDS}, NULL, &p, &s), 0);
    assert_non_null(strstr(s.out, model));
    assert_non_null(strstr(s.out, context));
}

static void test_a_model_is_described_as_far_as_it_is_known(void **state) {
    check_lines(built_in, "Model         calculator (llama, Q8_0, built in)\n", "");
    check_lines(loading, "Model         qwen\n", "Context       none\n");
    check_lines(failed, "Model         qwen: qwen.gguf is cut off\n", "Context       none\n");
    check_lines(no_model, "Model         none: No model is installed.\n", "Context       none\n");
    check_lines(disabled, "Model         none\n", "Context       none\n");
}

static void test_json_has_the_properties_as_they_are(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(ready, verb_status, (Options){NO_WORDS, .json = true}, NULL, &p, &s), 0);
    json_t *object = json_loads(s.out, 0, NULL);
    assert_int_equal(json_object_size(object), 7);
    assert_int_equal(dict_uint(object, "PagesUsed"), 7);
    assert_int_equal(dict_uint(json_object_get(object, "Model"), "context-size"), 32768);
    json_decref(object);
}

/* ------------------------------------------------------------------------------------------------ tokens */

static void test_counts_what_a_prompt_would_be(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(count, verb_tokens, (Options){WORDS("one", "two")}, "a diff\n", &p, &s), 0);
    assert_string_equal(p.heard, "CountTokens(a diff\n\none two)");
    assert_string_equal(s.out, "15\n");
    assert_int_equal(run_against(count, verb_tokens, (Options){WORDS("four"), .json = true}, NULL, &p, &s), 0);
    assert_string_equal(s.out, "{\"tokens\": 4}\n");
}

static void test_nothing_to_count_asks_nobody(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(count, verb_tokens, (Options){WORDS(" ")}, "\n", &p, &s), EX_USAGE);
    assert_string_equal(p.heard, "");
    assert_string_equal(s.out, "");
}

/* ------------------------------------------------------------------------------------------------ errors */

static void test_errors_print_nothing_else(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(nothing_loaded, verb_tokens, (Options){WORDS("x")}, NULL, &p, &s), EX_UNAVAILABLE);
    assert_string_equal(s.out, "");
    assert_string_equal(s.err, "infer: No model is loaded; infer load NAME loads one.\n");
    assert_int_equal(run_against(nothing_loaded, verb_status, (Options){NO_WORDS}, NULL, &p, &s), EX_UNAVAILABLE);
    assert_string_equal(s.out, "");
    assert_int_equal(run_against(another_form, verb_tokens, (Options){WORDS("x")}, NULL, &p, &s), EX_PROTOCOL);
    assert_string_equal(s.out, "");
    assert_int_equal(run_against(another_form, verb_status, (Options){NO_WORDS}, NULL, &p, &s), EX_PROTOCOL);
    assert_string_equal(s.out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_for_each_property),
        cmocka_unit_test(test_a_model_is_described_as_far_as_it_is_known),
        cmocka_unit_test(test_json_has_the_properties_as_they_are),
        cmocka_unit_test(test_counts_what_a_prompt_would_be),
        cmocka_unit_test(test_nothing_to_count_asks_nobody),
        cmocka_unit_test(test_errors_print_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
