#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

#define N 1000

typedef struct Sums {
    Threads *threads;
    uint32_t squares[N], prefix[N]; /* plain memory: the barrier alone makes them visible */
    uint8_t claimed[N];
} Sums;

/* Two phases: the second reads what other threads wrote in the first. */
static void square_then_sum(void *userdata, unsigned i) {
    Sums *s = userdata;
    size_t begin, end;

    while (threads_next(s->threads, N, 7, &begin, &end))
        for (size_t j = begin; j < end; j++) {
            s->squares[j] = (uint32_t)(j * j);
            s->claimed[j]++;
        }
    threads_barrier(s->threads);
    while (threads_next(s->threads, N, 64, &begin, &end))
        for (size_t j = begin; j < end; j++) {
            s->prefix[j] = 0;
            for (size_t l = 0; l <= j; l++)
                s->prefix[j] += s->squares[l];
        }
    threads_barrier(s->threads);
}

static void check_sums(unsigned n_threads, unsigned n_steps, unsigned pause_usec) {
    Error e = {};
    _cleanup_(threads_freep) Threads *t = NULL;
    assert_int_equal(threads_new(n_threads, &t, &e), 0);
    assert_int_equal(threads_count(t), n_threads);

    for (unsigned step = 0; step < n_steps; step++) {
        Sums s = {.threads = t};
        threads_run(t, square_then_sum, &s);
        uint32_t sum = 0;
        for (uint32_t j = 0; j < N; j++) {
            sum += j * j;
            assert_int_equal(s.prefix[j], sum);
            assert_int_equal(s.claimed[j], 1);
        }
        if (pause_usec)
            usleep(pause_usec);
    }
}

static void test_phases_see_each_others_work(void **state) {
    for (unsigned n = 1; n <= 5; n++)
        check_sums(n, 50, 0);
}

/* Every phase deals out anew, and what one of them leaves undone is not handed on to the next. */
static void claim_near(void *userdata, unsigned i) {
    Sums *s = userdata;
    for (size_t phase = 0; phase < 100; phase++) {
        size_t n = N - phase, least = 1 + phase % 7, begin, end;
        const Grain grain = {.most = least * (1 + phase % 5), .least = least};
        while (threads_next_near(s->threads, n, grain, &begin, &end)) {
            assert_true(begin < end && end <= n && end - begin <= grain.most);
            assert_true(begin % least == 0 && (end % least == 0 || end == n));
            for (size_t j = begin; j < end; j++)
                s->claimed[j]++;
            if (i == 0 && phase % 3 == 0)
                usleep(10); /* the others finish its share */
        }
        threads_barrier(s->threads);
        if (phase % 5 == 0)
            threads_barrier(s->threads); /* a phase in which nobody claims anything */
    }
}

static void test_near_ranges_are_claimed_once(void **state) {
    for (unsigned n = 1; n <= 5; n++) {
        _cleanup_(threads_freep) Threads *t = NULL;
        assert_int_equal(threads_new(n, &t, NULL), 0);
        Sums s = {.threads = t};
        threads_run(t, claim_near, &s);
        for (size_t j = 0; j < N; j++)
            assert_int_equal(s.claimed[j], MIN(N - j, (size_t)100));
    }
}

/* With nothing to take from the others, a thread goes through its share in order, in the end by small steps. */
static void test_near_ranges_follow_each_other(void **state) {
    _cleanup_(threads_freep) Threads *t = NULL;
    assert_int_equal(threads_new(1, &t, NULL), 0);
    size_t begin, end, next = 0;
    for (; threads_next_near(t, N, (Grain){.most = 64, .least = 16}, &begin, &end); next = end) {
        assert_int_equal(begin, next);
        assert_int_equal(end - begin, MIN(N - begin >= 64 ? 64 : 16, N - begin));
    }
    assert_int_equal(next, N);
}

static void test_wakes_from_sleep(void **state) {
    check_sums(3, 10, 3000); /* far longer than anybody spins */
}

static void test_sleeps_when_idle(void **state) {
    _cleanup_(threads_freep) Threads *t = NULL;
    assert_int_equal(threads_new(3, &t, NULL), 0);
    Sums s = {.threads = t};
    threads_run(t, square_then_sum, &s);
    usleep(50000);

    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double used = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
    assert_true(used < 0.1); /* spinning would take 0.6 */
}

static void count_calls(void *userdata, unsigned i) {
    ((uint8_t *)userdata)[i]++;
}

static void test_runs_on_every_thread_once(void **state) {
    _cleanup_(threads_freep) Threads *t = NULL;
    assert_int_equal(threads_new(4, &t, NULL), 0);
    uint8_t calls[4] = {};
    for (int i = 0; i < 100; i++)
        threads_run(t, count_calls, calls);
    for (int i = 0; i < 4; i++)
        assert_int_equal(calls[i], 100);
}

static void test_no_more_threads_than_are_of_use(void **state) {
    unsigned most = threads_for(UINT64_MAX);
    assert_true(most >= 1 && most <= (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    assert_int_equal(threads_for(0), 1);
    assert_int_equal(threads_for(2000000), 1);
    assert_int_equal(threads_for(5000000), MIN(most, 2u));
}

static void read_mask(void *userdata, unsigned i) {
    sigset_t *masks = userdata;
    pthread_sigmask(SIG_BLOCK, NULL, &masks[i]);
}

/* A SIGBUS on a blocked thread kills the process before mapping.c can do anything about it. */
static void test_the_crew_blocks_signals_but_its_own(void **state) {
    _cleanup_(threads_freep) Threads *t = NULL;
    sigset_t masks[3];
    assert_int_equal(threads_new(3, &t, NULL), 0);
    threads_run(t, read_mask, masks);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(sigismember(&masks[i], SIGBUS), 0);
        assert_int_equal(sigismember(&masks[i], SIGSEGV), 0);
        assert_int_equal(sigismember(&masks[i], SIGTERM), 1);
        assert_int_equal(sigismember(&masks[i], SIGCHLD), 1);
    }
}

static void test_a_crew_that_never_worked_ends(void **state) {
    for (int i = 0; i < 20; i++) {
        Threads *t = NULL;
        assert_int_equal(threads_new(4, &t, NULL), 0);
        assert_null(threads_free(t));
    }
    assert_null(threads_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_see_each_others_work),
        cmocka_unit_test(test_near_ranges_are_claimed_once),
        cmocka_unit_test(test_near_ranges_follow_each_other),
        cmocka_unit_test(test_wakes_from_sleep),
        cmocka_unit_test(test_sleeps_when_idle),
        cmocka_unit_test(test_runs_on_every_thread_once),
        cmocka_unit_test(test_no_more_threads_than_are_of_use),
        cmocka_unit_test(test_the_crew_blocks_signals_but_its_own),
        cmocka_unit_test(test_a_crew_that_never_worked_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
