/* Server-sent events, pulled as the HTTP library pulls them: http-sse.c. The exchange is a stand-in, so that the test
 * decides when the client reads and how much. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http-sse.h"

#define PING ": ping\n\n"

struct HttpExchange {
    Daemon d;
    uv_loop_t loop;
    Config config;
    HttpReader reader;
    void *userdata;
    unsigned n_woken;
    HttpSse *sse;
    /* what the source says next, call by call */
    struct {
        const char *text;
        HttpSseState state;
    } script[8];
    unsigned n_filled, n_taken;
};

Daemon *http_exchange_daemon(const HttpExchange *x) {
    return (Daemon *)&x->d;
}

void http_exchange_stream(HttpExchange *x, const char *content_type, HttpReader reader, void *userdata) {
    assert_string_equal(content_type, "text/event-stream");
    x->reader = reader;
    x->userdata = userdata;
}

void http_exchange_wake(HttpExchange *x) {
    x->n_woken++;
}

static HttpSseState fill(void *userdata, HttpBuffer *out) {
    HttpExchange *x = userdata;
    assert_true(x->n_filled < ELEMENTSOF(x->script));
    const char *text = x->script[x->n_filled].text;
    if (text)
        assert_int_equal(http_sse_write_text(out, text), 0);
    return x->script[x->n_filled++].state;
}

static void taken(void *userdata) {
    HttpExchange *x = userdata;
    x->n_taken++;
}

static int setup(void **state) {
    static const HttpSseSource source = {.fill = fill, .taken = taken};
    HttpExchange *x = calloc(1, sizeof(*x));
    uv_loop_init(&x->loop);
    x->config.ping_usec = 1000;
    x->d = (Daemon){.loop = &x->loop, .config = &x->config};
    assert_int_equal(http_sse_new(x, &source, x, &x->sse), 0);
    assert_non_null(x->reader); /* the headers go out at once */
    for (size_t i = 0; i < ELEMENTSOF(x->script); i++)
        x->script[i].state = HTTP_SSE_QUIET;
    *state = x;
    return 0;
}

/* A timer that was forgotten would keep the loop alive. */
static int teardown(void **state) {
    HttpExchange *x = *state;
    assert_null(http_sse_free(x->sse));
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&x->loop), 0);
    free(x);
    return 0;
}

static void say(HttpExchange *x, unsigned call, const char *text, HttpSseState state) {
    x->script[call].text = text;
    x->script[call].state = state;
}

/* The client takes at most `max` bytes, and gets exactly these. */
static void assert_read(HttpExchange *x, size_t max, const char *expected) {
    char buffer[200];
    ssize_t n = x->reader(x->userdata, buffer, max);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(buffer, expected, n);
}

static void assert_ends(HttpExchange *x, ssize_t how) {
    char buffer[200];
    assert_int_equal(x->reader(x->userdata, buffer, sizeof(buffer)), how);
    unsigned n = x->n_filled;
    assert_int_equal(x->reader(x->userdata, buffer, sizeof(buffer)), how);
    assert_int_equal(x->n_filled, n); /* nobody is asked after the end */
}

/* One period of the timer: a repeating one fires once in a turn, however long it is overdue. */
static void tick(HttpExchange *x) {
    usleep(2 * x->config.ping_usec);
    uv_run(&x->loop, UV_RUN_NOWAIT);
}

static void test_events_are_pulled_until_there_are_no_more(void **state) {
    HttpExchange *x = *state;
    say(x, 0, "a", HTTP_SSE_MORE);
    say(x, 1, "b", HTTP_SSE_MORE);
    say(x, 3, "c", HTTP_SSE_QUIET);
    assert_read(x, 200, "data: a\n\ndata: b\n\n");
    assert_int_equal(x->n_filled, 3);
    assert_int_equal(x->n_taken, 2);
    http_sse_wake(x->sse);
    assert_int_equal(x->n_woken, 1);
    assert_read(x, 200, "data: c\n\n");
    assert_read(x, 200, "");
    assert_int_equal(x->n_taken, 3);
}

