/* The life of a request against the fake engine: request.c, and with it bridge.c and model-host.c. */
#include "test-daemon.h"

static int setup(void **state) {
    TestDaemon *t = calloc(1, sizeof(TestDaemon));
    test_daemon_init(t);
    test_daemon_install(t, "alpha", "FAKE context=4096");
    *state = t;
    return 0;
}

static int teardown(void **state) {
    test_daemon_done(*state);
    free(*state);
    return 0;
}

static void test_waits_for_the_model_and_answers(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_LOADING);
    assert_int_equal(test_request(t, "gr\xC3\xBC\xC3\x9F dich", &s, &r, &e), 0);
    assert_int_equal(t->d.n_requests, 1);
    run_until(t, s.n_finished);
    assert_string_equal(s.text, "echo: gr\xC3\xBC\xC3\x9F dich");
    assert_int_equal(s.result.finish, ENGINE_FINISH_STOP);
    assert_string_equal(s.model, "alpha");
    assert_int_equal(s.result.usage.completion_tokens, strlen(s.text) - 2);
    assert_int_equal(t->metrics.requests[REQUEST_TRANSPORT_DBUS][ENGINE_FINISH_STOP], 1);
    assert_int_equal(t->metrics.ttft_count, 1);
}

static void test_separates_reasoning(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    assert_int_equal(test_request(t, "/think hmm", &s, &r, &e), 0);
    run_until(t, s.n_finished);
    assert_string_equal(s.reasoning, "hmm");
    assert_int_equal(s.result.usage.reasoning_tokens, 3);
}

static void test_cancel_works_in_every_stage(void **state) {
    TestDaemon *t = *state;

    test_daemon_start(t);
    for (int rounds = 0; rounds < 12; rounds++) {
        TestSink s = {};
        Request *r;
        Error e;
        assert_int_equal(test_request(t, "/slow 1 /long 50000", &s, &r, &e), 0);
        for (int i = 0; i < rounds && !s.n_finished; i++)
            uv_run(&t->loop, UV_RUN_NOWAIT);
        request_cancel(r, rounds % 2 ? -ETIMEDOUT : 0, "too late");
        request_cancel(r, 0, NULL); /* twice is fine */
        assert_int_equal(s.n_finished, 0);
        run_until(t, s.n_finished);
        assert_int_equal(s.n_finished, 1);
        assert_int_equal(s.result.finish, rounds % 2 ? ENGINE_FINISH_ERROR : ENGINE_FINISH_CANCELLED);
        if (rounds % 2)
            assert_string_equal(s.result.error.message, "too late");
    }
}

static void test_abandoned_requests_are_silent(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    assert_int_equal(test_request(t, "/hang", &s, &r, &e), 0);
    run_until(t, model_host_bridge(t->d.host) && bridge_n_active(model_host_bridge(t->d.host)));
    request_abandon(r);
    run_until(t, t->d.n_requests == 0);
    assert_int_equal(s.n_finished, 0);
    assert_int_equal(t->metrics.requests[REQUEST_TRANSPORT_DBUS][ENGINE_FINISH_CANCELLED], 1);
}

