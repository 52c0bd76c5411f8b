/* Requests and replies on real connections, on the engine without a model: http-server.c, http-connection.c,
 * http-exchange.c. The rows of hostile input are in tests/integration/test-http.py. */
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

static void test_a_client_that_leaves_frees_its_work(void **state) {
    TestHttp *h = *state;
    for (int stream = 0; stream < 2; stream++) {
        char request[300];
        const char *body = stream ? "{\"prompt\":\"/hang\",\"stream\":true}" : "{\"prompt\":\"/hang\"}";
        snprintf(request, sizeof(request), "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
        int fd = test_http_connect(h);
        test_http_send(h, fd, request, strlen(request));
        turn_until(h, bridge_n_active(model_host_bridge(h->t.d.host)) == 1);
        assert_int_equal(http_server_n_active(h->t.d.http), 1);

        shutdown(fd, SHUT_WR); /* may wait for the answer like this */
        for (int i = 0; i < 20; i++)
            test_http_turn(h);
        assert_int_equal(h->t.d.n_requests, 1);

        close(fd);
        turn_until(h, h->t.d.n_requests == 0);
        turn_until(h, http_server_n_connections(h->t.d.http) == 0);
    }
}

static void test_connections_have_a_limit(void **state) {
    TestHttp *h = *state;
    int fds[50];
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        fds[i] = test_http_connect(h);
    turn_until(h, http_server_n_connections(h->t.d.http) == ELEMENTSOF(fds));
    int fd = test_http_connect(h);
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 503);
    json_t *json = test_http_json(reply);
    assert_string_equal(test_json_string(json, "error/code"), "overloaded");
    json_decref(json);
    free(reply);
    close(fd);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        close(fds[i]);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
    test_answers(state);
}

static void test_a_request_has_to_arrive_in_time(void **state) {
    TestHttp *h = *state;
    h->t.d.config->http_idle_usec = 50000;
    static const char *const parts[] = {
        "", "GET /hea", "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"};
    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        int fd = test_http_connect(h);
        test_http_send(h, fd, parts[i], strlen(parts[i]));
        free(test_http_read_all(h, fd)); /* ends only when the connection does */
        close(fd);
    }
    assert_int_equal(http_server_n_connections(h->t.d.http), 0);
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

static void test_stopping_lets_replies_end(void **state) {
    TestHttp *h = *state;
    static const char request[] = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\n"
                                  "{\"prompt\":\"/slow 3 to end\"}";
    int idle = test_http_connect(h), fd = test_http_connect(h);
    test_http_send(h, fd, request, strlen(request));
    turn_until(h, h->t.d.n_requests == 1);
    http_server_stop(h->t.d.http);
    free(test_http_read_all(h, idle));
    char *reply = test_http_read_all(h, fd);
    assert_non_null(strstr(reply, "echo: to end"));
    assert_non_null(strstr(reply, "Connection: close"));
    free(reply);
    close(fd);
    close(idle);
    assert_int_equal(access(h->path, F_OK), -1);
}

static void test_freeing_cuts_what_is_left(void **state) {
    TestHttp *h = *state;
    static const char *const bodies[] = {"{\"prompt\":\"/hang\",\"stream\":true}", "{\"prompt\":\"/hang\"}"};
    int fds[2];
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        char request[300];
        snprintf(request, sizeof(request), "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(bodies[i]), bodies[i]);
        fds[i] = test_http_connect(h);
        test_http_send(h, fds[i], request, strlen(request));
    }
    turn_until(h, bridge_n_active(model_host_bridge(h->t.d.host)) == 2);
    h->t.d.http = http_server_free(h->t.d.http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        free(test_http_read_all(h, fds[i]));
        close(fds[i]);
    }
    turn_until(h, h->t.d.n_requests == 0);
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_answers),
        with_server(test_refuses_with_the_reason),
        with_server(test_a_refusal_leaves_the_connection_usable),
        with_server(test_a_client_that_leaves_frees_its_work),
        with_server(test_connections_have_a_limit),
        with_server(test_a_request_has_to_arrive_in_time),
        with_server(test_bodies_have_a_limit),
        with_server(test_stopping_lets_replies_end),
        with_server(test_freeing_cuts_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
