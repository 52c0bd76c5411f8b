#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/pretokenizer.h"

static Pretokenizer *make(const char *name) {
    Pretokenizer *p = NULL;
    Error e = {};
    if (pretokenizer_new((GgufString){.data = name, .size = strlen(name)}, &p, &e) < 0)
        fail_msg("%s", e.message);
    return p;
}

/* wanted: the pieces, separated by bars. */
static void assert_split_n(const char *name, const char *text, size_t n, const char *wanted) {
    Pretokenizer *p = make(name);
    Pieces pieces = {};
    assert_int_equal(pretokenizer_split(p, text, (uint32_t)n, &pieces), 0);
    char got[1024];
    size_t k = 0, from = 0;
    for (size_t i = 0; i < pieces.n; i++) {
        k += (size_t)snprintf(
            got + k, sizeof(got) - k, "%s%.*s", i > 0 ? "|" : "", (int)(pieces.ends[i] - from), text + from);
        from = pieces.ends[i];
    }
    assert_int_equal(from, n);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s splits as %s, must as %s", name, got, wanted);
    pieces_done(&pieces);
    pretokenizer_free(p);
}

static void assert_split(const char *name, const char *text, const char *wanted) {
    assert_split_n(name, text, strlen(text), wanted);
}

#define TEXT "It's 12345 Ünder-scores!!\n\n  \tEND   of 中文 カナ"

static void test_every_family(void **state) {
    assert_split("default", TEXT, "It|'|s| |123|45| Ünder|-|scores|!!|\n\n  |\t|END|  | of| 中文| カナ");
    assert_split("gpt-2", TEXT, "It|'s| 12345| Ünder|-|scores|!!|\n\n  |\t|END|  | of| 中文| カナ");
    assert_split("starcoder", TEXT, "It|'s| |1|2|3|4|5| Ünder|-|scores|!!|\n\n  |\t|END|  | of| 中文| カナ");
    assert_split("falcon", TEXT, "It|'|s| |123|45| Ünder|-|scores|!!|\n\n  |\t|END|  | of| 中文| カナ");
    assert_split("llama-bpe", TEXT, "It|'s| |123|45| Ünder|-scores|!!\n\n|  |\tEND|  | of| 中文| カナ");
    assert_split("minicpm5", TEXT, "It|'s| |123|45| Ünder|-scores|!!\n\n|  |\tEND|  | of| 中文| カナ");
    assert_split("qwen2", TEXT, "It|'s| |1|2|3|4|5| Ünder|-scores|!!\n\n|  |\tEND|  | of| 中文| カナ");
    assert_split("qwen35", "cafe\xCC\x81 \xCC\x81!", "cafe\xCC\x81| \xCC\x81|!");
    assert_split("laguna", "a\n\n b", "a|\n\n| b");
    assert_split("seed-coder", "a!\n", "a|!|\n");
    assert_split("exaone-moe", "two words, three/\n", "two words|,| three|/\n");
    assert_split("gpt-4o", "helloWorld HTTPServer's 12345 a/\n", "hello|World| HTTPServer's| |123|45| a|/\n");
    assert_split("tekken", "helloWorld HTTPServer's 12 a/\n", "hello|World| HTTPServer|'s| |1|2| a|/\n");
    assert_split("youtu", "한국 中文! a1", "한국| |中文|!| a|1");
    assert_split("kimi-k2", "Go中文Go。中", "Go|中文|Go|。|中");
    assert_split("tiny_aya", "1234567 12345a", "1|234|567| |123|45|a");
    assert_split("afmoe", "12345a 中b", "12|345|a| |中|b");
    assert_split("superbpe", "all of it 12345", "all of it |12|345");
    /* its punctuation takes in a to z, so it cuts once more into words that other letters begin */
    assert_split("deepseek-llm", TEXT, "It|'|s| |1|2|3|4|5| Ü|nder|-|scores|!!|\n|\n|  |\tEND|  | of| |中文| |カナ");
    assert_split("deepseek-coder", TEXT, "It|'|s| |1|2|3|4|5| Ünder|-|scores|!!|\n|\n|  |\tEND|  | of| |中文| |カナ");
    assert_split("deepseek-v3", TEXT, "It|'s| |123|45| Ünder|-scores|!!\n\n|  |\tEND|  | of| |中文| |カナ");
    assert_split("bloom", "Yes, it is. Why", "Yes|,| it| is|.| Why");
    assert_split("viking", "Yes 12, it", "Yes| |1|2|,| it");
    assert_split("chameleon", "a<sentinel:12>IMGIMGABZ\tb", "a|<|sentinel|:|1|2|>|IMGIMGABZ|\t|b");
    assert_split("gemma4", "one two\n\nthree", "one two|\n\n|three");
    assert_split("jais-2", "a       b", "a|    |  | b");
}

