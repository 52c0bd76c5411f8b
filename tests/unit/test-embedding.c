/* The embeddings of several texts against the fake engine: embedding.c. A text of n bytes has n + 1 tokens there. */
#include "test-daemon.h"

#include "embedding.h"

#define WIDTH 4

typedef struct Outcome {
    unsigned n_called;
    Embedding *to_free; /* in the callback */
    size_t n, width;
    float values[64 * 8];
    uint64_t prompt_tokens;
    char model[64];
    Error error;
} Outcome;

static void done(void *userdata, const EmbeddingResult *result, const Error *error) {
    Outcome *o = userdata;
    o->n_called++;
    assert_true(!result != !error);
    if (error)
        o->error = *error;
    if (result) {
        o->n = result->n;
        o->width = result->width;
        o->prompt_tokens = result->prompt_tokens;
        assert_true(o->n * o->width <= ELEMENTSOF(o->values));
        memcpy(o->values, result->values, o->n * o->width * sizeof(float));
        snprintf(o->model, sizeof(o->model), "%s", result->model);
    }
    o->to_free = embedding_free(o->to_free);
}

static int setup(void **state) {
    TestDaemon *t = calloc(1, sizeof(TestDaemon));
    test_daemon_init(t);
    t->d.config->model = strdup("alpha");
    test_daemon_install(t, "alpha", "FAKE context=32 embedding=4");
    test_daemon_start(t);
    *state = t;
    return 0;
}

static int teardown(void **state) {
    TestDaemon *t = *state;
    run_until(t, t->d.n_requests == 0);
    test_daemon_done(t);
    free(t);
    return 0;
}

static EmbeddingInput text(const char *s) {
    return (EmbeddingInput){.text = s, .size = strlen(s)};
}

static int start(TestDaemon *t, const EmbeddingInput *inputs, size_t n, Outcome *o, Embedding **ret, Error *e) {
    return embedding_start(&t->d, REQUEST_TRANSPORT_HTTP, 1000, &t->d.config->defaults, inputs, n, done, o, ret, e);
}

static void embed(TestDaemon *t, const EmbeddingInput *inputs, size_t n, Outcome *o) {
    Embedding *m;
    Error e = {};
    assert_int_equal(start(t, inputs, n, o, &m, &e), 0);
    run_until(t, o->n_called);
    embedding_free(m);
    assert_int_equal(o->n_called, 1);
}

static void assert_vector(const Outcome *o, size_t at, size_t n_tokens) {
    float wanted[WIDTH] = {};
    wanted[n_tokens % WIDTH] = 0.6f;
    wanted[(n_tokens + 1) % WIDTH] = -0.8f;
    assert_memory_equal(o->values + at * WIDTH, wanted, sizeof(wanted));
}

static void test_vectors_come_in_the_order_of_their_texts(void **state) {
    static const Token tokens[] = {'x', 'y'};
    EmbeddingInput inputs[] = {text("abcd"), text(""), {.tokens = tokens, .n_tokens = 2}, text("a\0c")};
    TestDaemon *t = *state;
    Outcome o = {};
    inputs[3].size = 3;
    embed(t, inputs, ELEMENTSOF(inputs), &o);
    assert_int_equal(o.n, 4);
    assert_int_equal(o.width, WIDTH);
    assert_vector(&o, 0, 5);
    assert_vector(&o, 1, 1);
    assert_vector(&o, 2, 2); /* nothing is added to ids */
    assert_vector(&o, 3, 4);
    assert_int_equal(o.prompt_tokens, 5 + 1 + 2 + 4);
    assert_string_equal(o.model, "alpha");
    assert_int_equal(t->metrics.requests[REQUEST_TRANSPORT_HTTP][ENGINE_FINISH_STOP], 4);
}

