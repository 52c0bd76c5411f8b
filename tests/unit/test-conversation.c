/* Messages of a chat, and their bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "conversation.h"

static void test_appends_copies_and_truncates(void **state) {
    Conversation c = {}, copy;

    assert_int_equal(conversation_append(&c, "system", "be kind", 7, NULL), 0);
    assert_int_equal(conversation_append(&c, "user", "a\0b", 3, NULL), 0);
    assert_int_equal(conversation_append(&c, "assistant", NULL, 0, NULL), 0);
    assert_int_equal(conversation_copy(&copy, &c, NULL), 0);
    conversation_truncate(&c, 1);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.bytes, 7);
    conversation_done(&c);
    assert_int_equal(copy.n, 3);
    assert_memory_equal(copy.messages[1].content, "a\0b", 4);
    assert_string_equal(copy.messages[2].content, "");
    conversation_done(&copy);
}

static void test_refuses_unknown_roles(void **state) {
    Conversation c = {};
    Error e;
    assert_int_equal(conversation_append(&c, "root", "x", 1, &e), -EINVAL);
    assert_non_null(strstr(e.message, "\"root\""));
    assert_int_equal(c.n, 0);
}

static void test_is_bounded(void **state) {
    char *half = calloc(1, CONVERSATION_MAX_BYTES / 2 + 1);
    Conversation c = {};
    Error e;

    assert_int_equal(conversation_append(&c, "user", half, CONVERSATION_MAX_BYTES / 2, NULL), 0);
    assert_int_equal(conversation_append(&c, "user", half, CONVERSATION_MAX_BYTES / 2 + 1, &e), -EMSGSIZE);
    assert_int_equal(conversation_append(&c, "user", half, SIZE_MAX, &e), -EMSGSIZE);
    while (c.n < CONVERSATION_MAX_MESSAGES)
        assert_int_equal(conversation_append(&c, "user", "", 0, NULL), 0);
    assert_int_equal(conversation_append(&c, "user", "", 0, &e), -EMSGSIZE);
    conversation_done(&c);
    free(half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_copies_and_truncates),
        cmocka_unit_test(test_refuses_unknown_roles),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