static void test_names_stand_for_families(void **state) {
    static const struct {
        const char *name;
        PretokenizerTraits traits;
    } rows[] = {
        {"", {.clean_spaces = true}},
        {"llama3", {.whole_pieces = true, .add_bos = true, .clean_spaces = true}},
        {"pixtral", {.whole_pieces = true, .add_bos = true, .clean_spaces = true}},
        {"dbrx", {.clean_spaces = true}},
        {"deepseek-r1-qwen", {}},
        {"gpt-2", {.clean_spaces = true}},
        {"modern-bert", {.clean_spaces = true}},
        {"tekken", {.whole_pieces = true, .add_bos = true}},
        {"smollm", {}},
        {"sarvam-moe", {.raw = true}},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Pretokenizer *p = make(rows[i].name);
        const PretokenizerTraits *t = pretokenizer_traits(p);
        assert_int_equal(t->whole_pieces, rows[i].traits.whole_pieces);
        assert_int_equal(t->add_bos, rows[i].traits.add_bos);
        assert_int_equal(t->clean_spaces, rows[i].traits.clean_spaces);
        assert_int_equal(t->raw, rows[i].traits.raw);
        pretokenizer_free(p);
    }
}

static void test_unknown_names_are_refused(void **state) {
    static const char *const names[] = {"qwen", "qwen2 ", "qwen2 deepseek-r1-qwen", " ", "gpt-2\n", "llama"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        Pretokenizer *p = NULL;
        Error e = {};
        assert_int_equal(
            pretokenizer_new((GgufString){.data = names[i], .size = strlen(names[i])}, &p, &e), -EOPNOTSUPP);
        assert_null(p);
        assert_non_null(strstr(e.message, i < 4 ? names[i] : "pre-tokenizer"));
    }
}

static void test_bytes_that_are_no_text(void **state) {
    assert_split_n("qwen2", "a\0b", 3, "a|"); /* printed up to the NUL */
    assert_split("qwen2", "a\xFFo\xC3", "a|\xFFo|\xC3");
    assert_split("deepseek-v3", "a\xED\xA0\x80", "a|\xED\xA0\x80"); /* control characters fall between */
    assert_split("gpt-2", "\xF0\x9F\x98 x", "\xF0\x9F\x98| x");
}

static void test_spaces_at_the_end_and_before_words(void **state) {
    assert_split("qwen2", "   ", "   ");
    assert_split("qwen2", "   x", "  | x");
    assert_split("qwen2", "x   \n  ", "x|   \n|  ");
    assert_split("qwen2", "\xE1\xA0\x8E x", "\xE1\xA0\x8E| x"); /* U+180E is no space */
    assert_split("deepseek-llm", "中   ", "中|   ");
    assert_split("deepseek-llm", "   中", "   |中");
}

/* Quadratic time would make this test run into its limit. */
static void test_long_runs(void **state) {
    static const char *const names[] = {"default", "llama-bpe", "gpt-4o", "deepseek-llm", "deepseek-v3", "exaone-moe",
        "jais-2", "tiny_aya", "superbpe", "kimi-k2"};
    static const char *const runs[] = {"A", " ", "\n", "1", "\xCC\x81", "a ", "'"};
    enum { N = 300000 };
    char *text = malloc(N + 1);
    for (size_t k = 0; k < ELEMENTSOF(runs); k++) {
        for (size_t i = 0; i < N; i++)
            text[i] = runs[k][i % strlen(runs[k])];
        text[N] = 'x';
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
            Pretokenizer *p = make(names[i]);
            Pieces pieces = {};
            assert_int_equal(pretokenizer_split(p, text, N + 1, &pieces), 0);
            assert_int_equal(pieces.ends[pieces.n - 1], N + 1);
            pieces_done(&pieces);
            pretokenizer_free(p);
        }
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_names_stand_for_families),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_spaces_at_the_end_and_before_words),
        cmocka_unit_test(test_long_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
