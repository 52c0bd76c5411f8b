/* Which model everybody shares, and what happens to those who use it when it changes. */
#include "test-daemon.h"

static int setup(void **state) {
    TestDaemon *t = calloc(1, sizeof(TestDaemon));
    test_daemon_init(t);
    test_daemon_install(t, "alpha", "FAKE");
    test_daemon_install(t, "beta", "FAKE load_ms=20");
    test_daemon_install(t, "broken", "junk");
    test_daemon_install(t, "huge", "FAKE pool=none");
    t->d.config->model = strdup("alpha");
    *state = t;
    return 0;
}

static int teardown(void **state) {
    test_daemon_done(*state);
    free(*state);
    return 0;
}

typedef struct Answer {
    unsigned n;
    Error error;
} Answer;

static void on_ready(void *userdata, const Error *error) {
    Answer *a = userdata;
    a->n++;
    a->error = error ? *error : (Error){};
}

static void wait_ready(TestDaemon *t) {
    run_until(t, model_host_availability(t->d.host) == AVAILABILITY_READY);
}

static unsigned n_changes;

static void on_change(void *userdata) {
    n_changes++;
}

static void test_waits_are_answered_in_any_state(void **state) {
    TestDaemon *t = *state;
    Answer a = {}, b = {};
    ModelWait *w, *w2;

    test_daemon_start(t);
    n_changes = 0;
    model_host_on_change(t->d.host, on_change, NULL);
    assert_null(model_host_model(t->d.host));
    assert_int_equal(model_host_wait(t->d.host, on_ready, &a, &w, NULL), 0);
    assert_int_equal(model_host_wait(t->d.host, on_ready, &b, &w2, NULL), 0);
    model_host_wait_cancel(w2);
    run_until(t, a.n);
    assert_int_equal(a.error.code, 0);
    assert_int_equal(b.n, 0);
    assert_non_null(model_host_model(t->d.host));
    assert_string_equal(model_host_model_name(t->d.host), "alpha");
    assert_int_equal(n_changes, 1);

    assert_int_equal(model_host_wait(t->d.host, on_ready, &b, &w, NULL), 0);
    assert_int_equal(b.n, 0); /* never from inside the call */
    run_until(t, b.n);
}

static void test_running_requests_end_with_the_former_model(void **state) {
    TestDaemon *t = *state;
    TestSink old = {}, new = {};
    Answer a = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    assert_int_equal(test_request(t, "/slow 2 /long 30", &old, &r, &e), 0);
    run_until(t, old.n_text > 0);
    assert_int_equal(model_host_load(t->d.host, "beta", on_ready, &a, &e), 0);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_LOADING);
    assert_int_equal(test_request(t, "hello", &new, &r, &e), 0);
    run_until(t, old.n_finished && new.n_finished);
    assert_int_equal(a.n, 1);
    assert_int_equal(old.n_text, 30);
    assert_string_equal(old.model, "alpha");
    assert_string_equal(new.model, "beta");
}

static void test_drain_has_an_end(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    t->d.config->drain_usec = 10000;
    test_daemon_start(t);
    assert_int_equal(test_request(t, "/hang", &s, &r, &e), 0);
    run_until(t, model_host_bridge(t->d.host) && bridge_n_active(model_host_bridge(t->d.host)));
    assert_int_equal(model_host_load(t->d.host, "beta", NULL, NULL, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.error.code, -ENOTCONN);
    assert_non_null(strstr(s.result.error.message, "replaced"));
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_READY);
}

static void test_former_model_stays_when_the_new_one_fails(void **state) {
    static const struct {
        const char *name;
        int code;
    } rows[] = {{"broken", -EBADMSG}, {"huge", -ENOMEM}};
    TestDaemon *t = *state;

    test_daemon_start(t);
    wait_ready(t);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        TestSink s = {};
        Answer a = {};
        Request *r;
        Error e;
        assert_int_equal(model_host_load(t->d.host, rows[i].name, on_ready, &a, &e), 0);
        assert_int_equal(test_request(t, "hello", &s, &r, &e), 0); /* waits, and gets the former one */
        run_until(t, a.n && s.n_finished);
        assert_int_equal(a.error.code, rows[i].code);
        assert_string_equal(s.model, "alpha");
        assert_int_equal(s.result.finish, ENGINE_FINISH_STOP);
    }
    Error e;
    assert_int_equal(model_host_load(t->d.host, "nope", NULL, NULL, &e), -ENOENT);
    assert_int_equal(model_host_load(t->d.host, "../alpha", NULL, NULL, &e), -EINVAL);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_READY);
}

