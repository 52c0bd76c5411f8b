/* How long a client may take to say what it wants, and whether it is still there while it waits for the answer. */
#include "test-http.h"

#include "http-connection.h"

#define HANG_TURNS 20 /* of the loop, in which something wrong would have shown */

static void turn(TestHttp *h, int n) {
    for (int i = 0; i < n; i++)
        test_http_turn(h);
}

/* ------------------------------------------------------------------------------------------------ deadlines */

/* A connection that the library has not taken. */
static HttpConnection *connection(TestHttp *h, int fds[2]) {
    HttpConnection *c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(http_connection_new(h->t.d.http, fds[0], NULL, &c), 0);
    return c;
}

static void drop(HttpConnection *c, int fds[2]) {
    http_connection_closed(c);
    close(fds[0]);
    close(fds[1]);
}

static bool has_ended(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static void test_a_late_request_ends_the_connection(void **state) {
    TestHttp *h = *state;
    int fds[2];
    HttpConnection *c = connection(h, fds);
    h->t.d.config->http_idle_usec = 2000;
    http_connection_expect_request(c);
    assert_false(c->gone);
    turn_until(h, c->gone);
    assert_true(has_ended(fds[1]));
    drop(c, fds);
}

static void test_an_arrived_request_may_take_its_time(void **state) {
    TestHttp *h = *state;
    int fds[2];
    HttpConnection *c = connection(h, fds);
    h->t.d.config->http_idle_usec = 2000;
    http_connection_expect_request(c);
    http_connection_request_arrived(c);
    turn(h, HANG_TURNS);
    assert_false(c->gone || has_ended(fds[1]));
    http_connection_expect_request(c); /* the next one */
    turn_until(h, c->gone);
    drop(c, fds);
}

/* What is left of the time for one request is not what the next one gets; a reload holds from then on. */
static void test_each_request_has_a_deadline_of_its_own(void **state) {
    TestHttp *h = *state;
    int fds[2];
    HttpConnection *c = connection(h, fds);
    h->t.d.config->http_idle_usec = 2000;
    http_connection_expect_request(c);
    h->t.d.config->http_idle_usec = 60000000;
    http_connection_expect_request(c);
    turn(h, HANG_TURNS);
    assert_false(c->gone);
    h->t.d.config->http_idle_usec = 2000;
    http_connection_expect_request(c);
    turn_until(h, c->gone);
    drop(c, fds);
}

static void test_what_cannot_be_watched_is_closed(void **state) {
    TestHttp *h = *state;
    HttpConnection *c = NULL;
    char path[100];
    snprintf(path, sizeof(path), "%s/file", h->t.dir);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(http_connection_new(h->t.d.http, fd, NULL, &c), -EPERM);
    assert_null(c);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_a_request_has_to_arrive_in_time(void **state) {
    TestHttp *h = *state;
    h->t.d.config->http_idle_usec = 50000;
    static const char *const parts[] = {"", "GET /hea", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", /* and no other */
        "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"};
    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        int fd = test_http_connect(h);
        test_http_send(h, fd, parts[i], strlen(parts[i]));
        free(test_http_read_all(h, fd)); /* ends only when the connection does */
        close(fd);
    }
    assert_int_equal(http_server_n_connections(h->t.d.http), 0);
}

/* Not a byte at a time, for ever. */
static void test_dribbling_buys_no_time(void **state) {
    static const char *const heads[] = {
        "GET /health HTTP/1.1\r\nX: ", "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n"};
    TestHttp *h = *state;
    h->t.d.config->http_idle_usec = 50000;
    for (size_t i = 0; i < ELEMENTSOF(heads); i++) {
        int n = 0, fd = test_http_connect(h);
        test_http_send(h, fd, heads[i], strlen(heads[i]));
        for (; n < 2000 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; n++)
            test_http_turn(h);
        assert_true(n < 2000);
        close(fd);
    }
}

/* ------------------------------------------------------------------------------------------------ who leaves */

static unsigned n_generating(TestHttp *h) {
    return bridge_n_active(model_host_bridge(h->t.d.host));
}

static void assert_forgotten(TestHttp *h) {
    turn_until(h, h->t.d.n_requests == 0);
    turn_until(h, http_server_n_connections(h->t.d.http) == 0);
}

static void test_a_client_that_leaves_frees_its_work(void **state) {
    TestHttp *h = *state;
    for (int stream = 0; stream < 2; stream++) {
        int fd = test_http_connect(h);
        test_http_complete(h, fd, "/hang", stream);
        turn_until(h, n_generating(h) == 1);
        close(fd);
        assert_forgotten(h);
    }
}

static void test_a_client_may_leave_in_the_midst_of_a_stream(void **state) {
    TestHttp *h = *state;
    char some[1000];
    int fd = test_http_connect(h);
    test_http_complete(h, fd, "/slow 1 /long 100000", true);
    for (int n = 0; n<5; n += recv(fd, some, sizeof(some), 0)> 0) /* it has slept and woken */
        test_http_turn(h);
    close(fd);
    assert_forgotten(h);
}

static void read_until(TestHttp *h, int fd, const char *end) {
    char got[4000] = "";
    size_t n = 0;
    while (!strstr(got, end)) {
        ssize_t k = recv(fd, got + n, sizeof(got) - n - 1, 0);
        assert_true(k > 0 || (k < 0 && errno == EAGAIN));
        n += k > 0 ? (size_t)k : 0;
        got[n] = '\0';
        test_http_turn(h);
    }
}

/* Between requests the library watches, then we do, in turn. */
static void test_a_client_may_leave_after_any_request(void **state) {
    TestHttp *h = *state;
    for (int n_before = 0; n_before < 3; n_before++)
        for (int idle = 0; idle < 2; idle++) {
            int fd = test_http_connect(h);
            for (int i = 0; i < n_before; i++) {
                test_http_complete(h, fd, "/slow 1 hello", i == 1);
                read_until(h, fd, i == 1 ? "\r\n0\r\n\r\n" : "echo: hello");
            }
            if (!idle) {
                test_http_complete(h, fd, "/hang", false);
                turn_until(h, n_generating(h) == 1);
            }
            assert_int_equal(http_server_n_active(h->t.d.http), !idle);
            close(fd);
            assert_forgotten(h);
        }
}

/* It has said all and listens. */
static void test_a_half_closed_client_gets_its_answer(void **state) {
    TestHttp *h = *state;
    for (int stream = 0; stream < 2; stream++) {
        int fd = test_http_connect(h);
        test_http_complete(h, fd, "/slow 2 hello", stream);
        shutdown(fd, SHUT_WR);
        char *reply = test_http_read_all(h, fd);
        assert_non_null(strstr(reply, stream ? "[DONE]" : "echo: hello"));
        free(reply);
        close(fd);
        assert_forgotten(h);
    }
}

static void test_a_half_closed_client_keeps_nobody_busy(void **state) {
    TestHttp *h = *state;
    int fd = test_http_connect(h);
    test_http_complete(h, fd, "/hang", false);
    turn_until(h, n_generating(h) == 1);
    shutdown(fd, SHUT_WR);
    turn(h, HANG_TURNS);
    assert_int_equal(h->t.d.n_requests, 1);
    struct pollfd loop = {.fd = uv_backend_fd(&h->t.loop), .events = POLLIN};
    assert_int_equal(poll(&loop, 1, 0), 0); /* the loop has nothing to do */
    close(fd);
    assert_forgotten(h);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_http_setup, test_http_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_late_request_ends_the_connection),
        TEST(test_an_arrived_request_may_take_its_time),
        TEST(test_each_request_has_a_deadline_of_its_own),
        TEST(test_what_cannot_be_watched_is_closed),
        TEST(test_a_request_has_to_arrive_in_time),
        TEST(test_dribbling_buys_no_time),
        TEST(test_a_client_that_leaves_frees_its_work),
        TEST(test_a_client_may_leave_in_the_midst_of_a_stream),
        TEST(test_a_client_may_leave_after_any_request),
        TEST(test_a_half_closed_client_gets_its_answer),
        TEST(test_a_half_closed_client_keeps_nobody_busy),
    };
    return cmocka_run_group_tests_name("http-connection", tests, NULL, NULL);
}
