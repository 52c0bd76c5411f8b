/* /tokenize and /detokenize: http-tokens.c. The fake engine has a token for each byte, and 256 for the beginning. */
#include "test-http.h"

#include "http-tokens.h"

static void test_tokens_there_and_back(void **state) {
    json_t *json;
    assert_int_equal(
        test_http_post(*state, "/tokenize", "{\"content\":\"h\xC3\xA9\",\"with_pieces\":true}", &json), 200);
    assert_int_equal(json_array_size(test_json_at(json, "tokens")), 3);
    assert_int_equal(json_integer_value(test_json_at(json, "tokens/1/id")), 0xC3);
    assert_string_equal(test_json_string(json, "tokens/0/piece"), "h");
    assert_string_equal(test_json_string(json, "tokens/1/piece"), "\xEF\xBF\xBD");
    json_decref(json);
    assert_int_equal(test_http_post(*state, "/detokenize", "{\"tokens\":[104,195,169]}", &json), 200);
    assert_string_equal(test_json_string(json, "content"), "h\xC3\xA9");
    json_decref(json);
}

static void test_tokens_that_are_none(void **state) {
    assert_refused(*state, "/tokenize", "{}", 400, "content");
    assert_refused(*state, "/tokenize", "{\"content\":[]}", 400, "content");
    assert_refused(*state, "/tokenize", "{\"content\":null}", 400, "content");
    assert_refused(*state, "/tokenize", "{\"content\":\"x\",\"add_special\":1}", 400, "add_special");
    assert_refused(*state, "/tokenize", "{\"content\":\"x\",\"with_pieces\":\"yes\"}", 400, "with_pieces");
    assert_refused(*state, "/detokenize", "{}", 400, "tokens");
    static const char *const tokens[] = {"null", "{}", "7", "\"a\"", "[-1]", "[-4294967192]", "[1.5]", "[\"a\"]",
        "[104,null]", "[257]", "[4294967295]", "[4294967400]"};
    for (size_t i = 0; i < ELEMENTSOF(tokens); i++) {
        char body[100];
        snprintf(body, sizeof(body), "{\"tokens\":%s}", tokens[i]);
        assert_refused(*state, "/detokenize", body, 400, "tokens");
    }
}

static void assert_answer(TestHttp *h, const char *path, const char *body, const char *expected) {
    json_t *json, *wanted = json_loads(expected, JSON_ALLOW_NUL, NULL);
    assert_non_null(wanted);
    assert_int_equal(test_http_post(h, path, body, &json), 200);
    assert_true(json_equal(json, wanted));
    json_decref(json);
    json_decref(wanted);
}

static void test_special_tokens_and_odd_texts(void **state) {
    assert_answer(*state, "/tokenize", "{\"content\":\"\"}", "{\"tokens\":[]}");
    assert_answer(*state, "/tokenize", "{\"content\":\"\",\"add_special\":true}", "{\"tokens\":[256]}");
    assert_answer(*state, "/tokenize", "{\"content\":\"a\\u0000b\"}", "{\"tokens\":[97,0,98]}");
    assert_answer(*state, "/tokenize", "{\"content\":\"a\",\"add_special\":true,\"with_pieces\":true}",
        "{\"tokens\":[{\"id\":256,\"piece\":\"<s>\"},{\"id\":97,\"piece\":\"a\"}]}");
    assert_answer(*state, "/detokenize", "{\"tokens\":[]}", "{\"content\":\"\"}");
    assert_answer(*state, "/detokenize", "{\"tokens\":[256,97.0,0,255]}", "{\"content\":\"<s>a\\u0000\xEF\xBF\xBD\"}");
}

static void test_a_piece_outside_the_vocabulary(void **state) {
    TestHttp *h = *state;
    char *text = NULL;
    size_t size = 7;
    assert_int_equal(http_token_piece(model_host_model(h->t.d.host), 257, &text, &size), -EINVAL);
    assert_null(text);
    assert_int_equal(size, 7);
}

static int send_tokenize(TestHttp *h) {
    static const char request[] =
        "POST /tokenize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 15\r\n\r\n"
        "{\"content\":\"x\"}";
    int fd = test_http_connect(h);
    test_http_send(h, fd, request, strlen(request));
    turn_until(h, http_server_n_active(h->t.d.http) == 1);
    return fd;
}

/* The same, until its work waits behind what holds the pool. */
static int send_until_queued(TestHttp *h) {
    int fd = send_tokenize(h);
    turn_until(h, h->t.loop.active_reqs.count == 2);
    return fd;
}

static void leave(TestHttp *h, int fd) {
    close(fd);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

static void test_a_client_may_leave_while_it_waits_for_the_model(void **state) {
    TestHttp *h = *state;
    TestPool pool;
    test_daemon_install(&h->t, "other", "FAKE context=4096");
    test_pool_hold(&h->t, &pool);
    assert_int_equal(model_host_load(h->t.d.host, "other", NULL, NULL, NULL), 0);
    leave(h, send_tokenize(h));
    int fd = send_tokenize(h); /* would be answered after the one that left */
    test_pool_let_go(&h->t, &pool);
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 200);
    free(reply);
    close(fd);
}

static void test_a_client_may_leave_while_its_text_is_worked_on(void **state) {
    TestHttp *h = *state;
    TestPool pool;
    test_pool_hold(&h->t, &pool);
    leave(h, send_until_queued(h));
    test_pool_let_go(&h->t, &pool);
}

static void test_the_model_may_go_while_a_text_is_worked_on(void **state) {
    TestHttp *h = *state;
    TestPool pool;
    test_pool_hold(&h->t, &pool);
    int fd = send_until_queued(h);
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    for (int i = 0; i < 20; i++)
        test_http_turn(h);
    test_pool_let_go(&h->t, &pool);
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 200);
    assert_non_null(strstr(reply, "[120]"));
    free(reply);
    close(fd);
}

static void test_without_a_model_there_are_no_tokens(void **state) {
    TestHttp *h = *state;
    json_t *json;
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    assert_int_equal(test_http_post(h, "/tokenize", "{\"content\":\"x\"}", &json), 503);
    assert_string_equal(test_json_string(json, "error/code"), "no_model");
    json_decref(json);
}

static void test_a_model_that_does_not_come_is_reported(void **state) {
    TestHttp *h = *state;
    TestPool pool;
    test_pool_hold(&h->t, &pool);
    test_daemon_install(&h->t, "alpha", "FAKE pool=none");
    assert_int_equal(model_host_unload(h->t.d.host, NULL), 0);
    assert_int_equal(model_host_load(h->t.d.host, "alpha", NULL, NULL, NULL), 0);
    int fd = send_tokenize(h);
    test_pool_let_go(&h->t, &pool);
    char *reply = test_http_read_all(h, fd);
    assert_int_equal(test_http_status(reply), 503);
    free(reply);
    close(fd);
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, test_http_setup, test_http_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_server(test_tokens_there_and_back),
        with_server(test_special_tokens_and_odd_texts),
        with_server(test_tokens_that_are_none),
        with_server(test_a_piece_outside_the_vocabulary),
        with_server(test_a_client_may_leave_while_it_waits_for_the_model),
        with_server(test_a_client_may_leave_while_its_text_is_worked_on),
        with_server(test_the_model_may_go_while_a_text_is_worked_on),
        with_server(test_without_a_model_there_are_no_tokens),
        with_server(test_a_model_that_does_not_come_is_reported),
    };
    test_pool_of_one();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
