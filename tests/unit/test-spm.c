#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/spm.h"

#define M "\xE2\x96\x81"

typedef struct Fixture {
    Vocab vocab;
    Spm spm;
} Fixture;

static void make(Fixture *f, const TinyToken *tokens, size_t n, bool all_bytes) {
    const TinyVocab file = {.model = "llama", .tokens = tokens, .n_tokens = n, .all_bytes = all_bytes};
    Gguf *g = tiny_vocab_gguf(&file);
    assert_int_equal(vocab_init(&f->vocab, VOCAB_SPM, g, NULL), 0);
    assert_int_equal(spm_init(&f->spm, &f->vocab, NULL), 0);
    gguf_free(g);
}

static void done(Fixture *f) {
    spm_done(&f->spm);
    vocab_done(&f->vocab);
}

static void assert_encoded(const Fixture *f, const char *text, const char *wanted) {
    Merger merger = {};
    TokenBuffer out = {};
    assert_int_equal(spm_encode(&f->spm, text, strlen(text), &merger, &out), 0);
    char got[256] = "";
    for (size_t i = 0; i < out.n; i++) {
        strcat(got, i > 0 ? "|" : "");
        strcat(got, f->vocab.texts[out.items[i]].data);
    }
    assert_string_equal(got, wanted);
    merger_done(&merger);
    token_buffer_done(&out);
}

static const TinyToken words[] = {{"<unk>", TOKEN_UNKNOWN}, {"<s>", TOKEN_CONTROL}, {"</s>", TOKEN_CONTROL}, {M, 0, -9},
    {"a", 0, -9}, {"b", 0, -9}, {"c", 0, -9}, {"ab", 0, -2}, {"bc", 0, -1}, {M "a", 0, -3}, {M M, 0, -4}, {"<s", 0, -5},
    {"<", 0, -9}, {"s", 0, -9}, {">", 0, -9}, {"abc", 0, -0.5f}};

static void test_best_score_first(void **state) {
    Fixture f;
    make(&f, words, ELEMENTSOF(words), true);
    assert_true(f.spm.words_are_apart);
    assert_encoded(&f, "ab", "ab");
    assert_encoded(&f, "abc", "abc"); /* bc, then a and bc */
    assert_encoded(&f, M "ab" M "a", M "|ab|" M "a");
    assert_encoded(&f, M M M "a", M M "|" M "a");
    assert_encoded(&f, "", "");
    done(&f);
}

static void test_falls_back_to_bytes(void **state) {
    Fixture f;
    make(&f, words, ELEMENTSOF(words), true);
    assert_encoded(&f, "a\xC3\xA9", "a|<0xC3>|<0xA9>");
    assert_encoded(&f, "\xFF\xE2\x96", "<0xFF>|<0xE2>|<0x96>");
    done(&f);

    make(&f, words, ELEMENTSOF(words), false);
    assert_encoded(&f, "a\xC3\xA9", "a|<unk>|<unk>");
    done(&f);
}

static void test_text_never_becomes_a_control_or_byte_token(void **state) {
    Fixture f;
    make(&f, words, ELEMENTSOF(words), true);
    assert_encoded(&f, "<s>", "<s|>");
    assert_encoded(&f, "<0x0A>", "<|<0x30>|<0x78>|<0x30>|<0x41>|>");
    done(&f);
}

/* The same answer, whether words are encoded one by one or all at once. */
static void test_tokens_across_words(void **state) {
    static const TinyToken across[] = {{"<unk>", TOKEN_UNKNOWN}, {"<s>", TOKEN_CONTROL}, {"</s>", TOKEN_CONTROL},
        {M, 0, -9}, {"a", 0, -9}, {"b", 0, -9}, {"a" M, 0, -1}, {M "b", 0, -2}, {"a" M "b", 0, -3}};
    Fixture f;
    make(&f, across, ELEMENTSOF(across), true);
    assert_false(f.spm.words_are_apart);
    assert_encoded(&f, "a" M "b", "a" M "b");
    assert_encoded(&f, M "b" M "a", M "b|" M "|a");
    done(&f);
}

static void test_scores_sort(void **state) {
    static const TinyToken tied[] = {{"<unk>", TOKEN_UNKNOWN}, {"<s>", TOKEN_CONTROL}, {"</s>", TOKEN_CONTROL},
        {"ab", 0, 0.0f}, {"bc", 0, -0.0f}, {"cd", 0, 1e-30f}, {"de", 0, -1e30f}, {"ef", 0, 1e30f}};
    Fixture f;
    make(&f, tied, ELEMENTSOF(tied), true);
    assert_encoded(&f, "abc", "ab|<0x63>"); /* 0 and -0 are equal: the left one */
    assert_encoded(&f, "bcd", "<0x62>|cd"); /* a little more than nothing */
    assert_encoded(&f, "def", "<0x64>|ef");
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_score_first),
        cmocka_unit_test(test_falls_back_to_bytes),
        cmocka_unit_test(test_text_never_becomes_a_control_or_byte_token),
        cmocka_unit_test(test_tokens_across_words),
        cmocka_unit_test(test_scores_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
