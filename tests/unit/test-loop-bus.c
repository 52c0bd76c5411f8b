/* sd-bus on a libuv loop: loop-bus.c. At the other end of a pair of sockets a thread answers, without a bus daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop-bus.h"

#define PATH      "/test"
#define INTERFACE "org.inferd.Test"
#define MANY      200 /* more than are processed at a time */

/* ---------------------------------------------------------------------------------------------- the other end */

static int echo(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    uint32_t n;
    int r = sd_bus_message_read(m, "u", &n);
    return r < 0 ? r : sd_bus_reply_method_return(m, "u", n);
}

/* The signals are in the socket before the reply. */
static int signals_first(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    uint32_t n;
    int r = sd_bus_message_read(m, "u", &n);
    for (uint32_t i = 0; i < n && r >= 0; i++)
        r = sd_bus_emit_signal(sd_bus_message_get_bus(m), PATH, INTERFACE, "Told", "u", i);
    return r < 0 ? r : sd_bus_reply_method_return(m, "u", n);
}

static int never(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    return 1;
}

static int leave(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    sd_bus_close(sd_bus_message_get_bus(m));
    return 1;
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Echo", "u", "u", echo, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("SignalsFirst", "u", "u", signals_first, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Never", "", "", never, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Leave", "", "", leave, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("Told", "u", 0),
    SD_BUS_VTABLE_END,
};

static void *serve(void *userdata) {
    sd_bus *bus = userdata;
    int r = sd_bus_start(bus);
    while (r >= 0) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    }
    sd_bus_close_unref(bus);
    return NULL;
}

/* ---------------------------------------------------------------------------------------------- this end */

typedef struct Fixture {
    uv_loop_t loop;
    uv_timer_t timer;
    pthread_t server;
    sd_bus *bus;
    LoopBus *loop_bus;
    unsigned n_replies, n_errors, n_signals, n_lost;
    uint64_t sum; /* of what the replies say */
    int lost_error;
} Fixture;

