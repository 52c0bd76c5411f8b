/* The crossing between loop and engine: events reach their receiver, also when the engine goes away meanwhile. */
#include "test-daemon.h"

typedef struct Seen {
    Bridge **bridge;
    unsigned n_deltas, n_finished;
    Error error;
    bool free_bridge; /* inside the first delta */
} Seen;

static void receive(void *userdata, const EngineEvent *ev) {
    Seen *s = userdata;
    assert_int_equal(s->n_finished, 0);
    if (ev->type == ENGINE_EVENT_FINISHED) {
        s->n_finished++;
        s->error = ev->error;
        return;
    }
    s->n_deltas++;
    if (s->free_bridge) {
        s->free_bridge = false;
        *s->bridge = bridge_free(*s->bridge, -ESHUTDOWN, "gone");
    }
}

static void on_idle(void *userdata) {
    (*(unsigned *)userdata)++;
}

static Model *load(void) {
    char path[] = "/tmp/inferd-bridge-XXXXXX";
    Model *m;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "FAKE", 4), 4);
    close(fd);
    assert_int_equal(model_load(path, &m, NULL), 0);
    unlink(path);
    return m;
}

static uint64_t submit(Bridge *b, const char *text, Seen *s) {
    Token tokens[100];
    size_t n = strlen(text);
    uint64_t id;
    for (size_t i = 0; i < n; i++)
        tokens[i] = (unsigned char)text[i];
    EngineRequest q = {.prompt = tokens, .n_prompt = n, .max_tokens = ENGINE_UNLIMITED};
    assert_int_equal(bridge_submit(b, &q, receive, s, &id, NULL), 0);
    return id;
}

static void test_delivers_and_reports_idleness(void **state) {
    uv_loop_t loop;
    Bridge *b;
    Seen seen[300] = {};
    unsigned n_idle = 0, n_done;
    Model *m = load();

    uv_loop_init(&loop);
    assert_int_equal(bridge_new(&loop, m, &(EngineOptions){}, &b, NULL), 0);
    model_unref(m);
    bridge_on_idle(b, on_idle, &n_idle);
    for (size_t i = 0; i < ELEMENTSOF(seen); i++) /* more than there are buckets */
        submit(b, "/long 20", &seen[i]);
    assert_int_equal(bridge_n_active(b), ELEMENTSOF(seen));
    do {
        uv_run(&loop, UV_RUN_ONCE);
        n_done = 0;
        for (size_t i = 0; i < ELEMENTSOF(seen); i++)
            n_done += seen[i].n_finished;
    } while (n_done < ELEMENTSOF(seen));
    assert_int_equal(seen[7].n_deltas, 20);
    assert_int_equal(n_idle, 1);
    bridge_free(b, 0, "");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_free_finishes_everybody(void **state) {
    uv_loop_t loop;
    Bridge *b;
    Seen waiting = {}, active = {.bridge = &b, .free_bridge = true};
    Model *m = load();

    uv_loop_init(&loop);
    assert_int_equal(bridge_new(&loop, m, &(EngineOptions){}, &b, NULL), 0);
    model_unref(m);
    submit(b, "/hang", &waiting);
    submit(b, "/long 500", &active);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends because the receiver frees the bridge */
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(waiting.n_finished, 1);
    assert_int_equal(waiting.error.code, -ESHUTDOWN);
    assert_int_equal(active.n_finished, 1);
    assert_int_equal(active.n_deltas, 1);
}

static void test_cancel_carries_its_reason(void **state) {
    uv_loop_t loop;
    Bridge *b;
    Seen s = {};
    Model *m = load();

    uv_loop_init(&loop);
    assert_int_equal(bridge_new(&loop, m, &(EngineOptions){}, &b, NULL), 0);
    model_unref(m);
    uint64_t id = submit(b, "/hang", &s);
    bridge_cancel(b, id, -ETIMEDOUT, "too late");
    bridge_cancel(b, id + 100, 0, NULL);
    while (!s.n_finished)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(s.error.code, -ETIMEDOUT);
    assert_string_equal(s.error.message, "too late");
    bridge_free(b, 0, "");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers_and_reports_idleness),
        cmocka_unit_test(test_free_finishes_everybody),
        cmocka_unit_test(test_cancel_carries_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
