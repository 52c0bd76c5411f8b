/* Connections: how many there may be, and how they end when the service does. */
#include "test-http.h"

#include <sys/resource.h>
#include <sys/stat.h>

#define CONNECTIONS 4

/* Again, with few connections, for one user or for all. */
static void restart(TestHttp *h, bool user) {
    h->t.d.http = http_server_free(h->t.d.http);
    h->t.d.config->http_connections = CONNECTIONS;
    h->t.d.user = user;
    assert_int_equal(http_server_new(&h->t.d, &h->t.d.http, NULL), 0);
}

static bool is_open(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void assert_answered(int status, char *reply) {
    assert_int_equal(test_http_status(reply), status);
    free(reply);
}

/* ------------------------------------------------------------------------------------------------ beginning */

static void test_without_a_socket_there_is_no_server(void **state) {
    TestHttp *h = *state;
    Error e = {};
    HttpServer *s = h->t.d.http;
    assert_int_equal(http_server_new(&h->t.d, &s, &e), -EADDRINUSE); /* the first one listens */
    assert_non_null(strstr(e.message, h->path));
    assert_ptr_equal(s, h->t.d.http);

    free(h->t.d.config->socket_path);
    h->t.d.config->socket_path = NULL;
    assert_int_equal(http_server_new(&h->t.d, &s, &e), 0);
    assert_null(s);
}

static mode_t permissions(const TestHttp *h) {
    struct stat st;
    assert_int_equal(stat(h->path, &st), 0);
    return st.st_mode & 0777;
}

static void test_a_users_service_is_the_users_alone(void **state) {
    restart(*state, true);
    assert_int_equal(permissions(*state), 0600);
    restart(*state, false);
    assert_int_equal(permissions(*state), 0666);
}

/* The usual soft limit is too low for the connections that the configuration allows. */
static void test_makes_room_for_descriptors(void **state) {
    TestHttp *h = *state;
    struct rlimit before, limit;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = (struct rlimit){MIN((rlim_t)100, before.rlim_max), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    h->t.d.http = http_server_free(h->t.d.http);
    h->t.d.config->http_connections = 200;
    assert_int_equal(http_server_new(&h->t.d, &h->t.d.http, NULL), 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(limit.rlim_cur > 200 || limit.rlim_cur == before.rlim_max);
    assert_true(limit.rlim_max == before.rlim_max);
}

/* ------------------------------------------------------------------------------------------------ limits */

static void assert_refused_beyond(TestHttp *h, unsigned n) {
    int fds[CONNECTIONS];
    for (unsigned i = 0; i < n; i++)
        fds[i] = test_http_connect(h);
    turn_until(h, http_server_n_connections(h->t.d.http) == n);

    int fd = test_http_connect(h);
    char *reply = test_http_read_all(h, fd); /* at once, without a request */
    assert_non_null(strstr(reply, "\r\nRetry-After: "));
    json_t *json = test_http_json(reply);
    assert_string_equal(test_json_string(json, "error/code"), "overloaded");
    json_decref(json);
    assert_answered(503, reply);
    close(fd);

    for (unsigned i = 0; i < n; i++)
        assert_true(is_open(fds[i]));
    close(fds[0]);
    turn_until(h, http_server_n_connections(h->t.d.http) == n - 1);
    assert_answered(200, test_http_ask(h, "GET", "/health", ""));
    for (unsigned i = 1; i < n; i++)
        close(fds[i]);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

static void test_connections_have_a_limit(void **state) {
    restart(*state, true);
    assert_refused_beyond(*state, CONNECTIONS);
}

/* The other half is left for the others. */
static void test_a_user_of_many_has_half_of_them(void **state) {
    restart(*state, false);
    assert_refused_beyond(*state, CONNECTIONS / 2);
}

static void test_who_is_refused_may_have_left(void **state) {
    TestHttp *h = *state;
    int fds[CONNECTIONS];
    restart(h, true);
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = test_http_connect(h);
    for (int i = 0; i < 20; i++)
        close(test_http_connect(h));
    turn_until(h, http_server_n_connections(h->t.d.http) == CONNECTIONS);
    for (int i = 0; i < 20; i++)
        test_http_turn(h);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

/* ------------------------------------------------------------------------------------------------ stopping */

static void test_stopping_ends_what_is_idle(void **state) {
    static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    TestHttp *h = *state;
    char some[4000];
    int fds[] = {test_http_connect(h), test_http_connect(h), test_http_connect(h)};
    test_http_send(h, fds[1], request, 20); /* will not be heard to the end */
    test_http_send(h, fds[2], request, strlen(request));
    while (recv(fds[2], some, sizeof(some), 0) < 0)
        test_http_turn(h);
    turn_until(h, http_server_n_connections(h->t.d.http) == ELEMENTSOF(fds));

    http_server_stop(h->t.d.http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        char *reply = test_http_read_all(h, fds[i]);
        assert_string_equal(reply, "");
        free(reply);
        close(fds[i]);
    }
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
    assert_int_equal(access(h->path, F_OK), -1);
}

static void turn_until_generating(TestHttp *h, unsigned n) {
    turn_until(h, bridge_n_active(model_host_bridge(h->t.d.host)) == n);
}

/* The answers come when the test wants them. */
static void test_stopping_lets_replies_end(void **state) {
    TestHttp *h = *state;
    int plain = test_http_connect(h), stream = test_http_connect(h);
    test_http_complete(h, plain, "/hang", false);
    test_http_complete(h, stream, "/hang", true);
    turn_until(h, !is_open(stream)); /* the head of its reply is there: it promises another request */
    turn_until_generating(h, 2);
    http_server_stop(h->t.d.http);
    for (int i = 0; i < 20; i++)
        test_http_turn(h);
    assert_int_equal(h->t.d.n_requests, 2);

    request_cancel_all(&h->t.d, -ESHUTDOWN, "Good night.");
    char *reply = test_http_read_all(h, plain);
    assert_non_null(strstr(reply, "Good night."));
    assert_non_null(strstr(reply, "\r\nConnection: close\r\n"));
    assert_answered(503, reply);
    reply = test_http_read_all(h, stream);
    assert_non_null(strstr(reply, "Good night."));
    assert_non_null(strstr(reply, "\r\n0\r\n\r\n"));
    assert_answered(200, reply);
    close(plain);
    close(stream);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

static void test_what_was_sent_ahead_is_not_begun(void **state) {
    static const char next[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    TestHttp *h = *state;
    for (int stream = 0; stream < 2; stream++) {
        int fd = test_http_connect(h);
        test_http_complete(h, fd, "/hang", stream);
        test_http_send(h, fd, next, strlen(next));
        turn_until_generating(h, 1);
        http_server_stop(h->t.d.http);
        request_cancel_all(&h->t.d, -ESHUTDOWN, "Good night.");
        char *reply = test_http_read_all(h, fd);
        assert_null(strstr(strstr(reply, "HTTP/1.1 ") + 1, "HTTP/1.1 "));
        assert_non_null(strstr(reply, "Good night."));
        free(reply);
        close(fd);
        restart(h, true);
    }
}

/* It was heard in part, so it is heard to the end. */
static void test_stopping_lets_a_body_arrive(void **state) {
    static const char head[] = "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n";
    TestHttp *h = *state;
    int fd = test_http_connect(h);
    test_http_send(h, fd, head, strlen(head));
    turn_until(h, http_server_n_active(h->t.d.http) == 1);
    http_server_stop(h->t.d.http);
    test_http_turn(h);
    test_http_send(h, fd, "{\"content\":\"hi\"}", 16);
    assert_answered(200, test_http_read_all(h, fd));
    close(fd);
}

/* ------------------------------------------------------------------------------------------------ the end */

static void test_freeing_cuts_what_is_left(void **state) {
    static const char head[] = "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n";
    TestHttp *h = *state;
    int fds[4];
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        fds[i] = test_http_connect(h);
    test_http_complete(h, fds[0], "/hang", false);
    test_http_complete(h, fds[1], "/hang", true);
    test_http_send(h, fds[2], head, strlen(head));
    turn_until_generating(h, 2);
    turn_until(h, http_server_n_active(h->t.d.http) == 3);
    turn_until(h, http_server_n_connections(h->t.d.http) == 4);
    h->t.d.http = http_server_free(h->t.d.http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        free(test_http_read_all(h, fds[i]));
        close(fds[i]);
    }
    turn_until(h, h->t.d.n_requests == 0);
}

/* The last of them in the same moment. */
static void test_freeing_sends_what_was_answered(void **state) {
    TestHttp *h = *state;
    int fds[] = {test_http_connect(h), test_http_connect(h)};
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        test_http_complete(h, fds[i], "/hang", i);
    turn_until_generating(h, 2);
    request_cancel_all(&h->t.d, -ESHUTDOWN, "inferd is stopping.");
    while (h->t.d.n_requests > 0)
        uv_run(&h->t.loop, UV_RUN_NOWAIT);
    h->t.d.http = http_server_free(h->t.d.http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        char *reply = test_http_read_all(h, fds[i]);
        assert_non_null(strstr(reply, "inferd is stopping."));
        free(reply);
        close(fds[i]);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_http_setup, test_http_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_socket_there_is_no_server),
        TEST(test_a_users_service_is_the_users_alone),
        TEST(test_makes_room_for_descriptors),
        TEST(test_connections_have_a_limit),
        TEST(test_a_user_of_many_has_half_of_them),
        TEST(test_who_is_refused_may_have_left),
        TEST(test_stopping_ends_what_is_idle),
        TEST(test_stopping_lets_replies_end),
        TEST(test_what_was_sent_ahead_is_not_begun),
        TEST(test_stopping_lets_a_body_arrive),
        TEST(test_freeing_cuts_what_is_left),
        TEST(test_freeing_sends_what_was_answered),
    };
    return cmocka_run_group_tests_name("http-server", tests, NULL, NULL);
}
