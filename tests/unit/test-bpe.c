#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/bpe.h"

#define SPACE "\xC4\xA0" /* Ġ */

typedef struct Fixture {
    Vocab vocab;
    Bpe *bpe;
} Fixture;

static int make(Fixture *f, const TinyVocab *file, VocabModel model, Error *e) {
    *f = (Fixture){};
    Gguf *g = tiny_vocab_gguf(file);
    assert_int_equal(vocab_init(&f->vocab, model, g, NULL), 0);
    int r = bpe_new(&f->vocab, g, &f->bpe, e);
    gguf_free(g);
    return r;
}

static void done(Fixture *f) {
    bpe_free(f->bpe);
    vocab_done(&f->vocab);
}

/* wanted: the pieces of the tokens, separated by bars; `?` for the unknown token. */
static void assert_encoded(const Fixture *f, const char *text, bool whole, const char *wanted) {
    Merger merger = {};
    TokenBuffer out = {};
    assert_int_equal(bpe_encode(f->bpe, text, strlen(text), whole, &merger, &out), 0);
    char got[256] = "";
    for (size_t i = 0; i < out.n; i++) {
        strcat(got, i > 0 ? "|" : "");
        strcat(got, out.items[i] == f->vocab.unk ? "?" : f->vocab.pieces[out.items[i]].data);
    }
    assert_string_equal(got, wanted);
    merger_done(&merger);
    token_buffer_done(&out);
}

static void test_merges_by_rank(void **state) {
    static const TinyToken tokens[] = {{"he"}, {"ll"}, {"hell"}, {SPACE "he"}, {"hello"}, {"low"}};
    static const char *const merges[] = {"h e", "l l", "he ll", SPACE " he", "l o", "lo w"};
    const TinyVocab file = {.model = "gpt2",
        .tokens = tokens,
        .n_tokens = ELEMENTSOF(tokens),
        .merges = merges,
        .n_merges = ELEMENTSOF(merges),
        .all_bytes = true};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "hello", false, "hell|o");
    assert_encoded(&f, "hello", true, "hello"); /* which no merge reaches */
    assert_encoded(&f, " hello", true, " |hell|o");
    assert_encoded(&f, " he", false, " he");
    assert_encoded(&f, "low", false, "low"); /* by way of "lo", which is no token */
    assert_encoded(&f, "lo", false, "l|o");
    assert_encoded(&f, "\xFF\xC3", false, "\xFF|\xC3");
    assert_encoded(&f, "", false, "");
    done(&f);
}

static void test_the_first_of_equal_merges_counts(void **state) {
    static const TinyToken tokens[] = {{"ab"}, {"bc"}, {"ab"}};
    static const char *const merges[] = {"b c", "a b", "b c"};
    const TinyVocab file = {
        .model = "gpt2", .tokens = tokens, .n_tokens = 3, .merges = merges, .n_merges = 3, .all_bytes = true};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "abc", false, "a|bc");
    Merger merger = {};
    TokenBuffer out = {};
    assert_int_equal(bpe_encode(f.bpe, "ab", 2, true, &merger, &out), 0);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.items[0], 0);
    merger_done(&merger);
    token_buffer_done(&out);
    done(&f);
}

static void unknown_is_2(GgufBuilder *b) {
    builder_u32(b, "tokenizer.ggml.unknown_token_id", 2);
}

static void test_bytes_without_a_token(void **state) {
    static const TinyToken tokens[] = {{"a"}, {"bc"}, {"<unk>", TOKEN_UNKNOWN}};
    static const char *const merges[] = {"b c"};
    TinyVocab file = {.model = "gpt2", .tokens = tokens, .n_tokens = 3, .merges = merges, .n_merges = 1};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "abca", false, "a|bc|a"); /* merged of bytes that are no tokens */
    assert_encoded(&f, "abxc", false, "a");      /* left out */
    done(&f);

    file.more = unknown_is_2;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "abx", false, "a|?|?");
    done(&f);
}

static void test_control_tokens_are_not_reached_by_merges(void **state) {
    static const TinyToken tokens[] = {{"<s>", TOKEN_CONTROL}, {"@@", TOKEN_USER_DEFINED}, {"<s"}};
    static const char *const merges[] = {"< s", "<s >", "@ @"};
    const TinyVocab file = {
        .model = "gpt2", .tokens = tokens, .n_tokens = 3, .merges = merges, .n_merges = 3, .all_bytes = true};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "<s>", false, "<|s|>");
    assert_encoded(&f, "<s>", true, "<|s|>");
    assert_encoded(&f, "@@", true, "@|@");
    done(&f);
}

static void test_raw_characters(void **state) {
    static const TinyToken tokens[] = {{"\xE2\x96\x81"}, {"a"},
        {"\xE2\x96\x81"
         "a"},
        {"\xC3\xA9"}, {"a\xC3\xA9"}, {"\n\n"}};
    static const char *const merges[] = {"\xE2\x96\x81 a", "a \xC3\xA9"};
    const TinyVocab file = {.model = "gemma4",
        .tokens = tokens,
        .n_tokens = ELEMENTSOF(tokens),
        .merges = merges,
        .n_merges = 2,
        .all_bytes = true};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE_RAW, NULL), 0);
    assert_encoded(&f,
        "\xE2\x96\x81"
        "a",
        false, " a");
    assert_encoded(&f, "a\xC3\xA9", false, "a\xC3\xA9");
    assert_encoded(&f, "\xC3\xA8", false, "\xC3|\xA8");
    assert_encoded(&f, "\xC3", false, "\xC3");
    assert_encoded(&f, "\n\n", true, "\n\n");
    done(&f);
}

static void test_damaged_merges_are_refused(void **state) {
    static const TinyToken tokens[] = {{"a"}};
    static const char *const rows[] = {"", "ab", "a ", " ", " a"};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const merges[] = {"a a", rows[i]};
        const TinyVocab file = {.model = "gpt2", .tokens = tokens, .n_tokens = 1, .merges = merges, .n_merges = 2};
        Fixture f;
        Error e = {};
        assert_int_equal(make(&f, &file, VOCAB_BPE, &e), -EBADMSG);
        assert_non_null(strstr(e.message, "tokenizer.ggml.merges: merge 1 "));
        done(&f);
    }

    const TinyVocab file = {.model = "llama", .tokens = tokens, .n_tokens = 1};
    Fixture f;
    Error e = {};
    assert_int_equal(make(&f, &file, VOCAB_BPE, &e), -EBADMSG);
    assert_non_null(strstr(e.message, "tokenizer.ggml.merges: is missing"));
    done(&f);
}

static void test_merges_of_unknown_characters_do_nothing(void **state) {
    static const TinyToken tokens[] = {{"a"}};
    static const char *const merges[] = {"\xE4\xB8\xAD a", "a \xE4\xB8\xAD", "\xFF \xFE", "a a"};
    const TinyVocab file = {.model = "gpt2", .tokens = tokens, .n_tokens = 1, .merges = merges, .n_merges = 4};
    Fixture f;
    assert_int_equal(make(&f, &file, VOCAB_BPE, NULL), 0);
    assert_encoded(&f, "aaa", false, "a|a|a");
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges_by_rank),
        cmocka_unit_test(test_the_first_of_equal_merges_counts),
        cmocka_unit_test(test_bytes_without_a_token),
        cmocka_unit_test(test_control_tokens_are_not_reached_by_merges),
        cmocka_unit_test(test_raw_characters),
        cmocka_unit_test(test_damaged_merges_are_refused),
        cmocka_unit_test(test_merges_of_unknown_characters_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
