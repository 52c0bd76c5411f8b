/* A Daemon without bus and sockets around the fake engine, in a folder of its own, for tests of its parts. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "metrics.h"
#include "model-host.h"
#include "request.h"

typedef struct TestDaemon {
    Daemon d;
    Metrics metrics;
    uv_loop_t loop;
    char dir[64];
} TestDaemon;

static inline void test_daemon_install(TestDaemon *t, const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof(path), "%s/%s.gguf", t->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void test_daemon_init(TestDaemon *t) {
    Error e = {};

    log_init(LOG_EMERG);
    *t = (TestDaemon){};
    strcpy(t->dir, "/tmp/inferd-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    uv_loop_init(&t->loop);
    t->d = (Daemon){.loop = &t->loop, .metrics = &t->metrics};
    assert_int_equal(config_new(false, &t->d.config, &e), 0);
    free(t->d.config->embedded_model);
    t->d.config->embedded_model = NULL;
    free(t->d.config->model_dirs[0]);
    t->d.config->model_dirs[0] = strdup(t->dir);
}

static inline void test_daemon_start(TestDaemon *t) {
    Error e = {};
    assert_int_equal(model_host_new(&t->d, &t->d.host, &e), 0);
}

/* A loop that does not end by itself means that a handle or a request was forgotten. */
static inline void test_daemon_done(TestDaemon *t) {
    assert_int_equal(t->d.n_requests, 0);
    t->d.host = model_host_free(t->d.host);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t->loop), 0);
    config_free(t->d.config);

    DIR *dir = opendir(t->dir);
    for (struct dirent *de; dir && (de = readdir(dir));) {
        char path[400];
        snprintf(path, sizeof(path), "%s/%s", t->dir, de->d_name);
        unlink(path);
    }
    closedir(dir);
    rmdir(t->dir);
}

/* Turns the loop until a condition holds. Not with UV_RUN_ONCE: that may sleep after a timer has made it true. */
#define run_until(t, condition)                                                                                        \
    do {                                                                                                               \
        uv_run(&(t)->loop, UV_RUN_NOWAIT);                                                                             \
        usleep(100);                                                                                                   \
    } while (!(condition))

/* Holds up whatever goes to the thread pool, the loading of models too; for programs whose main() made it a pool of one
 * with test_pool_of_one(). */
typedef struct TestPool {
    uv_work_t work;
    uv_sem_t go;
    bool held;
} TestPool;

static inline void test_pool_of_one(void) {
    setenv("UV_THREADPOOL_SIZE", "1", 1);
}

static inline void test_pool_work(uv_work_t *work) {
    TestPool *p = work->data;
    uv_sem_wait(&p->go);
}

static inline void test_pool_free(uv_work_t *work, int status) {
    TestPool *p = work->data;
    p->held = false;
}

static inline void test_pool_hold(TestDaemon *t, TestPool *p) {
    *p = (TestPool){.work.data = p, .held = true};
    uv_sem_init(&p->go, 0);
    assert_int_equal(uv_queue_work(&t->loop, &p->work, test_pool_work, test_pool_free), 0);
}

static inline void test_pool_let_go(TestDaemon *t, TestPool *p) {
    uv_sem_post(&p->go);
    run_until(t, !p->held);
    uv_sem_destroy(&p->go);
}

/* Collects what a request reports. */
typedef struct TestSink {
    char text[70000];
    size_t n_text;
    char reasoning[1000];
    size_t n_reasoning;
    unsigned n_finished;
    RequestResult result;
    char model[64];
    bool hold; /* do not return credit */
} TestSink;

static inline void test_sink_delta(Request *r, const RequestDelta *delta, void *userdata) {
    TestSink *s = userdata;
    assert_int_equal(s->n_finished, 0);
    char *to = delta->kind == ENGINE_TEXT_REASONING ? s->reasoning : s->text;
    size_t *n = delta->kind == ENGINE_TEXT_REASONING ? &s->n_reasoning : &s->n_text;
    memcpy(to + *n, delta->text, delta->size);
    *n += delta->size;
    to[*n] = '\0';
    if (!s->hold)
        request_consumed(r, delta->size);
}

static inline void test_sink_finished(Request *r, const RequestResult *result, void *userdata) {
    TestSink *s = userdata;
    s->n_finished++;
    s->result = *result;
    snprintf(s->model, sizeof(s->model), "%s", result->model ? result->model : "");
}

static const RequestSink test_sink = {test_sink_delta, test_sink_finished};

/* One user message, the options of the configuration. */
static inline int test_request(TestDaemon *t, const char *text, TestSink *s, Request **ret, Error *e) {
    Conversation c = {};
    assert_int_equal(conversation_append(&c, "user", text, strlen(text), e), 0);
    RequestSpec spec = {.owner = 1000, .options = &t->d.config->defaults, .conversation = &c};
    int r = request_start(&t->d, &spec, &test_sink, s, ret, e);
    conversation_done(&c);
    return r;
}
