#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/tokenizer.h"

#define M "\xE2\x96\x81"

#define KEY(name) "tokenizer.ggml." name

enum { UNK, BOS, EOS, USER, THINK, AT };

static const TinyToken words[] = {{"<unk>", TOKEN_UNKNOWN}, {"<s>", TOKEN_CONTROL}, {"</s>", TOKEN_CONTROL},
    {"<|user|>", TOKEN_CONTROL}, {"<think>", TOKEN_CONTROL}, {"@@", TOKEN_USER_DEFINED}, {M "a", 0, -1}, {"ab", 0, -2},
    {M, 0, -9}, {"a", 0, -9}, {"b", 0, -9}};

static const TinyVocab spm = {.model = "llama", .tokens = words, .n_tokens = ELEMENTSOF(words), .all_bytes = true};

static const char *const merges[] = {"a b"};
static const TinyVocab bpe = {.model = "gpt2",
    .pre = "qwen2",
    .tokens = words,
    .n_tokens = ELEMENTSOF(words),
    .merges = merges,
    .n_merges = 1,
    .all_bytes = true};

static Tokenizer *make(const TinyVocab *file) {
    Gguf *g = tiny_vocab_gguf(file);
    Tokenizer *t = NULL;
    Error e = {};
    if (tokenizer_new(g, &t, &e) < 0)
        fail_msg("%s", e.message);
    gguf_free(g);
    return t;
}

static Tokenizer *make_with(TinyVocab file, void (*more)(GgufBuilder *)) {
    file.more = more;
    return make(&file);
}

static void assert_refused(TinyVocab file, void (*more)(GgufBuilder *), int code, const char *words_of_it) {
    file.more = more;
    Gguf *g = tiny_vocab_gguf(&file);
    Tokenizer *t = NULL;
    Error e = {};
    assert_int_equal(tokenizer_new(g, &t, &e), code);
    assert_null(t);
    if (!strstr(e.message, words_of_it))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words_of_it);
    gguf_free(g);
}

/* wanted: texts of the tokens, separated by bars. */
static void assert_spans(const Tokenizer *t, const TextSpan *spans, size_t n, bool special, const char *wanted) {
    TokenArray tokens = {};
    assert_int_equal(tokenizer_encode(t, spans, n, special, &tokens, NULL), 0);
    char got[512] = "";
    for (size_t i = 0; i < tokens.n; i++) {
        size_t size;
        strcat(got, i > 0 ? "|" : "");
        strcat(got, tokenizer_piece(t, tokens.items[i], true, &size));
    }
    assert_string_equal(got, wanted);
    token_array_done(&tokens);
}

#define TRUSTED(s)   ((TextSpan){.text = (s), .size = sizeof(s) - 1, .trusted = true})
#define UNTRUSTED(s) ((TextSpan){.text = (s), .size = sizeof(s) - 1})
#define ASSERT_SPANS(t, special, wanted, ...)                                                                          \
    assert_spans(t, (TextSpan[]){__VA_ARGS__}, sizeof((TextSpan[]){__VA_ARGS__}) / sizeof(TextSpan), special, wanted)

/* ------------------------------------------------------------------------------------------------ encoding */

static void test_only_trusted_text_names_control_tokens(void **state) {
    Tokenizer *t = make(&bpe);
    ASSERT_SPANS(t, false, "<|user|>|ab", TRUSTED("<|user|>"), UNTRUSTED("ab"));
    ASSERT_SPANS(t, false, "<|user|>|<|||u|s|e|r|||>", TRUSTED("<|user|>"), UNTRUSTED("<|user|>"));
    ASSERT_SPANS(t, false, "<|||u|s|e|r|||>", UNTRUSTED("<|"), TRUSTED("user|>"));
    ASSERT_SPANS(t, false, "<|||u|s|e|r|||>", TRUSTED("<|user|"), UNTRUSTED(">"));
    ASSERT_SPANS(t, false, "<|user|>", TRUSTED("<|us"), TRUSTED(""), UNTRUSTED(""), TRUSTED("er|>"));
    ASSERT_SPANS(t, false, "@@", UNTRUSTED("@"), TRUSTED("@")); /* user-defined: everywhere */
    tokenizer_free(t);
}

static void test_spans_do_not_break_words(void **state) {
    Tokenizer *t = make(&bpe);
    ASSERT_SPANS(t, false, "ab", UNTRUSTED("a"), TRUSTED("b"));
    tokenizer_free(t);
    t = make(&spm);
    ASSERT_SPANS(t, false, " a|b", UNTRUSTED("a"), UNTRUSTED("b"));
    tokenizer_free(t);
}

static void test_nothing(void **state) {
    Tokenizer *t = make(&spm);
    assert_spans(t, NULL, 0, false, "");
    assert_spans(t, NULL, 0, true, "<s>");
    ASSERT_SPANS(t, false, "", (TextSpan){});
    tokenizer_free(t);
}

