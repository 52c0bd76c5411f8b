/* Our own endpoints and the list of models: http-own.c, http-tokens.c, http-openai-models.c. */
#include "test-http.h"

static json_t *got(TestHttp *h, const char *path, int status) {
    char *reply = test_http_ask(h, "GET", path, "");
    assert_int_equal(test_http_status(reply), status);
    json_t *json = test_http_json(reply);
    free(reply);
    return json;
}

static void test_health_follows_the_model(void **state) {
    TestHttp *h = *state;
    json_t *json = got(h, "/health", 200);
    json_decref(json);
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    turn_until(h, model_host_availability(h->t.d.host) == AVAILABILITY_DISABLED);
    json = got(h, "/health", 503);
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

static void test_models(void **state) {
    TestHttp *h = *state;
    test_daemon_install(&h->t, "aaa", "not a model");
    json_t *json = got(h, "/v1/models", 200);
    assert_string_equal(test_json_string(json, "data/0/id"), "alpha"); /* the loaded one is first */
    assert_true(json_is_true(test_json_at(json, "data/0/loaded")));
    assert_string_equal(test_json_string(json, "data/1/id"), "aaa");
    assert_non_null(test_json_string(json, "data/1/error"));
    json_decref(json);
    json = got(h, "/v1/models/alpha", 200);
    assert_string_equal(test_json_string(json, "object"), "model");
    json_decref(json);
    json = got(h, "/v1/models/beta", 404);
    assert_string_equal(test_json_string(json, "error/code"), "model_not_found");
    json_decref(json);
}

static void test_tokens_there_and_back(void **state) {
    json_t *json;
    assert_int_equal(
        test_http_post(*state, "/tokenize", "{\"content\":\"h\xC3\xA9\",\"with_pieces\":true}", &json), 200);
    assert_int_equal(json_array_size(test_json_at(json, "tokens")), 3);
    assert_int_equal(json_integer_value(test_json_at(json, "tokens/1/id")), 0xC3);
    assert_string_equal(test_json_string(json, "tokens/0/piece"), "h");
    assert_string_equal(test_json_string(json, "tokens/1/piece"), "\xEF\xBF\xBD");
    json_decref(json);
    assert_int_equal(test_http_post(*state, "/detokenize", "{\"tokens\":[104,195,169]}", &json), 200);
    assert_string_equal(test_json_string(json, "content"), "h\xC3\xA9");
    json_decref(json);
}

static void test_tokens_that_are_none(void **state) {
    assert_refused(*state, "/tokenize", "{}", 400, "content");
    assert_refused(*state, "/tokenize", "{\"content\":[]}", 400, "content");
    assert_refused(*state, "/tokenize", "{\"content\":\"x\",\"add_special\":1}", 400, "add_special");
    assert_refused(*state, "/detokenize", "{}", 400, "tokens");
    assert_refused(*state, "/detokenize", "{\"tokens\":[-1]}", 400, "tokens");
    assert_refused(*state, "/detokenize", "{\"tokens\":[100000]}", 400, "tokens");
}

static void test_a_client_may_leave_while_it_waits_for_the_model(void **state) {
    TestHttp *h = *state;
    static const char request[] = "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"content\":\"x\"}";
    test_daemon_install(&h->t, "slow", "FAKE context=4096 load_ms=200");
    assert_int_equal(model_host_load(h->t.d.host, "slow", NULL, NULL, NULL), 0);
    int fd = test_http_connect(h);
    test_http_send(h, fd, request, strlen(request));
    for (int i = 0; i < 10; i++)
        test_http_turn(h);
    close(fd);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
    turn_until(h, model_host_availability(h->t.d.host) == AVAILABILITY_READY);
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_health_follows_the_model),
        with_server(test_metrics),
        with_server(test_models),
        with_server(test_tokens_there_and_back),
        with_server(test_tokens_that_are_none),
        with_server(test_a_client_may_leave_while_it_waits_for_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
