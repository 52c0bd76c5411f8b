/* One counter of generations serves as barrier: the last thread to arrive opens the next generation. Starting a step is
 * the same barrier, in which the crew waits for its caller, and so is its end.
 *
 * Ranges are claimed rather than dealt out beforehand, so that a core that is slow, or busy with something else, takes
 * less: the results do not depend on who computes them. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernels/cpu.h"
#include "threads.h"

/* About 20 to 50 microseconds: longer than the gap between two phases, shorter than a person or a battery notices. */
#define SPINS 1500

#define MAX_THREADS 512

/* How many units of one thread's share of a phase are taken: from its front in the low half, from its back in the high
 * one. Adding to either half gives a ticket, which says where both ends were, so that they never cross. One for the
 * phases of even number, one for the odd: a thread clears that of the next phase before it comes to the barrier, when
 * nobody looks at the phase before any more. */
typedef struct Share {
    _Alignas(64) atomic_uint_fast64_t taken[2];
} Share;

struct Threads {
    atomic_uint n;
    pthread_t *crew; /* owned, [n - 1] */
    unsigned n_started;
    void (*fn)(void *userdata, unsigned i); /* NULL: end */
    void *userdata;

    _Alignas(64) atomic_uint arrived;
    _Alignas(64) atomic_uint generation; /* the futex */
    atomic_uint n_sleeping;
    _Alignas(64) atomic_size_t next; /* first unclaimed item of this phase */
    Share shares[];                  /* [n] */
};

/* Which of the crew this thread is; 0 in whoever calls threads_run(). */
static _Thread_local unsigned self;

typedef struct Member {
    Threads *threads;
    unsigned i;
} Member;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_for_change(Threads *t, unsigned generation) {
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->generation, memory_order_acquire) != generation)
            return;
        relax();
    }
    /* Whoever opens the next generation reads n_sleeping after having written `generation`, we the other way round: one
     * of the two sees the other. */
    atomic_fetch_add(&t->n_sleeping, 1);
    while (atomic_load(&t->generation) == generation)
        syscall(SYS_futex, &t->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
    atomic_fetch_sub(&t->n_sleeping, 1);
}