/* Only what the inputs point to has to outlive the call. */
static void test_keeps_what_it_was_given(void **state) {
    EmbeddingInput inputs[] = {text("abcd"), text("a")};
    TestDaemon *t = *state;
    Embedding *m;
    Options options;
    Outcome o = {};
    Error e;
    options_init(&options);
    assert_int_equal(options_set_string(&options, "system", "unused", &e), 0);
    assert_int_equal(embedding_start(&t->d, REQUEST_TRANSPORT_DBUS, 1000, &options, inputs, 2, done, &o, &m, &e), 0);
    options_done(&options);
    memset(inputs, 0xFF, sizeof(inputs));
    run_until(t, o.n_called);
    assert_int_equal(o.error.code, 0);
    assert_vector(&o, 1, 2);
    embedding_free(m);
}

static void test_a_long_list_is_one_request_at_a_time(void **state) {
    EmbeddingInput inputs[20];
    TestDaemon *t = *state;
    TestSink other = {};
    Request *request;
    Embedding *m;
    Outcome o = {};
    Error e = {};
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++)
        inputs[i] = text("a");
    t->d.config->max_requests_per_owner = 1;
    assert_int_equal(start(t, inputs, ELEMENTSOF(inputs), &o, &m, &e), 0);
    assert_int_equal(test_request(t, "hello", &other, &request, &e), -EDQUOT); /* the owner is the same */
    run_until(t, o.n_called || t->d.n_requests != 1);
    assert_int_equal(o.n_called, 1);
    assert_int_equal(o.n, 20);
    assert_int_equal(t->d.n_requests, 0);
    embedding_free(m);
}

static void test_how_many_texts_there_may_be(void **state) {
    EmbeddingInput *inputs = calloc(EMBEDDING_MAX_INPUTS + 1, sizeof(*inputs));
    TestDaemon *t = *state;
    Embedding *m = NULL;
    Outcome o = {};
    Error e = {};
    for (size_t i = 0; i <= EMBEDDING_MAX_INPUTS; i++)
        inputs[i] = text("a");
    assert_int_equal(start(t, inputs, 0, &o, &m, &e), -EINVAL);
    assert_int_equal(start(t, inputs, EMBEDDING_MAX_INPUTS + 1, &o, &m, &e), -EINVAL);
    assert_non_null(strstr(e.message, "2048"));
    assert_null(m);
    assert_int_equal(start(t, inputs, EMBEDDING_MAX_INPUTS, &o, &m, &e), 0);
    embedding_free(m);
    free(inputs);
    assert_int_equal(o.n_called, 0);
}

static void test_one_bad_text_ends_them_all(void **state) {
    static const Token token = 0;
    static const struct {
        EmbeddingInput bad;
        int code;
    } rows[] = {
        {{.text = "/fail", .size = 5}, -ENOSPC},
        {{.text = "more tokens than the context has", .size = 32}, -EMSGSIZE},
        {{.tokens = &token, .n_tokens = 0}, -EINVAL},
    };
    TestDaemon *t = *state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        EmbeddingInput inputs[] = {text("a"), rows[i].bad, text("b")};
        Outcome o = {};
        embed(t, inputs, ELEMENTSOF(inputs), &o);
        assert_int_equal(o.error.code, rows[i].code);
        assert_true(strlen(o.error.message) > 0);
        assert_int_equal(t->d.n_requests, 0);
        assert_int_equal(
            t->metrics.requests[REQUEST_TRANSPORT_HTTP][ENGINE_FINISH_STOP], i + 1); /* "b" was not tried */
    }
}

static void test_needs_an_encoder(void **state) {
    EmbeddingInput input = text("a");
    TestDaemon *t = *state;
    Outcome o = {};
    test_daemon_install(t, "writer", "FAKE context=32");
    assert_int_equal(model_host_load(t->d.host, "writer", NULL, NULL, NULL), 0);
    embed(t, &input, 1, &o);
    assert_int_equal(o.error.code, -EOPNOTSUPP);
}

