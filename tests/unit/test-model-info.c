/* What a file says of itself: of what it lacks, of what is no text, of what nobody can read. test-model.c has a whole
 * model's. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gguf-settings.h"
#include "model.h"
#include "tiny-vocab.h"

#define PATH "/models/Tiny.Model-1.gguf"

/* One tensor of 64 BF16 weights, and one of 32 floats. */
static void begin(GgufBuilder *b, const GgufSetting *s, size_t n) {
    static const GgufSetting needed[] = {TEXT("general.architecture", "x")};
    *b = GGUF_BUILDER;
    builder_set(b, needed, ELEMENTSOF(needed), s, n);
    builder_set(b, s, n, NULL, 0);
    builder_tensor(b, "a", TENSOR_BF16, 32, 2);
    builder_tensor(b, "b", TENSOR_F32, 32, 0);
}

static int try(const char *path, const GgufSetting *s, size_t n, ModelInfo **ret, Error *e) {
    GgufBuilder b;
    begin(&b, s, n);
    _cleanup_(gguf_freep) Gguf *g = tiny_gguf(&b);
    return model_info_new(g, path, 1234, ret, e);
}

static ModelInfo *accept(const char *path, const GgufSetting *s, size_t n) {
    ModelInfo *info = NULL;
    Error e = {};
    if (try(path, s, n, &info, &e) != 0)
        fail_msg("refused: %s", e.message);
    return info;
}

static void refuse(const char *words, const GgufSetting *s, size_t n) {
    ModelInfo *info = NULL;
    Error e = {};
    int r = try(PATH, s, n, &info, &e);
    if (r != -EBADMSG || e.code != r || !strstr(e.message, words))
        fail_msg("%d \"%s\" is not \"%s\"", r, e.message, words);
    assert_null(info);
}

static void test_what_is_absent(void **state) {
    _cleanup_(model_info_freep) ModelInfo *info = accept(PATH, SETTINGS());
    assert_string_equal(info->path, PATH);
    assert_string_equal(info->name, "Tiny.Model-1");
    assert_string_equal(info->architecture, "x");
    assert_true(!info->license && !info->author && !info->description);
    assert_int_equal(info->file_bytes, 1234);
    assert_int_equal(info->n_parameters, 96);
    assert_true(info->context_size == 0 && info->embedding_size == 0 && info->n_layers == 0 && info->n_vocab == 0);
    assert_true(info->temperature == -1);
    assert_null(model_info_free(NULL));
}

static void test_what_is_there(void **state) {
    _cleanup_(model_info_freep) ModelInfo *info = accept(
        PATH, SETTINGS(TEXT("general.name", "Tiny"), TEXT("general.license", "mit"), TEXT("general.author", "Ann"),
                  TEXT("general.description", "Small."), U32("x.context_length", 64), U32("x.embedding_length", 8),
                  U32("x.block_count", 2), F32("general.sampling.temp", 0)));
    assert_string_equal(info->name, "Tiny");
    assert_string_equal(info->license, "mit");
    assert_string_equal(info->author, "Ann");
    assert_string_equal(info->description, "Small.");
    assert_true(info->context_size == 64 && info->embedding_size == 8 && info->n_layers == 2);
    assert_true(info->temperature == 0);
}

/* ------------------------------------------------------------------------------------------------ names, text */

