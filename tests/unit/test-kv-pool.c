#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "kv-pool.h"

#define N 8u

typedef struct Fixture {
    KvPool *pool;
    uint32_t evicted[64];
    size_t n_evicted;
} Fixture;

static void note_eviction(void *userdata, uint32_t page) {
    Fixture *f = userdata;
    f->evicted[f->n_evicted++] = page;
}

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(kv_pool_new(N, 4096, &f->pool, NULL), 0);
    kv_pool_set_evict(f->pool, note_eviction, f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    kv_pool_free(f->pool);
    free(f);
    return 0;
}

/* A page that nobody holds but that can be found. */
static uint32_t cache(Fixture *f, uint64_t owner) {
    uint32_t page = kv_pool_alloc(f->pool);
    kv_pool_keep(f->pool, page, owner);
    kv_pool_unref(f->pool, page);
    return page;
}

static void test_gives_out_every_page_once(void **state) {
    Fixture *f = *state;
    bool seen[N] = {};
    for (uint32_t i = 0; i < N; i++) {
        uint32_t page = kv_pool_alloc(f->pool);
        assert_in_range(page, 0, N - 1);
        assert_false(seen[page]);
        seen[page] = true;
        memset(kv_pool_page(f->pool, page), 0xFF, 4096);
    }
    assert_int_equal(kv_pool_alloc(f->pool), KV_PAGE_NONE);
    assert_int_equal(kv_pool_n_available(f->pool), 0);
    for (uint32_t i = 0; i < N; i++)
        kv_pool_unref(f->pool, i);
    assert_int_equal(kv_pool_n_free(f->pool), N);
}

static void test_a_page_lives_as_long_as_its_last_reference(void **state) {
    Fixture *f = *state;
    uint32_t page = kv_pool_alloc(f->pool);
    kv_pool_ref(f->pool, page);
    kv_pool_unref(f->pool, page);
    assert_int_equal(kv_pool_n_refs(f->pool, page), 1);
    assert_int_equal(kv_pool_n_free(f->pool), N - 1);
    kv_pool_unref(f->pool, page);
    assert_int_equal(kv_pool_n_free(f->pool), N);
}

static void test_a_kept_page_stays_until_it_is_needed(void **state) {
    Fixture *f = *state;
    uint32_t page = cache(f, 1);
    assert_int_equal(kv_pool_n_cached(f->pool), 1);
    kv_pool_ref(f->pool, page); /* found again */
    assert_int_equal(kv_pool_n_cached(f->pool), 0);
    kv_pool_unref(f->pool, page);

    for (uint32_t i = 0; i < N - 1; i++)
        assert_int_not_equal(kv_pool_alloc(f->pool), page);
    assert_int_equal(f->n_evicted, 0);
    assert_int_equal(kv_pool_alloc(f->pool), page);
    assert_int_equal(f->n_evicted, 1);
    assert_int_equal(f->evicted[0], page);

    /* and is then an ordinary page */
    for (uint32_t i = 0; i < N; i++)
        kv_pool_unref(f->pool, i);
    assert_int_equal(kv_pool_n_free(f->pool), N);
}

static void test_evicts_the_least_recently_used(void **state) {
    Fixture *f = *state;
    uint32_t page[N];
    for (uint32_t i = 0; i < N; i++)
        page[i] = cache(f, 1);
    kv_pool_ref(f->pool, page[0]);
    kv_pool_unref(f->pool, page[0]);
    for (uint32_t i = 0; i < N; i++)
        kv_pool_alloc(f->pool);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(f->evicted[i], page[(i + 1) % N]);
    for (uint32_t i = 0; i < N; i++)
        kv_pool_unref(f->pool, i);
}

