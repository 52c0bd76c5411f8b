/* Log lines on a plain standard error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static void test_filters_and_keeps_to_one_line(void **state) {
    char text[4096] = {};
    FILE *f = tmpfile();
    int saved = dup(STDERR_FILENO);

    setenv("JOURNAL_STREAM", "1:1", 1); /* of another stream: this is no journal */
    dup2(fileno(f), STDERR_FILENO);
    log_init(LOG_WARNING);
    log_info("not this");
    log_warning("file \"%s\"", "a\nforged line");
    log_message(LOG_ERR, &(LogFields){.request_id = 7}, "failed: %s", "why");
    char *longest = malloc(5000);
    memset(longest, 'x', 4999);
    longest[4999] = '\0';
    log_error("%s", longest);
    free(longest);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);

    rewind(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    assert_true(n > 0);
    assert_null(strstr(text, "not this"));
    assert_ptr_equal(strstr(text, "inferd: file \"a forged line\"\n"), text);
    assert_non_null(strstr(text, "inferd: request 7: failed: why\n"));
    assert_non_null(strstr(text, "xxx\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_filters_and_keeps_to_one_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
