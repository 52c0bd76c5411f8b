/* See mapping.h. The signal handler may run on any thread at any moment, so it takes no lock: what it walks is a list
 * of guards that only ever grows. A guard whose mapping is gone is used again for the next one. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mapping.h"

typedef struct Guard {
    struct Guard *next;     /* immutable once the guard is in the list */
    atomic_bool taken;      /* by a Mapping */
    atomic_uintptr_t start; /* 0: not mapped */
    atomic_size_t size;
    atomic_bool failed;
} Guard;

struct Mapping {
    uint8_t *bytes; /* owned */
    size_t size;
    Guard *guard; /* owned until mapping_free(), then anybody's */
};

static _Atomic(Guard *) guards;
static struct sigaction previous;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

/* ------------------------------------------------------------------------------------------------ the signal */

static bool rescue(uintptr_t address) {
    for (Guard *g = atomic_load(&guards); g; g = g->next) {
        uintptr_t start = atomic_load(&g->start);
        size_t size = atomic_load(&g->size);
        if (start == 0 || address - start >= size)
            continue;
        /* All of it, not just the page: results are worthless anyway, and a file of many pages would otherwise fault
         * on each and leave a kernel mapping behind each time. mmap() is a bare system call here. */
        atomic_store(&g->failed, true);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
        return mmap((void *)start, size, PROT_READ, flags, -1, 0) != MAP_FAILED;
    }
    return false;
}

static void on_sigbus(int sig, siginfo_t *info, void *context) {
    int saved = errno;
    bool rescued = info->si_code > 0 && rescue((uintptr_t)info->si_addr); /* > 0: from the kernel, not from kill() */
    errno = saved;
    if (rescued)
        return;

    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(sig, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(sig);
    else {
        /* not ours: die of it as if we had never been there */
        sigaction(SIGBUS, &previous, NULL);
        raise(SIGBUS);
    }
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

/* ------------------------------------------------------------------------------------------------ guards */

static Guard *guard_new(void) {
    for (Guard *g = atomic_load(&guards); g; g = g->next) {
        bool taken = false;
        if (atomic_compare_exchange_strong(&g->taken, &taken, true)) {
            atomic_store(&g->failed, false);
            return g;
        }
    }

    Guard *g = calloc(1, sizeof(Guard));
    if (!g)
        return NULL;
    atomic_store(&g->taken, true);
    Guard *head = atomic_load(&guards);
    do
        g->next = head;
    while (!atomic_compare_exchange_weak(&guards, &head, g));
    return g;
}

static void guard_arm(Guard *g, const void *start, size_t size) {
    atomic_store(&g->size, size);
    atomic_store(&g->start, (uintptr_t)start);
}

static void guard_release(Guard *g) {
    atomic_store(&g->start, 0);
    atomic_store(&g->taken, false);
}

/* ------------------------------------------------------------------------------------------------ mappings */

static int open_regular(const char *path, size_t *ret_size, Error *e) {
    /* O_NONBLOCK: a pipe in the models folder must not hang us before we see that it is one */
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set(e, -errno, "cannot open %s: %s", path, strerror(errno));

    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EINVAL, "%s is not a regular file", path);
    if (st.st_size == 0)
        return error_set(e, -EBADMSG, "%s is empty", path);
    if ((uintmax_t)st.st_size > SIZE_MAX)
        return error_set(e, -EFBIG, "%s is too large for this machine's address space", path);

    *ret_size = (size_t)st.st_size;
    int r = fd;
    fd = -1;
    return r;
}

int mapping_open(const char *path, Mapping **ret, Error *e) {
    _cleanup_(mapping_freep) Mapping *m = calloc(1, sizeof(Mapping));
    if (!m)
        return error_set(e, -ENOMEM, "out of memory");
    _cleanup_(closep) int fd = open_regular(path, &m->size, e);
    if (fd < 0)
        return fd;

    pthread_once(&installed, install);
    m->guard = guard_new();
    if (!m->guard)
        return error_set(e, -ENOMEM, "out of memory");
    void *bytes = mmap(NULL, m->size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return error_set(e, -errno, "cannot map %s: %s", path, strerror(errno));
    m->bytes = bytes;
    guard_arm(m->guard, m->bytes, m->size);
    *ret = TAKE_PTR(m);
    return 0;
}

Mapping *mapping_free(Mapping *m) {
    if (!m)
        return NULL;
    /* disarmed first: once unmapped, the addresses may be somebody else's */
    if (m->guard)
        guard_release(m->guard);
    if (m->bytes)
        munmap(m->bytes, m->size);
    free(m);
    return NULL;
}

const uint8_t *mapping_bytes(const Mapping *m, size_t *ret_size) {
    *ret_size = m->size;
    return m->bytes;
}

bool mapping_failed(const Mapping *m) {
    return atomic_load(&m->guard->failed);
}
