/* One or more generations that answer one exchange; see http-generation.h.
 *
 * A stream begins when the engine has accepted the first request, not before, so that what can be refused (a prompt too
 * long, a full queue, no model) is refused with the status that says so, and not after that, so that the headers do not
 * wait for the prompt to be read.
 *
 * Text waits here as it came, and becomes JSON when the client's socket has room for it; credit for more goes to the
 * engine when the socket has taken it. While a client does not read, pieces that follow each other are joined, so that
 * what it costs us is bounded by the engine's outbox and not by the number of pieces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "http-generation.h"
#include "http-json.h"
#include "http-openai.h"
#include "http-sse.h"
#include "model-host.h"

typedef enum HttpEventType {
    HTTP_EVENT_START,
    HTTP_EVENT_PIECE,
    HTTP_EVENT_END,
    HTTP_EVENT_USAGE,
    HTTP_EVENT_DONE,
    HTTP_EVENT_ERROR,
} HttpEventType;

struct HttpEvent {
    HttpEvent *next;
    HttpEventType type;
    HttpChoice *choice; /* borrowed; NULL: about all of them */
    HttpPiece piece;
    HttpError error;
};

static int logprobs_append(HttpLogprobs *l, const TokenLogprob *items, size_t n) {
    if (n > l->allocated - l->n) {
        size_t allocate = MAX(l->n + n, l->allocated * 2);
        TokenLogprob *p = reallocarray(l->items, allocate, sizeof(*p));
        if (!p)
            return -ENOMEM;
        l->items = p;
        l->allocated = allocate;
    }
    if (n > 0)
        memcpy(l->items + l->n, items, n * sizeof(*items));
    l->n += n;
    return 0;
}

static void piece_done(HttpPiece *p) {
    http_buffer_done(&p->text);
    free(p->logprobs.items);
    free(p->tool_name);
}

/* Makes an empty piece a whole tool call. */
static int piece_set_call(HttpPiece *p, HttpChoice *c, const RequestDelta *d) {
    p->kind = d->kind;
    p->tool_index = c->n_calls++;
    memcpy(p->tool_id, d->tool_id, sizeof(p->tool_id));
    p->tool_name = strdup(d->tool_name);
    return p->tool_name ? http_buffer_append(&p->text, d->text, d->size) : -ENOMEM;
}