static void test_a_space_before_the_text_and_after_special_tokens(void **state) {
    Tokenizer *t = make(&spm);
    ASSERT_SPANS(t, true, "<s>| a|@@| a", UNTRUSTED("a@@a"));
    tokenizer_free(t);
}

static void add_both(GgufBuilder *b) {
    builder_u32(b, KEY("bos_token_id"), BOS);
    builder_u32(b, KEY("eos_token_id"), EOS);
    builder_bool(b, KEY("add_bos_token"), true);
    builder_bool(b, KEY("add_eos_token"), true);
}

static void no_space(GgufBuilder *b) {
    builder_bool(b, KEY("add_bos_token"), false);
    builder_bool(b, KEY("add_space_prefix"), false);
}

static void test_the_file_says_what_is_added(void **state) {
    Tokenizer *t = make(&bpe);
    ASSERT_SPANS(t, true, "a", UNTRUSTED("a"));
    tokenizer_free(t);
    t = make_with(bpe, add_both);
    ASSERT_SPANS(t, true, "<s>|a|</s>", UNTRUSTED("a"));
    ASSERT_SPANS(t, false, "a", UNTRUSTED("a"));
    tokenizer_free(t);
    t = make_with(spm, no_space);
    ASSERT_SPANS(t, true, "a", UNTRUSTED("a"));
    tokenizer_free(t);
}

static void test_any_bytes_come_back(void **state) {
    char text[3 * 256];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 89 + i / 256);
    const TinyVocab *const files[] = {&bpe, &spm};
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        Tokenizer *t = make(files[i]);
        TextSpan span = {.text = text, .size = sizeof(text)};
        TokenArray tokens = {};
        char *back = NULL;
        size_t size = 0;
        assert_int_equal(tokenizer_encode(t, &span, 1, true, &tokens, NULL), 0);
        assert_int_equal(tokenizer_decode(t, tokens.items, tokens.n, false, &back, &size), 0);
        assert_int_equal(size, sizeof(text));
        assert_memory_equal(back, text, size);
        free(back);
        token_array_done(&tokens);
        tokenizer_free(t);
    }
}

static void test_too_long_a_text_is_refused(void **state) {
    Tokenizer *t = make(&bpe);
    TextSpan spans[] = {{.text = "a", .size = SIZE_MAX}, {.text = "a", .size = 2}};
    TokenArray tokens = {};
    Error e = {};
    assert_int_equal(tokenizer_encode(t, spans, 2, false, &tokens, &e), -EMSGSIZE);
    assert_null(tokens.items);
    assert_non_null(strstr(e.message, "too long"));
    tokenizer_free(t);
}

static void phi3(GgufBuilder *b) {
    builder_string(b, "general.name", "My Phi-3 Mini");
}

static void test_phi3_tokens_take_the_spaces_after_them(void **state) {
    Tokenizer *t = make_with(spm, phi3);
    ASSERT_SPANS(t, false, "<|user|>| a|</s>| a|<s>| | a", TRUSTED("<|user|>\n a</s> a<s> a"));
    tokenizer_free(t);
}

/* ------------------------------------------------------------------------------------------------ decoding */

static void assert_decoded(const Tokenizer *t, const char *text, bool special, const char *wanted) {
    TextSpan span = {.text = text, .size = strlen(text), .trusted = true};
    TokenArray tokens = {};
    char *back = NULL;
    size_t size = 0;
    assert_int_equal(tokenizer_encode(t, &span, 1, true, &tokens, NULL), 0);
    assert_int_equal(tokenizer_decode(t, tokens.items, tokens.n, special, &back, &size), 0);
    assert_string_equal(back, wanted);
    assert_int_equal(size, strlen(wanted));
    free(back);
    token_array_done(&tokens);
}

static void test_control_tokens_are_left_out(void **state) {
    Tokenizer *t = make(&spm);
    assert_decoded(t, "a<|user|>b", true, "<s> a<|user|> b");
    assert_decoded(t, "a<|user|>b", false, "a b");
    assert_decoded(t, "<think>b", false, "<think> b"); /* reasoning is told by its tags */
    size_t size = 9;
    assert_string_equal(tokenizer_piece(t, USER, false, &size), "");
    assert_int_equal(size, 0);
    assert_string_equal(tokenizer_piece(t, AT, false, &size), "@@");
    assert_int_equal(size, 2);
    assert_string_equal(tokenizer_piece(t, 1000000, true, &size), "");
    tokenizer_free(t);
}

static void test_spaces_are_cleaned_where_the_model_does(void **state) {
    static const char text[] = "yes , no . why ? oh ! it 's we 're they 've i 'm ' a ' b 'll 't";
    TinyVocab file = bpe;
    Tokenizer *t = make(&file);
    assert_decoded(t, text, false, text);
    tokenizer_free(t);
    file.pre = "gpt-2";
    t = make(&file);
    assert_decoded(t, text, false, "yes, no. why? oh! it's we're they've i'm'a'b 'll 't");
    assert_decoded(t, " ? ' ' '", false, "?'' '");
    assert_decoded(t, " ", false, " ");
    assert_decoded(t, "", false, "");
    tokenizer_free(t);
}

