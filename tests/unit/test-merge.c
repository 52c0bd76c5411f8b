#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tokenizer/merge.h"

/* Letters join as the pairs of this list say, the earlier the better; an id is the sum of the letters'. */
typedef struct Rule {
    const char *left, *right;
} Rule;

static bool lookup(const void *userdata, const char *text, const Symbol *left, const Symbol *right,
    uint32_t *ret_priority, uint32_t *ret_id) {
    const Rule *rules = userdata;
    for (uint32_t i = 0; rules[i].left; i++)
        if (strlen(rules[i].left) == left->size && memcmp(rules[i].left, text + left->start, left->size) == 0 &&
            strlen(rules[i].right) == right->size && memcmp(rules[i].right, text + right->start, right->size) == 0) {
            *ret_priority = i;
            *ret_id = left->id + right->id;
            return true;
        }
    return false;
}

/* wanted: the symbols, separated by bars. */
static void assert_merged(Merger *m, const char *text, const Rule *rules, const char *wanted) {
    char got[256] = "";
    merger_reset(m);
    for (const char *p = text; *p; p++)
        assert_int_equal(merger_add(m, (uint32_t)*p, 1), 0);
    assert_int_equal(merger_run(m, text, lookup, rules), 0);
    uint32_t sum = 0, wanted_sum = 0;
    for (uint32_t i = 0; m->n > 0 && i != ID_NONE; i = m->symbols[i].next) {
        const Symbol *s = &m->symbols[i];
        strncat(got, text + s->start, s->size);
        strcat(got, s->next == ID_NONE ? "" : "|");
        sum += s->id;
    }
    for (const char *p = text; *p; p++)
        wanted_sum += (uint32_t)*p;
    assert_string_equal(got, wanted);
    assert_int_equal(sum, wanted_sum);
}

static void test_best_first_then_leftmost(void **state) {
    Merger m = {};
    assert_merged(&m, "abcabc", (Rule[]){{"b", "c"}, {"a", "b"}, {}}, "a|bc|a|bc");
    assert_merged(&m, "abcabc", (Rule[]){{"a", "b"}, {"b", "c"}, {}}, "ab|c|ab|c");
    assert_merged(&m, "aaaaa", (Rule[]){{"a", "a"}, {}}, "aa|aa|a");
    assert_merged(&m, "aaaaaaa", (Rule[]){{"a", "a"}, {"aa", "aa"}, {}}, "aaaa|aa|a");
    assert_merged(&m, "aaaaa", (Rule[]){{"aa", "aa"}, {"a", "a"}, {"aaaa", "a"}, {}}, "aaaaa");
    merger_done(&m);
}

static void test_a_pair_may_improve_on_what_waits(void **state) {
    Merger m = {};
    /* ab, once joined, goes before the waiting de */
    assert_merged(&m, "abcde", (Rule[]){{"ab", "c"}, {"a", "b"}, {"c", "d"}, {"d", "e"}, {}}, "abc|de");
    merger_done(&m);
}

static void test_of_nothing_and_of_one(void **state) {
    Merger m = {};
    assert_merged(&m, "", (Rule[]){{"a", "a"}, {}}, "");
    assert_merged(&m, "a", (Rule[]){{"a", "a"}, {}}, "a");
    merger_done(&m);
}

static void test_heap_sorts(void **state) {
    Heap h = {};
    uint32_t x = 12345, priority = 0, position = 0, last_priority = 0, last_position = 0;
    for (unsigned i = 0; i < 1000; i++) {
        x = x * 1664525 + 1013904223;
        assert_int_equal(heap_push(&h, x >> 26, i), 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(heap_pop(&h, &priority, &position));
        assert_true(priority > last_priority || (priority == last_priority && position >= last_position));
        last_priority = priority;
        last_position = position;
    }
    assert_false(heap_pop(&h, &priority, &position));
    heap_done(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_first_then_leftmost),
        cmocka_unit_test(test_a_pair_may_improve_on_what_waits),
        cmocka_unit_test(test_of_nothing_and_of_one),
        cmocka_unit_test(test_heap_sorts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
