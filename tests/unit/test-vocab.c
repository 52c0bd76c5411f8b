#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tiny-vocab.h"

#define KEY(name) "tokenizer.ggml." name

static const TinyToken tokens[] = {
    {"<unk>", TOKEN_UNKNOWN},
    {"<s>", TOKEN_CONTROL},
    {"</s>", TOKEN_CONTROL},
    {"\xE2\x96\x81the", TOKEN_NORMAL, -1},
    {"<think>", TOKEN_CONTROL},
    {"<|im_end|>", TOKEN_CONTROL},
    {"@@", TOKEN_USER_DEFINED},
    {"<|endoftext|>", TOKEN_NORMAL},
    {"<|User|>", TOKEN_NORMAL},
};

static const TinyVocab good = {.model = "llama", .tokens = tokens, .n_tokens = ELEMENTSOF(tokens), .all_bytes = true};

static int init(Vocab *v, VocabModel model, Gguf *g, Error *e) {
    int r = vocab_init(v, model, g, e);
    gguf_free(g);
    return r;
}

static void test_reads_tokens(void **state) {
    Vocab v;
    assert_int_equal(init(&v, VOCAB_SPM, tiny_vocab_gguf(&good), NULL), 0);
    assert_int_equal(v.n, ELEMENTSOF(tokens) + 256);
    assert_string_equal(v.texts[3].data, "\xE2\x96\x81the");
    assert_string_equal(v.pieces[3].data, " the");
    assert_int_equal(v.pieces[3].size, 4);
    assert_string_equal(v.pieces[1].data, "<s>");
    assert_int_equal(v.pieces[9 + 0xC3].size, 1);
    assert_int_equal((unsigned char)v.pieces[9 + 0xC3].data[0], 0xC3);
    assert_int_equal(v.bytes[0xC3], 9 + 0xC3);
    assert_true(v.scores[3] == -1.0f);
    assert_int_equal(vocab_find(&v, "@@"), 6);
    assert_int_equal(vocab_find(&v, "@"), TOKEN_NONE);
    assert_true(vocab_is_text(&v, 3) && vocab_is_text(&v, 6));
    assert_false(vocab_is_text(&v, 0) || vocab_is_text(&v, 1) || vocab_is_text(&v, 9));
    vocab_done(&v);
}

static void test_roles(void **state) {
    Vocab v;
    assert_int_equal(init(&v, VOCAB_SPM, tiny_vocab_gguf(&good), NULL), 0);
    assert_int_equal(v.bos, 1); /* the model's defaults */
    assert_int_equal(v.eos, 2);
    assert_int_equal(v.unk, 0);
    assert_true(v.is_end[2]);
    assert_true(v.is_end[5]); /* known by its text */
    assert_true(v.is_end[7]); /* the same, though the file calls it ordinary */
    assert_int_equal(v.types[7], TOKEN_CONTROL);
    assert_int_equal(v.types[8], TOKEN_NORMAL);
    assert_false(v.is_end[1]);
    assert_true(v.visible[4]);
    assert_false(v.visible[5]);
    vocab_done(&v);
}

static void other_ids(GgufBuilder *b) {
    builder_u32(b, KEY("bos_token_id"), 5);
    builder_u32(b, KEY("eos_token_id"), 6);
    builder_u32(b, KEY("eot_token_id"), 3);
}

static void test_the_file_names_roles(void **state) {
    TinyVocab file = good;
    file.more = other_ids;
    Vocab v;
    assert_int_equal(init(&v, VOCAB_SPM, tiny_vocab_gguf(&file), NULL), 0);
    assert_int_equal(v.bos, 5);
    assert_int_equal(v.eos, 6);
    assert_true(v.is_end[6] && v.is_end[3] && !v.is_end[2]);
    vocab_done(&v);
}

static void test_one_message_of_several_does_not_end_the_answer(void **state) {
    static const TinyToken harmony[] = {
        {"<|end|>", TOKEN_CONTROL}, {"<|call|>", TOKEN_CONTROL}, {"<|return|>", TOKEN_CONTROL}};
    TinyVocab file = {.model = "gpt2", .tokens = harmony, .n_tokens = 3};
    Vocab v;
    assert_int_equal(init(&v, VOCAB_BPE, tiny_vocab_gguf(&file), NULL), 0);
    assert_true(!v.is_end[0] && v.is_end[1] && v.is_end[2] && v.visible[0]);
    assert_int_equal(v.bos, TOKEN_NONE);
    vocab_done(&v);

    file.n_tokens = 1;
    assert_int_equal(init(&v, VOCAB_BPE, tiny_vocab_gguf(&file), NULL), 0);
    assert_true(v.is_end[0]);
    vocab_done(&v);
}

