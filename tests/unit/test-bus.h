/* Messages without a bus daemon: a connection over a socket pair on which nothing is ever sent. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

typedef struct TestBus {
    sd_bus *bus;
    int peer;
} TestBus;

static inline void test_bus_init(TestBus *t) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(sd_bus_new(&t->bus) >= 0);
    assert_true(sd_bus_set_fd(t->bus, fds[0], fds[0]) >= 0);
    assert_true(sd_bus_start(t->bus) >= 0);
    t->peer = fds[1];
}

static inline void test_bus_done(TestBus *t) {
    sd_bus_close_unref(t->bus);
    close(t->peer);
}

static inline sd_bus_message *test_bus_message(TestBus *t) {
    sd_bus_message *m;
    assert_true(sd_bus_message_new_method_call(t->bus, &m, "a.b", "/a", "a.b", "C") >= 0);
    return m;
}

/* From writing to reading. */
static inline void test_bus_seal(sd_bus_message *m) {
    assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
    assert_true(sd_bus_message_rewind(m, 1) >= 0);
}
