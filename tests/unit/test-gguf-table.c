/* Entries by number and by name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gguf-table.h"

typedef struct Entry {
    GgufString name;
    uint32_t value;
} Entry;

static void add(GgufTable *t, const char *name, uint32_t value) {
    Entry *x = gguf_table_next(t);
    assert_non_null(x);
    assert_null(x->name.data); /* zeroed */
    *x = (Entry){{name, strlen(name)}, value};
    t->n++;
}

static void test_finds_each_entry(void **state) {
    static char names[1000][8];
    GgufTable t;
    gguf_table_init(&t, sizeof(Entry));
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u", (i * 617) % 1000);
        add(&t, names[i], i);
    }
    assert_int_equal(gguf_table_index(&t, "thing", NULL), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(((const Entry *)gguf_table_at(&t, i))->value, i);
        const Entry *x = gguf_table_find(&t, names[i], strlen(names[i]));
        assert_non_null(x);
        assert_int_equal(x->value, i);
    }
    assert_null(gguf_table_find(&t, "n1000", 5));
    assert_null(gguf_table_find(&t, "n", 1));
    assert_null(gguf_table_find(&t, "", 0));
    gguf_table_done(&t);
}

static void test_an_empty_table_has_nothing(void **state) {
    GgufTable t;
    gguf_table_init(&t, sizeof(Entry));
    assert_int_equal(gguf_table_index(&t, "thing", NULL), 0);
    assert_null(gguf_table_find(&t, "a", 1));
    gguf_table_done(&t);
}

static void test_names_what_is_there_twice(void **state) {
    GgufTable t;
    Error e = {};
    gguf_table_init(&t, sizeof(Entry));
    add(&t, "a", 1);
    add(&t, "bb", 2);
    add(&t, "b", 3);
    add(&t, "bb", 4);
    assert_int_equal(gguf_table_index(&t, "thing", &e), -EBADMSG);
    assert_string_equal(e.message, "thing bb occurs twice");
    gguf_table_done(&t);
}

static int by_value(const void *a, const void *b, void *table) {
    const Entry *x = gguf_table_at(table, *(const uint32_t *)a), *y = gguf_table_at(table, *(const uint32_t *)b);
    return x->value < y->value ? -1 : x->value > y->value;
}

static void test_sorts_as_asked(void **state) {
    GgufTable t;
    gguf_table_init(&t, sizeof(Entry));
    add(&t, "a", 9);
    add(&t, "b", 3);
    add(&t, "c", 6);
    _cleanup_(freep) uint32_t *order = gguf_table_sort(&t, by_value);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 0);
    gguf_table_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_each_entry),
        cmocka_unit_test(test_an_empty_table_has_nothing),
        cmocka_unit_test(test_names_what_is_there_twice),
        cmocka_unit_test(test_sorts_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
