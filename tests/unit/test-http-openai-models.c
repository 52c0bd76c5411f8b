/* /v1/models: http-openai-models.c. */
#include "test-http.h"

#include <sys/stat.h>

static void set_time(TestHttp *h, const char *name, time_t seconds) {
    char path[400];
    snprintf(path, sizeof(path), "%s/%s.gguf", h->t.dir, name);
    const struct timespec times[] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void assert_ids(TestHttp *h, const char *const *ids, size_t n) {
    json_t *json = test_http_get(h, "/v1/models", 200);
    assert_string_equal(test_json_string(json, "object"), "list");
    assert_int_equal(json_array_size(test_json_at(json, "data")), n);
    for (size_t i = 0; i < n; i++) {
        char path[40];
        snprintf(path, sizeof(path), "data/%zu/id", i);
        assert_string_equal(test_json_string(json, path), ids[i]);
    }
    json_decref(json);
}

static void test_the_loaded_one_is_first(void **state) {
    TestHttp *h = *state;
    test_daemon_install(&h->t, "zeta", "FAKE");
    test_daemon_install(&h->t, "aaa", "FAKE");
    assert_ids(h, (const char *[]){"alpha", "aaa", "zeta"}, 3);
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    assert_ids(h, (const char *[]){"aaa", "alpha", "zeta"}, 3);
}

static void test_what_is_said_of_a_model(void **state) {
    TestHttp *h = *state;
    test_daemon_install(&h->t, "other", "FAKE author=J\xFFrg");
    set_time(h, "alpha", 1234567890);
    json_t *json = test_http_get(h, "/v1/models/alpha", 200);
    assert_string_equal(test_json_string(json, "id"), "alpha");
    assert_string_equal(test_json_string(json, "object"), "model");
    assert_string_equal(test_json_string(json, "owned_by"), "unknown");
    assert_int_equal(json_integer_value(test_json_at(json, "created")), 1234567890);
    assert_true(json_is_true(test_json_at(json, "loaded")));
    assert_null(test_json_at(json, "error"));
    json_decref(json);

    json = test_http_get(h, "/v1/models/other", 200);
    assert_string_equal(test_json_string(json, "owned_by"), "J\xEF\xBF\xBDrg");
    assert_true(json_is_false(test_json_at(json, "loaded")));
    json_decref(json);
}

static void test_an_unreadable_file_is_listed_with_the_reason(void **state) {
    TestHttp *h = *state;
    test_daemon_install(&h->t, "broken", "not a model");
    assert_ids(h, (const char *[]){"alpha", "broken"}, 2);
    json_t *json = test_http_get(h, "/v1/models/broken", 200);
    assert_non_null(strstr(test_json_string(json, "error"), "is not a model file"));
    assert_int_equal(json_integer_value(test_json_at(json, "created")), 0);
    json_decref(json);
}

static void test_finds_a_model_by_its_files_name_too(void **state) {
    TestHttp *h = *state;
    test_daemon_install(&h->t, "alpha2", "FAKE");
    json_t *json = test_http_get(*state, "/v1/models/alpha.gguf", 200);
    assert_string_equal(test_json_string(json, "id"), "alpha");
    json_decref(json);
}

static void test_names_of_nothing(void **state) {
    static const char *const names[] = {
        "beta", "alph", "ALPHA", "..%2Falpha", "%2e%2e/alpha.gguf", "%FF%C3", "alpha%00", "alpha%00beta", "%00"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char path[100];
        snprintf(path, sizeof(path), "/v1/models/%s", names[i]);
        json_t *json = test_http_get(*state, path, 404);
        assert_string_equal(test_json_string(json, "error/code"), "model_not_found");
        assert_string_equal(test_json_string(json, "error/param"), "model");
        json_decref(json);
    }
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_the_loaded_one_is_first),
        with_server(test_what_is_said_of_a_model),
        with_server(test_an_unreadable_file_is_listed_with_the_reason),
        with_server(test_finds_a_model_by_its_files_name_too),
        with_server(test_names_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
