/* Shares of connections and memory: http-limits.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http-limits.h"

static void test_one_user_does_not_lock_out_another(void **state) {
    HttpLimits l = {
        .max_connections = 10, .max_owner_connections = 5, .max_body_bytes = 1000, .max_owner_body_bytes = 600};
    HttpOwner *a, *b, *more;
    for (int i = 0; i < 5; i++)
        assert_int_equal(http_limits_connect(&l, 1000, &a), 0);
    assert_int_equal(http_limits_connect(&l, 1000, &more), -EUSERS);
    assert_int_equal(http_limits_connect(&l, 1001, &b), 0);
    assert_ptr_not_equal(a, b);
    assert_int_equal(http_owner_uid(b), 1001);

    assert_int_equal(http_limits_take_body(&l, a, 600), 0);
    assert_int_equal(http_limits_take_body(&l, a, 1), -ENOBUFS);
    assert_int_equal(http_limits_take_body(&l, b, 400), 0);
    assert_int_equal(http_limits_take_body(&l, b, 1), -ENOBUFS);
    assert_int_equal(http_limits_take_body(&l, b, SIZE_MAX), -ENOBUFS);
    http_limits_return_body(&l, a, 600);
    assert_int_equal(http_limits_take_body(&l, b, 200), 0);
    http_limits_return_body(&l, b, 600);

    for (int i = 0; i < 5; i++)
        http_limits_disconnect(&l, a);
    http_limits_disconnect(&l, b);
    assert_null(l.owners);
    assert_int_equal(l.n_connections, 0);
    assert_int_equal(l.body_bytes, 0);
}

static void test_the_service_has_its_own_limit(void **state) {
    HttpLimits l = {.max_connections = 2, .max_owner_connections = 2};
    HttpOwner *a, *b, *c;
    assert_int_equal(http_limits_connect(&l, 1, &a), 0);
    assert_int_equal(http_limits_connect(&l, 2, &b), 0);
    assert_int_equal(http_limits_connect(&l, 3, &c), -EUSERS);
    http_limits_disconnect(&l, a);
    assert_int_equal(http_limits_connect(&l, 3, &c), 0);
    http_limits_disconnect(&l, b);
    http_limits_disconnect(&l, c);
    assert_null(l.owners);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_user_does_not_lock_out_another),
        cmocka_unit_test(test_the_service_has_its_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
