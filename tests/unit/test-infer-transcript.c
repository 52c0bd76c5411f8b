#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "transcript.h"

static void test_takes_the_last_exchange_back(void **state) {
    Transcript t = {};
    _cleanup_(freep) char *prompt = NULL;
    assert_int_equal(transcript_add(&t, "first", "1"), 0);
    assert_int_equal(transcript_add(&t, "second", "2"), 0);
    assert_int_equal(transcript_pop(&t, &prompt), 0);
    assert_string_equal(prompt, "second");
    assert_int_equal(t.n, 1);
    assert_string_equal(t.exchanges[0].answer, "1");
    transcript_done(&t);
    assert_int_equal(transcript_pop(&t, &prompt), -ENOENT);
    assert_string_equal(prompt, "second");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_the_last_exchange_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
