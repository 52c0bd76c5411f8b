#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "forward.h"
#include "sequence.h"

#define N 8u
#define P KV_PAGE_TOKENS

typedef struct Fixture {
    KvPool *pool;
    PrefixIndex *index;
    Token prompt[N * P];
    Sequence a, b;
} Fixture;

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(kv_pool_new(N, 64, &f->pool, NULL), 0);
    assert_int_equal(prefix_index_new(f->pool, P, &f->index, NULL), 0);
    for (uint32_t i = 0; i < N * P; i++)
        f->prompt[i] = i;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    sequence_release(&f->a, f->pool);
    sequence_release(&f->b, f->pool);
    sequence_done(&f->a);
    sequence_done(&f->b);
    prefix_index_free(f->index);
    kv_pool_free(f->pool);
    free(f);
    return 0;
}

static void compute(Fixture *f, Sequence *s, uint32_t n) {
    assert_int_equal(sequence_reserve(s, f->pool, s->n_computed + n), 0);
    sequence_advance(s, f->pool, f->index, n);
}

static void test_goes_on_from_what_another_has_computed(void **state) {
    Fixture *f = *state;
    assert_int_equal(sequence_init(&f->a, 1, ENGINE_PRIORITY_NORMAL, f->prompt, 3 * P, 4 * P), 0);
    assert_int_equal(sequence_init(&f->b, 1, ENGINE_PRIORITY_NORMAL, f->prompt, 3 * P, 4 * P), 0);
    compute(f, &f->a, P + 5);
    sequence_adopt(&f->b, f->pool, f->index);
    assert_int_equal(f->b.n_computed, P); /* only the full page */
    compute(f, &f->a, 2 * P - 5);
    sequence_adopt(&f->b, f->pool, f->index);
    assert_int_equal(f->b.n_computed, 2 * P); /* the last token is left to compute */
    assert_int_equal(f->b.pages[1], f->a.pages[1]);
    assert_int_equal(kv_pool_n_refs(f->pool, f->a.pages[0]), 2);

    compute(f, &f->b, P);
    assert_int_equal(f->b.n_cached, 2 * P);
    assert_int_equal(f->b.pages[2], f->a.pages[2]); /* computed twice, kept once */
    assert_int_equal(kv_pool_n_free(f->pool), N - 3);
}

static void test_never_writes_into_a_shared_page(void **state) {
    Fixture *f = *state;
    assert_int_equal(sequence_init(&f->a, 1, ENGINE_PRIORITY_NORMAL, f->prompt, P + 10, 4 * P), 0);
    assert_int_equal(sequence_init(&f->b, 1, ENGINE_PRIORITY_NORMAL, f->prompt, P + 10, 4 * P), 0);
    compute(f, &f->a, P + 10);
    sequence_adopt(&f->b, f->pool, f->index);
    compute(f, &f->b, 10);
    assert_int_equal(f->a.pages[0], f->b.pages[0]);
    assert_int_not_equal(f->a.pages[1], f->b.pages[1]);
    sequence_append(&f->a, 1000);
    sequence_append(&f->b, 2000); /* a fork */
    compute(f, &f->a, 1);
    compute(f, &f->b, 1);
    assert_true(sequence_is_decoding(&f->a) == false); /* all is computed, no token waits */
    sequence_append(&f->a, 1001);
    assert_true(sequence_is_decoding(&f->a));
}

static void test_finds_its_own_pages_after_a_pause(void **state) {
    Fixture *f = *state;
    assert_int_equal(sequence_init(&f->a, 1, ENGINE_PRIORITY_NORMAL, f->prompt, 2 * P, 4 * P), 0);
    compute(f, &f->a, 2 * P);
    for (Token t = 0; t < P + 1; t++) {
        sequence_append(&f->a, 5000 + t);
        compute(f, &f->a, 1);
    }
    sequence_append(&f->a, 7000);
    sequence_release(&f->a, f->pool);
    assert_int_equal(kv_pool_n_cached(f->pool), 3);
    assert_int_equal(f->a.n_computed, 0);
    sequence_adopt(&f->a, f->pool, f->index);
    assert_int_equal(f->a.n_computed, 3 * P);
    compute(f, &f->a, 2);
    assert_int_equal(f->a.n_cached, 0); /* nothing that somebody else had done */
}

static void test_keeps_what_it_got_when_the_pool_is_exhausted(void **state) {
    Fixture *f = *state;
    assert_int_equal(sequence_init(&f->a, 1, ENGINE_PRIORITY_NORMAL, f->prompt, 6 * P, 6 * P), 0);
    assert_int_equal(sequence_init(&f->b, 1, ENGINE_PRIORITY_NORMAL, f->prompt, 6 * P, 6 * P), 0);
    assert_int_equal(sequence_reserve(&f->a, f->pool, 6 * P), 0);
    assert_int_equal(sequence_reserve(&f->b, f->pool, 3 * P), -ENOSPC);
    assert_int_equal(f->b.n_pages, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_goes_on_from_what_another_has_computed),
        TEST(test_never_writes_into_a_shared_page),
        TEST(test_finds_its_own_pages_after_a_pause),
        TEST(test_keeps_what_it_got_when_the_pool_is_exhausted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
