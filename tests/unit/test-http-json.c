/* Bodies from people we do not know, and fields read out of them: http-json.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http-json.h"

static json_t *parsed(const char *text) {
    json_t *json = NULL;
    HttpError he = {};
    assert_int_equal(http_json_parse(text, strlen(text), &json, &he), 0);
    return json;
}

static void assert_status(const char *text, size_t size, unsigned status) {
    json_t *json = NULL;
    HttpError he = {};
    assert_true(http_json_parse(text, size, &json, &he) < 0);
    assert_int_equal(he.status, status);
    assert_true(he.message[0] != '\0');
    assert_null(json);
}

static void test_refuses_what_is_no_object(void **state) {
    static const char *const texts[] = {"", "{", "[]", "1", "null", "\"x\"", "{}{}", "{\"a\":1,}", "{\"a\":NaN}",
        "{\"a\":1e999}", "{\"a\":99999999999999999999}", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\\ud800\"}", "{\"a\":'x'}", "{a:1}", "{\"a\":01}", "{\"a\":+1}"};
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        assert_status(texts[i], strlen(texts[i]), 400);
}

static void test_bounds_depth_and_values(void **state) {
    size_t n = 3000000;
    char *text = malloc(n);
    memset(text, '[', n);
    memcpy(text, "{\"a\":", 5);
    assert_status(text, 100000, 400);
    assert_status(text, n, 413);
    for (size_t i = 5; i + 2 <= n; i += 2)
        memcpy(text + i, "1,", 2);
    assert_status(text, n, 413);
    memset(text, '\n', n);
    assert_status(text, n, 400);
    memset(text, ',', n); /* inside a string nothing counts */
    memcpy(text, "{\"a\":\"\\\"", 8);
    memcpy(text + n - 2, "\"}", 2);
    json_t *json = NULL;
    HttpError he = {};
    assert_int_equal(http_json_parse(text, n, &json, &he), 0);
    json_decref(json);
    free(text);
}

static void test_reads_fields(void **state) {
    json_t *o = parsed("{\"b\":true,\"i\":7,\"w\":8.0,\"d\":0.5,\"s\":\"a\\u0000b\",\"n\":null}");
    HttpError he = {};
    bool b = false;
    int64_t i = 0;
    double d = 0;
    const char *s = NULL;
    size_t size = 0;

    assert_int_equal(http_json_bool(o, "b", &b, &he), 0);
    assert_true(b);
    assert_int_equal(http_json_int(o, "i", 0, 10, &i, &he), 0);
    assert_int_equal(i, 7);
    assert_int_equal(http_json_int(o, "w", 0, 10, &i, &he), 0);
    assert_int_equal(i, 8);
    assert_int_equal(http_json_double(o, "d", &d, &he), 0);
    assert_true(d == 0.5);
    assert_int_equal(http_json_string(o, "s", &s, &size, &he), 0);
    assert_int_equal(size, 3);

    i = 42;
    assert_int_equal(http_json_int(o, "n", 0, 10, &i, &he), 0);
    assert_int_equal(http_json_int(o, "missing", 0, 10, &i, &he), 0);
    assert_int_equal(i, 42);
    assert_false(http_json_has(o, "n"));
    json_decref(o);
}

static void test_errors_name_the_field(void **state) {
    json_t *o = parsed("{\"x\":\"1\",\"big\":11,\"half\":1.5,\"huge\":1e300}");
    HttpError he = {};
    int64_t i = 42;
    double d = 42;
    bool b = false;
    const char *s = NULL;

    assert_true(http_json_int(o, "x", 0, 10, &i, &he) < 0);
    assert_string_equal(he.param, "x");
    assert_string_equal(he.message, "'x' must be a whole number, not a string.");
    assert_true(http_json_int(o, "big", 0, 10, &i, &he) < 0);
    assert_string_equal(he.message, "'big' is 11: it must be between 0 and 10.");
    assert_true(http_json_int(o, "half", 0, 10, &i, &he) < 0);
    assert_true(http_json_int(o, "huge", 0, 10, &i, &he) < 0);
    assert_true(http_json_double(o, "x", &d, &he) < 0);
    assert_true(http_json_bool(o, "big", &b, &he) < 0);
    assert_true(http_json_string(o, "big", &s, NULL, &he) < 0);
    assert_int_equal(i, 42);
    json_decref(o);
}

static void assert_text(const char *bytes, size_t size, const char *wanted) {
    json_t *json = http_json_text(bytes, size);
    assert_string_equal(json_string_value(json), wanted);
    json_decref(json);
}

static void test_makes_any_bytes_text(void **state) {
    assert_text("gr\xC3\xBC\xC3\x9F", 6, "gr\xC3\xBC\xC3\x9F");
    assert_text("", 0, "");
    assert_text("\xC3", 1, "\xEF\xBF\xBD");
    assert_text("a\xFF\xF0\x9F\x99\x82", 6, "a\xEF\xBF\xBD\xF0\x9F\x99\x82");
    assert_text("\xC0\x80", 2, "\xEF\xBF\xBD\xEF\xBF\xBD");                 /* overlong */
    assert_text("\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* surrogate */
    assert_text("\xF4\x90\x80\x80", 4, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_what_is_no_object),
        cmocka_unit_test(test_bounds_depth_and_values),
        cmocka_unit_test(test_reads_fields),
        cmocka_unit_test(test_errors_name_the_field),
        cmocka_unit_test(test_makes_any_bytes_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
