/* See loop-bus.h. All of the work happens in a prepare handle, that is before the loop goes to sleep, because any
 * callback may have queued messages: first everything that waits is processed, then descriptor, events and timeout are
 * asked for anew, as sd_bus_get_fd(3) demands. Polling before the queue is empty would sleep on messages that have
 * already been read. The loop comes round for every token, mostly without anything for the bus, and then the socket is
 * not read for nothing: where messages wait that have been read, the timeout is 0.
 *
 * The poll handle watches a duplicate of the descriptor: sd-bus may close its own while libuv still knows it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "loop-bus.h"

#define MESSAGES_PER_TURN 64 /* then the rest of the loop has its turn */

/* Lives until its handle is closed, which may be after the LoopBus. */
typedef struct Watch {
    uv_poll_t poll;
    int fd;         /* owned */
    LoopBus *owner; /* borrowed */
} Watch;

struct LoopBus {
    uv_prepare_t prepare;
    uv_timer_t timer;
    Watch *watch;    /* owned; of bus_fd */
    uv_loop_t *loop; /* borrowed */
    sd_bus *bus;     /* owned */
    int bus_fd;      /* sd-bus's own, to notice that it has changed */
    int events;
    bool woken; /* the descriptor or the timer says that there is something to do */
    unsigned n_handles;
    void (*lost)(void *userdata, int error);
    void *userdata; /* borrowed */
};

static void on_watch_closed(uv_handle_t *handle) {
    Watch *w = handle->data;
    close(w->fd);
    free(w);
}

static void drop_watch(LoopBus *l) {
    Watch *w = TAKE_PTR(l->watch);
    if (w)
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
    l->bus_fd = -1;
    l->events = 0;
}

/* The loop wakes up, the prepare handle does the rest. */
static void on_poll(uv_poll_t *poll, int status, int events) {
    Watch *w = poll->data;
    w->owner->woken = true;
    if (status < 0)
        uv_poll_stop(poll); /* sd-bus finds the error itself */
}

static void on_timer(uv_timer_t *timer) {
    LoopBus *l = timer->data;
    l->woken = true;
}

static int watch_fd(LoopBus *l, int fd) {
    drop_watch(l);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    Watch *w = calloc(1, sizeof(*w));
    int r = w ? uv_poll_init(l->loop, &w->poll, copy) : -ENOMEM;
    if (r < 0) {
        free(w);
        close(copy);
        return r;
    }
    w->poll.data = w;
    w->fd = copy;
    w->owner = l;
    l->watch = w;
    l->bus_fd = fd;
    return 0;
}

static int watch_events(LoopBus *l) {
    int fd = sd_bus_get_fd(l->bus), wanted = sd_bus_get_events(l->bus);

    if (fd < 0 || wanted < 0)
        return fd < 0 ? fd : wanted;
    if (fd != l->bus_fd || !uv_is_active((uv_handle_t *)&l->watch->poll)) {
        int r = watch_fd(l, fd);
        if (r < 0)
            return r;
    }
    int events = (wanted & POLLIN ? UV_READABLE : 0) | (wanted & POLLOUT ? UV_WRITABLE : 0);
    if (events == l->events)
        return 0;
    l->events = events;
    return uv_poll_start(&l->watch->poll, events ? events : UV_DISCONNECT, on_poll);
}

static int watch_timeout(LoopBus *l, bool more) {
    uint64_t deadline = UINT64_MAX;
    struct timespec now;

    int r = sd_bus_get_timeout(l->bus, &deadline);
    if (r < 0)
        return r;
    if (!more && deadline == UINT64_MAX)
        return uv_timer_stop(&l->timer);
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    uint64_t ms = more || deadline <= usec ? 0 : (deadline - usec + 999) / 1000;
    return uv_timer_start(&l->timer, on_timer, ms, 0);
}

/* What sends and synchronous calls leave behind shows in the timeout too, or in the events that are watched. */
static bool has_work(const LoopBus *l) {
    uint64_t deadline;
    return l->woken || sd_bus_get_timeout(l->bus, &deadline) < 0 || deadline == 0;
}

static void on_prepare(uv_prepare_t *prepare) {
    LoopBus *l = prepare->data;
    int r = has_work(l) ? 1 : 0;

    l->woken = false;
    for (int i = 0; i < MESSAGES_PER_TURN && r > 0; i++)
        r = sd_bus_process(l->bus, NULL);
    bool more = r > 0;
    if (r >= 0)
        r = watch_events(l);
    if (r >= 0)
        r = watch_timeout(l, more);
    if (r < 0) {
        uv_prepare_stop(&l->prepare);
        uv_timer_stop(&l->timer);
        drop_watch(l);
        l->lost(l->userdata, r);
    }
}

int loop_bus_new(uv_loop_t *loop, sd_bus *bus, void (*lost)(void *userdata, int error), void *userdata, LoopBus **ret) {
    LoopBus *l = calloc(1, sizeof(LoopBus));
    if (!l)
        return -ENOMEM;
    *l = (LoopBus){.loop = loop, .bus = sd_bus_ref(bus), .bus_fd = -1, .lost = lost, .userdata = userdata};
    uv_prepare_init(loop, &l->prepare);
    uv_timer_init(loop, &l->timer);
    l->prepare.data = l->timer.data = l;
    l->n_handles = 2;
    uv_prepare_start(&l->prepare, on_prepare);
    /* the first look must not wait for another event */
    uv_timer_start(&l->timer, on_timer, 0, 0);
    *ret = l;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    LoopBus *l = handle->data;
    if (--l->n_handles == 0)
        free(l);
}

LoopBus *loop_bus_free(LoopBus *l) {
    if (!l)
        return NULL;
    drop_watch(l);
    l->bus = sd_bus_unref(l->bus);
    uv_close((uv_handle_t *)&l->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&l->timer, on_handle_closed);
    return NULL;
}
