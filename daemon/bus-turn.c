/* See bus-turn.h.
 *
 * Deltas gather until the loop has handled all events of a round, then leave as one signal or one line per kind. Credit
 * goes back to the engine only when the text has left: over a pipe when the kernel has taken it, as a signal when the
 * bus connection's own queue is short. So a slow reader stops its own sequence and nothing else.
 *
 * A turn with a pipe outlives its request until the pipe is empty, its reader is gone, or the reader has not read for
 * too long. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <jansson.h>

#include "bus-result.h"
#include "bus-stream.h"
#include "bus-turn.h"
#include "text.h"
#include "tool-call.h"

#define QUEUED_SIGNALS_MAX 64                       /* messages waiting for the bus daemon */
#define STALL_USEC         (30 * UINT64_C(1000000)) /* as the engine's own default */

struct BusTurn {
    BusTurn *next;
    BusService *service; /* borrowed */
    uint64_t id;
    char *path;        /* owned */
    char *owner_name;  /* owned */
    Request *request;  /* borrowed; NULL when it has ended */
    BusStream *stream; /* owned; NULL: signals */
    EngineTextKind kind;
    Text pending;  /* of this kind, not yet sent */
    size_t credit; /* bytes of text to give back when all that was sent has left */
    Text answer;
    Text calls;        /* separated by commas, as D-Bus has them */
    Text openai_calls; /* likewise, as conversations have them */
    bool dirty;
    BusTurnEnded ended;
    void *userdata; /* borrowed */
};

static BusTurn *turn_free(BusTurn *t) {
    if (!t)
        return NULL;
    for (BusTurn **p = &t->service->turns; *p; p = &(*p)->next)
        if (*p == t) {
            *p = t->next;
            break;
        }
    if (t->request)
        request_abandon(t->request);
    bus_stream_free(t->stream);
    text_done(&t->pending);
    text_done(&t->answer);
    text_done(&t->calls);
    text_done(&t->openai_calls);
    free(t->path);
    free(t->owner_name);
    free(t);
    return NULL;
}
DEFINE_CLEANUP(BusTurn *, turn_free)

void bus_turn_free_all(BusService *s) {
    while (s->turns)
        turn_free(s->turns);
}

uint64_t bus_turn_id(const BusTurn *t) {
    return t->id;
}

/* ---------------------------------------------------------------------------------------------- sending */

static void give_credit(BusTurn *t) {
    if (t->request && t->credit)
        request_consumed(t->request, t->credit);
    t->credit = 0;
}

static int push_json(BusTurn *t, json_t *object) {
    char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!line)
        return -ENOMEM;
    size_t n = strlen(line);
    line[n++] = '\n'; /* takes the NUL's place */
    int r = bus_stream_push(t->stream, line, n);
    free(line);
    return r;
}

static int send_delta(BusTurn *t) {
    static const char *const names[] = {
        [ENGINE_TEXT_ANSWER] = "text", [ENGINE_TEXT_REASONING] = "reasoning", [ENGINE_TEXT_TOOL_CALL] = "tool-call"};
    const char *kind = names[t->kind];

    if (t->stream)
        return push_json(
            t, json_pack("{s:s, s:s, s:s%}", "type", "delta", "kind", kind, "text", t->pending.data, t->pending.n));

    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = sd_bus_message_new_signal(t->service->bus, &m, t->path, BUS_SESSION, "Delta");
    if (r >= 0)
        r = sd_bus_message_set_destination(m, t->owner_name);
    if (r >= 0)
        r = sd_bus_message_append(m, "tss", t->id, kind, t->pending.data);
    if (r >= 0)
        r = sd_bus_send(NULL, m, NULL);
    return r;
}

static void send_pending(BusTurn *t) {
    if (t->pending.n) {
        int r = send_delta(t);
        text_clear(&t->pending);
        if (r < 0 && t->request)
            request_cancel(t->request, -EPIPE, "The text could not be delivered.");
    }
}

/* Only where there is room: credit covers what is sent here too. */
static void flush(BusTurn *t) {
    send_pending(t);
    if (!t->stream || !bus_stream_is_busy(t->stream))
        give_credit(t);
}

/* Whether the reader has taken what it was given before. */
static bool has_room(const BusTurn *t) {
    uint64_t n = 0;

    if (t->stream)
        return !bus_stream_is_busy(t->stream);
    return sd_bus_get_n_queued_write(t->service->bus, &n) < 0 || n < QUEUED_SIGNALS_MAX;
}

bool bus_turn_flush_all(BusService *s) {
    bool again = false;

    for (BusTurn *t = s->turns; t; t = t->next) {
        if (!t->dirty)
            continue;
        if (has_room(t)) {
            t->dirty = false;
            flush(t);
        } else if (t->stream)
            t->dirty = false; /* on_stream_written() goes on */
        else
            again = true; /* the bus connection wakes the loop */
    }
    return again;
}