/* One owner has filled the pool, another has little: the flood pays, until both have the same. */
static void test_evicts_from_the_owner_with_the_most(void **state) {
    Fixture *f = *state;
    uint32_t little[2] = {cache(f, 1), cache(f, 1)};
    uint32_t flood[6];
    for (uint32_t i = 0; i < 6; i++)
        flood[i] = cache(f, 2);

    for (uint32_t i = 0; i < 4; i++) {
        kv_pool_alloc(f->pool);
        assert_int_equal(f->evicted[i], flood[i]);
    }
    uint32_t third = cache(f, 3);
    assert_int_equal(f->n_evicted, 5); /* of one of the two with 2 each */
    for (uint32_t i = 0; i < 4; i++)
        kv_pool_alloc(f->pool);
    assert_int_equal(f->n_evicted, 9);
    assert_int_equal(kv_pool_n_cached(f->pool), 0);
    bool gone = false;
    for (uint32_t i = 5; i < 9; i++)
        gone |= f->evicted[i] == third;
    assert_true(gone);
    (void)little;
    for (uint32_t i = 0; i < N; i++)
        kv_pool_unref(f->pool, i);
}

static void test_refuses_impossible_sizes(void **state) {
    KvPool *p = NULL;
    Error e = {};
    assert_int_equal(kv_pool_new(0, 64, &p, &e), -EINVAL);
    assert_int_equal(kv_pool_new(UINT32_MAX, 64, &p, &e), -EINVAL);
    assert_int_equal(kv_pool_new(1u << 30, SIZE_MAX / 4, &p, &e), -EINVAL);
    assert_int_equal(kv_pool_new(1u << 10, SIZE_MAX >> 12, &p, &e), -ENOMEM);
    assert_null(p);
}

/* A hundred thousand random operations beside the plainest model of them. */
static void test_keeps_count(void **state) {
    Fixture *f = *state;
    unsigned seed = 7;
    uint32_t refs[N] = {};
    uint64_t owner[N] = {}; /* 0: not kept */
    for (int step = 0; step < 100000; step++) {
        uint32_t page = (unsigned)rand_r(&seed) % N;
        f->n_evicted = 0;
        switch (rand_r(&seed) % 4) {
        case 0:
            page = kv_pool_alloc(f->pool);
            if (page == KV_PAGE_NONE) {
                for (uint32_t i = 0; i < N; i++)
                    assert_true(refs[i] > 0);
                break;
            }
            assert_int_equal(refs[page], 0);
            assert_int_equal(f->n_evicted, owner[page] != 0);
            if (owner[page] != 0) {
                uint32_t n[4] = {};
                for (uint32_t i = 0; i < N; i++)
                    n[owner[i]] += refs[i] == 0;
                for (uint64_t i = 1; i < 4; i++)
                    assert_true(n[owner[page]] >= n[i]);
            }
            refs[page] = 1;
            owner[page] = 0;
            break;
        case 1:
            if (refs[page] > 0 || owner[page] > 0) {
                kv_pool_ref(f->pool, page);
                refs[page]++;
            }
            break;
        case 2:
            if (refs[page] > 0) {
                kv_pool_unref(f->pool, page);
                refs[page]--;
            }
            break;
        case 3:
            if (refs[page] > 0 && owner[page] == 0) {
                owner[page] = 1 + (unsigned)rand_r(&seed) % 3;
                kv_pool_keep(f->pool, page, owner[page]);
            }
            break;
        }
        uint32_t n_free = 0, n_cached = 0;
        for (uint32_t i = 0; i < N; i++) {
            assert_int_equal(kv_pool_n_refs(f->pool, i), refs[i]);
            n_free += refs[i] == 0 && owner[i] == 0;
            n_cached += refs[i] == 0 && owner[i] > 0;
        }
        assert_int_equal(kv_pool_n_free(f->pool), n_free);
        assert_int_equal(kv_pool_n_cached(f->pool), n_cached);
    }
    for (uint32_t i = 0; i < N; i++)
        while (refs[i] > 0) {
            kv_pool_unref(f->pool, i);
            refs[i]--;
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_gives_out_every_page_once),
        TEST(test_a_page_lives_as_long_as_its_last_reference),
        TEST(test_a_kept_page_stays_until_it_is_needed),
        TEST(test_evicts_the_least_recently_used),
        TEST(test_evicts_from_the_owner_with_the_most),
        TEST(test_refuses_impossible_sizes),
        TEST(test_keeps_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
