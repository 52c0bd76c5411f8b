/* Bus messages without a bus, for tests that include cmocka. */
#pragma once

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

/* The other end, *ret_peer, is never read; close it when the message is done with. */
static inline sd_bus_message *message_new(int *ret_peer) {
    sd_bus *bus = NULL;
    sd_bus_message *m = NULL;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *ret_peer = fds[1];
    assert_true(sd_bus_new(&bus) >= 0);
    assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
    assert_true(sd_bus_start(bus) >= 0);
    assert_true(sd_bus_message_new_method_call(bus, &m, "a.b", "/", "a.b", "C") >= 0);
    sd_bus_unref(bus);
    return m;
}
