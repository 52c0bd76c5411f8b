/* Which handler answers what: http-route.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http-openai.h"
#include "http-own.h"
#include "http-route.h"

static const HttpRoute *found(const char *method, const char *path, const char **argument) {
    const HttpRoute *route = NULL;
    HttpError he = {};
    char allow[64];
    assert_int_equal(http_route_find(method, path, &route, argument, allow, &he), 0);
    return route;
}

static void assert_not_found(const char *method, const char *path, unsigned status, const char *wanted_allow) {
    const HttpRoute *route = NULL;
    const char *argument;
    HttpError he = {};
    char allow[64];
    assert_true(http_route_find(method, path, &route, &argument, allow, &he) < 0);
    assert_int_equal(he.status, status);
    assert_string_equal(allow, wanted_allow);
}

static void test_finds(void **state) {
    const char *argument;
    assert_ptr_equal(found("POST", "/v1/chat/completions", &argument)->handler, http_openai_chat);
    assert_null(argument);
    assert_ptr_equal(found("POST", "/v1/chat/completions/", &argument)->handler, http_openai_chat);
    assert_ptr_equal(found("HEAD", "/health", &argument)->handler, http_own_health);
    assert_ptr_equal(found("GET", "/v1/models/", &argument)->handler, http_openai_models);
    assert_ptr_equal(found("GET", "/v1/models/a/b", &argument)->handler, http_openai_model);
    assert_string_equal(argument, "a/b");
}

static void test_says_what_would_do(void **state) {
    assert_not_found("GET", "/v1/chat/completions", 405, "POST, OPTIONS");
    assert_not_found("DELETE", "/v1/models/x", 405, "GET, HEAD, OPTIONS");
    assert_not_found("OPTIONS", "/v1/models", 204, "GET, HEAD, OPTIONS");
    assert_not_found("get", "/health", 405, "GET, HEAD, OPTIONS");
    assert_not_found("", "/health", 405, "GET, HEAD, OPTIONS");
}

static void test_finds_nothing_elsewhere(void **state) {
    static const char *const paths[] = {
        "", "/", "*", "//health", "/healthy", "/health//", "/v1", "/v1/models{}", "/{}"};
    for (size_t i = 0; i < ELEMENTSOF(paths); i++)
        assert_not_found("GET", paths[i], 404, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_says_what_would_do),
        cmocka_unit_test(test_finds_nothing_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