static void test_names_by_the_file(void **state) {
    static const struct {
        const char *path, *name;
    } rows[] = {
        {"tiny.gguf", "tiny"},
        {"/a.gguf/tiny", "tiny"},
        {"/a/tiny-00001-of-00003.gguf", "tiny"},
        {"/a/tiny-00001-of-00003", "tiny-00001-of-00003"},
        {"/a/.gguf", ".gguf"}, /* better than nothing at all */
        {"/a/tiny.GGUF", "tiny.GGUF"},
        {"/a/t\xFFny.gguf", "t\uFFFDny"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(model_info_freep) ModelInfo *info = accept(rows[i].path, SETTINGS(TEXT("general.name", "")));
        assert_string_equal(info->name, rows[i].name);
        assert_string_equal(info->path, rows[i].path);
    }
}

/* Strings of files may hold zeros, which would end ours. */
static void test_text_is_made_valid(void **state) {
    GgufBuilder b;
    begin(&b, SETTINGS());
    builder_key(&b, "general.name", GGUF_STRING);
    blob_u64(&b.keys, 5);
    blob_put(&b.keys, "a\0\xC3z\xF0", 5);
    _cleanup_(gguf_freep) Gguf *g = tiny_gguf(&b);
    _cleanup_(model_info_freep) ModelInfo *info = NULL;
    assert_int_equal(model_info_new(g, PATH, 0, &info, NULL), 0);
    assert_string_equal(info->name, "a\uFFFD\uFFFDz\uFFFD");
}

/* ------------------------------------------------------------------------------------------------ numbers */

static void expect_quantisation(uint32_t file_type, const char *name) {
    _cleanup_(model_info_freep) ModelInfo *info = accept(PATH, SETTINGS(U32("general.file_type", file_type)));
    assert_string_equal(info->quantisation, name);
}

/* A number that nobody uses (any more) says nothing: then the weights do. */
static void test_types_of_files(void **state) {
    static const struct { uint32_t first, last; } unused[] = {{4, 6}, {33, 35}, {39, 100}, {UINT32_MAX, UINT32_MAX}};
    static const struct {
        uint32_t type;
        const char *name;
    } used[] = {{0, "F32"}, {1, "F16"}, {2, "Q4_0"}, {3, "Q4_1"}, {7, "Q8_0"}, {10, "Q2_K"}, {14, "Q4_K_S"},
        {17, "Q5_K_M"}, {18, "Q6_K"}, {19, "IQ2_XXS"}, {25, "IQ4_NL"}, {30, "IQ4_XS"}, {31, "IQ1_M"}, {32, "BF16"},
        {36, "TQ1_0"}, {38, "MXFP4_MOE"}};
    for (size_t i = 0; i < ELEMENTSOF(unused); i++) {
        expect_quantisation(unused[i].first, "BF16");
        expect_quantisation(unused[i].last, "BF16");
    }
    for (size_t i = 0; i < ELEMENTSOF(used); i++)
        expect_quantisation(used[i].type, used[i].name);
}

/* 64 tensors of 2^58 elements are none at all in 64 bits. */
static void test_counts_do_not_wrap_around(void **state) {
    const uint64_t ne[] = {32, 1ull << 53};
    GgufBuilder b;
    begin(&b, SETTINGS());
    for (char i = 0; i < 64; i++)
        builder_tensor_raw(&b, (const char[]){'t', '0' + i, '\0'}, 2, ne, TENSOR_Q4_0, 0);
    blob_done(&b.data); /* a table alone */
    _cleanup_(gguf_freep) Gguf *g = tiny_gguf(&b);
    _cleanup_(model_info_freep) ModelInfo *info = NULL;
    assert_int_equal(model_info_new(g, PATH, 0, &info, NULL), 0);
    assert_true(info->n_parameters == UINT64_MAX);
    assert_string_equal(info->quantisation, "Q4_0");
}

/* ------------------------------------------------------------------------------------------------ refusals */

static void test_refuses(void **state) {
    refuse("key general.architecture is missing", SETTINGS(WITHOUT("general.architecture")));
    static const GgufSetting rows[] = {
        U32("general.architecture", 1),
        U32("general.name", 1),
        U32("general.license", 1),
        BOOL("general.author", true),
        ARRAY("general.description", 1, 1),
        TEXT("general.file_type", "Q4_0"),
        F32("general.sampling.temp", -0.5),
        F32("general.sampling.temp", 100.5),
        F32("general.sampling.temp", NAN),
        TEXT("x.context_length", "64"),
        F32("x.embedding_length", 8),
        ARRAY("x.block_count", 1, 2),
        ARRAY("tokenizer.ggml.tokens", 1, 1),
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char words[100];
        snprintf(words, sizeof(words), "key %s: ", rows[i].key);
        refuse(words, SETTINGS(rows[i]));
    }
    model_info_free(accept(PATH, SETTINGS(F32("general.sampling.temp", 100))));
}

static void test_files(void **state) {
    char path[] = "/tmp/test-model-info-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);

    GgufBuilder b;
    ModelInfo *info = NULL;
    Error e = {};
    begin(&b, SETTINGS(TEXT("general.name", "Tiny")));
    builder_write(&b, path);
    assert_int_equal(model_info_read(path, &info, &e), 0);
    assert_string_equal(info->name, "Tiny");
    assert_string_equal(info->path, path);
    assert_true(info->file_bytes > 64 * 2 + 32 * 4);
    info = model_info_free(info);

    begin(&b, SETTINGS(WITHOUT("general.architecture")));
    builder_write(&b, path);
    assert_int_equal(model_info_read(path, &info, &e), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(model_info_read(path, &info, &e), -ENOENT);
    assert_null(info);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_absent),
        cmocka_unit_test(test_what_is_there),
        cmocka_unit_test(test_names_by_the_file),
        cmocka_unit_test(test_text_is_made_valid),
        cmocka_unit_test(test_types_of_files),
        cmocka_unit_test(test_counts_do_not_wrap_around),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
