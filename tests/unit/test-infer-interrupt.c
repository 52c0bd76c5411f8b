#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <poll.h>
#include <signal.h>

#include "interrupt.h"

static void on_signal(int number) {
    fail_msg("the signal went past the descriptor");
}

static void test_ctrl_c_ends_a_wait_and_nothing_else(void **state) {
    Interrupt i;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    signal(SIGINT, on_signal);

    assert_int_equal(interrupt_begin(&i), 0);
    assert_int_equal(interrupt_wait(&i, fds[0], POLLIN, 1000), 0);
    raise(SIGINT); /* also when nobody is waiting yet */
    assert_int_equal(interrupt_wait(&i, fds[0], POLLIN, UINT64_MAX), -EINTR);
    assert_int_equal(interrupt_wait(&i, fds[1], POLLOUT, UINT64_MAX), -EINTR);
    interrupt_end(&i);

    assert_int_equal(interrupt_begin(&i), 0); /* it was meant for the turn before */
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(interrupt_wait(&i, fds[0], POLLIN, UINT64_MAX), 1);
    interrupt_end(&i);

    assert_int_equal(interrupt_wait(NULL, fds[0], POLLIN, UINT64_MAX), 1);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctrl_c_ends_a_wait_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
