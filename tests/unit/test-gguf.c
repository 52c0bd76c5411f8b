#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gguf-builder.h"

/* Parses what the builder holds. Returns gguf_parse()'s result. The bytes live until the next call. */
static uint8_t *file;
static size_t file_size;

static int parse(GgufBuilder *b, Gguf **ret, Error *e) {
    free(file);
    file = builder_finish(b, &file_size);
    return gguf_parse(file, file_size, true, ret, e);
}

/* The file is refused as damaged, and the sentence has `words` in it. */
static void assert_refused(GgufBuilder *b, const char *words) {
    Gguf *g = NULL;
    Error e = {};
    assert_int_equal(parse(b, &g, &e), -EBADMSG);
    assert_null(g);
    assert_int_equal(e.code, -EBADMSG);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
}

static Gguf *assert_accepted(GgufBuilder *b) {
    Gguf *g = NULL;
    Error e = {};
    if (parse(b, &g, &e) < 0)
        fail_msg("refused: %s", e.message);
    return g;
}

/* ------------------------------------------------------------------------------------------------ well-formed files */

static void test_places_tensors(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_tensor(&b, "a", TENSOR_F32, 3, 0)[0] = 42;
    builder_tensor(&b, "b", TENSOR_Q4_0, 64, 2)[0] = 43;
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);

    assert_int_equal(gguf_n_tensors(g), 2);
    const GgufTensor *t = gguf_find_tensor(g, "b");
    assert_ptr_equal(t, gguf_tensor_at(g, 1));
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->ne[0], 64);
    assert_int_equal(t->ne[3], 1);
    assert_int_equal(t->size, 2 * 2 * 18);
    assert_int_equal(t->data[0], 43);
    assert_ptr_equal(t->data + t->size, file + file_size);
    assert_int_equal(gguf_find_tensor(g, "a")->data[0], 42);
    assert_null(gguf_find_tensor(g, "c"));
}

static void test_accepts_a_vocabulary_without_tensors(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_u32(&b, "k", 1);
    gguf_free(assert_accepted(&b));

    /* tensors announced, but the file ends after its header */
    uint64_t ne[] = {8};
    builder_tensor_raw(&b, "t", 1, ne, TENSOR_F32, 0);
    _cleanup_(freep) uint8_t *bytes = NULL;
    _cleanup_(gguf_freep) Gguf *g = NULL;
    size_t size;
    bytes = builder_finish(&b, &size);
    assert_int_equal(gguf_parse(bytes, size, true, &g, NULL), -EBADMSG);
    assert_int_equal(gguf_parse(bytes, size, false, &g, NULL), 0);
    assert_null(gguf_find_tensor(g, "t")->data);
}

static void test_reads_version_2_and_other_alignments(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    b.version = 2;
    b.alignment = 64;
    builder_u32(&b, "general.alignment", 64);
    builder_tensor(&b, "a", TENSOR_F32, 1, 0);
    builder_tensor(&b, "b", TENSOR_F32, 1, 0)[0] = 9;
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);
    assert_int_equal(gguf_find_tensor(g, "b")->data[0], 9);
}

/* A quadratic search for duplicates would take minutes. */
static void test_a_hundred_thousand_keys(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    Blob keys = {};
    keys.bytes = malloc(100000 * 24);
    for (uint32_t i = 0; i < 100000; i++) {
        char name[9];
        snprintf(name, sizeof(name), "k%07u", (i * 7919u) % 100000u);
        uint8_t *p = keys.bytes + keys.n;
        memcpy(p, &(uint64_t){8}, 8);
        memcpy(p + 8, name, 8);
        memcpy(p + 16, &(uint32_t){GGUF_U32}, 4);
        memcpy(p + 20, &i, 4);
        keys.n += 24;
    }
    b.keys = keys;
    b.n_keys = 100000;
    _cleanup_(gguf_freep) Gguf *g = assert_accepted(&b);
    uint32_t v;
    assert_int_equal(gguf_get_u32(g, "k0007919", &v, NULL), 1);
    assert_int_equal(v, 1);
}

