/* Requests and replies on real connections, on the engine without a model. The rows of hostile input are in
 * tests/integration/test-http.py. */
#include "test-http.h"

static void test_answers(void **state) {
    char *reply = test_http_ask(*state, "GET", "/health", "");
    assert_int_equal(test_http_status(reply), 200);
    json_t *json = test_http_json(reply);
    assert_string_equal(test_json_string(json, "status"), "ok");
    assert_string_equal(test_json_string(json, "model"), "alpha");
    json_decref(json);
    free(reply);
}

static void test_refuses_with_the_reason(void **state) {
    char *reply = test_http_ask(*state, "GET", "/nothing", "a body to throw away");
    assert_int_equal(test_http_status(reply), 404);
    free(reply);
    reply = test_http_ask(*state, "DELETE", "/health", "");
    assert_int_equal(test_http_status(reply), 405);
    assert_non_null(strstr(reply, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    free(reply);
}

static void test_a_refusal_leaves_the_connection_usable(void **state) {
    static const char requests[] = "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                                   "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    TestHttp *h = *state;
    int fd = test_http_connect(h);
    test_http_send(h, fd, requests, strlen(requests));
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 404);
    assert_non_null(strstr(reply, "HTTP/1.1 200 OK"));
    free(reply);
    close(fd);
}

static void test_bodies_have_a_limit(void **state) {
    TestHttp *h = *state;
    h->t.d.config->http_body_bytes = 100;
    char body[150];
    memset(body, ' ', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    char *reply = test_http_ask(h, "POST", "/tokenize", body);
    assert_int_equal(test_http_status(reply), 413);
    free(reply);
    body[100] = '\0';
    reply = test_http_ask(h, "POST", "/tokenize", body);
    assert_int_equal(test_http_status(reply), 400); /* it was read: it is no JSON */
    free(reply);
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_answers),
        with_server(test_refuses_with_the_reason),
        with_server(test_a_refusal_leaves_the_connection_usable),
        with_server(test_bodies_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
