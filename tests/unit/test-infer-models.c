/* The models as a table, as JSON and as calls: client/models.c. */
#include "test-infer.h"

#include <locale.h>

#include "models.h"
#include "verbs.h"

/* ------------------------------------------------------------------------------------------------ answers */

static int no_models(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_return(call, "a(sa{sv})", 0);
}

static int three_models(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_return(call, "a(sa{sv})", 3, "calculator", 6, "loaded", "b", 0, "embedded", "b", 1,
        "size", "t", UINT64_C(4900000), "license", "s", "MIT", "quantisation", "s", "Q8_0", "architecture", "s",
        "llama", "qwen", 6, "loaded", "b", 1, "embedded", "b", 0, "size", "t", UINT64_C(1117320736), "license", "s",
        "Apache", "quantisation", "s", "Q4_K_M", "context-size", "u", 32768, "broken\033[2J", 3, "size", "t",
        UINT64_C(17), "error", "s", "no GGUF file", "architecture", "s", "");
}

static int another_form(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_return(call, "as", 1, "qwen");
}

static int done(Peer *p, sd_bus_message *call) {
    const char *argument;
    if (sd_bus_message_read(call, "s", &argument) > 0)
        peer_note(p, "(%s)", argument);
    return sd_bus_reply_method_return(call, NULL);
}

static int refused(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_errorf(call, INFERD_ERROR "NoSuchModel", "No model \"x\" is installed.");
}

/* ------------------------------------------------------------------------------------------------ tests */

static void test_a_row_for_each_model(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(three_models, verb_models, (Options){NO_WORDS}, NULL, &p, &s), 0);
    assert_string_equal(p.heard, "ListModels");
    assert_string_equal(s.err, "");
    assert_string_equal(s.out, "   NAME        SIZE    TYPE       CONTEXT       ARCHITECTURE  LICENCE\n"
                               "   calculator  4.9 MB  Q8_0                     llama         built in\n"
                               "*  qwen        1.1 GB  Q4_K_M     32768                       Apache\n"
                               "   broken␛[2J  17 B    unusable:  no GGUF file                \n");
}

static void test_json_has_all_that_is_known(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(three_models, verb_models, (Options){NO_WORDS, .json = true}, NULL, &p, &s), 0);
    json_t *list = json_loads(s.out, 0, NULL);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(dict_string(json_array_get(list, 0), "name"), "calculator");
    assert_string_equal(dict_string(json_array_get(list, 0), "license"), "MIT");
    assert_int_equal(dict_uint(json_array_get(list, 1), "size"), 1117320736);
    assert_true(dict_bool(json_array_get(list, 1), "loaded"));
    assert_string_equal(dict_string(json_array_get(list, 2), "error"), "no GGUF file");
    json_decref(list);
}

static void test_no_model_is_a_remark_but_empty_json(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(no_models, verb_models, (Options){NO_WORDS}, NULL, &p, &s), 0);
    assert_string_equal(s.out, "");
    assert_non_null(strstr(s.err, "infer models --help"));
    assert_int_equal(run_against(no_models, verb_models, (Options){NO_WORDS, .json = true}, NULL, &p, &s), 0);
    assert_string_equal(s.out, "[]\n");
    assert_string_equal(s.err, "");
}

static void test_a_list_of_another_form_is_refused(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(another_form, verb_models, (Options){NO_WORDS}, NULL, &p, &s), EX_PROTOCOL);
    assert_string_equal(s.out, "");
    assert_non_null(strstr(s.err, "unexpected form"));
}

static void test_load_and_unload_name_what_they_mean(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(done, verb_load, (Options){WORDS("qwen")}, NULL, &p, &s), 0);
    assert_string_equal(p.heard, "LoadModel(qwen)");
    assert_int_equal(run_against(done, verb_unload, (Options){NO_WORDS}, NULL, &p, &s), 0);
    assert_string_equal(p.heard, "UnloadModel");
    assert_string_equal(s.out, "");
    assert_string_equal(s.err, "");
}

static void test_the_daemons_sentence_and_its_exit_code(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(refused, verb_load, (Options){WORDS("x")}, NULL, &p, &s), EX_NOINPUT);
    assert_string_equal(s.err, "infer: No model \"x\" is installed.\n");
    assert_int_equal(run_against(refused, verb_models, (Options){NO_WORDS}, NULL, &p, &s), EX_NOINPUT);
    assert_string_equal(s.out, "");
}

static void test_a_name_that_no_message_can_hold_is_asked_for_as_text(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(done, verb_load, (Options){WORDS("caf\xe9")}, NULL, &p, &s), 0);
    assert_string_equal(p.heard, "LoadModel(caf\uFFFD)");
}

int main(void) {
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_for_each_model),
        cmocka_unit_test(test_json_has_all_that_is_known),
        cmocka_unit_test(test_no_model_is_a_remark_but_empty_json),
        cmocka_unit_test(test_a_list_of_another_form_is_refused),
        cmocka_unit_test(test_load_and_unload_name_what_they_mean),
        cmocka_unit_test(test_the_daemons_sentence_and_its_exit_code),
        cmocka_unit_test(test_a_name_that_no_message_can_hold_is_asked_for_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