static void test_deadline(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    t->d.config->defaults.timeout_usec = 20000;
    assert_int_equal(test_request(t, "/hang", &s, &r, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.error.code, -ETIMEDOUT);
}

static void test_backpressure_stops_the_engine_and_credit_restarts_it(void **state) {
    TestDaemon *t = *state;
    TestSink s = {.hold = true};
    Request *r;
    Error e;

    t->d.config->engine.outbox_bytes = 100;
    test_daemon_start(t);
    assert_int_equal(test_request(t, "/long 1000", &s, &r, &e), 0);
    run_until(t, s.n_text >= 100);
    for (int i = 0; i < 20; i++)
        uv_run(&t->loop, UV_RUN_NOWAIT);
    assert_int_equal(s.n_text, 100);
    s.hold = false;
    request_consumed(r, s.n_text);
    run_until(t, s.n_finished);
    assert_int_equal(s.n_text, 1000);
}

static void test_limits_per_owner(void **state) {
    TestDaemon *t = *state;
    TestSink s[3] = {};
    Request *r[3];
    Error e;

    t->d.config->max_requests_per_owner = 2;
    test_daemon_start(t);
    assert_int_equal(test_request(t, "/hang", &s[0], &r[0], &e), 0);
    assert_int_equal(test_request(t, "/hang", &s[1], &r[1], &e), 0);
    assert_int_equal(test_request(t, "hello", &s[2], &r[2], &e), -EDQUOT);
    assert_non_null(strstr(e.message, "2 requests"));
    request_cancel_all(&t->d, -ESHUTDOWN, "inferd is stopping.");
    run_until(t, t->d.n_requests == 0);
    assert_int_equal(s[0].result.error.code, -ESHUTDOWN);
    assert_int_equal(s[1].n_finished, 1);
}

static void test_engine_errors_arrive(void **state) {
    TestDaemon *t = *state;
    TestSink s = {}, s2 = {};
    char *text = malloc(6001);
    Request *r;
    Error e;

    test_daemon_start(t);
    assert_int_equal(test_request(t, "/fail", &s, &r, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.error.code, -ENOSPC);

    memset(text, 'a', 6000);
    text[6000] = '\0';
    assert_int_equal(test_request(t, text, &s2, &r, &e), 0);
    run_until(t, s2.n_finished);
    assert_int_equal(s2.result.error.code, -EMSGSIZE);
    free(text);
}

static void test_bad_arguments_are_refused_at_once(void **state) {
    TestDaemon *t = *state;
    Conversation empty = {};
    TestSink s = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    RequestSpec spec = {.owner = 1, .options = &t->d.config->defaults, .conversation = &empty};
    assert_int_equal(request_start(&t->d, &spec, &test_sink, &s, &r, &e), -EINVAL);
    t->d.stopping = true;
    assert_int_equal(test_request(t, "hello", &s, &r, &e), -ESHUTDOWN);
    t->d.stopping = false;
    assert_int_equal(t->metrics.refused[REQUEST_TRANSPORT_DBUS], 2);
}

static void test_plain_and_token_prompts(void **state) {
    TestDaemon *t = *state;
    TestSink s = {}, s2 = {};
    const Token tokens[] = {'h', 'i'};
    Request *r;
    Error e;

    test_daemon_start(t);
    RequestSpec plain = {.owner = 1, .options = &t->d.config->defaults, .prompt = "hello", .prompt_size = 5};
    assert_int_equal(request_start(&t->d, &plain, &test_sink, &s, &r, &e), 0);
    RequestSpec ids = {.owner = 1, .options = &t->d.config->defaults, .prompt_tokens = tokens, .n_prompt_tokens = 2};
    assert_int_equal(request_start(&t->d, &ids, &test_sink, &s2, &r, &e), 0);
    run_until(t, s.n_finished && s2.n_finished);
    assert_string_equal(s.text, "echo: hello");
    assert_string_equal(s2.text, "echo: hi");
}

static void test_a_failed_mapping_fails_the_model(void **state) {
    TestDaemon *t = *state;
    TestSink s = {}, other = {};
    Request *r;
    Error e = {};

    test_daemon_start(t);
    assert_int_equal(test_request(t, "/hang", &other, &r, &e), 0);
    run_until(t, model_host_bridge(t->d.host) && bridge_n_active(model_host_bridge(t->d.host)));
    assert_int_equal(test_request(t, "/io", &s, &r, &e), 0);
    run_until(t, s.n_finished && other.n_finished);
    assert_int_equal(s.result.error.code, -EIO);
    assert_int_equal(other.result.error.code, -EIO);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_MODEL_FAILED);
    assert_int_equal(test_request(t, "hello", &s, &r, &e), -EIO);

    /* a new file brings it back */
    test_daemon_install(t, "alpha", "FAKE context=1024");
    TestSink again = {};
    assert_int_equal(test_request(t, "hello", &again, &r, &e), 0);
    run_until(t, again.n_finished);
    assert_int_equal(again.result.finish, ENGINE_FINISH_STOP);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_waits_for_the_model_and_answers),
        T(test_separates_reasoning),
        T(test_cancel_works_in_every_stage),
        T(test_abandoned_requests_are_silent),
        T(test_deadline),
        T(test_backpressure_stops_the_engine_and_credit_restarts_it),
        T(test_limits_per_owner),
        T(test_engine_errors_arrive),
        T(test_bad_arguments_are_refused_at_once),
        T(test_plain_and_token_prompts),
        T(test_a_failed_mapping_fails_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
