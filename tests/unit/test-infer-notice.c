#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "notice.h"

static void test_state_lies_where_the_user_wants_it(void **state) {
    _cleanup_(freep) char *path = NULL;
    char folder[] = "/tmp/test-infer-notice.XXXXXX", wanted[128], inner[128];
    struct stat st;
    assert_non_null(mkdtemp(folder));

    snprintf(inner, sizeof(inner), "%s/a/b", folder);
    setenv("XDG_STATE_HOME", inner, 1);
    assert_int_equal(state_path("history", &path), 0);
    snprintf(wanted, sizeof(wanted), "%s/a/b/inferd/history", folder);
    assert_string_equal(path, wanted);
    *strrchr(wanted, '/') = '\0';
    assert_int_equal(stat(wanted, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    rmdir(wanted);
    rmdir(inner);
    *strrchr(inner, '/') = '\0';
    rmdir(inner);

    free(path);
    path = NULL;
    setenv("XDG_STATE_HOME", "relative", 1); /* the specification says to ignore it */
    setenv("HOME", "/dev/null", 1);
    assert_int_equal(state_path("history", &path), -ENOTDIR);
    unsetenv("HOME");
    assert_int_equal(state_path("history", &path), -ENOENT);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_lies_where_the_user_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
