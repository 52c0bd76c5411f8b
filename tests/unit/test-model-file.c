/* A model in one file or in several, on the disk: what is found, what is missing, what fails under us. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gguf-builder.h"
#include "model-file.h"

#define TENSOR_BYTES (64 * 1024)

static char folder[] = "/tmp/test-model-file-XXXXXX";

static const char *path_of(const char *name) {
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_part(const char *name, uint32_t no, uint32_t count, uint32_t n_tensors, const char *tensor) {
    GgufBuilder b = GGUF_BUILDER;
    if (count > 0) {
        builder_u32(&b, "split.no", no);
        builder_u32(&b, "split.count", count);
        builder_u32(&b, "split.tensors.count", n_tensors);
    }
    if (tensor)
        memset(builder_tensor(&b, tensor, TENSOR_F32, TENSOR_BYTES / 4, 0), 'A' + (int)no, TENSOR_BYTES);
    builder_write(&b, path_of(name));
}

/* Three parts with the tensors a, b and c. */
static void write_split(void) {
    write_part("m-00001-of-00003.gguf", 0, 3, 3, "a");
    write_part("m-00002-of-00003.gguf", 1, 3, 3, "b");
    write_part("m-00003-of-00003.gguf", 2, 3, 3, "c");
}

static void empty_folder(void) {
    DIR *d = opendir(folder);
    for (struct dirent *de; (de = readdir(d));)
        if (de->d_name[0] != '.')
            unlink(path_of(de->d_name));
    closedir(d);
}

static void rename_file(const char *from, const char *to) {
    char path[4096];
    strcpy(path, path_of(from));
    assert_int_equal(rename(path, path_of(to)), 0);
}

static uint64_t bytes_of(const char *name) {
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    return (uint64_t)st.st_size;
}

static void assert_refused(const char *name, int code, const char *words) {
    ModelFile *f = NULL;
    Error e = {};
    assert_int_equal(model_file_open(path_of(name), &f, &e), code);
    assert_null(f);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
}

/* ------------------------------------------------------------------------------------------------ a failing disk */

/* In a child, for cmocka's handler of SIGBUS would come before ours; so these tests come before any that maps. */
static int status_of_child(void (*fn)(void)) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_a_truncated_part(void) {
    ModelFile *f = NULL;
    if (model_file_open(path_of("m-00001-of-00003.gguf"), &f, NULL) < 0 || model_file_failed(f))
        _exit(1);
    Gguf *g = model_file_take_gguf(f);
    const GgufTensor *b = gguf_find_tensor(g, "b"), *c = gguf_find_tensor(g, "c");
    if (truncate(path_of("m-00002-of-00003.gguf"), 0) < 0)
        _exit(2);
    volatile const uint8_t *bytes = b->data;
    if (bytes[TENSOR_BYTES - 1] != 0 || !model_file_failed(f))
        _exit(3);
    if (c->data[0] != 'C') /* the others are as they were */
        _exit(4);
    gguf_free(g);
    model_file_free(f);
}

static void test_survives_a_part_that_fails(void **state) {
    write_split();
    assert_int_equal(status_of_child(read_a_truncated_part), 0);
}

/* ------------------------------------------------------------------------------------------------ good ones */

static void test_opens_a_whole_file(void **state) {
    static const char *const names[] = {"m.gguf", "m-00001-of-00001.gguf"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        write_part(names[i], 0, 0, 0, "a");
        _cleanup_(model_file_freep) ModelFile *f = NULL;
        assert_int_equal(model_file_open(path_of(names[i]), &f, NULL), 0);
        assert_int_equal(model_file_bytes(f), bytes_of(names[i]));
        assert_false(model_file_failed(f));
        _cleanup_(gguf_freep) Gguf *g = model_file_take_gguf(f);
        assert_int_equal(gguf_n_tensors(g), 1);
    }
}

