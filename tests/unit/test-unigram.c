#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/unigram.h"

#define M "\xE2\x96\x81"

#define KEY(name) "tokenizer.ggml." name

static const TinyToken tokens[] = {{"<pad>", TOKEN_CONTROL}, {"</s>", TOKEN_CONTROL}, {"<unk>", TOKEN_UNKNOWN},
    {"@@", TOKEN_USER_DEFINED}, {M, 0, -2}, {"a", 0, -3}, {"b", 0, -3}, {"ab", 0, -5}, {"abc", 0, -4}, {M "a", 0, -4},
    {"xyz", 0, -1}, {"\xC3\xA9", 0, -3}, {"\xEF\xBF\xBD", 0, -3}};

typedef struct Fixture {
    Vocab vocab;
    Unigram unigram;
} Fixture;

static int make(Fixture *f, bool prefix, void (*more)(GgufBuilder *), Error *e) {
    *f = (Fixture){};
    const TinyVocab file = {.model = "t5", .tokens = tokens, .n_tokens = ELEMENTSOF(tokens), .more = more};
    Gguf *g = tiny_vocab_gguf(&file);
    assert_int_equal(vocab_init(&f->vocab, VOCAB_UNIGRAM, g, NULL), 0);
    int r = unigram_init(&f->unigram, &f->vocab, g, prefix, e);
    gguf_free(g);
    return r;
}

static void done(Fixture *f) {
    unigram_done(&f->unigram);
    vocab_done(&f->vocab);
}

static void assert_encoded(const Fixture *f, const char *text, const char *wanted) {
    TokenBuffer out = {};
    assert_int_equal(unigram_encode(&f->unigram, text, strlen(text), &out), 0);
    char got[256] = "";
    for (size_t i = 0; i < out.n; i++) {
        strcat(got, i > 0 ? "|" : "");
        strcat(got, f->vocab.texts[out.items[i]].data);
    }
    assert_string_equal(got, wanted);
    token_buffer_done(&out);
}

static void test_best_sum_of_scores(void **state) {
    Fixture f;
    assert_int_equal(make(&f, false, NULL, NULL), 0);
    assert_encoded(&f, "ab", "ab"); /* -5 against -6 */
    assert_encoded(&f, "abc", "abc");
    assert_encoded(&f, "aab", "a|ab");
    assert_encoded(&f, " a", M "a");
    assert_encoded(&f, "", "");
    done(&f);
}

static void test_unknown_characters_run_together(void **state) {
    Fixture f;
    assert_int_equal(make(&f, false, NULL, NULL), 0);
    assert_encoded(&f, "a??a", "a|<unk>|a");
    assert_encoded(&f, "\xE4\xB8\xAD\xE6\x96\x87", "<unk>");
    assert_encoded(&f, "c", "<unk>"); /* part of a token, but none itself */
    assert_encoded(&f, "a\xFF", "a|\xEF\xBF\xBD");
    done(&f);
}

static void merge_spaces(GgufBuilder *b) {
    builder_bool(b, KEY("remove_extra_whitespaces"), true);
}

static void test_spaces(void **state) {
    Fixture f;
    assert_int_equal(make(&f, true, NULL, NULL), 0);
    assert_encoded(&f, "a  a", M "a|" M "|" M "a");
    done(&f);
    assert_int_equal(make(&f, true, merge_spaces, NULL), 0);
    assert_encoded(&f, "  a   a  ", M "a|" M "a");
    assert_encoded(&f, "   ", "");
    done(&f);
}

/* "A" becomes "a" and "AB" becomes "xyz", as units of a double array. */
static void charsmap(GgufBuilder *b) {
    static const char strings[] = "a\0xyz"; /* with its NUL */
    uint32_t units[256] = {};
    units['A'] = 'A' | 0x100 | 0x80 << 10; /* ends a key; its children are at 'A' ^ 0x80 ^ byte */
    units['A' ^ 0x80] = 0x80000000u | 0;   /* the value: the string at 0 */
    units['A' ^ 0x80 ^ 'B'] = 'B' | 0x100 | 0x80 << 10;
    units['A' ^ 0x80 ^ 'B' ^ 0x80] = 0x80000000u | 2;
    builder_array(b, KEY("precompiled_charsmap"), GGUF_U8, 4 + sizeof(units) + sizeof(strings));
    blob_u32(&b->keys, sizeof(units));
    blob_put(&b->keys, units, sizeof(units));
    blob_put(&b->keys, strings, sizeof(strings));
}

static void test_normalises_by_the_files_map(void **state) {
    Fixture f;
    assert_int_equal(make(&f, false, charsmap, NULL), 0);
    assert_encoded(&f, "A", "a");
    assert_encoded(&f, "AB", "xyz"); /* the longest */
    assert_encoded(&f, "AAb", "a|ab");
    assert_encoded(&f, "\xC3\xA9", "\xC3\xA9");
    assert_encoded(&f, "@@", "@@");
    done(&f);
}

static void put_charsmap(GgufBuilder *b, const void *bytes, size_t n) {
    builder_array(b, KEY("precompiled_charsmap"), GGUF_U8, n);
    blob_put(&b->keys, bytes, n);
}
static void too_short(GgufBuilder *b) {
    put_charsmap(b, "\0\0", 2);
}
static void beyond_the_end(GgufBuilder *b) {
    put_charsmap(b, "\xFF\xFF\xFF\xFF\0\0\0\0", 8);
}
static void half_a_unit(GgufBuilder *b) {
    put_charsmap(b, "\x02\0\0\0\0\0\0\0", 8);
}
static void long_replacement(GgufBuilder *b) {
    static char bytes[4 + 5000];
    memset(bytes + 4, 'x', 5000);
    put_charsmap(b, bytes, sizeof(bytes));
}

static void test_damaged_maps_are_refused(void **state) {
    static void (*const rows[])(GgufBuilder *) = {too_short, beyond_the_end, half_a_unit, long_replacement};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Fixture f;
        Error e = {};
        assert_int_equal(make(&f, false, rows[i], &e), -EBADMSG);
        assert_non_null(strstr(e.message, "precompiled_charsmap"));
        done(&f);
    }
}

/* Units that lead out of the array, and a value beyond the strings. */
static void wild_units(GgufBuilder *b) {
    uint32_t bytes[1 + 0x62] = {0x62 * 4};
    bytes[1 + 'a'] = 'a' | 0x100 | 0x1FFFFFu << 10;
    bytes[1 + 'A'] = 'A' | 0x100;
    put_charsmap(b, bytes, sizeof(bytes));
}

static void test_a_wild_map_does_nothing(void **state) {
    Fixture f;
    assert_int_equal(make(&f, false, wild_units, NULL), 0);
    assert_encoded(&f, "aAb", "a|<unk>|b");
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_sum_of_scores),
        cmocka_unit_test(test_unknown_characters_run_together),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_normalises_by_the_files_map),
        cmocka_unit_test(test_damaged_maps_are_refused),
        cmocka_unit_test(test_a_wild_map_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
