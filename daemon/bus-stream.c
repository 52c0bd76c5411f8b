/* See bus-stream.h. The pipe's own buffer is the only one in good times; what it does not take waits here, bounded by
 * the engine's outbox, since credit is returned only for what was written. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bus-stream.h"
#include "text.h"

struct BusStream {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* owned */
    Text out;
    size_t at; /* written of out */
    bool ending, dead;
    unsigned n_handles;
    BusStreamEvents events;
    void *userdata; /* borrowed */
};

static void on_event(uv_poll_t *poll, int status, int events);

bool bus_stream_is_busy(const BusStream *s) {
    return s->at < s->out.n;
}

static void on_handle_closed(uv_handle_t *handle) {
    BusStream *s = handle->data;
    if (--s->n_handles)
        return;
    close(s->fd);
    text_done(&s->out);
    free(s);
}

BusStream *bus_stream_free(BusStream *s) {
    if (!s || s->dead)
        return NULL;
    s->dead = true;
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    return NULL;
}

/* 0, or the error that says the reader is gone. */
static int write_some(BusStream *s) {
    while (s->at < s->out.n) {
        ssize_t n = write(s->fd, s->out.data + s->at, s->out.n - s->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return -errno;
        s->at += (size_t)n;
    }
    text_clear(&s->out);
    s->at = 0;
    return 0;
}

/* With nothing to write, a reader that goes away is still noticed: epoll always reports an error on a pipe. */
static void watch(BusStream *s) {
    uv_poll_start(&s->poll, bus_stream_is_busy(s) ? UV_WRITABLE : UV_DISCONNECT, on_event);
}

static void report_closed(BusStream *s) {
    uv_poll_stop(&s->poll);
    s->events.closed(s->userdata);
}

static void on_event(uv_poll_t *poll, int status, int events) {
    BusStream *s = poll->data;
    bool was_busy = bus_stream_is_busy(s);

    if (status < 0 || write_some(s) < 0) {
        report_closed(s);
        return;
    }
    if (bus_stream_is_busy(s))
        return;
    if (s->ending) {
        report_closed(s);
        return;
    }
    watch(s);
    if (was_busy)
        s->events.written(s->userdata);
}

static void on_timer(uv_timer_t *timer) {
    report_closed(timer->data);
}

int bus_stream_new(uv_loop_t *loop, int fd, const BusStreamEvents *events, void *userdata, BusStream **ret) {
    BusStream *s = calloc(1, sizeof(BusStream));
    int flags = fcntl(fd, F_GETFL);
    if (!s || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int r = s ? -errno : -ENOMEM;
        free(s);
        close(fd);
        return r;
    }
    s->fd = fd;
    s->events = *events;
    s->userdata = userdata;
    s->n_handles = 2;
    int r = uv_poll_init(loop, &s->poll, fd);
    if (r < 0) {
        free(s);
        close(fd);
        return r;
    }
    uv_timer_init(loop, &s->timer);
    s->poll.data = s->timer.data = s;
    watch(s);
    *ret = s;
    return 0;
}

int bus_stream_push(BusStream *s, const char *data, size_t n) {
    int r = text_append(&s->out, data, n);
    if (r < 0)
        return r;
    r = write_some(s);
    watch(s); /* also after an error: the poll handle reports it on a clean stack */
    return r == -EPIPE ? 0 : r;
}

void bus_stream_end(BusStream *s, uint64_t stall_usec) {
    s->ending = true;
    uint64_t ms = bus_stream_is_busy(s) ? MAX(stall_usec / 1000, (uint64_t)1) : 0;
    uv_timer_start(&s->timer, on_timer, ms, 0);
}
