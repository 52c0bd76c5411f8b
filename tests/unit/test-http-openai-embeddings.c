/* /v1/embeddings: http-openai-embeddings.c. What the vectors of the fake engine are stands in fake-engine.c. */
#include "test-http.h"

#define EMBEDDINGS "/v1/embeddings"

static void load(TestHttp *h, const char *name, const char *text) {
    Error e = {};
    test_daemon_install(&h->t, name, text);
    assert_int_equal(model_host_load(h->t.d.host, name, NULL, NULL, &e), 0);
    turn_until(h, model_host_availability(h->t.d.host) == AVAILABILITY_READY);
}

static int setup(void **state) {
    test_http_setup(state);
    load(*state, "encoder", "FAKE context=32 embedding=3");
    return 0;
}

static json_t *ask(TestHttp *h, const char *body, int status) {
    json_t *json;
    assert_int_equal(test_http_post(h, EMBEDDINGS, body, &json), status);
    return json;
}

static void assert_code(TestHttp *h, const char *body, int status, const char *code) {
    json_t *json = ask(h, body, status);
    assert_string_equal(test_json_string(json, "error/code"), code);
    json_decref(json);
}

/* The vector that the fake engine gives to so many tokens. */
static void assert_vector(json_t *json, size_t index, size_t n_tokens) {
    double wanted[3] = {};
    char path[40];
    wanted[n_tokens % 3] = 0.6;
    wanted[(n_tokens + 1) % 3] = -0.8;
    snprintf(path, sizeof(path), "data/%zu/embedding", index);
    json_t *values = test_json_at(json, path);
    assert_int_equal(json_array_size(values), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true((float)json_real_value(json_array_get(values, i)) == (float)wanted[i]);
    snprintf(path, sizeof(path), "data/%zu/index", index);
    assert_int_equal(json_integer_value(test_json_at(json, path)), index);
}

static void test_answers_in_openais_shape(void **state) {
    json_t *json = ask(*state, "{\"input\":[\"ab\",\"a\"],\"encoding_format\":\"float\"}", 200);
    assert_string_equal(test_json_string(json, "object"), "list");
    assert_string_equal(test_json_string(json, "model"), "encoder");
    assert_string_equal(test_json_string(json, "data/1/object"), "embedding");
    assert_int_equal(json_array_size(test_json_at(json, "data")), 2);
    assert_vector(json, 0, 3);
    assert_vector(json, 1, 2);
    assert_int_equal(json_integer_value(test_json_at(json, "usage/prompt_tokens")), 3 + 2);
    assert_int_equal(json_integer_value(test_json_at(json, "usage/total_tokens")), 3 + 2);
    json_decref(json);
}

static void test_takes_texts_and_token_ids(void **state) {
    static const struct {
        const char *input;
        size_t n, n_tokens[2];
    } rows[] = {
        {"\"h\xC3\xA9\"", 1, {4}},
        {"\"a\\u0000b\"", 1, {4}},
        {"[\"ab\"]", 1, {3}},
        {"[104, 105.0]", 1, {2}},
        {"[[104],[104,105]]", 2, {1, 2}},
        {"[\"abc\",[104]]", 2, {4, 1}},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char body[100];
        snprintf(body, sizeof(body), "{\"input\":%s,\"encoding_format\":null,\"dimensions\":null}", rows[i].input);
        json_t *json = ask(*state, body, 200);
        assert_int_equal(json_array_size(test_json_at(json, "data")), rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++)
            assert_vector(json, k, rows[i].n_tokens[k]);
        json_decref(json);
    }
}

/* Expected are Python's base64.b64encode(struct.pack("<4f", ...)) and so on: each length of the last group. */
static void test_base64_of_little_endian_floats(void **state) {
    static const struct {
        const char *model, *expected;
    } rows[] = {
        {"FAKE embedding=2", "zcxMv5qZGT8="},
        {"FAKE embedding=3", "mpkZP83MTL8AAAAA"},
        {"FAKE embedding=4", "zcxMvwAAAAAAAAAAmpkZPw=="},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        load(*state, "encoder", rows[i].model);
        json_t *json = ask(*state, "{\"input\":\"ab\",\"encoding_format\":\"base64\"}", 200);
        assert_string_equal(test_json_string(json, "data/0/embedding"), rows[i].expected);
        json_decref(json);
    }
}

static void test_refuses_what_is_no_input(void **state) {
    static const char *const inputs[] = {"null", "7", "{}", "true", "\"\"", "[]", "[\"\"]", "[\"a\",\"\"]", "[\"a\",1]",
        "[1,\"a\"]", "[null]", "[[]]", "[[[1]]]", "[[1],[\"a\"]]", "[-1]", "[1.5]", "[4294967295]", "[4294967296]",
        "[1,[2]]"};
    char body[100];
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
        snprintf(body, sizeof(body), "{\"input\":%s}", inputs[i]);
        assert_refused(*state, EMBEDDINGS, body, 400, "input");
    }
    assert_refused(*state, EMBEDDINGS, "{}", 400, "input");
}