/* ------------------------------------------------------------------------------------------------ hostile headers */

static void assert_bytes_refused(const void *bytes, size_t size, const char *words) {
    Gguf *g = NULL;
    Error e = {};
    assert_int_equal(gguf_parse(bytes, size, true, &g, &e), -EBADMSG);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
}

static void test_refuses_what_is_no_gguf(void **state) {
    assert_bytes_refused("", 0, "not a GGUF file");
    assert_bytes_refused("GGU", 3, "not a GGUF file");
    assert_bytes_refused("\x7f"
                         "ELF....",
        8, "not a GGUF file");
    assert_bytes_refused("GGUF", 4, "ends after the letters GGUF");
    assert_bytes_refused("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 23, "ends inside the GGUF header");
}

static void test_refuses_other_versions(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    b.version = 0;
    assert_refused(&b, "GGUF version 0 is not supported");
    b.version = 1;
    assert_refused(&b, "GGUF version 1 is not supported");
    b.version = 4;
    assert_refused(&b, "GGUF version 4 is not supported");
    b.version = 0x03000000;
    assert_refused(&b, "big-endian GGUF file (version 3)");
}

static void test_refuses_counts_beyond_the_file(void **state) {
    const uint64_t counts[] = {1, 1u << 31, UINT64_MAX / 48, UINT64_MAX};
    for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
        GgufBuilder b = GGUF_BUILDER;
        b.n_keys = counts[i];
        assert_refused(&b, "keys, more than");
        b.n_tensors = counts[i];
        assert_refused(&b, "tensors, more than");
    }
}

/* Every proper prefix of a good file is refused, and reads nothing beyond its end. */
static void test_refuses_every_truncation(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_u32(&b, "u", 1);
    builder_string(&b, "s", "text");
    builder_strings(&b, "a", (const char *[]){"x", "yz"}, 2);
    builder_tensor(&b, "t", TENSOR_F32, 4, 2);
    _cleanup_(freep) uint8_t *whole = NULL;
    size_t size;
    whole = builder_finish(&b, &size);
    for (size_t n = 0; n < size; n++) {
        _cleanup_(freep) uint8_t *part = malloc(MAX(n, 1u));
        memcpy(part, whole, n);
        Gguf *g = NULL;
        assert_int_equal(gguf_parse(part, n, true, &g, NULL), -EBADMSG);
    }
}

/* ------------------------------------------------------------------------------------------------ hostile keys */

static void test_refuses_bad_key_names(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_u32(&b, "", 1);
    assert_refused(&b, "key 0 has an empty name");

    builder_u32(&b, "twice", 1);
    builder_string(&b, "twice", "x");
    assert_refused(&b, "key twice occurs twice");

    char long_name[65537];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[65536] = '\0';
    builder_u32(&b, long_name, 1);
    assert_refused(&b, "its name has 65536 bytes");
    long_name[65535] = '\0';
    builder_u32(&b, long_name, 1);
    gguf_free(assert_accepted(&b));

    blob_u64(&b.keys, UINT64_MAX); /* the size of a name */
    blob_put(&b.keys, NULL, 16);
    b.n_keys = 1;
    assert_refused(&b, "inside the name of key 0");
}

static void test_writes_names_safely(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_key(&b, "bad\n\xFF\x1B[2J", 13);
    blob_u64(&b.keys, 0);
    assert_refused(&b, "key bad???[2J: unknown value type 13");
}

static void test_refuses_bad_values(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_key(&b, "k", UINT32_MAX);
    blob_u64(&b.keys, 0);
    assert_refused(&b, "key k: unknown value type 4294967295");

    builder_key(&b, "k", GGUF_BOOL);
    blob_u8(&b.keys, 2);
    assert_refused(&b, "key k: a boolean is neither 0 nor 1");

    builder_key(&b, "k", GGUF_STRING);
    blob_u64(&b.keys, UINT64_MAX);
    assert_refused(&b, "key k: its value reaches beyond the end");

    builder_key(&b, "k", GGUF_STRING);
    blob_u64(&b.keys, 1ull << 40);
    assert_refused(&b, "key k: its value reaches beyond the end");
}

