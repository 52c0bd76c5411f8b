/* What keys hold, read as the type that the caller needs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "gguf-builder.h"

static uint8_t *file; /* lives until the next call */

static Gguf *assert_accepted(GgufBuilder *b) {
    size_t size;
    Gguf *g = NULL;
    Error e = {};
    free(file);
    file = builder_finish(b, &size);
    if (gguf_parse(file, size, true, &g, &e) < 0)
        fail_msg("refused: %s", e.message);
    return g;
}

static void test_reads_keys_of_every_type(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_string(&b, "general.architecture", "llama");
    builder_u32(&b, "u32", 7);
    builder_key(&b, "i8", GGUF_I8);
    blob_u8(&b.keys, (uint8_t)-3);
    builder_key(&b, "u64", GGUF_U64);
    blob_u64(&b.keys, 1ull << 40);
    builder_f32(&b, "f32", 0.5f);
    builder_bool(&b, "bool", true);
    builder_strings(&b, "strings", (const char *[]){"a", "", "ccc"}, 3);
    builder_array(&b, "floats", GGUF_F32, 2);
    blob_f32(&b.keys, 1.5f);
    blob_f32(&b.keys, -2.0f);
    builder_array(&b, "ints", GGUF_I32, 2);
    blob_u32(&b.keys, 5);
    blob_u32(&b.keys, (uint32_t)-1);
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);

    GgufString s;
    assert_int_equal(gguf_get_string(g, "general.architecture", &s, NULL), 1);
    assert_int_equal(s.size, 5);
    assert_memory_equal(s.data, "llama", 5);

    uint32_t u32 = 99;
    uint64_t u64;
    float f32;
    bool flag;
    assert_int_equal(gguf_get_u32(g, "absent", &u32, NULL), 0);
    assert_int_equal(u32, 99);
    assert_int_equal(gguf_get_u32(g, "u32", &u32, NULL), 1);
    assert_int_equal(u32, 7);
    assert_int_equal(gguf_get_u64(g, "u64", &u64, NULL), 1);
    assert_int_equal(u64, 1ull << 40);
    assert_int_equal(gguf_get_f32(g, "f32", &f32, NULL), 1);
    assert_true(f32 == 0.5f);
    assert_int_equal(gguf_get_f32(g, "i8", &f32, NULL), 1);
    assert_true(f32 == -3.0f);
    assert_int_equal(gguf_get_bool(g, "bool", &flag, NULL), 1);
    assert_true(flag);

    GgufArray a;
    assert_int_equal(gguf_get_array(g, "strings", GGUF_STRING, &a, NULL), 1);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.strings[1].size, 0);
    assert_memory_equal(a.strings[2].data, "ccc", 3);
    assert_int_equal(gguf_get_array(g, "floats", GGUF_F32, &a, NULL), 1);
    assert_true(gguf_array_f32(&a, 1) == -2.0f);
    assert_int_equal(gguf_get_array(g, "ints", GGUF_I32, &a, NULL), 1);
    assert_int_equal(gguf_array_i32(&a, 1), -1);
}

