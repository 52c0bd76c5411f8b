/* OpenAI's shape of an error: http-error.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http-error.h"

static void test_has_openais_shape(void **state) {
    HttpError he = {};
    assert_true(http_error_field(&he, "n", "'n' is %d.", 9) < 0);
    json_t *json = http_error_to_json(&he);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text,
        "{\"error\":{\"message\":\"'n' is 9.\",\"type\":\"invalid_request_error\",\"param\":\"n\","
        "\"code\":null}}");
    free(text);
    json_decref(json);
}

static void test_translates_the_daemons_errors(void **state) {
    static const struct {
        int code;
        unsigned status;
        const char *name, *type;
        bool retry;
    } rows[] = {
        {-EINVAL, 400, NULL, "invalid_request_error", false},
        {-EMSGSIZE, 400, "context_length_exceeded", "invalid_request_error", false},
        {-EACCES, 403, "not_allowed", "permission_error", false},
        {-ENOENT, 404, "not_found", "not_found_error", false},
        {-EBUSY, 429, "rate_limit_exceeded", "rate_limit_error", true},
        {-EDQUOT, 429, "rate_limit_exceeded", "rate_limit_error", true},
        {-ENOSPC, 503, "overloaded", "server_error", true},
        {-ENOTCONN, 503, "no_model", "server_error", true},
        {-ESHUTDOWN, 503, "stopping", "server_error", true},
        {-ETIMEDOUT, 504, "timeout", "server_error", false},
        {-EIO, 500, "internal_error", "server_error", false},
        {-EXDEV, 500, "internal_error", "server_error", false},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        HttpError he = {};
        Error e = {};
        error_set(&e, rows[i].code, "A sentence.");
        assert_int_equal(http_error_from(&he, &e, NULL), rows[i].code);
        assert_int_equal(he.status, rows[i].status);
        assert_int_equal(he.retry_after > 0, rows[i].retry);
        json_t *json = http_error_to_json(&he), *error = json_object_get(json, "error");
        assert_string_equal(json_string_value(json_object_get(error, "message")), "A sentence.");
        assert_string_equal(json_string_value(json_object_get(error, "type")), rows[i].type);
        if (rows[i].name)
            assert_string_equal(json_string_value(json_object_get(error, "code")), rows[i].name);
        assert_true(json_is_null(json_object_get(error, "param")));
        json_decref(json);
    }
}

static void test_survives_long_and_odd_text(void **state) {
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text + 497, "\xF0\x9F\x99\x82", 4); /* lies across the end of the message */
    text[sizeof(text) - 1] = '\0';
    HttpError he = {};
    http_error_set(&he, 400, NULL, text, "%s", text);
    assert_int_equal(strlen(he.message), 497);
    json_t *json = http_error_to_json(&he);
    assert_non_null(json);
    json_decref(json);
    http_error_set(&he, 404, NULL, NULL, "There is nothing at %s.", "/\xff\xfe");
    json = http_error_to_json(&he);
    assert_non_null(json);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has_openais_shape),
        cmocka_unit_test(test_translates_the_daemons_errors),
        cmocka_unit_test(test_survives_long_and_odd_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
