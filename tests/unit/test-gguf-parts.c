/* Parts that belong together become one; parts that do not are refused by name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "gguf-builder.h"
#include "gguf-parts.h"

#define MAX_PARTS 4

typedef struct Parts {
    uint8_t *bytes[MAX_PARTS];
    Gguf *parts[MAX_PARTS];
    uint32_t n;
} Parts;

static void parts_done(Parts *p) {
    for (uint32_t i = 0; i < p->n; i++) {
        gguf_free(p->parts[i]);
        free(p->bytes[i]);
    }
    *p = (Parts){};
}

static void add(Parts *p, GgufBuilder *b) {
    size_t size;
    Error e = {};
    p->bytes[p->n] = builder_finish(b, &size);
    if (gguf_parse(p->bytes[p->n], size, true, &p->parts[p->n], &e) < 0)
        fail_msg("%s", e.message);
    p->n++;
}

static void key_u16(GgufBuilder *b, const char *key, uint16_t v) {
    builder_key(b, key, GGUF_U16);
    blob_put(&b->keys, &v, sizeof(v));
}

static void key_i32(GgufBuilder *b, const char *key, int32_t v) {
    builder_key(b, key, GGUF_I32);
    blob_put(&b->keys, &v, sizeof(v));
}

/* With the types that gguf-split uses. */
static GgufBuilder part(uint16_t no, uint16_t count, int32_t n_tensors) {
    GgufBuilder b = GGUF_BUILDER;
    if (no == 0)
        builder_string(&b, "general.architecture", "llama");
    key_u16(&b, "split.no", no);
    key_u16(&b, "split.count", count);
    key_i32(&b, "split.tensors.count", n_tensors);
    return b;
}

static void tensor(GgufBuilder *b, const char *name, uint8_t value) {
    builder_tensor(b, name, TENSOR_F32, 8, 0)[0] = value;
}

/* Part 1 of two with tensor `a`. */
static void add_first(Parts *p, int32_t n_tensors) {
    GgufBuilder b = part(0, 2, n_tensors);
    tensor(&b, "a", 1);
    add(p, &b);
}

static void assert_refused(Parts *p, const char *words) {
    Error e = {};
    assert_int_equal(gguf_join(p->parts, p->n, &e), -EBADMSG);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
    parts_done(p);
}

/* Part 1 as it should be, and this as part 2. */
static void refuse_second(GgufBuilder *b, const char *words) {
    Parts p = {};
    add_first(&p, 2);
    add(&p, b);
    assert_refused(&p, words);
}

/* ------------------------------------------------------------------------------------------------ good ones */

static void test_joins(void **state) {
    Parts p = {};
    GgufBuilder b = part(0, 3, 3);
    builder_u32(&b, "k", 7);
    add(&p, &b); /* a first part may have no tensors */
    b = part(1, 3, 3);
    tensor(&b, "b", 2);
    tensor(&b, "c", 3);
    add(&p, &b);
    b = part(2, 3, 3);
    b.alignment = 64; /* each part is laid out for itself */
    builder_u32(&b, "general.alignment", 64);
    tensor(&b, "a", 1);
    add(&p, &b);

    assert_int_equal(gguf_join(p.parts, 3, NULL), 0);
    p.parts[1] = gguf_free(p.parts[1]);
    p.parts[2] = gguf_free(p.parts[2]);
    const Gguf *g = p.parts[0];
    assert_int_equal(gguf_n_tensors(g), 3);
    assert_int_equal(gguf_find_tensor(g, "a")->data[0], 1);
    assert_int_equal(gguf_find_tensor(g, "b")->data[0], 2);
    assert_int_equal(gguf_find_tensor(g, "c")->data[0], 3);
    uint32_t k;
    assert_int_equal(gguf_get_u32(g, "k", &k, NULL), 1);
    assert_int_equal(k, 7);
    parts_done(&p);
}

static void test_accepts_keys_of_the_first_again(void **state) {
    Parts p = {};
    GgufBuilder b[2];
    for (int i = 0; i < 2; i++) {
        b[i] = part((uint16_t)i, 2, 1);
        if (i == 1)
            builder_string(&b[i], "general.architecture", "llama");
        builder_strings(&b[i], "words", (const char *[]){"x", "yz"}, 2);
        builder_array(&b[i], "numbers", GGUF_F32, 1);
        blob_f32(&b[i].keys, 1.5f);
    }
    tensor(&b[1], "a", 1);
    add(&p, &b[0]);
    add(&p, &b[1]);
    assert_int_equal(gguf_join(p.parts, 2, NULL), 0);
    parts_done(&p);
}

static void test_knows_a_whole_file(void **state) {
    GgufSplit s;
    Parts p = {};
    GgufBuilder b = GGUF_BUILDER;
    builder_u32(&b, "k", 1);
    add(&p, &b);
    assert_int_equal(gguf_split(p.parts[0], &s, NULL), 0);
    for (uint16_t count = 0; count < 2; count++) {
        b = part(0, count, 0);
        add(&p, &b);
        assert_int_equal(gguf_split(p.parts[1 + count], &s, NULL), 0);
    }
    b = part(2, 5, 77);
    add(&p, &b);
    assert_int_equal(gguf_split(p.parts[3], &s, NULL), 1);
    assert_int_equal(s.no, 2);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.n_tensors, 77);
    parts_done(&p);
}