static void on_lost(void *userdata, int error) {
    Fixture *f = userdata;
    f->n_lost++;
    f->lost_error = error;
    uv_stop(&f->loop);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    Fixture *f = userdata;
    uint32_t i;
    assert_true(sd_bus_message_read(m, "u", &i) > 0);
    assert_int_equal(i, f->n_signals); /* in order */
    f->n_signals++;
    uv_stop(&f->loop);
    return 0;
}

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    sd_bus *server;
    sd_id128_t id;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(sd_id128_randomize(&id) >= 0 && sd_bus_new(&server) >= 0 && sd_bus_new(&f->bus) >= 0);
    assert_true(sd_bus_set_fd(server, fds[0], fds[0]) >= 0 && sd_bus_set_server(server, 1, id) >= 0);
    assert_true(sd_bus_add_object_vtable(server, NULL, PATH, INTERFACE, vtable, NULL) >= 0);
    assert_int_equal(pthread_create(&f->server, NULL, serve, server), 0);

    assert_true(sd_bus_set_fd(f->bus, fds[1], fds[1]) >= 0 && sd_bus_start(f->bus) >= 0);
    assert_true(sd_bus_match_signal(f->bus, NULL, NULL, PATH, INTERFACE, "Told", on_signal, f) >= 0);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->timer);
    f->timer.data = f;
    assert_int_equal(loop_bus_new(&f->loop, f->bus, on_lost, f, &f->loop_bus), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    f->loop_bus = loop_bus_free(f->loop_bus);
    f->bus = sd_bus_close_unref(f->bus);
    uv_close((uv_handle_t *)&f->timer, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* no handle is left */
    pthread_join(f->server, NULL);                /* nor a descriptor of the socket */
    free(f);
    return 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    Fixture *f = userdata;
    uint32_t n;
    uv_stop(&f->loop);
    if (sd_bus_message_is_method_error(m, NULL)) {
        f->n_errors++;
        return 0;
    }
    assert_true(sd_bus_message_read(m, "u", &n) > 0);
    f->n_replies++;
    f->sum += n;
    return 0;
}

static void ask(Fixture *f, uint32_t n) {
    assert_true(sd_bus_call_method_async(f->bus, NULL, NULL, PATH, INTERFACE, "Echo", on_reply, f, "u", n) >= 0);
}

/* Calls what will not be answered; timeout_usec: 0 for the usual one. */
static void ask_in_vain(Fixture *f, const char *member, uint64_t timeout_usec) {
    sd_bus_message *m;
    assert_true(sd_bus_message_new_method_call(f->bus, &m, NULL, PATH, INTERFACE, member) >= 0);
    assert_true(sd_bus_call_async(f->bus, NULL, m, on_reply, f, timeout_usec) >= 0);
    sd_bus_message_unref(m);
}

/* Runs the loop, which whatever counts stops, until *counter is `wanted`. */
static void run_until(Fixture *f, const unsigned *counter, unsigned wanted) {
    while (*counter < wanted)
        uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(*counter, wanted);
}

static void test_a_call_is_answered(void **state) {
    Fixture *f = *state;
    ask(f, 42);
    run_until(f, &f->n_replies, 1);
    assert_int_equal(f->sum, 42);
    assert_int_equal(f->n_lost, 0);
}

static void test_many_calls_are_all_answered(void **state) {
    Fixture *f = *state;
    for (uint32_t i = 0; i < MANY; i++)
        ask(f, i);
    run_until(f, &f->n_replies, MANY);
    assert_int_equal(f->sum, MANY * (MANY - 1) / 2);
}

static void ask_from_timer(uv_timer_t *timer) {
    ask(timer->data, 1);
}

/* Nothing arrives at the socket meanwhile that would wake the loop for the call's sake. */
static void test_what_other_callbacks_queue_is_sent(void **state) {
    Fixture *f = *state;
    ask(f, 1);
    run_until(f, &f->n_replies, 1);
    for (unsigned i = 2; i < 5; i++) {
        uv_timer_start(&f->timer, ask_from_timer, 1, 0);
        run_until(f, &f->n_replies, i);
    }
}

static void call_from_timer(uv_timer_t *timer) {
    Fixture *f = timer->data;
    sd_bus_message *reply = NULL;
    assert_true(sd_bus_call_method(f->bus, NULL, PATH, INTERFACE, "SignalsFirst", NULL, &reply, "u", MANY) >= 0);
    sd_bus_message_unref(reply);
    assert_int_equal(f->n_signals, 0);
}

/* A synchronous call reads what comes before its reply; the socket then is empty, and the loop has to know all the
 * same. */
static void test_messages_that_a_call_has_read_are_processed(void **state) {
    Fixture *f = *state;
    uv_timer_start(&f->timer, call_from_timer, 1, 0);
    run_until(f, &f->n_signals, MANY);
}

static void test_a_call_that_is_not_answered_in_time(void **state) {
    Fixture *f = *state;
    ask_in_vain(f, "Never", 20000);
    run_until(f, &f->n_errors, 1);
    ask(f, 1);
    run_until(f, &f->n_replies, 1);
}

/* A loop that has nothing to do sleeps: a bus without messages and without a deadline keeps no timer running. */
static void test_sleeps_when_nothing_happens(void **state) {
    Fixture *f = *state;
    unsigned turns = 0;
    ask(f, 1);
    run_until(f, &f->n_replies, 1);
    while (uv_run(&f->loop, UV_RUN_NOWAIT) && uv_backend_timeout(&f->loop) == 0)
        assert_true(++turns < 10);
    assert_int_equal(uv_backend_timeout(&f->loop), -1);
}

static void test_the_end_of_the_connection_is_told_once(void **state) {
    Fixture *f = *state;
    ask_in_vain(f, "Leave", 0);
    run_until(f, &f->n_lost, 1);
    assert_true(f->lost_error < 0);
    assert_int_equal(f->n_errors, 1); /* who waited for an answer was told */
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(f->n_lost, 1);
}

static void test_may_be_freed_at_once(void **state) {
    Fixture *f = *state;
    ask(f, 1);
    f->loop_bus = loop_bus_free(f->loop_bus);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->n_replies + f->n_lost, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_call_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_calls_are_all_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_other_callbacks_queue_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_that_a_call_has_read_are_processed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_call_that_is_not_answered_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sleeps_when_nothing_happens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_the_connection_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_be_freed_at_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("loop-bus", tests, NULL, NULL);
}
