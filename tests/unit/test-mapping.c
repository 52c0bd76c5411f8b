#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mapping.h"

#define FILE_SIZE (256 * 1024)

static char folder[] = "/tmp/test-mapping-XXXXXX";

static const char *path_of(const char *name) {
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static const char *make_file(const char *name, size_t size) {
    const char *path = path_of(name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(fputc(0x5A, f), 0x5A);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* cmocka has a SIGBUS handler of its own around every test. So what is about the signal runs in a child that has ours
 * alone: `handler` first, then the one that its first mapping installs. So these tests come before any that maps
 * something in this process. Returns wait()'s status. */
static int status_of_child(void (*handler)(int), void (*fn)(void)) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGBUS, handler);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* assert_true() for the child. */
#define CHECK(condition)                                                                                               \
    do                                                                                                                 \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    while (0)

static Mapping *check_open(const char *path) {
    Mapping *m = NULL;
    CHECK(mapping_open(path, &m, NULL) == 0);
    return m;
}

static uint64_t sum(const Mapping *m) {
    size_t size;
    const uint8_t *p = mapping_bytes(m, &size);
    uint64_t s = 0;
    for (size_t i = 0; i < size; i++)
        s += ((const volatile uint8_t *)p)[i];
    return s;
}

/* ------------------------------------------------------------------------------------------------ foreign signals */

/* A read that raises SIGBUS outside any of our mappings. */
static void fault_elsewhere(void) {
    mapping_free(check_open(path_of("elsewhere"))); /* the guard is disarmed, the handler stays */
    int fd = open(path_of("elsewhere"), O_RDWR | O_CLOEXEC);
    volatile uint8_t *p = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && ftruncate(fd, 0) == 0);
    (void)p[FILE_SIZE / 2];
}

static void on_sigbus(int sig) {
    _exit(42);
}

static void test_a_foreign_fault_goes_to_the_handler_before_us(void **state) {
    make_file("elsewhere", FILE_SIZE);
    int status = status_of_child(on_sigbus, fault_elsewhere);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void test_a_foreign_fault_kills_where_it_did(void **state) {
    make_file("elsewhere", FILE_SIZE);
    int status = status_of_child(SIG_DFL, fault_elsewhere);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
}

/* ------------------------------------------------------------------------------------------------ our mappings */

static void test_maps_a_file(void **state) {
    _cleanup_(mapping_freep) Mapping *m = NULL;
    assert_int_equal(mapping_open(make_file("plain", 5000), &m, NULL), 0);
    size_t size;
    assert_int_equal(mapping_bytes(m, &size)[4999], 0x5A);
    assert_int_equal(size, 5000);
    assert_false(mapping_failed(m));
}

static void test_follows_links(void **state) {
    char target[4096];
    snprintf(target, sizeof(target), "%s", make_file("target", 10));
    assert_int_equal(symlink(target, path_of("link")), 0);
    _cleanup_(mapping_freep) Mapping *m = NULL;
    assert_int_equal(mapping_open(path_of("link"), &m, NULL), 0);
}

static void truncate_one_of_two(void) {
    Mapping *whole = check_open(path_of("whole")), *cut = check_open(path_of("cut"));
    CHECK(sum(cut) == 0x5Aull * FILE_SIZE);
    CHECK(truncate(path_of("cut"), 4096) == 0);
    CHECK(!mapping_failed(cut));
    sum(cut);
    CHECK(mapping_failed(cut));
    CHECK(sum(cut) == 0); /* and no second fault */
    CHECK(sum(whole) == 0x5Aull * FILE_SIZE);
    CHECK(!mapping_failed(whole));
}

static void test_survives_truncation(void **state) {
    make_file("whole", FILE_SIZE);
    make_file("cut", FILE_SIZE);
    assert_int_equal(status_of_child(SIG_DFL, truncate_one_of_two), 0);
}

static void truncate_every_other(void) {
    for (int i = 0; i < 10; i++) {
        CHECK(truncate(path_of("again"), FILE_SIZE) == 0);
        _cleanup_(mapping_freep) Mapping *m = check_open(path_of("again"));
        CHECK(truncate(path_of("again"), i % 2 * FILE_SIZE) == 0);
        sum(m);
        CHECK(mapping_failed(m) == (i % 2 == 0));
    }
}

static void test_a_guard_used_again_starts_afresh(void **state) {
    make_file("again", FILE_SIZE);
    assert_int_equal(status_of_child(SIG_DFL, truncate_every_other), 0);
}

static void *read_all(void *m) {
    for (int i = 0; i < 20; i++)
        sum(m);
    return NULL;
}

static void truncate_under_readers(void) {
    Mapping *m = check_open(path_of("shared"));
    pthread_t readers[4];
    for (size_t i = 0; i < ELEMENTSOF(readers); i++)
        CHECK(pthread_create(&readers[i], NULL, read_all, m) == 0);
    CHECK(truncate(path_of("shared"), 0) == 0);
    for (size_t i = 0; i < ELEMENTSOF(readers); i++)
        pthread_join(readers[i], NULL);
    sum(m);
    CHECK(mapping_failed(m));
}

static void test_many_readers_survive_together(void **state) {
    make_file("shared", FILE_SIZE);
    assert_int_equal(status_of_child(SIG_DFL, truncate_under_readers), 0);
}

static void assert_refused(const char *name, int code, const char *words) {
    Mapping *m = NULL;
    Error e = {};
    assert_int_equal(mapping_open(path_of(name), &m, &e), code);
    assert_null(m);
    assert_non_null(strstr(e.message, words));
    assert_non_null(strstr(e.message, path_of(name)));
}

static void test_refuses_what_is_no_file(void **state) {
    assert_refused("absent", -ENOENT, "cannot open");
    make_file("empty", 0);
    assert_refused("empty", -EBADMSG, "is empty");
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    assert_refused("folder", -EINVAL, "not a regular file");
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0); /* must not hang */
    assert_refused("pipe", -EINVAL, "not a regular file");
    rmdir(path_of("folder"));
}

static int setup(void **state) {
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    static const char *const names[] = {
        "elsewhere", "plain", "target", "link", "whole", "cut", "again", "shared", "empty", "pipe"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        unlink(path_of(names[i]));
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_foreign_fault_goes_to_the_handler_before_us),
        cmocka_unit_test(test_a_foreign_fault_kills_where_it_did),
        cmocka_unit_test(test_survives_truncation),
        cmocka_unit_test(test_a_guard_used_again_starts_afresh),
        cmocka_unit_test(test_many_readers_survive_together),
        cmocka_unit_test(test_maps_a_file),
        cmocka_unit_test(test_follows_links),
        cmocka_unit_test(test_refuses_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