/* ------------------------------------------------------------------------------------------------ asking, refusing */

static void test_answers(void **state) {
    Tokenizer *t = make(&spm);
    assert_int_equal(tokenizer_n_vocab(t), ELEMENTSOF(words) + 256);
    assert_int_equal(tokenizer_find(t, "<think>"), THINK);
    assert_int_equal(tokenizer_find(t, "nothing"), TOKEN_NONE);
    assert_int_equal(tokenizer_bos(t), BOS);
    assert_int_equal(tokenizer_eos(t), EOS);
    assert_true(tokenizer_is_end(t, EOS));
    assert_false(tokenizer_is_end(t, BOS) || tokenizer_is_end(t, TOKEN_NONE));
    tokenizer_free(t);
    assert_null(tokenizer_free(NULL));
}

static void bos_without_id(GgufBuilder *b) {
    builder_bool(b, KEY("add_bos_token"), true);
}

static void flag_as_number(GgufBuilder *b) {
    builder_u32(b, KEY("add_bos_token"), 1);
}

static void bos_outside(GgufBuilder *b) {
    builder_u32(b, KEY("bos_token_id"), 100000);
}

static void test_refusals_name_the_key(void **state) {
    TinyVocab file = bpe;
    file.pre = "no-such-thing";
    assert_refused(file, NULL, -EOPNOTSUPP, "no-such-thing");
    file = spm;
    file.model = "rwkv";
    assert_refused(file, NULL, -EOPNOTSUPP, "\"rwkv\" (tokenizer.ggml.model)");
    assert_refused(bpe, bos_without_id, -EBADMSG, "tokenizer.ggml.bos_token_id");
    assert_refused(bpe, flag_as_number, -EBADMSG, "tokenizer.ggml.add_bos_token");
    assert_refused(spm, bos_outside, -EBADMSG, "tokenizer.ggml.bos_token_id");

    GgufBuilder b = GGUF_BUILDER;
    builder_string(&b, "general.architecture", "llama");
    Gguf *g = tiny_gguf(&b);
    Tokenizer *t = NULL;
    Error e = {};
    assert_int_equal(tokenizer_new(g, &t, &e), -EBADMSG);
    assert_non_null(strstr(e.message, "tokenizer.ggml.model"));
    gguf_free(g);
}

/* Quadratic time would make this test run into its limit. */
static void test_long_runs(void **state) {
    enum { N = 400000 };
    char *text = malloc(N);
    const TinyVocab *const files[] = {&bpe, &spm};
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        Tokenizer *t = make(files[i]);
        for (const char *c = "a <\n\xFF"; *c; c++) {
            memset(text, *c, N);
            TextSpan span = {.text = text, .size = N, .trusted = true};
            TokenArray tokens = {};
            assert_int_equal(tokenizer_encode(t, &span, 1, false, &tokens, NULL), 0);
            assert_true(tokens.n >= N / 2);
            token_array_done(&tokens);
        }
        tokenizer_free(t);
    }
    free(text);
}

/* ------------------------------------------------------------------------------------------------ threads */

static void *encode_often(void *userdata) {
    const Tokenizer *t = userdata;
    uintptr_t sum = 0;
    for (unsigned i = 0; i < 50; i++) {
        TextSpan span = TRUSTED("abab ab<|user|>@@@ abc\xFF  12 \xC3\xA9");
        TokenArray tokens = {};
        if (tokenizer_encode(t, &span, 1, true, &tokens, NULL) < 0)
            return NULL;
        sum = sum * 31 + tokens.n;
        for (size_t k = 0; k < tokens.n; k++)
            sum = sum * 31 + tokens.items[k];
        token_array_done(&tokens);
    }
    return (void *)sum;
}

static void test_one_tokenizer_for_many_threads(void **state) {
    const TinyVocab *const files[] = {&bpe, &spm};
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        Tokenizer *t = make(files[i]);
        void *alone = encode_often(t);
        pthread_t threads[4];
        for (size_t k = 0; k < ELEMENTSOF(threads); k++)
            assert_int_equal(pthread_create(&threads[k], NULL, encode_often, t), 0);
        for (size_t k = 0; k < ELEMENTSOF(threads); k++) {
            void *together;
            assert_int_equal(pthread_join(threads[k], &together), 0);
            assert_ptr_equal(together, alone);
        }
        tokenizer_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_trusted_text_names_control_tokens),
        cmocka_unit_test(test_spans_do_not_break_words),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_a_space_before_the_text_and_after_special_tokens),
        cmocka_unit_test(test_the_file_says_what_is_added),
        cmocka_unit_test(test_any_bytes_come_back),
        cmocka_unit_test(test_too_long_a_text_is_refused),
        cmocka_unit_test(test_phi3_tokens_take_the_spaces_after_them),
        cmocka_unit_test(test_control_tokens_are_left_out),
        cmocka_unit_test(test_spaces_are_cleaned_where_the_model_does),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refusals_name_the_key),
        cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_one_tokenizer_for_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