static void test_second_load_supersedes_the_first(void **state) {
    TestDaemon *t = *state;
    Answer a = {}, b = {};
    Error e;

    test_daemon_start(t);
    wait_ready(t);
    assert_int_equal(model_host_load(t->d.host, "beta", on_ready, &a, &e), 0);
    assert_int_equal(model_host_load(t->d.host, "alpha", on_ready, &b, &e), 0);
    run_until(t, a.n && b.n);
    assert_int_equal(a.error.code, -ECANCELED);
    assert_int_equal(b.error.code, 0);
    assert_string_equal(model_host_model_name(t->d.host), "alpha");
}

static void test_unload_and_back(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Answer a = {};
    Request *r;
    Error e;

    test_daemon_start(t);
    wait_ready(t);
    assert_int_equal(model_host_unload(t->d.host, &e), 0);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_DISABLED);
    assert_null(model_host_model_name(t->d.host));
    assert_int_equal(test_request(t, "hello", &s, &r, &e), -ENOTCONN);
    assert_non_null(strstr(e.message, "infer load"));
    assert_int_equal(model_host_load(t->d.host, "alpha", on_ready, &a, &e), 0);
    run_until(t, a.n);
    assert_int_equal(test_request(t, "hello", &s, &r, &e), 0);
    run_until(t, s.n_finished);
}

static void test_unload_while_loading_answers_those_who_wait(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    free(t->d.config->model);
    t->d.config->model = strdup("beta");
    test_daemon_start(t);
    assert_int_equal(test_request(t, "hello", &s, &r, &e), 0);
    assert_int_equal(model_host_unload(t->d.host, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.error.code, -ENOTCONN);
}

static void test_idle_unload_is_invisible(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    t->d.config->idle_unload_usec = 5000;
    test_daemon_start(t);
    run_until(t, model_host_model(t->d.host));
    run_until(t, !model_host_model(t->d.host));
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_READY);
    assert_string_equal(model_host_model_name(t->d.host), "alpha");
    assert_int_equal(test_request(t, "hello", &s, &r, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.finish, ENGINE_FINISH_STOP);
}

static void test_failed_model_is_tried_again_when_its_file_changes(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    free(t->d.config->model);
    t->d.config->model = strdup("broken");
    test_daemon_start(t);
    run_until(t, model_host_availability(t->d.host) == AVAILABILITY_MODEL_FAILED);
    assert_non_null(strstr(model_host_error(t->d.host)->message, "not a model file"));
    assert_int_equal(test_request(t, "hello", &s, &r, &e), -EBADMSG);
    test_daemon_install(t, "broken", "FAKE repaired");
    assert_int_equal(test_request(t, "hello", &s, &r, &e), 0);
    run_until(t, s.n_finished);
    assert_int_equal(s.result.finish, ENGINE_FINISH_STOP);
}

static void test_without_a_model_one_may_still_be_installed(void **state) {
    TestDaemon *t = *state;
    TestSink s = {};
    Request *r;
    Error e;

    free(t->d.config->model);
    t->d.config->model = strdup("gamma");
    test_daemon_start(t);
    assert_int_equal(model_host_availability(t->d.host), AVAILABILITY_NO_MODEL);
    assert_int_equal(test_request(t, "hello", &s, &r, &e), -ENOENT);
    test_daemon_install(t, "gamma", "FAKE");
    assert_int_equal(test_request(t, "hello", &s, &r, &e), 0);
    run_until(t, s.n_finished);
}

static void test_configured_path_goes_by_its_name(void **state) {
    TestDaemon *t = *state;
    InstalledModel *models;
    Answer a = {};
    size_t n;
    Error e;

    free(t->d.config->model);
    assert_true(asprintf(&t->d.config->model, "%s/alpha.gguf", t->dir) > 0);
    t->d.config->model_dirs[0][1] = 'x'; /* nowhere */
    test_daemon_start(t);
    wait_ready(t);
    assert_string_equal(model_host_model_name(t->d.host), "alpha");
    assert_int_equal(model_host_load(t->d.host, "alpha", on_ready, &a, &e), 0);
    run_until(t, a.n);
    assert_int_equal(a.error.code, 0);
    assert_int_equal(model_host_list(t->d.host, &models, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_true(models[0].loaded);
    installed_models_free(models, n);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_waits_are_answered_in_any_state),
        T(test_running_requests_end_with_the_former_model),
        T(test_drain_has_an_end),
        T(test_former_model_stays_when_the_new_one_fails),
        T(test_second_load_supersedes_the_first),
        T(test_unload_and_back),
        T(test_unload_while_loading_answers_those_who_wait),
        T(test_idle_unload_is_invisible),
        T(test_failed_model_is_tried_again_when_its_file_changes),
        T(test_without_a_model_one_may_still_be_installed),
        T(test_configured_path_goes_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