void threads_barrier(Threads *t) {
    unsigned generation = atomic_load_explicit(&t->generation, memory_order_relaxed);
    atomic_store_explicit(&t->shares[self].taken[(generation + 1) % 2], 0, memory_order_relaxed);
    /* n is read after arriving: threads_free() may have corrected it before it came here itself */
    unsigned arrived = atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) + 1;
    if (arrived < atomic_load_explicit(&t->n, memory_order_relaxed)) {
        wait_for_change(t, generation);
        return;
    }
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    atomic_store(&t->generation, generation + 1);
    if (atomic_load(&t->n_sleeping) > 0)
        syscall(SYS_futex, &t->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

bool threads_next(Threads *t, size_t n, size_t grain, size_t *ret_begin, size_t *ret_end) {
    size_t begin = atomic_fetch_add_explicit(&t->next, grain, memory_order_relaxed);
    if (begin >= n)
        return false;
    *ret_begin = begin;
    *ret_end = MIN(n, begin + grain);
    return true;
}

unsigned threads_count(const Threads *t) {
    return atomic_load_explicit(&t->n, memory_order_relaxed);
}

#define FROM_FRONT ((uint64_t)1)
#define FROM_BACK  ((uint64_t)1 << 32)

/* Of thread i's share of n units `most` at a time, and single ones when fewer are left; false when it is used up. Only
 * the ticket tells for sure how many are. */
static bool take(Threads *t, unsigned i, size_t n, size_t most, uint64_t from, size_t *ret_begin, size_t *ret_end) {
    size_t count = threads_count(t), begin = n * i / count, end = n * (i + 1) / count, size = end - begin;
    unsigned phase = atomic_load_explicit(&t->generation, memory_order_relaxed);
    atomic_uint_fast64_t *taken = &t->shares[i].taken[phase % 2];
    uint64_t seen = atomic_load_explicit(taken, memory_order_relaxed);
    size_t wanted = (uint32_t)seen + (seen >> 32) + most <= size ? most : 1;
    uint64_t ticket = atomic_fetch_add_explicit(taken, wanted * from, memory_order_relaxed);
    size_t front = (uint32_t)ticket, back = ticket >> 32;
    if (front + back >= size)
        return false;
    size_t n_taken = MIN(wanted, size - front - back);
    *ret_begin = from == FROM_FRONT ? begin + front : end - back - n_taken;
    *ret_end = *ret_begin + n_taken;
    return true;
}

bool threads_next_near(Threads *t, size_t n, Grain grain, size_t *ret_begin, size_t *ret_end) {
    unsigned count = threads_count(t);
    size_t n_units = (n + grain.least - 1) / grain.least, most = grain.most / grain.least, begin, end;
    bool taken = take(t, self, n_units, most, FROM_FRONT, &begin, &end);
    for (unsigned i = 1; !taken && i < count; i++)
        taken = take(t, (self + i) % count, n_units, most, FROM_BACK, &begin, &end);
    if (!taken)
        return false;
    *ret_begin = begin * grain.least;
    *ret_end = MIN(n, end * grain.least);
    return true;
}

static void *member_main(void *userdata) {
    _cleanup_(freep) Member *m = userdata;
    Threads *t = m->threads;
    self = m->i;
    for (;;) {
        threads_barrier(t);
        if (!t->fn)
            return NULL;
        t->fn(t->userdata, m->i);
        threads_barrier(t);
    }
}

void threads_run(Threads *t, void (*fn)(void *userdata, unsigned i), void *userdata) {
    t->fn = fn;
    t->userdata = userdata;
    threads_barrier(t);
    fn(userdata, 0);
    threads_barrier(t);
}

/* The crew takes no signals: they belong to the threads that expect them. Except those that a thread raises by what it
 * does itself: blocked, they would kill the process at once, and SIGBUS is how mapping.c learns of a truncated file. */
static void crew_signals(sigset_t *ret) {
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(ret);
    for (size_t i = 0; i < ELEMENTSOF(own); i++)
        sigdelset(ret, own[i]);
}

static int start_member(Threads *t, unsigned i) {
    Member *m = malloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    *m = (Member){.threads = t, .i = i};

    sigset_t blocked, before;
    crew_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int r = pthread_create(&t->crew[i - 1], NULL, member_main, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        free(m);
        return -r;
    }
    pthread_setname_np(t->crew[i - 1], "inferd-worker");
    t->n_started++;
    return 0;
}

/* Threads that share less than this wait for each other longer than they compute. */
#define MIN_THREAD_BYTES (4u << 20)

unsigned threads_for(uint64_t bytes) {
    return (unsigned)MIN(1 + bytes / MIN_THREAD_BYTES, (uint64_t)cpu_physical_cores());
}

int threads_new(unsigned n, Threads **ret, Error *e) {
    n = MIN(n, (unsigned)MAX_THREADS);

    _cleanup_(threads_freep) Threads *t = aligned_alloc(64, sizeof(*t) + n * sizeof(*t->shares));
    if (!t)
        return error_set(e, -ENOMEM, "out of memory");
    memset(t, 0, sizeof(*t));
    atomic_init(&t->n, n);
    t->crew = calloc(n, sizeof(*t->crew));
    if (!t->crew)
        return error_set(e, -ENOMEM, "out of memory");
    memset(t->shares, 0, n * sizeof(*t->shares));
    for (unsigned i = 1; i < n; i++) {
        int r = start_member(t, i);
        if (r < 0)
            return error_set(e, r, "cannot start worker thread %u of %u: %s", i, n, strerror(-r));
    }
    *ret = TAKE_PTR(t);
    return 0;
}

Threads *threads_free(Threads *t) {
    if (!t)
        return NULL;

    /* after a failed start the barrier counts only those that exist */
    atomic_store(&t->n, t->n_started + 1);
    t->fn = NULL;
    threads_barrier(t);
    for (unsigned i = 0; i < t->n_started; i++)
        pthread_join(t->crew[i], NULL);
    free(t->crew);
    free(t);
    return NULL;
}