static void test_refuses_bad_arrays(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    builder_array(&b, "k", GGUF_ARRAY, 1);
    blob_u32(&b.keys, GGUF_U8);
    blob_u64(&b.keys, 0);
    assert_refused(&b, "key k: arrays of arrays");

    builder_array(&b, "k", 77, 0);
    assert_refused(&b, "key k: unknown array element type 77");

    builder_array(&b, "k", GGUF_F32, UINT64_MAX / 4 + 2); /* times 4 wraps to 4 */
    blob_u64(&b.keys, 0);
    assert_refused(&b, "key k: an array of 4611686018427387905 elements");

    builder_array(&b, "k", GGUF_STRING, 1ull << 61);
    assert_refused(&b, "key k: an array of");

    builder_array(&b, "k", GGUF_U64, 2);
    blob_u64(&b.keys, 0);
    assert_refused(&b, "key k: an array of 2 elements");

    builder_array(&b, "k", GGUF_STRING, 2);
    blob_u64(&b.keys, 8);
    blob_u64(&b.keys, 8);
    assert_refused(&b, "key k: the file ends inside string 1");

    builder_array(&b, "k", GGUF_BOOL, 2);
    blob_put(&b.keys, "\1\3", 2);
    assert_refused(&b, "key k: a boolean");
}

static void test_refuses_bad_alignments(void **state) {
    const uint32_t bad[] = {0, 1, 4, 3, 33, 48, UINT32_MAX};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        GgufBuilder b = GGUF_BUILDER;
        builder_u32(&b, "general.alignment", bad[i]);
        assert_refused(&b, "key general.alignment");
    }

    GgufBuilder b = GGUF_BUILDER;
    builder_key(&b, "general.alignment", GGUF_U64);
    blob_u64(&b.keys, 32);
    assert_refused(&b, "key general.alignment: has type u64, must be u32");
    builder_string(&b, "general.alignment", "32");
    assert_refused(&b, "key general.alignment: has type string");

    builder_u32(&b, "general.alignment", 1u << 31); /* the padding alone is longer than the file */
    builder_tensor_raw(&b, "t", 1, (uint64_t[]){1}, TENSOR_F32, 0);
    blob_put(&b.data, NULL, 4);
    assert_refused(&b, "ends before its tensors");
}

/* ------------------------------------------------------------------------------------------------ hostile tensors */

static void refuse_tensor(
    const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset, const char *words) {
    GgufBuilder b = GGUF_BUILDER;
    builder_tensor_raw(&b, name, n_dims, ne, type, offset);
    blob_put(&b.data, NULL, 4096);
    assert_refused(&b, words);
}

static void test_refuses_bad_tensor_names(void **state) {
    char name[66];
    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    uint64_t ne[] = {1};
    refuse_tensor("", 1, ne, TENSOR_F32, 0, "tensor 0 has an empty name");
    refuse_tensor(name, 1, ne, TENSOR_F32, 0, "its name has 65 bytes");

    GgufBuilder b = GGUF_BUILDER;
    builder_tensor(&b, "t", TENSOR_F32, 1, 0);
    builder_tensor(&b, "u", TENSOR_F32, 1, 0);
    builder_tensor(&b, "t", TENSOR_F16, 2, 0);
    assert_refused(&b, "tensor t occurs twice");
}

