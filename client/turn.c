/* Events come over a pipe rather than as signals: a reader that is slower than the model (`infer ... | less`) then
 * holds the model back, and nothing piles up on the bus. Ctrl-C sends Cancel and reads on to the end, which the daemon
 * promises within one chunk; what has been said by then stays in the conversation. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "interrupt.h"
#include "stream.h"
#include "turn.h"

#define CANCEL_GRACE_USEC ((uint64_t)3 * 1000000)

static bool belongs_to_session(const char *name) {
    return strcmp(name, "system") == 0;
}

static bool belongs_to_turn(const char *name) {
    return !belongs_to_session(name);
}

/* ------------------------------------------------------------------------------------------------ conversations */

int conversation_open(Conversation *c, Bus *bus, const Generation *g) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    const char *path;

    int r = bus_new_call(bus, BUS_PATH, BUS_MANAGER, "CreateSession", &m);
    if (r >= 0)
        r = generation_append(m, g, belongs_to_session);
    if (r < 0)
        return bus_complain(bus, NULL, r);
    int code = bus_call(bus, m, &reply);
    if (code)
        return code;
    r = sd_bus_message_read(reply, "o", &path);
    if (r < 0)
        return bus_complain(bus, NULL, r);

    char *session = strdup(path);
    if (!session)
        return bus_complain(bus, NULL, -ENOMEM);
    *c = (Conversation){.bus = bus, .session = session};
    return 0;
}

/* A call whose answer nobody waits for; `id` NULL: no argument. */
static void tell_session(Conversation *c, const char *member, const uint64_t *id) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL;

    int r = bus_new_call(c->bus, c->session, BUS_SESSION, member, &m);
    if (r >= 0 && id)
        r = sd_bus_message_append(m, "t", *id);
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(m, false);
    if (r >= 0)
        (void)sd_bus_send(c->bus->connection, m, NULL);
}

void conversation_close(Conversation *c) {
    if (c->session)
        tell_session(c, "Close", NULL);
    free(c->session);
    c->session = NULL;
}

/* ------------------------------------------------------------------------------------------------ calling */

static int store_reply(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *ret_error) {
    sd_bus_message **reply = userdata;
    *reply = sd_bus_message_ref(m);
    return 1;
}

static uint64_t now_usec(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Waits for the bus, until its own next deadline. */
static int wait_for_bus(sd_bus *bus, const Interrupt *interrupt) {
    uint64_t deadline, now = now_usec(), wait = UINT64_MAX;

    int fd = sd_bus_get_fd(bus), events = sd_bus_get_events(bus);
    if (fd < 0 || events < 0)
        return fd < 0 ? fd : events;
    if (sd_bus_get_timeout(bus, &deadline) >= 0 && deadline != UINT64_MAX)
        wait = deadline > now ? deadline - now : 0;
    int r = interrupt_wait(interrupt, fd, (short)events, wait);
    return r < 0 ? r : 0;
}

/* Like sd_bus_call(), but -EINTR on Ctrl-C. A reply that comes after that is dropped with its descriptor, which cancels
 * the turn. */
static int call_interruptibly(sd_bus *bus, sd_bus_message *m, const Interrupt *interrupt, sd_bus_message **ret) {
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
    sd_bus_message *reply = NULL;

    int r = sd_bus_call_async(bus, &slot, m, store_reply, &reply, BUS_LOAD_TIMEOUT_USEC);
    while (r >= 0 && !reply) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = wait_for_bus(bus, interrupt);
    }
    if (r < 0)
        return r;
    *ret = reply;
    return 0;
}

/* Starts the turn. `lost` is set instead of complaining when the session does not exist any more. */
static int start(Conversation *c, const char *prompt, const Generation *g, const Interrupt *interrupt, uint64_t *ret_id,
    int *ret_fd, bool *lost) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    int fd;

    int r = bus_new_call(c->bus, c->session, BUS_SESSION, "RespondStream", &m);
    if (r >= 0)
        r = sd_bus_message_append(m, "s", prompt);
    if (r >= 0)
        r = generation_append(m, g, belongs_to_turn);
    if (r >= 0)
        r = call_interruptibly(c->bus->connection, m, interrupt, &reply);
    if (r == -EINTR)
        return EXIT_INTERRUPTED;
    if (r < 0)
        return bus_complain(c->bus, NULL, r);

    const sd_bus_error *error = sd_bus_message_get_error(reply);
    if (error) {
        *lost = bus_error_is_lost_session(error);
        return *lost ? EX_UNAVAILABLE : bus_complain(c->bus, error, 0);
    }
    r = sd_bus_message_read(reply, "th", ret_id, &fd);
    if (r < 0)
        return bus_complain(c->bus, NULL, r);
    *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the message closes its own */
    return *ret_fd < 0 ? bus_complain(c->bus, NULL, -errno) : 0;
}

/* ------------------------------------------------------------------------------------------------ reading */

