/* An HttpServer around the fake engine, and a client on the same loop. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test-daemon.h"

#include <jansson.h>

#include "http-server.h"

typedef struct TestHttp {
    TestDaemon t;
    char path[100];
} TestHttp;

static inline void test_http_init(TestHttp *h) {
    Error e = {};
    test_daemon_init(&h->t);
    test_daemon_install(&h->t, "alpha", "FAKE context=4096");
    snprintf(h->path, sizeof(h->path), "%s/socket", h->t.dir);
    free(h->t.d.config->socket_path);
    free(h->t.d.config->model);
    h->t.d.config->socket_path = strdup(h->path);
    h->t.d.config->model = strdup("alpha");
    h->t.d.config->http_connections = 50;
    h->t.d.user = true;
    test_daemon_start(&h->t);
    run_until(&h->t, model_host_availability(h->t.d.host) == AVAILABILITY_READY);
    assert_int_equal(http_server_new(&h->t.d, &h->t.d.http, &e), 0);
    assert_non_null(h->t.d.http);
}

static inline void test_http_done(TestHttp *h) {
    h->t.d.http = http_server_free(h->t.d.http);
    for (int i = 0; i < 10000 && h->t.d.n_requests > 0; i++)
        uv_run(&h->t.loop, UV_RUN_ONCE);
    test_daemon_done(&h->t);
}

static inline int test_http_setup(void **state) {
    TestHttp *h = calloc(1, sizeof(*h));
    test_http_init(h);
    *state = h;
    return 0;
}

static inline int test_http_teardown(void **state) {
    test_http_done(*state);
    free(*state);
    return 0;
}

static inline int test_http_connect(TestHttp *h) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", h->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static inline void test_http_turn(TestHttp *h) {
    uv_run(&h->t.loop, UV_RUN_NOWAIT);
    poll(NULL, 0, 1);
}

#define turn_until(h, condition)                                                                                       \
    while (!(condition))                                                                                               \
    test_http_turn(h)

static inline void test_http_send(TestHttp *h, int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            data += n;
            size -= n;
        }
        test_http_turn(h);
    }
}

/* A completion on a connection that stays. */
static inline void test_http_complete(TestHttp *h, int fd, const char *prompt, bool stream) {
    char body[200], request[400];
    int n = snprintf(body, sizeof(body), "{\"prompt\":\"%s\",\"stream\":%s}", prompt, stream ? "true" : "false");
    n = snprintf(
        request, sizeof(request), "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, body);
    test_http_send(h, fd, request, n);
}

/* Everything until the server closes; malloc()ed, NUL-terminated. */
static inline char *test_http_read_all(TestHttp *h, int fd) {
    size_t size = 0, allocated = 1 << 16;
    char *data = malloc(allocated);
    for (;;) {
        ssize_t n = recv(fd, data + size, allocated - size - 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        if (n > 0) {
            size += n;
            if (allocated - size < 1 << 15)
                data = realloc(data, allocated *= 2);
        } else
            test_http_turn(h);
    }
    data[size] = '\0';
    return data;
}

/* One request on a connection of its own; the whole reply. */
static inline char *test_http_ask(TestHttp *h, const char *method, const char *path, const char *body) {
    char *request;
    int n = asprintf(&request, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, path, strlen(body), body);
    int fd = test_http_connect(h);
    test_http_send(h, fd, request, n);
    char *reply = test_http_read_all(h, fd);
    free(request);
    close(fd);
    return reply;
}

static inline int test_http_status(const char *reply) {
    int status = 0;
    sscanf(reply, "HTTP/1.%*d %d ", &status);
    return status;
}

static inline json_t *test_http_json(const char *reply) {
    const char *body = strstr(reply, "\r\n\r\n");
    json_error_t error;
    assert_non_null(body);
    json_t *json = json_loads(body + 4, JSON_ALLOW_NUL, &error);
    if (!json)
        print_error("%s in %s\n", error.text, reply);
    assert_non_null(json);
    return json;
}

/* Status and decoded body of a POST. */
static inline int test_http_post(TestHttp *h, const char *path, const char *body, json_t **ret) {
    char *reply = test_http_ask(h, "POST", path, body);
    int status = test_http_status(reply);
    *ret = test_http_json(reply);
    free(reply);
    return status;
}

/* The decoded body of the reply to a GET. */
static inline json_t *test_http_get(TestHttp *h, const char *path, int status) {
    char *reply = test_http_ask(h, "GET", path, "");
    assert_int_equal(test_http_status(reply), status);
    json_t *json = test_http_json(reply);
    free(reply);
    return json;
}

/* The string at a path such as "choices/0/text"; NULL if there is none. */
static inline json_t *test_json_at(json_t *json, const char *path) {
    char *copy = strdup(path), *rest = copy, *step;
    while (json && (step = strsep(&rest, "/")))
        json = json_is_array(json) ? json_array_get(json, atoi(step)) : json_object_get(json, step);
    free(copy);
    return json;
}

static inline const char *test_json_string(json_t *json, const char *path) {
    return json_string_value(test_json_at(json, path));
}

#define assert_refused(h, path, body, wanted_status, param)                                                            \
    do {                                                                                                               \
        json_t *_json;                                                                                                 \
        assert_int_equal(test_http_post(h, path, body, &_json), wanted_status);                                        \
        assert_string_equal(test_json_string(_json, "error/param"), param);                                            \
        json_decref(_json);                                                                                            \
    } while (0)