static void test_cancelled_requests_end_it(void **state) {
    EmbeddingInput inputs[] = {text("/hang"), text("a")};
    TestDaemon *t = *state;
    for (int code = 0; code >= -ETIMEDOUT; code -= ETIMEDOUT) {
        Embedding *m;
        Outcome o = {};
        Error e;
        assert_int_equal(start(t, inputs, 2, &o, &m, &e), 0);
        run_until(t, model_host_bridge(t->d.host) && bridge_n_active(model_host_bridge(t->d.host)) == 1);
        request_cancel_all(&t->d, code, "Too late.");
        run_until(t, o.n_called);
        assert_int_equal(o.error.code, code ? code : -ECANCELED);
        embedding_free(m);
    }
}

static void test_a_service_that_stops_starts_no_more(void **state) {
    EmbeddingInput inputs[] = {text("a"), text("b")};
    TestDaemon *t = *state;
    Embedding *m = NULL;
    Outcome o = {};
    Error e;
    assert_int_equal(start(t, inputs, 2, &o, &m, &e), 0);
    t->d.stopping = true;
    run_until(t, o.n_called); /* the second one is refused */
    assert_int_equal(o.error.code, -ESHUTDOWN);
    embedding_free(m);
    m = NULL;
    assert_int_equal(start(t, inputs, 2, &o, &m, &e), -ESHUTDOWN);
    assert_null(m);
    assert_int_equal(o.n_called, 1);
}

/* Vectors of different models must not be compared with each other. */
static void test_the_model_must_stay_the_same(void **state) {
    /* another name; the same name, another file */
    static const char *const others[] = {"FAKE context=32 embedding=4", "FAKE context=32 embedding=8"};
    EmbeddingInput inputs[8];
    TestDaemon *t = *state;
    uint64_t *n_done = &t->metrics.requests[REQUEST_TRANSPORT_HTTP][ENGINE_FINISH_STOP];
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++)
        inputs[i] = text("a");
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        Embedding *m;
        Outcome o = {};
        Error e;
        *n_done = 0;
        assert_int_equal(start(t, inputs, ELEMENTSOF(inputs), &o, &m, &e), 0);
        run_until(t, *n_done > 0);
        assert_int_equal(o.n_called, 0);
        test_daemon_install(t, "beta", others[i]);
        assert_int_equal(model_host_load(t->d.host, "beta", NULL, NULL, &e), 0);
        run_until(t, o.n_called);
        assert_int_equal(o.error.code, -ENOTCONN);
        assert_non_null(strstr(o.error.message, "replaced"));
        embedding_free(m);
    }
}

static void test_freed_before_its_end_it_is_silent(void **state) {
    EmbeddingInput inputs[] = {text("a"), text("/hang")};
    TestDaemon *t = *state;
    for (int rounds = 0; rounds < 8; rounds++) {
        Embedding *m;
        Outcome o = {};
        Error e;
        assert_int_equal(start(t, inputs, 2, &o, &m, &e), 0);
        for (int i = 0; i < rounds; i++)
            uv_run(&t->loop, UV_RUN_NOWAIT);
        assert_null(embedding_free(m));
        run_until(t, t->d.n_requests == 0);
        assert_int_equal(o.n_called, 0);
    }
}

static void test_may_be_freed_in_its_callback(void **state) {
    EmbeddingInput good[] = {text("a"), text("b")}, bad[] = {text("a"), text("/fail")};
    TestDaemon *t = *state;
    for (int i = 0; i < 2; i++) {
        Outcome o = {};
        Error e;
        assert_int_equal(start(t, i ? bad : good, 2, &o, &o.to_free, &e), 0);
        run_until(t, o.n_called);
        assert_null(o.to_free);
        assert_int_equal(o.error.code, i ? -ENOSPC : 0);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_vectors_come_in_the_order_of_their_texts),
        T(test_keeps_what_it_was_given),
        T(test_a_long_list_is_one_request_at_a_time),
        T(test_how_many_texts_there_may_be),
        T(test_one_bad_text_ends_them_all),
        T(test_needs_an_encoder),
        T(test_cancelled_requests_end_it),
        T(test_a_service_that_stops_starts_no_more),
        T(test_the_model_must_stay_the_same),
        T(test_freed_before_its_end_it_is_silent),
        T(test_may_be_freed_in_its_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