/* ------------------------------------------------------------------------------------------------ hostile ones */

static void refuse_keys(GgufBuilder *b, const char *words) {
    GgufSplit s;
    Error e = {};
    Parts p = {};
    add(&p, b);
    assert_int_equal(gguf_split(p.parts[0], &s, &e), -EBADMSG);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
    parts_done(&p);
}

static void test_refuses_bad_keys(void **state) {
    GgufBuilder b = part(3, 3, 1);
    refuse_keys(&b, "key split.no: 3, and there are 3 parts");
    key_u16(&b, "split.count", 3);
    refuse_keys(&b, "key split.no is missing");
    key_i32(&b, "split.count", -3);
    refuse_keys(&b, "key split.count: -3 is negative");
    builder_string(&b, "split.count", "3");
    refuse_keys(&b, "key split.count: has type string");
    b = part(0, 2, -1);
    refuse_keys(&b, "key split.tensors.count: -1 is negative");
}

static void test_refuses_a_part_of_something_else(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    tensor(&b, "b", 1);
    refuse_second(&b, "part 2 of 2 is no part: it has no key split.count");
    b = part(1, 3, 2);
    refuse_second(&b, "part 2 of 2 says that there are 3 parts");
    b = part(0, 2, 2);
    refuse_second(&b, "part 2 of 2 says that it is part 1");
    b = part(1, 2, 3);
    refuse_second(&b, "belongs to a model of 3 tensors (key split.tensors.count), part 1 to one of 2");
    b = part(2, 2, 2);
    refuse_second(&b, "part 2 of 2: key split.no: 2");
}

static void test_refuses_other_keys(void **state) {
    GgufBuilder b = part(1, 2, 2);
    builder_string(&b, "general.architecture", "qwen2");
    refuse_second(&b, "belongs to another model: its key general.architecture is not that of part 1");
    b = part(1, 2, 2);
    builder_u32(&b, "general.architecture", 5);
    refuse_second(&b, "its key general.architecture");
    b = part(1, 2, 2);
    builder_strings(&b, "tokenizer.ggml.tokens", (const char *[]){"x"}, 1);
    refuse_second(&b, "its key tokenizer.ggml.tokens");
}

/* Each way in which two arrays, or two numbers, can differ. */
static void test_compares_values(void **state) {
    static const struct {
        GgufType type;
        const char *bytes;
        size_t size, n;
    } others[] = {
        {GGUF_U8, "\1\2\3", 3, 3},
        {GGUF_I8, "\1\2", 2, 2},
        {GGUF_U8, "\1\3", 2, 2},
        {GGUF_STRING, "\1\0\0\0\0\0\0\0x\1\0\0\0\0\0\0\0y", 18, 2},
    };
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        Parts p = {};
        GgufBuilder b = part(0, 2, 0);
        builder_array(&b, "k", GGUF_U8, 2);
        blob_put(&b.keys, "\1\2", 2);
        builder_strings(&b, "s", (const char *[]){"x", "z"}, 2);
        add(&p, &b);
        b = part(1, 2, 0);
        builder_array(&b, others[i].type == GGUF_STRING ? "s" : "k", others[i].type, others[i].n);
        blob_put(&b.keys, others[i].bytes, others[i].size);
        add(&p, &b);
        assert_refused(&p, "is not that of part 1");
    }
    Parts p = {};
    GgufBuilder b = part(0, 2, 0);
    builder_u32(&b, "n", 1);
    add(&p, &b);
    b = part(1, 2, 0);
    builder_u32(&b, "n", 2);
    add(&p, &b);
    assert_refused(&p, "its key n is not that of part 1");
}

static void test_refuses_a_wrong_number_of_tensors(void **state) {
    GgufBuilder b = part(1, 2, 2);
    refuse_second(&b, "have 1 tensors together, and key split.tensors.count promises 2");
    b = part(1, 2, 2);
    tensor(&b, "b", 1);
    tensor(&b, "c", 1);
    refuse_second(&b, "have 3 tensors together");

    Parts p = {}; /* the first must say */
    b = GGUF_BUILDER;
    key_u16(&b, "split.no", 0);
    key_u16(&b, "split.count", 2);
    add(&p, &b);
    b = part(1, 2, 0);
    add(&p, &b);
    assert_refused(&p, "key split.tensors.count is missing");
}

static void test_refuses_a_tensor_in_two_parts(void **state) {
    GgufBuilder b = part(1, 2, 2);
    tensor(&b, "a", 1);
    refuse_second(&b, "tensor a occurs twice in the 2 parts");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_accepts_keys_of_the_first_again),
        cmocka_unit_test(test_knows_a_whole_file),
        cmocka_unit_test(test_refuses_bad_keys),
        cmocka_unit_test(test_refuses_a_part_of_something_else),
        cmocka_unit_test(test_refuses_other_keys),
        cmocka_unit_test(test_compares_values),
        cmocka_unit_test(test_refuses_a_wrong_number_of_tensors),
        cmocka_unit_test(test_refuses_a_tensor_in_two_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
