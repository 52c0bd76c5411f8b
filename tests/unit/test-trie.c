#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tokenizer/trie.h"

#define TEXT(s) ((Text){.data = (s), .size = sizeof(s) - 1})

static const Text texts[] = {
    TEXT("abc"), TEXT("a"), TEXT("ab\xFF"), TEXT("b"), TEXT(""), TEXT("a"), TEXT("\0x"), TEXT("abcd")};

/* The strings that begin at s, as a list of ids. */
static void assert_prefixes(const Trie *t, const char *s, size_t n, const uint32_t *ids, size_t n_ids) {
    size_t found = 0;
    uint32_t node = TRIE_ROOT;
    for (size_t i = 0; i < n; i++) {
        node = trie_step(t, node, (unsigned char)s[i]);
        if (node == TRIE_ROOT)
            break;
        if (trie_id(t, node) != ID_NONE) {
            assert_true(found < n_ids);
            assert_int_equal(trie_id(t, node), ids[found++]);
        }
    }
    assert_int_equal(found, n_ids);
}

static void test_finds_every_string_that_begins_here(void **state) {
    uint32_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7};
    Trie t;
    assert_int_equal(trie_init(&t, texts, ids, ELEMENTSOF(ids)), 0);
    assert_prefixes(&t, "abcde", 5, (uint32_t[]){1, 0, 7}, 3); /* of the two "a" the first */
    assert_prefixes(&t, "ab\xFF", 3, (uint32_t[]){1, 2}, 2);
    assert_prefixes(&t, "\0x", 2, (uint32_t[]){6}, 1);
    assert_prefixes(&t, "ab", 2, (uint32_t[]){1}, 1);
    assert_prefixes(&t, "c", 1, NULL, 0);
    trie_done(&t);
}

static void test_may_hold_nothing(void **state) {
    Trie t;
    assert_int_equal(trie_init(&t, texts, NULL, 0), 0);
    assert_prefixes(&t, "abc", 3, NULL, 0);
    trie_done(&t);
}

static void test_has_room_for_every_byte(void **state) {
    static char bytes[256];
    static Text all[256];
    uint32_t ids[256];
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        all[i] = (Text){.data = bytes + i, .size = 1};
        ids[i] = 255 - i;
    }
    Trie t;
    assert_int_equal(trie_init(&t, all, ids, 256), 0);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(trie_id(&t, trie_step(&t, TRIE_ROOT, (unsigned char)i)), i);
    trie_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_every_string_that_begins_here),
        cmocka_unit_test(test_may_hold_nothing),
        cmocka_unit_test(test_has_room_for_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
