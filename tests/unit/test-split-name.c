/* The names of the parts of a split model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "split-name.h"

static void test_reads_what_gguf_split_writes(void **state) {
    const char *path = "/models/R1-Q4_K_M-00002-of-00015.gguf";
    SplitName s;
    assert_true(split_name_parse(path, &s));
    assert_int_equal(s.stem, strlen("/models/R1-Q4_K_M"));
    assert_int_equal(s.no, 2);
    assert_int_equal(s.count, 15);
    for (uint32_t i = 1; i <= 15; i += 14) {
        _cleanup_(freep) char *other = split_name_path(path, &s, i);
        assert_string_equal(
            other, i == 1 ? "/models/R1-Q4_K_M-00001-of-00015.gguf" : "/models/R1-Q4_K_M-00015-of-00015.gguf");
    }
    assert_true(split_name_parse("a-00001-of-00001.gguf", &s));
    assert_int_equal(s.stem, 1);
    assert_true(split_name_parse("a-01024-of-01024.gguf", &s));
}

static void test_leaves_other_names_alone(void **state) {
    static const char *const others[] = {
        "",
        "model.gguf",
        "-00001-of-00003.gguf",
        "/models/-00001-of-00003.gguf",
        "a-00001-of-00003",
        "a-00001-of-00003.bin",
        "a-00001-of-00003.gguf.part",
        "a-00000-of-00003.gguf",
        "a-00004-of-00003.gguf",
        "a-00001-of-00000.gguf",
        "a-00001-of-01025.gguf",
        "a-00001-of-99999.gguf",
        "a-0001-of-0003.gguf",
        "a-+0001-of-00003.gguf",
        "a- 0001-of-00003.gguf",
        "a-00001-of-0000x.gguf",
        "a_00001-of-00003.gguf",
        "a-00001_of-00003.gguf",
        "a-00001-OF-00003.gguf",
    };
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        SplitName s = {.no = 99};
        assert_false(split_name_parse(others[i], &s));
        assert_int_equal(s.no, 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_gguf_split_writes),
        cmocka_unit_test(test_leaves_other_names_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
