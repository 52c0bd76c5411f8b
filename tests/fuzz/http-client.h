/* A server on the engine without a model that lives as long as the process, and a client that sends it one input. */
#pragma once

#include <sched.h>

#include "../unit/test-http.h"

static TestHttp fuzz_http;

static void fuzz_http_end(void) {
    test_http_done(&fuzz_http);
}

static inline void fuzz_http_begin(void) {
    if (fuzz_http.path[0])
        return;
    test_http_init(&fuzz_http);
    fuzz_http.t.d.config->http_body_bytes = 64 * 1024;
    atexit(fuzz_http_end);
}

static inline void fuzz_http_turn(void) {
    uv_run(&fuzz_http.t.loop, UV_RUN_NOWAIT);
    sched_yield();
}

/* Sends, reads what comes within a few turns, leaves, and waits until the server has let go of everything. */
static inline void fuzz_http_exchange(const char *head, size_t head_size, const uint8_t *data, size_t size) {
    static char buffer[1 << 16];
    int fd = test_http_connect(&fuzz_http);
    test_http_send(&fuzz_http, fd, head, head_size);
    test_http_send(&fuzz_http, fd, (const char *)data, size);
    for (int quiet = 0; quiet < 20; quiet++) {
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        if (n > 0)
            quiet = 0;
        fuzz_http_turn();
    }
    close(fd);
    while (http_server_n_connections(fuzz_http.t.d.http) > 0 || fuzz_http.t.d.n_requests > 0)
        fuzz_http_turn();
    /* the input may have told the fake engine that its file is broken */
    ModelHost *host = fuzz_http.t.d.host;
    if (model_host_availability(host) != AVAILABILITY_READY)
        model_host_load(host, "alpha", NULL, NULL, NULL);
    while (model_host_availability(host) != AVAILABILITY_READY)
        fuzz_http_turn();
}
