/* The text that Prometheus reads. */
#include "test-daemon.h"

static void test_counts_and_renders(void **state) {
    TestDaemon t;
    RequestResult ok = {.finish = ENGINE_FINISH_STOP,
        .usage = {.prompt_tokens = 10, .cached_tokens = 4, .completion_tokens = 5, .reasoning_tokens = 2}};
    char *text;
    size_t n;

    test_daemon_init(&t);
    metrics_request_finished(&t.metrics, REQUEST_TRANSPORT_HTTP, &ok);
    metrics_request_finished(&t.metrics, REQUEST_TRANSPORT_HTTP, &ok);
    metrics_request_refused(&t.metrics, REQUEST_TRANSPORT_DBUS);
    metrics_first_token(&t.metrics, 7000);       /* 7 ms */
    metrics_first_token(&t.metrics, 1000000000); /* beyond all bounds */
    assert_int_equal(metrics_render(&t.d, &text, &n), 0);
    assert_int_equal(strlen(text), n);
    assert_int_equal(text[n - 1], '\n');
    static const char *const lines[] = {
        "inferd_requests_total{transport=\"http\",outcome=\"stop\"} 2\n",
        "inferd_requests_total{transport=\"dbus\",outcome=\"refused\"} 1\n",
        "inferd_prompt_tokens_total 20\n",
        "inferd_cached_tokens_total 8\n",
        "inferd_completion_tokens_total 10\n",
        "inferd_reasoning_tokens_total 4\n",
        "inferd_time_to_first_token_seconds_bucket{le=\"0.005\"} 0\n",
        "inferd_time_to_first_token_seconds_bucket{le=\"0.01\"} 1\n",
        "inferd_time_to_first_token_seconds_bucket{le=\"120\"} 1\n",
        "inferd_time_to_first_token_seconds_bucket{le=\"+Inf\"} 2\n",
        "inferd_time_to_first_token_seconds_count 2\n",
        "inferd_model_loaded 0\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("missing: %s", lines[i]);

    /* every sample belongs to a family that was announced */
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strncmp(line, "# ", 2) == 0 || strncmp(line, "inferd_", 7) == 0);
    free(text);
    test_daemon_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts_and_renders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