static void test_refuses_too_many_texts(void **state) {
    char body[20 + 2049 * 4], *p = stpcpy(body, "{\"input\":[\"a\"");
    for (int i = 0; i < 2048; i++)
        p = stpcpy(p, ",\"a\"");
    strcpy(p, "]}");
    assert_refused(*state, EMBEDDINGS, body, 400, "input");
}

static void test_refuses_fields_by_name(void **state) {
    assert_refused(*state, EMBEDDINGS, "{\"input\":\"a\",\"dimensions\":3}", 400, "dimensions");
    assert_refused(*state, EMBEDDINGS, "{\"input\":\"a\",\"encoding_format\":\"int8\"}", 400, "encoding_format");
    assert_refused(*state, EMBEDDINGS, "{\"input\":\"a\",\"encoding_format\":1}", 400, "encoding_format");
    assert_refused(*state, EMBEDDINGS, "{\"input\":\"a\",\"model\":1}", 400, "model");
    json_decref(ask(*state, "[\"a\"]", 400));
}

static void test_the_model_must_be_the_shared_one(void **state) {
    static const char *const own[] = {"", "default", "encoder", "encoder.gguf"};
    char body[100];
    for (size_t i = 0; i < ELEMENTSOF(own); i++) {
        snprintf(body, sizeof(body), "{\"input\":\"a\",\"model\":\"%s\"}", own[i]);
        json_decref(ask(*state, body, 200));
    }
    /* refused before any work is done */
    assert_code(*state, "{\"input\":\"/hang\",\"model\":\"alpha\"}", 404, "model_not_loaded");
    assert_code(*state, "{\"input\":\"a\",\"model\":\"enc\"}", 404, "model_not_found");
}

static int send_request(TestHttp *h, const char *body) {
    char request[300];
    int fd = test_http_connect(h);
    int n = snprintf(request, sizeof(request),
        "POST " EMBEDDINGS " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
        body);
    test_http_send(h, fd, request, n);
    return fd;
}

/* A request that arrives during the change gets the new model, whose vectors it must not take for the old one's. */
static void test_nor_may_it_change_while_a_request_waits(void **state) {
    TestHttp *h = *state;
    TestPool pool;
    test_daemon_install(&h->t, "other", "FAKE embedding=3");
    test_pool_hold(&h->t, &pool);
    assert_int_equal(model_host_load(h->t.d.host, "other", NULL, NULL, NULL), 0);
    int fd = send_request(h, "{\"input\":\"a\",\"model\":\"encoder\"}");
    turn_until(h, h->t.d.n_requests == 1);
    test_pool_let_go(&h->t, &pool);
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 404);
    assert_non_null(strstr(reply, "\"model_not_loaded\""));
    free(reply);
    close(fd);
}

static void test_errors_of_the_engine(void **state) {
    TestHttp *h = *state;
    assert_code(h, "{\"input\":[\"a\",\"/fail\"]}", 503, "overloaded");
    assert_code(h, "{\"input\":\"more tokens than the context has\"}", 400, "context_length_exceeded");
    h->t.d.config->max_requests_per_owner = 0;
    assert_code(h, "{\"input\":\"a\"}", 429, "rate_limit_exceeded");
    h->t.d.config->max_requests_per_owner = 64;
    load(h, "alpha", "FAKE context=32");
    assert_code(h, "{\"input\":\"a\"}", 400, "unsupported");
}

static void test_a_client_that_leaves_frees_its_work(void **state) {
    TestHttp *h = *state;
    json_t *json;
    int fd = send_request(h, "{\"input\":[[97,98],\"/hang\"]}");
    turn_until(h, h->t.metrics.requests[REQUEST_TRANSPORT_HTTP][ENGINE_FINISH_STOP] == 1);
    turn_until(h, bridge_n_active(model_host_bridge(h->t.d.host)) == 1);
    h->t.d.config->max_requests_per_owner = 1; /* the client's other requests are counted with it */
    assert_int_equal(test_http_post(h, "/v1/completions", "{\"prompt\":\"x\"}", &json), 429);
    json_decref(json);
    close(fd);
    turn_until(h, h->t.d.n_requests == 0);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

#define with_encoder(t) cmocka_unit_test_setup_teardown(t, setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_encoder(test_answers_in_openais_shape),
        with_encoder(test_takes_texts_and_token_ids),
        with_encoder(test_base64_of_little_endian_floats),
        with_encoder(test_refuses_what_is_no_input),
        with_encoder(test_refuses_too_many_texts),
        with_encoder(test_refuses_fields_by_name),
        with_encoder(test_the_model_must_be_the_shared_one),
        with_encoder(test_nor_may_it_change_while_a_request_waits),
        with_encoder(test_errors_of_the_engine),
        with_encoder(test_a_client_that_leaves_frees_its_work),
    };
    test_pool_of_one();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
