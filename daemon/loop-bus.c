/* See loop-bus.h. All of the work happens in a prepare handle, that is before the loop goes to sleep, because any
 * callback may have queued messages: first everything that waits is processed, then descriptor, events and timeout are
 * asked for anew, as sd_bus_get_fd(3) demands. Polling before the queue is empty would sleep on messages that have
 * already been read.
 *
 * The poll handle watches a duplicate of the descriptor: sd-bus may close its own while libuv still knows it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "loop-bus.h"

#define MESSAGES_PER_TURN 64 /* then the rest of the loop has its turn */

struct LoopBus {
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_poll_t *poll; /* owned; of fd */
    uv_loop_t *loop; /* borrowed */
    sd_bus *bus;     /* owned */
    int bus_fd;      /* sd-bus's own, to notice that it has changed */
    int events;
    unsigned n_handles;
    void (*lost)(void *userdata, int error);
    void *userdata; /* borrowed */
};

static void on_poll_closed(uv_handle_t *handle) {
    close((int)(intptr_t)handle->data);
    free(handle);
}

static void drop_poll(LoopBus *l) {
    uv_poll_t *poll = TAKE_PTR(l->poll);
    if (poll)
        uv_close((uv_handle_t *)poll, on_poll_closed);
    l->bus_fd = -1;
    l->events = 0;
}

/* The loop wakes up, the prepare handle does the rest. */
static void on_poll(uv_poll_t *poll, int status, int events) {
    if (status < 0)
        uv_poll_stop(poll); /* sd-bus finds the error itself */
}

static void on_timer(uv_timer_t *timer) {
}

static int watch_fd(LoopBus *l, int fd) {
    drop_poll(l);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    uv_poll_t *poll = calloc(1, sizeof(uv_poll_t));
    int r = poll ? uv_poll_init(l->loop, poll, copy) : -ENOMEM;
    if (r < 0) {
        free(poll);
        close(copy);
        return r;
    }
    poll->data = (void *)(intptr_t)copy;
    l->poll = poll;
    l->bus_fd = fd;
    return 0;
}

static int watch_events(LoopBus *l) {
    int fd = sd_bus_get_fd(l->bus), wanted = sd_bus_get_events(l->bus);

    if (fd < 0 || wanted < 0)
        return fd < 0 ? fd : wanted;
    if (fd != l->bus_fd || !uv_is_active((uv_handle_t *)l->poll)) {
        int r = watch_fd(l, fd);
        if (r < 0)
            return r;
    }
    int events = (wanted & POLLIN ? UV_READABLE : 0) | (wanted & POLLOUT ? UV_WRITABLE : 0);
    if (events == l->events)
        return 0;
    l->events = events;
    return uv_poll_start(l->poll, events ? events : UV_DISCONNECT, on_poll);
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

static void on_prepare(uv_prepare_t *prepare) {
    LoopBus *l = prepare->data;
    int r = 1;

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
        drop_poll(l);
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
    drop_poll(l);
    l->bus = sd_bus_unref(l->bus);
    uv_close((uv_handle_t *)&l->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&l->timer, on_handle_closed);
    return NULL;
}
