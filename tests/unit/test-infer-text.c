#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static void check_sanitised(const char *in, size_t n, const char *wanted) {
    char out[TEXT_SANITISED_SIZE(128) + 1];
    assert_true(n <= 128);
    size_t size = text_sanitise(in, n, out);
    assert_true(size <= TEXT_SANITISED_SIZE(n));
    out[size] = '\0';
    assert_string_equal(out, wanted);
}
#define SANITISED(in, wanted) check_sanitised(in, sizeof(in) - 1, wanted)

static void test_text_reaches_the_terminal_as_it_is(void **state) {
    SANITISED("", "");
    SANITISED("two lines,\n\ta tab", "two lines,\n\ta tab");
    SANITISED("Xin chào, thế giới 🙂", "Xin chào, thế giới 🙂");
    SANITISED("\u0400 \uFFFF \U0010FFFF", "\u0400 \uFFFF \U0010FFFF");
}

static void test_escape_sequences_become_visible(void **state) {
    SANITISED("\033]0;title\007", "␛]0;title␇");
    SANITISED("\033[2J", "␛[2J");
    SANITISED("a\0b", "a␀b");
    SANITISED("rub\177out\b", "rub␡out␈");
    SANITISED("\xC2\x9B"
              "31m red",
        "\uFFFD"
        "31m red"); /* CSI in one character */
    SANITISED("safe\rfake", "safefake");
    SANITISED("dos\r\n", "dos\n");
}

static void test_broken_utf8_becomes_replacement_characters(void **state) {
    SANITISED("\x80", "\uFFFD");
    SANITISED("\x9B"
              "31m",
        "\uFFFD"
        "31m"); /* CSI in one byte */
    SANITISED("\xC3", "\uFFFD");
    SANITISED("\xC0\xAF", "\uFFFD\uFFFD");                     /* overlong */
    SANITISED("\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD");           /* overlong */
    SANITISED("\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD");           /* surrogate */
    SANITISED("\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"); /* beyond U+10FFFF */
    SANITISED("\xE2\x82"
              "x",
        "\uFFFD\uFFFDx");
}

static void check_text(const char *in, size_t n, const char *wanted, size_t replaced) {
    Text t = {};
    assert_int_equal(text_from_bytes(in, n, &t), 0);
    assert_string_equal(t.bytes, wanted);
    assert_int_equal(t.size, strlen(wanted));
    assert_int_equal(t.replaced, replaced);
    text_done(&t);
}
#define TEXT(in, wanted, replaced) check_text(in, sizeof(in) - 1, wanted, replaced)

static void test_text_for_the_bus_holds_only_what_the_bus_carries(void **state) {
    TEXT("", "", 0);
    TEXT("diff --git\n\033[1m kept\r\n", "diff --git\n\033[1m kept\r\n", 0);
    TEXT("a\0b", "a\uFFFDb", 1);
    TEXT("caf\xE9", "caf\uFFFD", 1);
    TEXT("\uFDD0\uFDEF\uFDCF", "\uFFFD\uFFFD\uFDCF", 2);
    TEXT("\uFFFE\uFFFF\U0001FFFE\U0010FFFF\U0001FFFD", "\uFFFD\uFFFD\uFFFD\uFFFD\U0001FFFD", 4);
}

static void test_reads_to_the_end(void **state) {
    int fds[2];
    Text t = {};
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "one\n", 4), 4);
    assert_int_equal(write(fds[1], "two\n", 4), 4);
    close(fds[1]);
    assert_int_equal(text_read(fds[0], &t), 0);
    assert_string_equal(t.bytes, "one\ntwo\n");
    text_done(&t);
    close(fds[0]);

    assert_int_equal(text_read(fds[0], &t), 0); /* closed */
    assert_string_equal(t.bytes, "");
    text_done(&t);
}

static void test_refuses_what_no_model_reads(void **state) {
    FILE *f = fopen("/dev/zero", "re");
    Text t = {};
    assert_non_null(f);
    assert_int_equal(text_read(fileno(f), &t), -EFBIG);
    assert_null(t.bytes);
    fclose(f);
}

static void test_context_goes_before_the_prompt(void **state) {
    static const struct {
        const char *context, *prompt, *wanted;
    } cases[] = {
        {"diff\n", "explain", "diff\n\nexplain"},
        {"diff\n\n\n", "explain", "diff\n\nexplain"},
        {"", "explain", "explain"},
        {"only this\n\n", "", "only this\n\n"},
        {"", "", ""},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *joined = NULL;
        assert_int_equal(text_join(cases[i].context, cases[i].prompt, &joined), 0);
        assert_string_equal(joined, cases[i].wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_reaches_the_terminal_as_it_is),
        cmocka_unit_test(test_escape_sequences_become_visible),
        cmocka_unit_test(test_broken_utf8_becomes_replacement_characters),
        cmocka_unit_test(test_text_for_the_bus_holds_only_what_the_bus_carries),
        cmocka_unit_test(test_reads_to_the_end),
        cmocka_unit_test(test_refuses_what_no_model_reads),
        cmocka_unit_test(test_context_goes_before_the_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