static int send_finished(BusTurn *t, const RequestResult *result) {
    if (t->stream)
        return push_json(t, bus_result_to_json(t->id, result, text_string(&t->calls)));

    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = sd_bus_message_new_signal(t->service->bus, &m, t->path, BUS_SESSION, "Finished");
    if (r >= 0)
        r = sd_bus_message_set_destination(m, t->owner_name);
    if (r >= 0)
        r = sd_bus_message_append(m, "t", t->id);
    if (r >= 0)
        r = bus_result_append(m, result, NULL, text_string(&t->calls));
    if (r >= 0)
        r = sd_bus_send(NULL, m, NULL);
    return r;
}

/* ---------------------------------------------------------------------------------------------- the request's sink */

static int add_call(BusTurn *t, const RequestDelta *delta) {
    int r = tool_call_write(&t->pending, delta);
    if (r >= 0 && t->calls.n)
        r = text_append(&t->calls, ",", 1);
    if (r >= 0 && t->openai_calls.n)
        r = text_append(&t->openai_calls, ",", 1);
    if (r >= 0)
        r = tool_call_write(&t->calls, delta);
    return r < 0 ? r : tool_call_write_openai(&t->openai_calls, delta);
}

static void on_delta(Request *r, const RequestDelta *delta, void *userdata) {
    BusTurn *t = userdata;
    bool is_call = delta->kind == ENGINE_TEXT_TOOL_CALL;

    if (t->pending.n && (t->kind != delta->kind || is_call))
        send_pending(t);
    t->kind = delta->kind;
    int k = is_call ? add_call(t, delta) : text_append_without_nul(&t->pending, delta->text, delta->size);
    if (k >= 0 && delta->kind == ENGINE_TEXT_ANSWER)
        k = text_append_without_nul(&t->answer, delta->text, delta->size);
    if (k < 0)
        request_cancel(r, -ENOMEM, "Out of memory.");
    t->credit += delta->size;
    t->dirty = true;
    bus_service_schedule_flush(t->service);
}

static void on_finished(Request *r, const RequestResult *result, void *userdata) {
    BusTurn *t = userdata;

    t->request = NULL;
    send_pending(t);
    if (t->ended)
        t->ended(t, result, text_string(&t->answer), t->answer.n, text_string(&t->openai_calls), t->userdata);
    t->ended = NULL;
    int k = send_finished(t, result);
    if (t->stream && k >= 0)
        bus_stream_end(t->stream, STALL_USEC);
    else
        turn_free(t);
}

static const RequestSink turn_sink = {on_delta, on_finished};

static void on_stream_written(void *userdata) {
    flush(userdata);
}

static void on_stream_closed(void *userdata) {
    BusTurn *t = userdata;

    if (t->request) /* nobody listens any more; finished() frees the turn */
        request_cancel(t->request, 0, NULL);
    else
        turn_free(t);
}

static const BusStreamEvents stream_events = {on_stream_written, on_stream_closed};

/* ---------------------------------------------------------------------------------------------- life */

static int open_stream(BusTurn *t, int *ret_fd, Error *e) {
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_set(e, -errno, "Cannot open a pipe: %s.", strerror(errno));
    int r = bus_stream_new(t->service->d->loop, fds[1], &stream_events, t, &t->stream);
    if (r < 0) {
        close(fds[0]);
        return error_set(e, r, "Cannot open a pipe: %s.", strerror(-r));
    }
    *ret_fd = fds[0];
    return 0;
}

int bus_turn_start(BusService *s, const BusTurnSpec *spec, BusTurn **ret, int *ret_fd, Error *e) {
    _cleanup_(turn_freep) BusTurn *t = calloc(1, sizeof(BusTurn));
    _cleanup_(closep) int fd = -1;

    if (!t)
        return error_set(e, -ENOMEM, "Out of memory.");
    *t = (BusTurn){.service = s, .id = spec->id, .path = strdup(spec->path), .owner_name = strdup(spec->owner_name)};
    if (!t->path || !t->owner_name)
        return error_set(e, -ENOMEM, "Out of memory.");
    int r = spec->stream ? open_stream(t, &fd, e) : 0;
    if (r >= 0)
        r = request_start(s->d, &spec->request, &turn_sink, t, &t->request, e);
    if (r < 0)
        return r;
    t->ended = spec->ended;
    t->userdata = spec->userdata;
    t->next = s->turns;
    s->turns = t;
    *ret = TAKE_PTR(t);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

void bus_turn_cancel(BusTurn *t) {
    if (t->request)
        request_cancel(t->request, 0, NULL);
}

void bus_turn_abandon(BusTurn *t) {
    t->ended = NULL;
    turn_free(t);
}