static HttpEvent *event_free(HttpEvent *ev) {
    if (!ev)
        return NULL;
    piece_done(&ev->piece);
    free(ev);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ its end */

static void abandon_requests(HttpGeneration *g) {
    for (unsigned i = 0; i < g->n_choices; i++)
        if (g->choices[i].request)
            request_abandon(TAKE_PTR(g->choices[i].request));
}

static void on_exchange_end(void *userdata) {
    HttpGeneration *g = userdata;

    abandon_requests(g);
    http_sse_free(g->sse);
    while (g->events) {
        HttpEvent *ev = g->events;
        g->events = ev->next;
        event_free(ev);
    }
    for (unsigned i = 0; i < g->n_choices; i++) {
        http_buffer_done(&g->choices[i].text[ENGINE_TEXT_ANSWER]);
        http_buffer_done(&g->choices[i].text[ENGINE_TEXT_REASONING]);
        free(g->choices[i].logprobs.items);
        for (unsigned j = 0; g->choices[i].calls && j < g->choices[i].n_calls; j++)
            piece_done(&g->choices[i].calls[j]);
        free(g->choices[i].calls);
        http_buffer_done(&g->choices[i].echo);
    }
    free(g->choices);
    free(g->wanted_model);
    free(g->model_name);
    model_unref(g->model);
    free(g);
}

/* ------------------------------------------------------------------------------------------------ the stream */

static HttpEvent *push(HttpGeneration *g, HttpEventType type, HttpChoice *c) {
    HttpEvent *ev = calloc(1, sizeof(*ev));
    if (!ev)
        return NULL;
    ev->type = type;
    ev->choice = c;
    if (g->events)
        g->last_event->next = ev;
    else
        g->events = ev;
    g->last_event = ev;
    http_sse_wake(g->sse);
    return ev;
}

/* For the end of a stream that cannot go on; without memory for it the connection is cut when nothing more comes. */
static void push_error(HttpGeneration *g, const HttpError *he) {
    HttpEvent *ev = push(g, HTTP_EVENT_ERROR, NULL);
    if (ev)
        ev->error = *he;
}

static int write_event(HttpGeneration *g, HttpEvent *ev, HttpBuffer *out) {
    switch (ev->type) {
    case HTTP_EVENT_START: return http_sse_write_json(out, g->format->start(ev->choice));
    case HTTP_EVENT_PIECE:
        ev->choice->n_untaken += ev->piece.text.size;
        return http_sse_write_json(out, g->format->piece(ev->choice, &ev->piece));
    case HTTP_EVENT_END: return http_sse_write_json(out, g->format->end(ev->choice));
    case HTTP_EVENT_USAGE: return http_sse_write_json(out, g->format->usage(g));
    case HTTP_EVENT_DONE: return http_sse_write_text(out, "[DONE]");
    default: return http_sse_write_json(out, http_error_to_json(&ev->error));
    }
}

static HttpSseState on_fill(void *userdata, HttpBuffer *out) {
    HttpGeneration *g = userdata;
    HttpEvent *ev = g->events;

    if (!ev)
        return g->answered ? HTTP_SSE_END : HTTP_SSE_QUIET;
    g->events = ev->next;
    if (ev->choice && ev->choice->pending == ev)
        ev->choice->pending = NULL;
    int r = write_event(g, ev, out);
    event_free(ev);
    return r < 0 ? HTTP_SSE_BREAK : HTTP_SSE_MORE;
}

static void on_taken(void *userdata) {
    HttpGeneration *g = userdata;
    for (unsigned i = 0; i < g->n_choices; i++) {
        HttpChoice *c = &g->choices[i];
        if (c->request && c->n_untaken > 0)
            request_consumed(c->request, c->n_untaken);
        c->n_untaken = 0;
    }
}

/* ------------------------------------------------------------------------------------------------ the answer */

static void fail(HttpGeneration *g, const HttpError *he) {
    if (g->answered)
        return;
    g->answered = true;
    abandon_requests(g);
    if (g->sse)
        push_error(g, he);
    else
        http_exchange_reply_error(g->exchange, he);
}

static void fail_for_memory(HttpGeneration *g) {
    HttpError he = {};
    http_error_set(&he, 503, "overloaded", NULL, "Out of memory.");
    fail(g, &he);
}

/* What is known once the engine has a request: which model answers. */
static int learn_model(HttpGeneration *g, HttpError *he) {
    ModelHost *host = http_exchange_daemon(g->exchange)->host;

    if (!g->model_name) {
        const char *name = model_host_model_name(host);
        g->model_name = strdup(name ? name : "");
        if (!g->model_name)
            return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    }
    if (!g->model && model_host_model(host))
        g->model = model_ref(model_host_model(host));
    return g->wanted_model ? http_openai_check_model(host, g->wanted_model, he) : 0;
}

static int begin_stream(HttpGeneration *g) {
    static const HttpSseSource source = {.fill = on_fill, .taken = on_taken};

    int r = http_sse_new(g->exchange, &source, g, &g->sse);
    for (unsigned i = 0; r >= 0 && g->format->start && i < g->n_choices; i++)
        if (!push(g, HTTP_EVENT_START, &g->choices[i]))
            r = -ENOMEM;
    return r;
}

static void on_accepted(Request *request, void *userdata) {
    HttpChoice *c = userdata;
    HttpGeneration *g = c->generation;
    HttpError he = {};

    if (g->started)
        return;
    g->started = true;
    if (learn_model(g, &he) < 0)
        fail(g, &he);
    else if (g->stream && begin_stream(g) < 0)
        fail_for_memory(g);
}

static int add_piece(HttpChoice *c, const RequestDelta *d) {
    HttpGeneration *g = c->generation;
    HttpEvent *ev = c->pending;

    if (!ev || ev->piece.kind != d->kind || d->kind == ENGINE_TEXT_TOOL_CALL) {
        ev = push(g, HTTP_EVENT_PIECE, c);
        if (!ev)
            return -ENOMEM;
        ev->piece.kind = d->kind;
        c->pending = ev;
        if (d->kind == ENGINE_TEXT_TOOL_CALL)
            return piece_set_call(&ev->piece, c, d);
    }
    int r = http_buffer_append(&ev->piece.text, d->text, d->size);
    return r < 0 ? r : logprobs_append(&ev->piece.logprobs, d->logprobs, d->n_logprobs);
}

static int collect_call(HttpChoice *c, const RequestDelta *d) {
    HttpPiece *calls = reallocarray(c->calls, c->n_calls + 1, sizeof(*calls));
    if (!calls)
        return -ENOMEM;
    c->calls = calls;
    calls[c->n_calls] = (HttpPiece){};
    return piece_set_call(&calls[c->n_calls], c, d);
}

static int collect(HttpChoice *c, const RequestDelta *d) {
    int r =
        d->kind == ENGINE_TEXT_TOOL_CALL ? collect_call(c, d) : http_buffer_append(&c->text[d->kind], d->text, d->size);
    if (r >= 0 && d->kind == ENGINE_TEXT_ANSWER)
        r = logprobs_append(&c->logprobs, d->logprobs, d->n_logprobs);
    if (d->size > 0)
        request_consumed(c->request, d->size);
    return r;
}

static void on_delta(Request *request, const RequestDelta *d, void *userdata) {
    HttpChoice *c = userdata;
    HttpGeneration *g = c->generation;
    int r = g->sse ? add_piece(c, d) : collect(c, d);
    if (r < 0)
        fail_for_memory(g);
}

static int push_end(HttpGeneration *g, HttpChoice *c) {
    if (!push(g, HTTP_EVENT_END, c))
        return -ENOMEM;
    if (g->n_finished < g->n_choices)
        return 0;
    if (g->include_usage && !push(g, HTTP_EVENT_USAGE, NULL))
        return -ENOMEM;
    if (!push(g, HTTP_EVENT_DONE, NULL))
        return -ENOMEM;
    g->answered = true;
    return 0;
}

static void on_finished(Request *request, const RequestResult *result, void *userdata) {
    HttpChoice *c = userdata;
    HttpGeneration *g = c->generation;

    c->request = NULL;
    c->finished = true;
    c->result = *result;
    c->result.model = NULL; /* borrowed, for this call only */
    g->n_finished++;
    if (g->answered)
        return;
    if (result->finish == ENGINE_FINISH_ERROR || result->finish == ENGINE_FINISH_CANCELLED) {
        HttpError he = {};
        if (result->finish == ENGINE_FINISH_ERROR)
            http_error_from(&he, &result->error, NULL);
        else
            http_error_set(&he, 503, "cancelled", NULL, "The request was cancelled.");
        fail(g, &he);
    } else if (g->sse) {
        if (push_end(g, c) < 0)
            fail_for_memory(g);
    } else if (g->n_finished == g->n_choices) {
        g->answered = true;
        http_exchange_reply_json(g->exchange, 200, g->format->whole(g));
    }
}

/* ------------------------------------------------------------------------------------------------ its start */

static void make_id(HttpGeneration *g, const char *prefix) {
    unsigned char random[12];
    static uint64_t n;
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        n++;
        memcpy(random, &n, sizeof(n));
    }
    size_t at = snprintf(g->id, sizeof(g->id), "%.12s", prefix);
    for (size_t i = 0; i < sizeof(random); i++)
        at += snprintf(g->id + at, sizeof(g->id) - at, "%02x", random[i]);
}

