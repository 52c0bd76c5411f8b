/* Bytes that grow: http-buffer.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http-buffer.h"

static void test_grows_and_stays_terminated(void **state) {
    HttpBuffer b = {};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(http_buffer_append(&b, "ab\0c", 4), 0);
    assert_int_equal(b.size, 4000);
    assert_int_equal(b.data[4000], '\0');
    assert_memory_equal(b.data + 3996, "ab\0c", 4);
    http_buffer_clear(&b);
    assert_int_equal(http_buffer_append(&b, NULL, 0), 0);
    assert_string_equal(b.data, "");
    http_buffer_done(&b);
    assert_null(b.data);
}

static void test_refuses_sizes_that_wrap(void **state) {
    HttpBuffer b = {};
    assert_int_equal(http_buffer_append(&b, "x", 1), 0);
    assert_int_equal(http_buffer_append(&b, "x", SIZE_MAX), -ENOMEM);
    assert_int_equal(http_buffer_append(&b, "x", SIZE_MAX - 1), -ENOMEM);
    assert_string_equal(b.data, "x");
    http_buffer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_stays_terminated),
        cmocka_unit_test(test_refuses_sizes_that_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
