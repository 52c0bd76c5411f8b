#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

static void test_classes(void **state) {
    assert_int_equal(unicode_class('a'), UNICODE_OTHER);
    assert_int_equal(unicode_class(' '), UNICODE_SPACE);
    assert_int_equal(unicode_class('\n'), UNICODE_SPACE);
    assert_int_equal(unicode_class(0x3000), UNICODE_SPACE);
    assert_int_equal(unicode_class('!'), UNICODE_PUNCTUATION);
    assert_int_equal(unicode_class('$'), UNICODE_OTHER);
    assert_int_equal(unicode_class(0x3002), UNICODE_PUNCTUATION); /* 。 */
    assert_int_equal(unicode_class(0x301), UNICODE_MARK);
    assert_int_equal(unicode_class(0x1F), UNICODE_CONTROL);
    assert_int_equal(unicode_class(0x200B), UNICODE_CONTROL);
    assert_int_equal(unicode_class(0x10FFFD), UNICODE_CONTROL); /* private use */
    assert_int_equal(unicode_class(0x110000), UNICODE_OTHER);
}

static void test_base_letters(void **state) {
    assert_int_equal(unicode_base('e'), 'e');
    assert_int_equal(unicode_base(0xE9), 'e');   /* é */
    assert_int_equal(unicode_base(0x1EC7), 'e'); /* ệ, decomposed twice */
    assert_int_equal(unicode_base(0xD6), 'O');   /* Ö */
    assert_int_equal(unicode_base(0xD8), 0xD8);  /* Ø is a letter of its own */
    assert_int_equal(unicode_base(0xAC00), 0x1100);
    assert_int_equal(unicode_base(0xD7A3), 0x1112);
}

static void test_lower_case(void **state) {
    assert_int_equal(unicode_lower('A'), 'a');
    assert_int_equal(unicode_lower('a'), 'a');
    assert_int_equal(unicode_lower('['), '[');
    assert_int_equal(unicode_lower(0x100), 0x101); /* Ā: every other one */
    assert_int_equal(unicode_lower(0x101), 0x101);
    assert_int_equal(unicode_lower(0x416), 0x436); /* Ж */
    assert_int_equal(unicode_lower(0x1E921), 0x1E943);
    assert_int_equal(unicode_lower(0x4E2D), 0x4E2D);
}

static void assert_decoded(const char *s, size_t n, uint32_t wanted, size_t wanted_length, bool wanted_valid) {
    size_t length;
    bool valid;
    assert_int_equal(utf8_decode(s, n, &length, &valid), wanted);
    assert_int_equal(length, wanted_length);
    assert_int_equal(valid, wanted_valid);
}

static void test_utf8(void **state) {
    assert_decoded("a", 1, 'a', 1, true);
    assert_decoded("\0", 1, 0, 1, true);
    assert_decoded("\xC3\xA9x", 3, 0xE9, 2, true);
    assert_decoded("\xE2\x96\x81", 3, 0x2581, 3, true);
    assert_decoded("\xF4\x8F\xBF\xBF", 4, 0x10FFFF, 4, true);
    assert_decoded("\xEF\xBF\xBD", 3, 0xFFFD, 3, true);

    assert_decoded("\xE2\x96", 2, UTF8_INVALID, 1, false);         /* cut */
    assert_decoded("\x80", 1, UTF8_INVALID, 1, false);             /* no lead */
    assert_decoded("\xC0\x80", 2, UTF8_INVALID, 1, false);         /* overlong */
    assert_decoded("\xE0\x9F\xBF", 3, UTF8_INVALID, 1, false);     /* overlong */
    assert_decoded("\xED\xA0\x80", 3, UTF8_INVALID, 1, false);     /* a surrogate */
    assert_decoded("\xF4\x90\x80\x80", 4, UTF8_INVALID, 1, false); /* beyond Unicode */
    assert_decoded("\xF8\x88\x80\x80\x80", 5, UTF8_INVALID, 1, false);
    assert_decoded("\xC3(", 2, UTF8_INVALID, 1, false);

    assert_int_equal(utf8_length("\xF0\x9F", 2), 2);
    for (uint32_t c = 0; c <= 0x10FFFF; c += c < 0x900 ? 1 : 0x7F) {
        char s[4];
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        size_t n = utf8_encode(c, s);
        assert_decoded(s, n, c, n, true);
        assert_int_equal(utf8_length(s, 4), n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_base_letters),
        cmocka_unit_test(test_lower_case),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