static void test_refuses_bad_shapes(void **state) {
    uint64_t ne[6] = {1, 1, 1, 1, 1, 1};
    refuse_tensor("t", 0, ne, TENSOR_F32, 0, "tensor t: has 0 dimensions");
    refuse_tensor("t", 5, ne, TENSOR_F32, 0, "tensor t: has 5 dimensions");
    refuse_tensor("t", 2, (uint64_t[]){4, 0}, TENSOR_F32, 0, "tensor t: dimension 1 is 0");
    refuse_tensor("t", 2, (uint64_t[]){1ull << 32, 1ull << 32}, TENSOR_F32, 0, "tensor t: its dimensions multiply");
    refuse_tensor("t", 4, (uint64_t[]){1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16}, TENSOR_F32, 0, "multiply");
    refuse_tensor("t", 1, (uint64_t[]){1ull << 63}, TENSOR_F32, 0, "multiply");
    refuse_tensor("t", 1, (uint64_t[]){INT64_MAX}, TENSOR_F32, 0, "tensor t: its size does not fit");
    refuse_tensor("t", 1, (uint64_t[]){33}, TENSOR_Q4_0, 0, "rows of 33 elements are no whole number of Q4_0 blocks");
    refuse_tensor("t", 2, (uint64_t[]){16, 2}, TENSOR_Q4_0, 0, "tensor t: rows of 16 elements");

    GgufBuilder b = GGUF_BUILDER; /* a million dimensions, announced but not there */
    blob_string(&b.tensors, "t");
    blob_u32(&b.tensors, 1000000);
    blob_put(&b.tensors, NULL, 64);
    b.n_tensors = 1;
    assert_refused(&b, "tensor t: has 1000000 dimensions");
}

static void test_refuses_bad_tensor_types(void **state) {
    uint64_t ne[] = {32};
    const uint32_t bad[] = {4, 5, 31, 36, TENSOR_TYPE_COUNT, 1000, UINT32_MAX};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        refuse_tensor("t", 1, ne, bad[i], 0, "tensor t: unknown type");
}

static void test_refuses_bad_offsets(void **state) {
    uint64_t ne[] = {1024};
    refuse_tensor("t", 1, ne, TENSOR_F32, 4, "tensor t: its offset 4 is not a multiple");
    refuse_tensor("t", 1, ne, TENSOR_F32, 32, "tensor t: ends 32 bytes beyond the end");
    refuse_tensor("t", 1, ne, TENSOR_F32, 1ull << 40, "tensor t: ends");
    refuse_tensor("t", 1, ne, TENSOR_F32, UINT64_MAX - 31, "tensor t: its offset and size do not fit");
    refuse_tensor("t", 1, (uint64_t[]){1ull << 60}, TENSOR_F32, 0, "tensor t: ends");
    refuse_tensor("t", 1, (uint64_t[]){1ull << 60}, TENSOR_F64, 1ull << 63, "tensor t: its offset and size");

    GgufBuilder b = GGUF_BUILDER;
    builder_tensor_raw(&b, "t", 1, ne, TENSOR_F32, 0);
    builder_tensor_raw(&b, "u", 1, ne, TENSOR_F32, 2048);
    blob_put(&b.data, NULL, 8192);
    assert_refused(&b, "tensor t: overlaps tensor u");
}

static int teardown(void **state) {
    free(file);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_tensors),
        cmocka_unit_test(test_accepts_a_vocabulary_without_tensors),
        cmocka_unit_test(test_reads_version_2_and_other_alignments),
        cmocka_unit_test(test_a_hundred_thousand_keys),
        cmocka_unit_test(test_refuses_what_is_no_gguf),
        cmocka_unit_test(test_refuses_other_versions),
        cmocka_unit_test(test_refuses_counts_beyond_the_file),
        cmocka_unit_test(test_refuses_every_truncation),
        cmocka_unit_test(test_refuses_bad_key_names),
        cmocka_unit_test(test_writes_names_safely),
        cmocka_unit_test(test_refuses_bad_values),
        cmocka_unit_test(test_refuses_bad_arrays),
        cmocka_unit_test(test_refuses_bad_alignments),
        cmocka_unit_test(test_refuses_bad_tensor_names),
        cmocka_unit_test(test_refuses_bad_shapes),
        cmocka_unit_test(test_refuses_bad_tensor_types),
        cmocka_unit_test(test_refuses_bad_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