int http_generation_new(
    HttpExchange *x, const HttpFormat *format, const char *id_prefix, unsigned n_choices, HttpGeneration **ret) {
    HttpGeneration *g = calloc(1, sizeof(*g));
    HttpChoice *choices = calloc(n_choices, sizeof(*choices));
    if (!g || !choices) {
        free(choices);
        free(g);
        return -ENOMEM;
    }
    *g = (HttpGeneration){.exchange = x,
        .format = format,
        .created = time(NULL),
        .choices = choices,
        .n_choices = n_choices,
        .per_prompt = 1};
    make_id(g, id_prefix);
    for (unsigned i = 0; i < n_choices; i++) {
        choices[i].generation = g;
        choices[i].index = i;
    }
    http_exchange_on_end(x, on_exchange_end, g);
    *ret = g;
    return 0;
}

int http_generation_start(HttpGeneration *g, unsigned index, RequestSpec *spec, HttpError *he) {
    static const RequestSink sink = {.accepted = on_accepted, .delta = on_delta, .finished = on_finished};
    HttpChoice *c = &g->choices[index];
    Error e = {};

    spec->transport = REQUEST_TRANSPORT_HTTP;
    spec->owner = request_owner_of_uid(http_exchange_uid(g->exchange));
    int r = request_start(http_exchange_daemon(g->exchange), spec, &sink, c, &c->request, &e);
    if (r < 0) {
        g->answered = true; /* by the caller */
        abandon_requests(g);
        return http_error_from(he, &e, NULL);
    }
    return 0;
}

EngineUsage http_generation_usage(const HttpGeneration *g) {
    EngineUsage sum = {};
    for (unsigned i = 0; i < g->n_choices; i++) {
        const EngineUsage *u = &g->choices[i].result.usage;
        if (i % g->per_prompt == 0) {
            sum.prompt_tokens += u->prompt_tokens;
            sum.cached_tokens += u->cached_tokens;
        }
        sum.completion_tokens += u->completion_tokens;
        sum.reasoning_tokens += u->reasoning_tokens;
    }
    return sum;
}

const char *http_finish_reason(const HttpChoice *c) {
    return c->result.finish == ENGINE_FINISH_LENGTH ? "length" : c->n_calls > 0 ? "tool_calls" : "stop";
}