static void test_byte_level_spelling(void **state) {
    char out[16];
    assert_int_equal(byte_level_decode("\xC4\xA0"
                                       "a\xC4\x8A",
                         5, out),
        3); /* Ġ a Ċ */
    assert_memory_equal(out, " a\n", 3);
    assert_int_equal(byte_level_decode("\xC3\xA9\xC5\x83\xC4\xA2", 6, out), 3); /* é Ń Ģ */
    assert_memory_equal(out, "\xE9\xAD\x80", 3);
    assert_int_equal(byte_level_decode(" ", 1, out), -1);
    assert_int_equal(byte_level_decode("\xE2\x96\x81", 3, out), -1);
    assert_int_equal(byte_level_decode("\xC5\x84", 2, out), -1); /* one beyond the last */
    assert_int_equal(byte_level_decode("\xC4", 1, out), -1);
    assert_int_equal(byte_level_decode("", 0, out), 0);
}

/* ------------------------------------------------------------------------------------------------ damaged files */

static void no_tokens(GgufBuilder *b) {
}
static void zero_tokens(GgufBuilder *b) {
    builder_strings(b, KEY("tokens"), NULL, 0);
}
static void tokens_as_numbers(GgufBuilder *b) {
    builder_array(b, KEY("tokens"), GGUF_U32, 1);
    blob_u32(&b->keys, 0);
}
static void two_tokens(GgufBuilder *b) {
    builder_strings(b, KEY("tokens"), (const char *const[]){"a", "<0x-1>"}, 2);
}
static void few_types(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("token_type"), GGUF_I32, 1);
    blob_u32(&b->keys, 1);
}
static void unknown_type(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("token_type"), GGUF_I32, 2);
    blob_u32(&b->keys, 1);
    blob_u32(&b->keys, 7);
}
static void bad_byte(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("token_type"), GGUF_I32, 2);
    blob_u32(&b->keys, 1);
    blob_u32(&b->keys, TOKEN_BYTE);
}
static void scores_as_bytes(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("scores"), GGUF_U8, 2);
    blob_put(&b->keys, NULL, 2);
}
static void many_scores(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("scores"), GGUF_F32, 3);
    blob_put(&b->keys, NULL, 12);
}
static void no_number(GgufBuilder *b) {
    two_tokens(b);
    builder_array(b, KEY("scores"), GGUF_F32, 2);
    blob_f32(&b->keys, 0);
    blob_f32(&b->keys, __builtin_nanf(""));
}
static void id_outside(GgufBuilder *b) {
    two_tokens(b);
    builder_u32(b, KEY("bos_token_id"), 2);
}
static void id_as_text(GgufBuilder *b) {
    two_tokens(b);
    builder_string(b, KEY("eos_token_id"), "</s>");
}

static void test_damaged_files_are_refused(void **state) {
    static const struct {
        void (*write)(GgufBuilder *);
        const char *words;
    } rows[] = {
        {no_tokens, "tokenizer.ggml.tokens"},
        {zero_tokens, "tokenizer.ggml.tokens"},
        {tokens_as_numbers, "tokenizer.ggml.tokens"},
        {few_types, "tokenizer.ggml.token_type: has 1 elements for 2 tokens"},
        {unknown_type, "token 1 has the unknown type 7"},
        {bad_byte, "byte token 1 must look like <0x0A>, not \"<0x-1>\""},
        {scores_as_bytes, "tokenizer.ggml.scores"},
        {many_scores, "tokenizer.ggml.scores: has 3 elements for 2 tokens"},
        {no_number, "score of token 1 is not a number"},
        {id_outside, "tokenizer.ggml.bos_token_id: token 2 does not exist, the vocabulary has 2"},
        {id_as_text, "tokenizer.ggml.eos_token_id"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        GgufBuilder b = GGUF_BUILDER;
        rows[i].write(&b);
        Vocab v;
        Error e = {};
        assert_int_equal(init(&v, VOCAB_SPM, tiny_gguf(&b), &e), -EBADMSG);
        if (!strstr(e.message, rows[i].words))
            fail_msg("\"%s\" does not say \"%s\"", e.message, rows[i].words);
    }
}

static void test_odd_tokens_are_kept(void **state) {
    static const TinyToken odd[] = {{""}, {"a"}, {"a"}, {"", TOKEN_CONTROL}, {"<0xZZ>"}, {"\xFF\xFE"}};
    TinyVocab file = {.model = "llama", .tokens = odd, .n_tokens = ELEMENTSOF(odd)};
    Vocab v;
    assert_int_equal(init(&v, VOCAB_SPM, tiny_vocab_gguf(&file), NULL), 0);
    assert_int_equal(vocab_find(&v, "a"), 1);
    assert_int_equal(v.pieces[0].size, 0);
    assert_string_equal(v.pieces[0].data, "");
    assert_string_equal(v.pieces[4].data, "<0xZZ>");
    assert_string_equal(v.pieces[5].data, "\xFF\xFE");
    vocab_done(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_tokens),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_the_file_names_roles),
        cmocka_unit_test(test_one_message_of_several_does_not_end_the_answer),
        cmocka_unit_test(test_byte_level_spelling),
        cmocka_unit_test(test_damaged_files_are_refused),
        cmocka_unit_test(test_odd_tokens_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