static void test_opens_all_parts(void **state) {
    write_split();
    _cleanup_(model_file_freep) ModelFile *f = NULL;
    Error e = {};
    if (model_file_open(path_of("m-00001-of-00003.gguf"), &f, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(model_file_bytes(f),
        bytes_of("m-00001-of-00003.gguf") + bytes_of("m-00002-of-00003.gguf") + bytes_of("m-00003-of-00003.gguf"));
    _cleanup_(gguf_freep) Gguf *g = model_file_take_gguf(f);
    assert_int_equal(gguf_n_tensors(g), 3);
    assert_int_equal(gguf_find_tensor(g, "a")->data[0], 'A');
    assert_int_equal(gguf_find_tensor(g, "c")->data[TENSOR_BYTES - 1], 'C');
}

/* As download caches keep them: names are links, the files have others. */
static void test_finds_parts_by_the_link(void **state) {
    write_part("blob1", 0, 2, 1, NULL);
    write_part("blob2", 1, 2, 1, "a");
    for (int i = 1; i <= 2; i++) {
        char target[16], name[64];
        snprintf(target, sizeof(target), "blob%d", i);
        snprintf(name, sizeof(name), "l-0000%d-of-00002.gguf", i);
        assert_int_equal(symlink(target, path_of(name)), 0);
    }
    _cleanup_(model_file_freep) ModelFile *f = NULL;
    assert_int_equal(model_file_open(path_of("l-00001-of-00002.gguf"), &f, NULL), 0);
}

/* ------------------------------------------------------------------------------------------------ hostile ones */

static void test_refuses_a_missing_part(void **state) {
    write_split();
    unlink(path_of("m-00002-of-00003.gguf"));
    char words[4200];
    snprintf(words, sizeof(words), "part 2 of 3 is missing: put %s beside", path_of("m-00002-of-00003.gguf"));
    assert_refused("m-00001-of-00003.gguf", -EBADMSG, words);
}

static void test_refuses_a_damaged_part(void **state) {
    write_split();
    assert_int_equal(truncate(path_of("m-00003-of-00003.gguf"), 1000), 0);
    assert_refused("m-00001-of-00003.gguf", -EBADMSG, "part 3 of 3, m-00003-of-00003.gguf: tensor c: ends");
    assert_int_equal(truncate(path_of("m-00003-of-00003.gguf"), 0), 0);
    assert_refused("m-00001-of-00003.gguf", -EBADMSG, "part 3 of 3, m-00003-of-00003.gguf:");
    unlink(path_of("m-00003-of-00003.gguf"));
    assert_int_equal(mkdir(path_of("m-00003-of-00003.gguf"), 0700), 0);
    assert_refused("m-00001-of-00003.gguf", -EINVAL, "part 3 of 3, m-00003-of-00003.gguf:");
    rmdir(path_of("m-00003-of-00003.gguf"));
}

static void test_refuses_another_part_than_the_first(void **state) {
    write_split();
    assert_refused("m-00002-of-00003.gguf", -EBADMSG,
        "m-00002-of-00003.gguf is part 2 of a model split into 3; load the first part");
    unlink(path_of("m-00001-of-00003.gguf"));
    assert_refused("m-00002-of-00003.gguf", -EBADMSG, "the first part is missing");
    rename_file("m-00003-of-00003.gguf", "m.gguf");
    assert_refused("m.gguf", -EBADMSG, "m.gguf is part 3 of a model split into 3; load the first, NAME-00001-of-00003");
}

static void test_refuses_wrong_names(void **state) {
    write_split();
    rename_file("m-00001-of-00003.gguf", "m.gguf");
    assert_refused("m.gguf", -EBADMSG, "is the first of 3 parts (key split.count), so its name must end in -00001-of-");
    rename_file("m.gguf", "m-00001-of-00002.gguf");
    assert_refused("m-00001-of-00002.gguf", -EBADMSG, "is named as part 1 of 2, but is part 1 of 3");
    rename_file("m-00001-of-00002.gguf", "m-00002-of-00003.gguf");
    assert_refused("m-00002-of-00003.gguf", -EBADMSG, "is named as part 2 of 3, but is part 1 of 3");

    write_part("w-00001-of-00002.gguf", 0, 0, 0, "a");
    assert_refused(
        "w-00001-of-00002.gguf", -EBADMSG, "but has no key split.count: if it is a whole model, rename it to w.gguf");
}

static void test_refuses_exchanged_parts(void **state) {
    write_split();
    rename_file("m-00002-of-00003.gguf", "x");
    rename_file("m-00003-of-00003.gguf", "m-00002-of-00003.gguf");
    rename_file("x", "m-00003-of-00003.gguf");
    assert_refused("m-00001-of-00003.gguf", -EBADMSG, "part 2 of 3 says that it is part 3 (key split.no)");
}

static void test_refuses_more_parts_than_there_can_be(void **state) {
    write_part("m-00001-of-65535.gguf", 0, 65535, 1, "a");
    assert_refused("m-00001-of-65535.gguf", -EBADMSG, "key split.count: 65535 parts are more than the 1024");
    write_part("m-00001-of-01024.gguf", 0, 1024, 1, "a");
    assert_refused("m-00001-of-01024.gguf", -EBADMSG, "part 2 of 1024 is missing");
}

static int setup(void **state) {
    return mkdtemp(folder) ? 0 : -1;
}

static int clean(void **state) {
    empty_folder();
    return 0;
}

static int teardown(void **state) {
    empty_folder();
    return rmdir(folder);
}

#define TEST(f) cmocka_unit_test_teardown(f, clean)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_survives_a_part_that_fails),
        TEST(test_opens_a_whole_file),
        TEST(test_opens_all_parts),
        TEST(test_finds_parts_by_the_link),
        TEST(test_refuses_a_missing_part),
        TEST(test_refuses_a_damaged_part),
        TEST(test_refuses_another_part_than_the_first),
        TEST(test_refuses_wrong_names),
        TEST(test_refuses_exchanged_parts),
        TEST(test_refuses_more_parts_than_there_can_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
