#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/string-map.h"

#define MANY 5000

static void test_finds_what_was_added(void **state) {
    static char bytes[MANY][12];
    static Text texts[MANY];
    StringMap m;
    assert_int_equal(string_map_init(&m, 0), 0); /* grows */
    for (uint32_t i = 0; i < MANY; i++) {
        int n = snprintf(bytes[i], sizeof(bytes[i]), "%u", i * 7919);
        texts[i] = (Text){.data = bytes[i], .size = (uint32_t)n};
        assert_int_equal(string_map_add(&m, texts, i), 0);
    }
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(string_map_find(&m, texts, texts[i].data, texts[i].size), i);
    assert_int_equal(string_map_find(&m, texts, "x", 1), ID_NONE);
    assert_int_equal(string_map_find(&m, texts, "", 0), ID_NONE);
    string_map_done(&m);
}

static void test_keeps_the_first_of_equal_strings(void **state) {
    const Text texts[] = {{"a\0b", 3}, {"a", 1}, {"a\0b", 3}, {"", 0}};
    StringMap m;
    assert_int_equal(string_map_init(&m, 4), 0);
    assert_int_equal(string_map_add(&m, texts, 0), 0);
    assert_int_equal(string_map_add(&m, texts, 1), 0);
    assert_int_equal(string_map_add(&m, texts, 2), 1);
    assert_int_equal(string_map_add(&m, texts, 3), 0);
    assert_int_equal(string_map_find(&m, texts, "a\0b", 3), 0);
    assert_int_equal(string_map_find(&m, texts, "a\0c", 1), 1);
    assert_int_equal(string_map_find(&m, texts, NULL, 0), 3);
    string_map_done(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_added),
        cmocka_unit_test(test_keeps_the_first_of_equal_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
