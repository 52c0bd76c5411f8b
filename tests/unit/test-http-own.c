/* Our own endpoints: http-own.c; those about tokens are in test-http-tokens.c. */
#include "test-http.h"

static void test_health_follows_the_model(void **state) {
    TestHttp *h = *state;
    json_t *json = test_http_get(h, "/health", 200);
    json_decref(json);
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    turn_until(h, model_host_availability(h->t.d.host) == AVAILABILITY_DISABLED);
    json = test_http_get(h, "/health", 503);
    assert_string_equal(test_json_string(json, "status"), "disabled");
    json_decref(json);
}

static void test_metrics(void **state) {
    char *reply = test_http_ask(*state, "GET", "/metrics", "");
    assert_int_equal(test_http_status(reply), 200);
    assert_non_null(strstr(reply, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(reply, "\ninferd_model_loaded 1\n"));
    free(reply);
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_health_follows_the_model),
        with_server(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
