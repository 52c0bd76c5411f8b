/* How large a pool and a context become, from what was asked and what there is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "engine-size.h"
#include "forward.h"
#include "sequence.h"

#define PAGE ((size_t)4096)
#define MIB  ((uint64_t)1 << 20)

static const Config config = {.n_ctx_train = 1000 * KV_PAGE_TOKENS};

static void expect(EngineOptions o, uint64_t memory, uint32_t want_pages, uint32_t want_context) {
    uint32_t pages = 0, context = 0;
    Error e = {};
    if (engine_size_choose(&o, &config, PAGE, memory, &pages, &context, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(pages, want_pages);
    assert_int_equal(context, want_context);
}

static void refuse(EngineOptions o, uint64_t memory, const char *words) {
    uint32_t pages = 77, context = 77;
    Error e = {};
    assert_int_equal(engine_size_choose(&o, &config, PAGE, memory, &pages, &context, &e), -ENOMEM);
    assert_int_equal(pages, 77);
    assert_int_equal(context, 77);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
}

static void test_follows_from_the_model_and_the_memory(void **state) {
    expect((EngineOptions){}, 1024 * MIB, 4000, 1000 * KV_PAGE_TOKENS);
    expect((EngineOptions){}, 0, 4000, 1000 * KV_PAGE_TOKENS); /* not known */
    expect((EngineOptions){}, 4000 * PAGE, 1000, 1000 * KV_PAGE_TOKENS);
    expect((EngineOptions){}, 40 * PAGE, 10, 10 * KV_PAGE_TOKENS);
    expect((EngineOptions){.context_size = 5 * KV_PAGE_TOKENS}, 1024 * MIB, 20, 5 * KV_PAGE_TOKENS);
}

static void test_takes_what_is_asked_for(void **state) {
    expect((EngineOptions){.pool_bytes = 100 * PAGE}, 1024 * MIB, 100, 100 * KV_PAGE_TOKENS);
    expect((EngineOptions){.pool_bytes = 5000 * PAGE}, 1024 * MIB, 5000, 1000 * KV_PAGE_TOKENS);
    expect((EngineOptions){.pool_bytes = 100 * PAGE, .context_size = 64}, 1024 * MIB, 100, 64);
    expect((EngineOptions){.context_size = UINT32_MAX}, 1024 * MIB, 4000, 1000 * KV_PAGE_TOKENS);
}

static void test_refuses_what_does_not_fit(void **state) {
    refuse((EngineOptions){.pool_bytes = 300 * MIB}, 200 * MIB, "a KV pool of 300 MiB is 100 MiB more than");
    refuse((EngineOptions){.pool_bytes = 512 * PAGE, .context_size = 1000 * KV_PAGE_TOKENS}, 200 * MIB,
        "needs a KV pool of 3.9 MiB, and there are 2.0 MiB for it: 1.9 MiB are missing");
    refuse((EngineOptions){.pool_bytes = 1}, 200 * MIB, "needs at least 4096 bytes");
    refuse((EngineOptions){}, 4 * PAGE - 1, "needs at least 4096 bytes");
}

static void test_an_encoder_needs_no_pool(void **state) {
    const Config c = {.n_ctx_train = 512, .encoder = true};
    uint32_t pages = 0, context = 0;
    assert_int_equal(engine_size_choose(&(EngineOptions){}, &c, PAGE, 1024 * MIB, &pages, &context, NULL), 0);
    assert_int_equal(pages, 1);
    assert_int_equal(context, 512);
}

static void test_knows_the_machines_memory(void **state) {
    assert_true(engine_size_memory() > 16 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_from_the_model_and_the_memory),
        cmocka_unit_test(test_takes_what_is_asked_for),
        cmocka_unit_test(test_refuses_what_does_not_fit),
        cmocka_unit_test(test_an_encoder_needs_no_pool),
        cmocka_unit_test(test_knows_the_machines_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