static int text_append(TurnText *t, const char *bytes, size_t n) {
    size_t size;
    if (__builtin_add_overflow(t->size, n, &size) || __builtin_add_overflow(size, (size_t)1, &size))
        return -ENOMEM;
    char *grown = realloc(t->bytes, size);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + t->size, bytes, n);
    grown[size - 1] = '\0';
    *t = (TurnText){.bytes = grown, .size = size - 1};
    return 0;
}

void turn_done(Turn *t) {
    free(t->answer.bytes);
    free(t->reasoning.bytes);
    json_decref(t->result);
    *t = (Turn){};
}

static int take_event(StreamEvent *ev, Output *out, Turn *t) {
    int r = 0;
    switch (ev->type) {
    case STREAM_REASONING:
        r = text_append(&t->reasoning, ev->text, ev->size);
        return r < 0 || !out ? r : output_reasoning(out, ev->text, ev->size);
    case STREAM_ANSWER:
        r = text_append(&t->answer, ev->text, ev->size);
        return r < 0 || !out ? r : output_answer(out, ev->text, ev->size);
    case STREAM_FINISHED: t->result = json_incref(ev->object); return 0;
    case STREAM_NOTHING: return 0;
    }
    return r;
}

/* Takes the lines that are there. */
static int take_lines(StreamBuffer *b, Output *out, Turn *t) {
    const char *line;
    size_t n;

    while (!t->result && (line = stream_buffer_line(b, &n))) {
        StreamEvent ev;
        int r = stream_event_parse(line, n, &ev);
        if (r < 0)
            return r;
        r = take_event(&ev, out, t);
        stream_event_done(&ev);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Reads until the last event. -EINTR: Ctrl-C, -ESHUTDOWN: the stream has ended without it, -ETIMEDOUT. */
static int read_events(
    int fd, uint64_t timeout_usec, const Interrupt *interrupt, StreamBuffer *b, Output *out, Turn *t) {
    for (;;) {
        int r = take_lines(b, out, t);
        if (r < 0 || t->result)
            return r;
        r = interrupt_wait(interrupt, fd, POLLIN, timeout_usec);
        if (r <= 0)
            return r < 0 ? r : -ETIMEDOUT;
        ssize_t n = stream_buffer_fill(b, fd);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -ESHUTDOWN;
    }
}

/* How the turn ended, in the daemon's own words if it failed. */
static int judge(Conversation *c, const Turn *t) {
    const json_t *error = json_object_get(t->result, "error");
    const char *name = json_string_value(json_object_get(error, "name"));
    const char *message = json_string_value(json_object_get(error, "message"));
    if (!error)
        return 0;
    return bus_complain_name(c->bus, name ? name : "", message ? message : "the answer failed");
}

static int complain_reading(const Bus *bus, int r) {
    switch (-r) {
    case EPIPE: return EX_IOERR; /* whoever read our output has left */
    case ESHUTDOWN:
    case ECONNRESET: return bus_complain(bus, NULL, -ESHUTDOWN);
    case EBADMSG:
    case EMSGSIZE: return bus_complain(bus, NULL, -EBADMSG);
    case ENOMEM: return bus_complain(bus, NULL, r);
    default: return complain(EX_IOERR, "cannot write the answer: %s", strerror(-r));
    }
}

/* Cancels the turn and hears it out, so that the session knows what was said. */
static void hear_out(Conversation *c, uint64_t id, int fd, StreamBuffer *buffer, Turn *t) {
    tell_session(c, "Cancel", &id);
    (void)sd_bus_flush(c->bus->connection);
    (void)read_events(fd, CANCEL_GRACE_USEC, NULL, buffer, NULL, t);
}

/* Reads and prints the answer to the turn that has begun. */
static int follow(Conversation *c, uint64_t id, int fd, const Interrupt *interrupt, Output *out, Turn *t) {
    StreamBuffer buffer = {};

    int r = read_events(fd, UINT64_MAX, interrupt, &buffer, out, t);
    if (r == -EINTR)
        hear_out(c, id, fd, &buffer, t);
    stream_buffer_done(&buffer);

    /* after Ctrl-C nothing waits any more, least of all for a reader that has stopped reading */
    if (out && (r != -EINTR || interrupt_wait(NULL, out->fd, POLLOUT, 0) > 0)) {
        out->interrupt = r == -EINTR ? NULL : interrupt;
        int end = output_end(out);
        r = r < 0 ? r : end;
    }
    if (r == -EINTR)
        return EXIT_INTERRUPTED;
    return r < 0 ? complain_reading(c->bus, r) : judge(c, t);
}

int turn_run(Conversation *c, const char *prompt, const Generation *g, Output *out, Turn *ret) {
    Interrupt interrupt;
    uint64_t id = 0;
    _cleanup_(closep) int fd = -1;

    *ret = (Turn){};
    int r = interrupt_begin(&interrupt);
    if (r < 0)
        return bus_complain(c->bus, NULL, r);
    if (out)
        out->interrupt = &interrupt;
    int code = start(c, prompt, g, &interrupt, &id, &fd, &ret->lost);
    if (code == 0)
        code = follow(c, id, fd, &interrupt, out, ret);
    if (out)
        out->interrupt = NULL;
    interrupt_end(&interrupt);
    return code;
}
