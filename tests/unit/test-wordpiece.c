#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/wordpiece.h"

#define M "\xE2\x96\x81"

static const TinyToken words[] = {{"[UNK]", TOKEN_CONTROL}, {M "play"}, {"ing"}, {"in"}, {"g"}, {M "p"}, {M "!"},
    {M "$"}, {M "\xE4\xB8\xAD"}, {M "cafe"}, {M "caf\xC3\xA9"}, {M "Play"}, {M "\xC3\xA9"}, {"[CLS]", TOKEN_CONTROL},
    {"[SEP]", TOKEN_CONTROL}};

typedef struct Fixture {
    Vocab vocab;
    WordPiece wordpiece;
} Fixture;

static void make(Fixture *f, void (*more)(GgufBuilder *)) {
    const TinyVocab file = {.model = "bert", .tokens = words, .n_tokens = ELEMENTSOF(words), .more = more};
    Gguf *g = tiny_vocab_gguf(&file);
    assert_int_equal(vocab_init(&f->vocab, VOCAB_WORDPIECE, g, NULL), 0);
    assert_int_equal(wordpiece_init(&f->wordpiece, &f->vocab, g, NULL), 0);
    gguf_free(g);
}

static void done(Fixture *f) {
    wordpiece_done(&f->wordpiece);
    vocab_done(&f->vocab);
}

static void assert_encoded(const Fixture *f, const char *text, size_t n, const char *wanted) {
    TokenBuffer out = {};
    assert_int_equal(wordpiece_encode(&f->wordpiece, text, n, &out), 0);
    char got[256] = "";
    for (size_t i = 0; i < out.n; i++) {
        strcat(got, i > 0 && f->vocab.pieces[out.items[i]].data[0] != ' ' ? "|" : "");
        strcat(got, f->vocab.pieces[out.items[i]].data);
    }
    assert_string_equal(got, wanted);
    token_buffer_done(&out);
}

#define ASSERT_ENCODED(f, text, wanted) assert_encoded(f, text, sizeof(text) - 1, wanted)

static void unknown_is_0(GgufBuilder *b) {
    builder_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

static void cased(GgufBuilder *b) {
    unknown_is_0(b);
    builder_bool(b, "tokenizer.ggml.normalizer.lowercase", false);
}

static void accents_kept(GgufBuilder *b) {
    unknown_is_0(b);
    builder_bool(b, "tokenizer.ggml.normalizer.strip_accents", false);
}

static void test_longest_pieces_of_words(void **state) {
    Fixture f;
    make(&f, unknown_is_0);
    ASSERT_ENCODED(&f, "playing", " play|ing");
    ASSERT_ENCODED(&f, "  play\ning", " play|[UNK]");
    ASSERT_ENCODED(&f, "pin", " p|in");
    ASSERT_ENCODED(&f, "playx play", "[UNK] play"); /* unknown as a whole */
    ASSERT_ENCODED(&f, "", "");
    ASSERT_ENCODED(&f, " \t\xE3\x80\x80", "");
    done(&f);
}

static void test_normalises(void **state) {
    Fixture f;
    make(&f, unknown_is_0);
    ASSERT_ENCODED(&f, "PLAYing", " play|ing");
    ASSERT_ENCODED(&f, "Caf\xC3\x89", " cafe");
    ASSERT_ENCODED(&f, "cafe\xCC\x81", " cafe");
    ASSERT_ENCODED(&f, "play!$play", " play ! $ play");
    ASSERT_ENCODED(&f,
        "\xE4\xB8\xAD\xE4\xB8\xAD"
        "play",
        " \xE4\xB8\xAD \xE4\xB8\xAD play");
    ASSERT_ENCODED(&f,
        "pl\x01"
        "ay\0\xE2\x80\x8B",
        " play"); /* control characters go */
    ASSERT_ENCODED(&f,
        "pl\xFF"
        "ay\xEF\xBF\xBD",
        " play"); /* so does what is no character */
    done(&f);
}

static void test_the_file_may_keep_case_and_accents(void **state) {
    Fixture f;
    make(&f, cased);
    ASSERT_ENCODED(&f, "Play play caf\xC3\xA9 cafe\xCC\x81", " Play play caf\xC3\xA9|[UNK]");
    done(&f);
    make(&f, accents_kept);
    ASSERT_ENCODED(&f, "Play CAF\xC3\x89", " play caf\xC3\xA9");
    done(&f);
}

static void test_without_an_unknown_token(void **state) {
    Fixture f;
    make(&f, NULL); /* BERT's is 100, which this vocabulary does not reach */
    assert_int_equal(f.vocab.unk, TOKEN_NONE);
    ASSERT_ENCODED(&f, "x play", " play");
    done(&f);
}

static void test_one_endless_word(void **state) {
    enum { N = 100000 };
    Fixture f;
    make(&f, unknown_is_0);
    char *text = malloc(N);
    memset(text, 'g', N);
    text[0] = 'p';
    TokenBuffer out = {};
    assert_int_equal(wordpiece_encode(&f.wordpiece, text, N, &out), 0);
    assert_int_equal(out.n, N);
    token_buffer_done(&out);
    free(text);
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_pieces_of_words),
        cmocka_unit_test(test_normalises),
        cmocka_unit_test(test_the_file_may_keep_case_and_accents),
        cmocka_unit_test(test_without_an_unknown_token),
        cmocka_unit_test(test_one_endless_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
