/* Generations that answer one exchange, whole or as a stream: http-generation.c, http-sse.c. */
#include "test-http.h"

/* The fields at `path` of a stream's events, joined. */
static char *joined(const char *reply, const char *path) {
    char *text = strdup("");
    char *copy = strdup(reply), *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        if (strncmp(line, "data: {", 7) != 0)
            continue;
        json_t *json = json_loads(line + 6, 0, NULL);
        assert_non_null(json);
        const char *s = test_json_string(json, path);
        char *longer;
        assert_true(asprintf(&longer, "%s%s", text, s ? s : "") >= 0);
        free(text);
        text = longer;
        json_decref(json);
    }
    free(copy);
    return text;
}

static int start_reading(TestHttp *h, const char *body) {
    char request[500];
    snprintf(
        request, sizeof(request), "POST /v1/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    int fd = test_http_connect(h);
    test_http_send(h, fd, request, strlen(request));
    return fd;
}

static void test_streams_what_it_would_have_said_whole(void **state) {
    TestHttp *h = *state;
    json_t *whole;
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":\"gr\xC3\xBC\xC3\x9F dich\"}", &whole), 200);
    char *reply =
        test_http_ask(h, "POST", "/v1/completions", "{\"prompt\":\"gr\xC3\xBC\xC3\x9F dich\",\"stream\":true}");
    assert_int_equal(test_http_status(reply), 200);
    assert_non_null(strstr(reply, "Content-Type: text/event-stream"));
    assert_string_equal(reply + strlen(reply) - 14, "data: [DONE]\n\n");
    char *text = joined(reply, "choices/0/text");
    assert_string_equal(text, test_json_string(whole, "choices/0/text"));
    assert_string_equal(text, "echo: gr\xC3\xBC\xC3\x9F dich");
    json_decref(whole);
    free(text);
    free(reply);
}

static void test_headers_do_not_wait_for_the_first_token(void **state) {
    TestHttp *h = *state;
    int fd = start_reading(h, "{\"prompt\":\"/hang\",\"stream\":true}");
    char head[200] = {};
    while (recv(fd, head, sizeof(head) - 1, 0) < 0)
        test_http_turn(h);
    assert_int_equal(test_http_status(head), 200);
    assert_int_equal(h->t.d.n_requests, 1);
    close(fd);
    turn_until(h, h->t.d.n_requests == 0);
}

static void test_pings_while_it_is_silent(void **state) {
    TestHttp *h = *state;
    h->t.d.config->ping_usec = 10000;
    int fd = start_reading(h, "{\"prompt\":\"/hang\",\"stream\":true}");
    char text[4000] = {};
    size_t n = 0;
    while (!strstr(text, ": ping\n\n: ping\n\n")) {
        ssize_t r = recv(fd, text + n, sizeof(text) - n - 1, 0);
        n += r > 0 ? r : 0;
        test_http_turn(h);
    }
    close(fd);
    turn_until(h, h->t.d.n_requests == 0);
}

static void test_a_client_that_does_not_read_stops_its_own_sequence(void **state) {
    TestHttp *h = *state;
    int fd = start_reading(h, "{\"prompt\":\"/long 800000\",\"stream\":true}");
    EngineStats s = {};
    uint64_t before = 0;
    int still = 0;
    while (still < 200) { /* until nothing moves any more */
        test_http_turn(h);
        bridge_stats(model_host_bridge(h->t.d.host), &s);
        still = s.completion_tokens == before && before > 0 ? still + 1 : 0;
        before = s.completion_tokens;
    }
    assert_true(before < 600000);
    json_t *other; /* others are not held up */
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":\"x\"}", &other), 200);
    json_decref(other);

    char *reply = test_http_read_all(h, fd);
    char *text = calloc(1, 1);
    size_t n = 0;
    for (const char *p = reply; (p = strstr(p, "\"text\":\"")); p++)
        n += strspn(p + 8, "x");
    assert_int_equal(n, 800000);
    free(text);
    free(reply);
    close(fd);
}

static void test_pieces_are_joined_while_nobody_reads(void **state) {
    TestHttp *h = *state;
    int fd = start_reading(h, "{\"prompt\":\"/long 400000\",\"stream\":true}");
    for (int i = 0; i < 300; i++)
        test_http_turn(h);
    char *reply = test_http_read_all(h, fd);
    size_t n_events = 0;
    for (const char *p = reply; (p = strstr(p, "data: ")); p++)
        n_events++;
    assert_true(n_events < 400000 / 10); /* the engine spoke one letter at a time */
    free(reply);
    close(fd);
}

static void test_fails_with_a_status_or_with_an_event(void **state) {
    TestHttp *h = *state;
    json_t *json;
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":\"/fail\"}", &json), 503);
    assert_string_equal(test_json_string(json, "error/code"), "overloaded");
    json_decref(json);

    char *reply = test_http_ask(h, "POST", "/v1/completions", "{\"prompt\":\"/fail\",\"stream\":true}");
    assert_int_equal(test_http_status(reply), 200);
    char *code = joined(reply, "error/code");
    assert_string_equal(code, "overloaded");
    assert_null(strstr(reply, "[DONE]"));
    free(code);
    free(reply);
}

static void test_one_choice_that_fails_ends_all(void **state) {
    TestHttp *h = *state;
    json_t *json;
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":[\"/hang\",\"/fail\",\"/hang\"]}", &json), 503);
    json_decref(json);
    turn_until(h, h->t.d.n_requests == 0);
    h->t.d.config->max_requests_per_owner = 2; /* the third cannot even start */
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":[\"/hang\",\"/hang\",\"x\"]}", &json), 429);
    json_decref(json);
    turn_until(h, h->t.d.n_requests == 0);
}

static void test_cancellation_reaches_the_client(void **state) {
    TestHttp *h = *state;
    for (int stream = 0; stream < 2; stream++) {
        int fd = start_reading(h, stream ? "{\"prompt\":\"/hang\",\"stream\":true}" : "{\"prompt\":\"/hang\"}");
        turn_until(h, bridge_n_active(model_host_bridge(h->t.d.host)) == 1);
        request_cancel_all(&h->t.d, -ESHUTDOWN, "inferd is stopping.");
        char *reply = test_http_read_all(h, fd);
        assert_int_equal(test_http_status(reply), stream ? 200 : 503);
        assert_non_null(strstr(reply, "inferd is stopping."));
        free(reply);
        close(fd);
    }
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_streams_what_it_would_have_said_whole),
        with_server(test_headers_do_not_wait_for_the_first_token),
        with_server(test_pings_while_it_is_silent),
        with_server(test_a_client_that_does_not_read_stops_its_own_sequence),
        with_server(test_pieces_are_joined_while_nobody_reads),
        with_server(test_fails_with_a_status_or_with_an_event),
        with_server(test_one_choice_that_fails_ends_all),
        with_server(test_cancellation_reaches_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
