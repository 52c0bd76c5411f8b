/* A tool call on its way to a client: tool-call.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tool-call.h"

#define AWKWARD "say \"hi\"\\\n\xC3\xA9"

static RequestDelta call(const char *name, const char *arguments) {
    return (RequestDelta){
        .kind = ENGINE_TEXT_TOOL_CALL,
        .text = arguments,
        .size = strlen(arguments),
        .tool_name = name,
        .tool_id = "a1B2c3D4e",
    };
}

static json_t *parsed(const Text *t) {
    json_t *json = json_loads(text_string(t), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static void assert_member(const json_t *object, const char *key, const char *expected) {
    assert_string_equal(json_string_value(json_object_get(object, key)), expected);
}

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

static void test_ids_are_nine_letters_or_digits_and_differ(void **state) {
    char ids[1000][TOOL_CALL_ID_SIZE];
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        memset(ids[i], '?', sizeof(ids[i]));
        tool_call_make_id(ids[i]);
        assert_int_equal(ids[i][9], '\0');
        for (int k = 0; k < 9; k++)
            assert_true(isascii(ids[i][k]) && isalnum(ids[i][k]));
    }
    qsort(ids, ELEMENTSOF(ids), sizeof(ids[0]), compare);
    for (size_t i = 1; i < ELEMENTSOF(ids); i++)
        assert_string_not_equal(ids[i], ids[i - 1]);
}

/* Reading and writing a number again would turn 1.10 into 1.1, and an argument that is a version into another one. */
static void test_arguments_stay_as_the_model_wrote_them(void **state) {
    static const char arguments[] = "{\"b\": 1.10, \"a\":\t10000000000000000000000}";
    RequestDelta d = call("f", arguments);
    Text t = {};
    assert_int_equal(tool_call_write(&t, &d), 0);
    assert_non_null(strstr(text_string(&t), arguments));
    text_done(&t);

    assert_int_equal(tool_call_write_openai(&t, &d), 0);
    json_t *json = parsed(&t);
    assert_member(json_object_get(json, "function"), "arguments", arguments);
    json_decref(json);
    text_done(&t);
}

static void test_our_own_shape(void **state) {
    RequestDelta d = call(AWKWARD, "{\"x\":[{}]}");
    Text t = {};
    assert_int_equal(tool_call_write(&t, &d), 0);
    json_t *json = parsed(&t);
    assert_int_equal(json_object_size(json), 3);
    assert_member(json, "id", "a1B2c3D4e");
    assert_member(json, "name", AWKWARD);
    assert_int_equal(json_array_size(json_object_get(json_object_get(json, "arguments"), "x")), 1);
    json_decref(json);
    text_done(&t);
}

static void test_openais_shape(void **state) {
    RequestDelta d = call(AWKWARD, "{\"x\":\""
                                   "\xE2\x82\xAC"
                                   "\\n\"}");
    Text t = {};
    assert_int_equal(tool_call_write_openai(&t, &d), 0);
    json_t *json = parsed(&t);
    json_t *function = json_object_get(json, "function");
    assert_int_equal(json_object_size(json), 3);
    assert_int_equal(json_object_size(function), 2);
    assert_member(json, "id", "a1B2c3D4e");
    assert_member(json, "type", "function");
    assert_member(function, "name", AWKWARD);
    assert_member(function, "arguments", d.text);
    json_decref(json);
    text_done(&t);
}

static void test_appends_to_what_is_there(void **state) {
    RequestDelta d = call("f", "{}");
    Text t = {};
    assert_int_equal(text_append(&t, "[", 1), 0);
    assert_int_equal(tool_call_write(&t, &d), 0);
    assert_int_equal(text_append(&t, ",", 1), 0);
    assert_int_equal(tool_call_write_openai(&t, &d), 0);
    assert_int_equal(text_append(&t, "]", 1), 0);
    json_t *json = parsed(&t);
    assert_int_equal(json_array_size(json), 2);
    json_decref(json);
    text_done(&t);
}

/* Such text would make the whole answer unreadable. */
static void test_what_is_not_utf8_fails(void **state) {
    RequestDelta name = call("\xFF", "{}"), arguments = call("f", "{\"x\":\"\xFF\"}");
    Text t = {};
    assert_int_equal(tool_call_write(&t, &name), -ENOMEM);
    assert_int_equal(tool_call_write_openai(&t, &name), -ENOMEM);
    assert_int_equal(tool_call_write_openai(&t, &arguments), -ENOMEM);
    text_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_nine_letters_or_digits_and_differ),
        cmocka_unit_test(test_arguments_stay_as_the_model_wrote_them),
        cmocka_unit_test(test_our_own_shape),
        cmocka_unit_test(test_openais_shape),
        cmocka_unit_test(test_appends_to_what_is_there),
        cmocka_unit_test(test_what_is_not_utf8_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
