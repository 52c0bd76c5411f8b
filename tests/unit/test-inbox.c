#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "inbox.h"

static Generation *generation(void) {
    static const Token prompt[] = {1, 2, 3};
    const EngineRequest r = {.prompt = prompt, .n_prompt = 3, .max_tokens = 1, .sampler = SAMPLER_OPTIONS_DEFAULT};
    Generation *g = NULL;
    assert_int_equal(generation_new(&r, 4, 1000, &g, NULL), 0);
    return g;
}

static uint64_t submit(Inbox *x) {
    uint64_t id;
    assert_int_equal(inbox_submit(x, generation(), &id, NULL), 0);
    return id;
}

static void forget(Inbox *x, Generation *g) {
    inbox_forget(x, g);
    generation_free(g);
}

static void test_brings_requests_in_order(void **state) {
    Inbox x;
    assert_int_equal(inbox_init(&x, 3), 0);
    uint64_t id[3] = {submit(&x), submit(&x), submit(&x)};
    assert_true(id[0] < id[1] && id[1] < id[2]);

    Error e = {};
    uint64_t none = 0;
    Generation *fourth = generation();
    assert_int_equal(inbox_submit(&x, fourth, &none, &e), -EBUSY);
    assert_int_equal(none, 0);
    generation_free(fourth);

    InboxNews news = inbox_receive(&x, 0);
    Generation *g[3];
    for (int i = 0; i < 3; i++, news.submitted = news.submitted->next) {
        g[i] = news.submitted;
        assert_int_equal(g[i]->sequence.id, id[i]);
    }
    assert_null(news.submitted);
    assert_null(news.cancelled);
    assert_null(inbox_receive(&x, 0).submitted);
    for (int i = 0; i < 3; i++)
        forget(&x, g[i]);
    assert_int_equal(inbox_n_live(&x), 0);
    inbox_done(&x);
}

static void test_brings_cancellations_and_credit(void **state) {
    Inbox x;
    assert_int_equal(inbox_init(&x, 2), 0);
    uint64_t a = submit(&x), b = submit(&x);
    InboxNews news = inbox_receive(&x, 0);
    Generation *first = news.submitted, *second = first->next;
    first->outstanding = second->outstanding = 100;

    inbox_credit(&x, a, 30);
    inbox_credit(&x, a, 20);
    inbox_credit(&x, b, UINT64_MAX);
    inbox_credit(&x, b, 1);
    inbox_cancel(&x, b, -ESHUTDOWN, "stopping");
    inbox_cancel(&x, b, 0, NULL); /* the first counts */
    inbox_credit(&x, 4711, 5);
    inbox_cancel(&x, 4711, 0, NULL);
    news = inbox_receive(&x, UINT64_MAX);
    assert_int_equal(first->outstanding, 50);
    assert_int_equal(second->outstanding, 0); /* more than was owed is not kept */
    assert_ptr_equal(news.cancelled, second);
    assert_null(second->cancelled_next);
    assert_int_equal(second->cancel_error.code, -ESHUTDOWN);
    assert_string_equal(second->cancel_error.message, "stopping");

    /* gone while it is still in the list of the touched */
    inbox_credit(&x, a, 1);
    inbox_credit(&x, b, 1);
    forget(&x, second);
    inbox_credit(&x, b, 1);
    news = inbox_receive(&x, 0);
    assert_int_equal(first->outstanding, 49);
    forget(&x, first);
    inbox_done(&x);
}

static uint64_t now_usec(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void *stop_later(void *userdata) {
    usleep(10000);
    inbox_stop(userdata);
    return NULL;
}

static void test_sleeps_until_something_comes(void **state) {
    Inbox x;
    assert_int_equal(inbox_init(&x, 2), 0);
    uint64_t until = now_usec() + 20000;
    assert_false(inbox_receive(&x, until).stopping);
    assert_true(now_usec() >= until);

    pthread_t t;
    pthread_create(&t, NULL, stop_later, &x);
    assert_true(inbox_receive(&x, UINT64_MAX).stopping);
    pthread_join(t, NULL);
    inbox_done(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brings_requests_in_order),
        cmocka_unit_test(test_brings_cancellations_and_credit),
        cmocka_unit_test(test_sleeps_until_something_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
