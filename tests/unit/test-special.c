#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tiny-vocab.h"
#include "tokenizer/special.h"

static const TinyToken tokens[] = {
    {"ab", TOKEN_USER_DEFINED},   /* 0 */
    {"bcd", TOKEN_USER_DEFINED},  /* 1 */
    {"<|x|>", TOKEN_CONTROL},     /* 2 */
    {"<|x", TOKEN_USER_DEFINED},  /* 3 */
    {"<unk>", TOKEN_UNKNOWN},     /* 4 */
    {"cd", TOKEN_NORMAL},         /* 5 */
    {"", TOKEN_CONTROL},          /* 6 */
    {"  ", TOKEN_USER_DEFINED},   /* 7 */
    {"    ", TOKEN_USER_DEFINED}, /* 8 */
};

static Vocab vocab;
static Specials specials;

static int setup(void **state) {
    const TinyVocab file = {.model = "llama", .tokens = tokens, .n_tokens = ELEMENTSOF(tokens)};
    Gguf *g = tiny_vocab_gguf(&file);
    int r = vocab_init(&vocab, VOCAB_SPM, g, NULL) | specials_init(&specials, &vocab);
    gguf_free(g);
    return r;
}

static int teardown(void **state) {
    specials_done(&specials);
    vocab_done(&vocab);
    return 0;
}

/* trusted: one character per byte of the text, '+' for trusted. wanted: texts and [ids]. */
static void assert_split(const char *text, const char *trusted, const char *wanted) {
    uint8_t flags[64] = {};
    uint32_t n = (uint32_t)strlen(text);
    for (uint32_t i = 0; i < n; i++)
        flags[i] = trusted[i] == '+';
    Fragments f = {};
    assert_int_equal(specials_split(&specials, text, flags, n, &f), 0);
    char got[256] = "";
    for (size_t i = 0; i < f.n; i++) {
        size_t k = strlen(got);
        if (f.items[i].token == TOKEN_NONE)
            snprintf(got + k, sizeof(got) - k, "%.*s", (int)f.items[i].size, text + f.items[i].start);
        else
            snprintf(got + k, sizeof(got) - k, "[%u]", f.items[i].token);
    }
    assert_string_equal(got, wanted);
    fragments_done(&f);
}

static void test_longer_tokens_first_wherever_they_are(void **state) {
    assert_split("abcd", "----", "a[1]");
    assert_split("abc", "---", "[0]c");
    assert_split("ababcdab", "--------", "[0]a[1][0]");
    assert_split("xcd", "---", "xcd");
    assert_split("", "", "");
    assert_split("       ", "-------", "[8][7] ");
}

static void test_control_tokens_need_trusted_bytes(void **state) {
    assert_split("<|x|>", "+++++", "[2]");
    assert_split("<|x|>", "-----", "[3]|>");
    assert_split("<|x|>", "++++-", "[3]|>");
    assert_split("<|x|>", "-++++", "[3]|>");
    assert_split("<|x|><|x|>", "+++++-----", "[2][3]|>");
    assert_split("<unk>", "+++++", "[4]");
    assert_split("<unk>", "++-++", "<unk>");
}

static void test_strips_spaces(void **state) {
    assert_int_equal(specials_strip(&specials, NULL, STRIP_RIGHT), 0);
    assert_int_equal(specials_strip(&specials, "bcd", STRIP_LEFT), 0);
    assert_int_equal(specials_strip(&specials, "no such token", STRIP_LEFT), 0);
    assert_split("ab x", "----", "[0]x");
    assert_split("x ab\n", "-----", "x [0]");
    assert_split("x bcd x", "-------", "x[1] x");
    assert_split("ab bcd", "------", "[0][1]");
}

/* Every place begins with dozens of tokens: neither time nor memory may go with their product. */
static void test_tokens_of_spaces(void **state) {
    enum { N = 200000 };
    char *text = malloc(N);
    uint8_t *trusted = calloc(N, 1);
    memset(text, ' ', N);
    Fragments f = {};
    assert_int_equal(specials_split(&specials, text, trusted, N, &f), 0);
    assert_int_equal(f.n, N / 4);
    fragments_done(&f);
    free(trusted);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_longer_tokens_first_wherever_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_tokens_need_trusted_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strips_spaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens_of_spaces, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