/* What the client has not taken yet is neither overtaken nor followed by more. */
static void test_a_slow_client_gets_it_in_pieces(void **state) {
    HttpExchange *x = *state;
    say(x, 0, "a", HTTP_SSE_MORE);
    say(x, 1, "b", HTTP_SSE_END);
    assert_read(x, 4, "data");
    assert_read(x, 4, ": a\n");
    assert_int_equal(x->n_filled, 1);
    assert_int_equal(x->n_taken, 0);
    assert_read(x, 4, "\ndat");
    assert_int_equal(x->n_filled, 2);
    assert_int_equal(x->n_taken, 1);
    assert_read(x, 200, "a: b\n\n");
    assert_int_equal(x->n_taken, 2);
    assert_ends(x, HTTP_READER_END);
}

static void test_the_last_event_precedes_the_end(void **state) {
    HttpExchange *x = *state;
    say(x, 0, "last", HTTP_SSE_END);
    assert_read(x, 200, "data: last\n\n");
    assert_ends(x, HTTP_READER_END);
}

static void test_a_stream_that_breaks_is_cut_after_what_it_said(void **state) {
    HttpExchange *x = *state;
    say(x, 0, "last", HTTP_SSE_BREAK);
    assert_read(x, 10, "data: last");
    assert_read(x, 10, "\n\n");
    assert_ends(x, HTTP_READER_BREAK);
}

static void test_pings_while_there_is_nothing_to_say(void **state) {
    HttpExchange *x = *state;
    for (unsigned i = 1; i <= 2; i++) {
        assert_read(x, 200, "");
        for (unsigned n = x->n_woken; x->n_woken == n;)
            tick(x);
        assert_read(x, 200, PING);
        assert_read(x, 200, ""); /* once */
    }
}

static void test_whoever_has_just_spoken_does_not_ping(void **state) {
    HttpExchange *x = *state;
    say(x, 0, "a", HTTP_SSE_QUIET);
    assert_read(x, 200, "data: a\n\n");
    tick(x);
    assert_int_equal(x->n_woken, 0);
    tick(x);
    assert_int_equal(x->n_woken, 1);
    say(x, 1, "b", HTTP_SSE_QUIET); /* something came to be said meanwhile */
    assert_read(x, 200, "data: b\n\n");
    assert_read(x, 200, "");
}

static void test_a_ping_is_whole_or_not_at_all_and_never_inside_an_event(void **state) {
    HttpExchange *x = *state;
    tick(x);
    assert_int_equal(x->n_woken, 1); /* silent from the beginning */
    assert_read(x, strlen(PING) - 1, "");
    say(x, 1, "a", HTTP_SSE_QUIET);
    assert_read(x, 4, "data");
    tick(x);
    tick(x);
    assert_read(x, 4, ": a\n");
    assert_read(x, 200, "\n");
    assert_read(x, 200, "");
}

static void test_an_ended_stream_does_not_ping(void **state) {
    HttpExchange *x = *state;
    say(x, 0, NULL, HTTP_SSE_END);
    tick(x);
    assert_ends(x, HTTP_READER_END);
}

static void test_json_takes_one_line(void **state) {
    HttpBuffer out = {};
    assert_int_equal(http_sse_write_json(&out, json_pack("{s:s, s:f}", "a", "x\n\ny", "b", 0.1)), 0);
    assert_string_equal(out.data, "data: {\"a\":\"x\\n\\ny\",\"b\":0.1}\n\n");
    assert_int_equal(http_sse_write_json(&out, NULL), -ENOMEM);
    assert_string_equal(out.data, "data: {\"a\":\"x\\n\\ny\",\"b\":0.1}\n\n");
    http_buffer_done(&out);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_events_are_pulled_until_there_are_no_more),
        T(test_a_slow_client_gets_it_in_pieces),
        T(test_the_last_event_precedes_the_end),
        T(test_a_stream_that_breaks_is_cut_after_what_it_said),
        T(test_pings_while_there_is_nothing_to_say),
        T(test_whoever_has_just_spoken_does_not_ping),
        T(test_a_ping_is_whole_or_not_at_all_and_never_inside_an_event),
        T(test_an_ended_stream_does_not_ping),
        cmocka_unit_test(test_json_takes_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
