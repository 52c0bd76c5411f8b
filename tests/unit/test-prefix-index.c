#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "prefix-index.h"

#define N           6u
#define PAGE_TOKENS 4u

typedef struct Fixture {
    KvPool *pool;
    PrefixIndex *index;
} Fixture;

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(kv_pool_new(N, 64, &f->pool, NULL), 0);
    assert_int_equal(prefix_index_new(f->pool, PAGE_TOKENS, &f->index, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    prefix_index_free(f->index);
    kv_pool_free(f->pool);
    free(f);
    return 0;
}

static const Token hello[] = {1, 2, 3, 4}, world[] = {5, 6, 7, 8}, moon[] = {5, 6, 7, 9};

static void test_finds_what_was_inserted(void **state) {
    Fixture *f = *state;
    uint32_t a = kv_pool_alloc(f->pool), b = kv_pool_alloc(f->pool);
    assert_int_equal(prefix_index_find(f->index, 1, KV_PAGE_NONE, hello), KV_PAGE_NONE);
    assert_int_equal(prefix_index_insert(f->index, 1, KV_PAGE_NONE, hello, a), a);
    assert_int_equal(prefix_index_insert(f->index, 1, a, world, b), b);
    assert_int_equal(prefix_index_find(f->index, 1, KV_PAGE_NONE, hello), a);
    assert_int_equal(prefix_index_find(f->index, 1, a, world), b);

    /* another last token, another place, another owner */
    assert_int_equal(prefix_index_find(f->index, 1, a, moon), KV_PAGE_NONE);
    assert_int_equal(prefix_index_find(f->index, 1, KV_PAGE_NONE, world), KV_PAGE_NONE);
    assert_int_equal(prefix_index_find(f->index, 1, b, world), KV_PAGE_NONE);
    assert_int_equal(prefix_index_find(f->index, 2, KV_PAGE_NONE, hello), KV_PAGE_NONE);
    kv_pool_unref(f->pool, b);
    kv_pool_unref(f->pool, a);
    assert_int_equal(kv_pool_n_cached(f->pool), 2);
}

static void test_an_equal_page_is_known_already(void **state) {
    Fixture *f = *state;
    uint32_t a = kv_pool_alloc(f->pool), twin = kv_pool_alloc(f->pool), other = kv_pool_alloc(f->pool);
    prefix_index_insert(f->index, 1, KV_PAGE_NONE, hello, a);
    assert_int_equal(prefix_index_insert(f->index, 1, KV_PAGE_NONE, hello, twin), a);
    assert_int_equal(prefix_index_insert(f->index, 2, KV_PAGE_NONE, hello, other), other);
    kv_pool_unref(f->pool, twin);
    kv_pool_unref(f->pool, other);
    kv_pool_unref(f->pool, a);
    assert_int_equal(kv_pool_n_cached(f->pool), 2); /* the twin is free */
}

static void test_forgets_what_is_evicted(void **state) {
    Fixture *f = *state;
    uint32_t a = kv_pool_alloc(f->pool), b = kv_pool_alloc(f->pool), c = kv_pool_alloc(f->pool);
    prefix_index_insert(f->index, 1, KV_PAGE_NONE, hello, a);
    prefix_index_insert(f->index, 1, a, world, b);
    prefix_index_insert(f->index, 1, a, moon, c);
    kv_pool_unref(f->pool, c);
    kv_pool_unref(f->pool, b);
    kv_pool_unref(f->pool, a);
    uint32_t used[N];
    for (uint32_t i = 0; i < N - 1; i++)
        used[i] = kv_pool_alloc(f->pool);
    /* leaves first, in the order of their release; the root is left */
    assert_int_equal(prefix_index_find(f->index, 1, a, moon), KV_PAGE_NONE);
    assert_int_equal(prefix_index_find(f->index, 1, a, world), KV_PAGE_NONE);
    assert_int_equal(prefix_index_find(f->index, 1, KV_PAGE_NONE, hello), a);
    used[N - 1] = kv_pool_alloc(f->pool);
    assert_int_equal(prefix_index_find(f->index, 1, KV_PAGE_NONE, hello), KV_PAGE_NONE);
    for (uint32_t i = 0; i < N; i++)
        kv_pool_unref(f->pool, used[i]);
    assert_int_equal(kv_pool_n_free(f->pool), N);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_finds_what_was_inserted),
        TEST(test_an_equal_page_is_known_already),
        TEST(test_forgets_what_is_evicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