static void test_getters_name_the_key_of_a_wrong_value(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_string(&b, "text", "7");
    builder_key(&b, "negative", GGUF_I32);
    blob_u32(&b.keys, (uint32_t)-1);
    builder_key(&b, "wide", GGUF_U64);
    blob_u64(&b.keys, 1ull << 32);
    builder_f32(&b, "nan", NAN);
    builder_key(&b, "huge", GGUF_F64);
    blob_put(&b.keys, &(double){1e300}, 8);
    builder_array(&b, "tokenizer.ggml.scores", GGUF_U8, 1);
    blob_u8(&b.keys, 1);
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);

    uint32_t u32;
    uint64_t u64;
    float f32;
    bool flag;
    GgufString s;
    GgufArray a;
    Error e = {};
    assert_int_equal(gguf_get_u32(g, "text", &u32, &e), -EBADMSG);
    assert_string_equal(e.message, "key text: has type string, must be an integer");
    assert_int_equal(gguf_get_u32(g, "negative", &u32, &e), -EBADMSG);
    assert_string_equal(e.message, "key negative: -1 is negative");
    assert_int_equal(gguf_get_u64(g, "negative", &u64, &e), -EBADMSG);
    assert_int_equal(gguf_get_u32(g, "wide", &u32, &e), -EBADMSG);
    assert_string_equal(e.message, "key wide: 4294967296 is out of range");
    assert_int_equal(gguf_get_f32(g, "nan", &f32, &e), -EBADMSG);
    assert_int_equal(gguf_get_f32(g, "huge", &f32, &e), -EBADMSG);
    assert_int_equal(gguf_get_f32(g, "text", &f32, &e), -EBADMSG);
    assert_int_equal(gguf_get_bool(g, "wide", &flag, &e), -EBADMSG);
    assert_int_equal(gguf_get_string(g, "wide", &s, &e), -EBADMSG);
    assert_int_equal(gguf_get_array(g, "wide", GGUF_F32, &a, &e), -EBADMSG);
    assert_int_equal(gguf_get_array(g, "tokenizer.ggml.scores", GGUF_F32, &a, &e), -EBADMSG);
    assert_string_equal(e.message, "key tokenizer.ggml.scores: is an array of u8, must be of f32");
}

static void test_fills_integer_lists_from_arrays_and_scalars(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_u32(&b, "scalar", 4);
    builder_array(&b, "array", GGUF_U8, 3);
    blob_put(&b.keys, "\1\2\3", 3);
    builder_array(&b, "mixed", GGUF_I32, 3);
    blob_u32(&b.keys, 1);
    blob_u32(&b.keys, (uint32_t)-1);
    blob_u32(&b.keys, 3);
    builder_array(&b, "empty", GGUF_STRING, 0);
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);

    uint32_t v[3] = {};
    assert_int_equal(gguf_get_u32s(g, "absent", v, 3, NULL), 0);
    assert_int_equal(gguf_get_u32s(g, "scalar", v, 3, NULL), 1);
    assert_int_equal(v[2], 4);
    assert_int_equal(gguf_get_u32s(g, "array", v, 3, NULL), 1);
    assert_int_equal(v[0], 1);
    assert_int_equal(v[2], 3);
    assert_int_equal(gguf_get_u32s(g, "array", v, 2, NULL), -EBADMSG);
    assert_int_equal(gguf_get_u32s(g, "mixed", v, 3, NULL), -EBADMSG);
    assert_int_equal(gguf_get_u32s(g, "empty", v, 3, NULL), -EBADMSG);
}

static void test_prints_names_safely(void **state) {
    char buffer[GGUF_PRINTABLE_SIZE], text[100];
    assert_string_equal(gguf_printable((GgufString){"plain", 5}, buffer), "plain");
    assert_string_equal(gguf_printable((GgufString){"a\0b\xFF\x1B", 5}, buffer), "a?b??");
    assert_string_equal(gguf_printable((GgufString){NULL, 0}, buffer), "");
    memset(text, 'x', sizeof(text));
    gguf_printable((GgufString){text, GGUF_PRINTABLE_SIZE - 4}, buffer);
    assert_int_equal(strlen(buffer), GGUF_PRINTABLE_SIZE - 4);
    gguf_printable((GgufString){text, sizeof(text)}, buffer);
    assert_int_equal(strlen(buffer), GGUF_PRINTABLE_SIZE - 1);
    assert_string_equal(buffer + GGUF_PRINTABLE_SIZE - 6, "xx...");
}

static int teardown(void **state) {
    free(file);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_keys_of_every_type),
        cmocka_unit_test(test_getters_name_the_key_of_a_wrong_value),
        cmocka_unit_test(test_fills_integer_lists_from_arrays_and_scalars),
        cmocka_unit_test(test_prints_names_safely),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
