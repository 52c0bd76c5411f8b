/* Where JSON ends while it streams in, and the calls in it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tool-json.h"

/* After how many bytes the value is over; 0: not yet, -1: it cannot become JSON. */
static int scan(const char *text) {
    JsonScan s = {};
    for (int i = 0; text[i]; i++) {
        int r = json_scan_push(&s, text[i]);
        if (r != 0)
            return r < 0 ? -1 : i + 1;
    }
    return 0;
}

static void test_finds_the_end(void **state) {
    assert_int_equal(scan("{}"), 2);
    assert_int_equal(scan("{\"a\": [1, {\"b\": 2}]} and more"), 20);
    assert_int_equal(scan("[[], []]x"), 8);
    assert_int_equal(scan("{\"}\": \"]\"}"), 10);         /* brackets in strings are none */
    assert_int_equal(scan("{\"a\": \"\\\"}\\\\\"}"), 14); /* nor does an escaped quote end one */
    assert_int_equal(scan("{\"a\": [1, 2"), 0);
    assert_int_equal(scan("{\"a"), 0);
    assert_int_equal(scan("{]"), -1);
    assert_int_equal(scan("[}"), -1);
}

static void test_gives_up_on_what_is_too_deep(void **state) {
    char deep[200];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(scan(deep), -1);
}

static char calls[512];

static void on_call(void *userdata, const char *name, const char *arguments, size_t size) {
    size_t n = strlen(calls);
    snprintf(calls + n, sizeof(calls) - n, "%s(%.*s);", name, (int)size, arguments);
}

static void on_text(void *userdata, EngineTextKind kind, char byte) {
    fail_msg("no text here");
}

static const AnswerSink sink = {.text = on_text, .call = on_call};

static void expect(const char *json, int code, const char *want) {
    calls[0] = '\0';
    int r = tool_json_read(json, strlen(json), &sink);
    if (r != code || strcmp(calls, want) != 0)
        fail_msg("%s: %d \"%s\" is not %d \"%s\"", json, r, calls, code, want);
}

static void test_reads_calls(void **state) {
    expect("{\"name\": \"f\", \"arguments\": {\"a\": 1}}", 0, "f({\"a\": 1});");
    expect("{\"name\": \"f\", \"parameters\": {}}", 0, "f({});");
    expect("{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1}}}", 0, "f({\"a\": 1});");
    expect("[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]", 0, "f({});g({});");
    /* as the model wrote it: numbers that went through a parser look different */
    expect("{\"name\": \"f\", \"arguments\": {\"a\":1.0 ,\"b\": 1E2}}", 0, "f({\"a\":1.0 ,\"b\": 1E2});");
}

static void test_delivers_all_or_none(void **state) {
    expect("[{\"name\": \"f\", \"arguments\": {}}, {\"nome\": \"g\"}]", -EBADMSG, "");
    expect("{\"name\": 5, \"arguments\": {}}", -EBADMSG, "");
    expect("{\"name\": \"f\", \"arguments\": 5}", -EBADMSG, "");
    expect("{\"a\": 1}", -EBADMSG, "");
    expect("not JSON", -EBADMSG, "");
    expect("{\"name\": \"f\"", -EBADMSG, "");
}

static void test_reads_arguments_alone(void **state) {
    calls[0] = '\0';
    assert_int_equal(tool_json_read_arguments("f", "{\"a\": 1}", 8, &sink), 0);
    assert_int_equal(tool_json_read_arguments("g", "", 0, &sink), 0);
    assert_int_equal(tool_json_read_arguments("h", "[1]", 3, &sink), -EBADMSG);
    assert_string_equal(calls, "f({\"a\": 1});g({});");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_end),
        cmocka_unit_test(test_gives_up_on_what_is_too_deep),
        cmocka_unit_test(test_reads_calls),
        cmocka_unit_test(test_delivers_all_or_none),
        cmocka_unit_test(test_reads_arguments_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
