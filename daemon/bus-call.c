/* See bus-call.h. A call keeps its message and waits for a request, for the model, or for the thread pool. When its
 * sender leaves it is dropped, except where somebody else still holds a pointer to it (model_host_load() has no
 * cancellation: what was begun concerns everybody): then it only forgets its sender. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bus-call.h"
#include "bus-error.h"
#include "bus-options.h"
#include "bus-result.h"
#include "embedding.h"
#include "model-host.h"
#include "request.h"
#include "text.h"
#include "tool-call.h"

typedef struct CountWork CountWork;

struct BusCall {
    BusCall *next;
    BusService *service;     /* borrowed */
    BusOwner *owner;         /* borrowed; NULL: has left */
    sd_bus_message *message; /* owned; NULL: has left */
    Request *request;        /* borrowed while it runs */
    ModelWait *wait;         /* borrowed while waiting */
    CountWork *work;         /* borrowed while on the thread pool */
    bool held;               /* by model_host_load() */
    char *text;              /* owned; CountTokens */
    Text answer, reasoning;  /* Generate */
    Text calls;              /* Generate: separated by commas */
    Embedding *embedding;    /* owned; Embed */
};

struct CountWork {
    uv_work_t work;
    BusCall *call; /* borrowed; NULL: dropped */
    Model *model;  /* owned */
    char *text;    /* owned */
    TokenArray tokens;
    int r;
    Error error;
};

/* ---------------------------------------------------------------------------------------------- life */

static int call_new(BusService *s, BusOwner *o, sd_bus_message *m, BusCall **ret, Error *e) {
    uint32_t n = 0;

    for (BusCall *c = s->calls; c; c = c->next)
        n += c->owner && c->owner->uid == o->uid;
    if (n >= s->d->config->max_requests_per_owner)
        return error_set(e, -EDQUOT, "You already have %" PRIu32 " calls running; wait until one has ended.", n);
    BusCall *c = calloc(1, sizeof(BusCall));
    if (!c)
        return error_set(e, -ENOMEM, "Out of memory.");
    *c = (BusCall){.next = s->calls, .service = s, .owner = o, .message = sd_bus_message_ref(m)};
    s->calls = c;
    o->n_users++;
    *ret = c;
    return 0;
}

static void forget_sender(BusCall *c) {
    if (c->owner)
        c->owner->n_users--;
    c->owner = NULL;
    c->message = sd_bus_message_unref(c->message);
}

static BusCall *call_free(BusCall *c) {
    for (BusCall **p = &c->service->calls; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    forget_sender(c);
    if (c->request)
        request_abandon(c->request);
    model_host_wait_cancel(c->wait);
    if (c->work)
        c->work->call = NULL;
    free(c->text);
    text_done(&c->answer);
    text_done(&c->reasoning);
    text_done(&c->calls);
    embedding_free(c->embedding);
    daemon_activity(c->service->d);
    free(c);
    return NULL;
}

void bus_call_drop_owned(BusService *s, const BusOwner *o, const Error *error) {
    for (BusCall *c = s->calls, *next; c; c = next) {
        next = c->next;
        if (o && c->owner != o)
            continue;
        if (error && c->message)
            bus_error_reply(c->message, error);
        if (c->held)
            forget_sender(c);
        else
            call_free(c);
    }
}

void bus_call_free_all(BusService *s) {
    while (s->calls)
        call_free(s->calls);
}

static void call_fail(BusCall *c, const Error *e) {
    if (c->message)
        bus_error_reply(c->message, e);
    call_free(c);
}

/* ---------------------------------------------------------------------------------------------- Generate */

static int add_call(BusCall *c, const RequestDelta *delta) {
    int r = c->calls.n ? text_append(&c->calls, ",", 1) : 0;
    return r < 0 ? r : tool_call_write(&c->calls, delta);
}

static void on_delta(Request *r, const RequestDelta *delta, void *userdata) {
    BusCall *c = userdata;
    Text *to = delta->kind == ENGINE_TEXT_REASONING ? &c->reasoning : &c->answer;

    int k = delta->kind == ENGINE_TEXT_TOOL_CALL ? add_call(c, delta)
                                                 : text_append_without_nul(to, delta->text, delta->size);
    if (k < 0)
        request_cancel(r, -ENOMEM, "Out of memory.");
    request_consumed(r, delta->size);
}

static int reply_generated(BusCall *c, const RequestResult *result) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    int r = sd_bus_message_new_method_return(c->message, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "s", text_string(&c->answer));
    if (r >= 0)
        r = bus_result_append(reply, result, text_string(&c->reasoning), text_string(&c->calls));
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r;
}

static void on_generated(Request *r, const RequestResult *result, void *userdata) {
    BusCall *c = userdata;
    Error e;

    c->request = NULL;
    if (result->finish == ENGINE_FINISH_ERROR) {
        call_fail(c, &result->error);
        return;
    }
    int k = reply_generated(c, result);
    if (k < 0) {
        error_set(&e, k, "The answer could not be sent: %s.", strerror(-k));
        call_fail(c, &e);
        return;
    }
    call_free(c);
}

static const RequestSink generate_sink = {on_delta, on_generated};

static int start_request(BusCall *c, const Options *options, const Conversation *conversation, bool prefill_only,
    const RequestSink *sink, Error *e) {
    RequestSpec spec = {
        .transport = REQUEST_TRANSPORT_DBUS,
        .owner = request_owner_of_uid(c->owner->uid),
        .options = options,
        .conversation = conversation,
        .prefill_only = prefill_only,
    };
    return request_start(c->service->d, &spec, sink, c, &c->request, e);
}

int bus_call_generate(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    Conversation conversation = {};
    const char *prompt;
    Options options;
    BusCall *c;

    int r = sd_bus_message_read(m, "s", &prompt);
    if (r < 0)
        return error_set(e, -EINVAL, "The prompt could not be read: %s.", strerror(-r));
    r = options_copy(&options, &s->d->config->defaults, e);
    if (r < 0)
        return r;
    r = bus_options_read(m, &options, NULL, NULL, e);
    if (r >= 0 && !*prompt)
        r = error_set(e, -EINVAL, "The prompt is empty.");
    if (r >= 0)
        r = conversation_append(&conversation, "user", prompt, strlen(prompt), e);
    if (r >= 0)
        r = call_new(s, o, m, &c, e);
    if (r >= 0) {
        r = start_request(c, &options, &conversation, false, &generate_sink, e);
        if (r < 0)
            call_free(c);
    }
    conversation_done(&conversation);
    options_done(&options);
    return r;
}

/* ---------------------------------------------------------------------------------------------- Embed */

static int append_vectors(sd_bus_message *m, const EmbeddingResult *result) {
    int r = sd_bus_message_open_container(m, 'a', "ad");
    for (size_t i = 0; i < result->n && r >= 0; i++) {
        r = sd_bus_message_open_container(m, 'a', "d");
        for (size_t j = 0; j < result->width && r >= 0; j++)
            r = sd_bus_message_append(m, "d", (double)result->values[i * result->width + j]);
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_embedded(BusCall *c, const EmbeddingResult *result) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    int r = sd_bus_message_new_method_return(c->message, &reply);
    if (r >= 0)
        r = append_vectors(reply, result);
    if (r >= 0)
        r = sd_bus_message_append(
            reply, "a{sv}", 2, "model", "s", result->model, "prompt-tokens", "t", result->prompt_tokens);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_embedded(void *userdata, const EmbeddingResult *result, const Error *error) {
    BusCall *c = userdata;
    Error e;

    if (error) {
        e = *error;
        call_fail(c, &e);
        return;
    }
    int r = reply_embedded(c, result);
    if (r < 0) {
        error_set(&e, r, "The embeddings could not be sent: %s.", strerror(-r));
        call_fail(c, &e);
        return;
    }
    call_free(c);
}

/* The texts stay in the message. */
static int read_texts(sd_bus_message *m, EmbeddingInput *inputs, size_t *ret_n, Error *e) {
    const char *text;
    size_t n = 0;

    int r = sd_bus_message_enter_container(m, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read(m, "s", &text)) > 0) {
        if (n == EMBEDDING_MAX_INPUTS)
            return error_set(e, -EINVAL, "More than %d texts; send them in several calls.", EMBEDDING_MAX_INPUTS);
        if (!*text)
            return error_set(e, -EINVAL, "Text %zu is empty.", n);
        inputs[n++] = (EmbeddingInput){.text = text, .size = strlen(text)};
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return error_set(e, -EINVAL, "The texts could not be read: %s.", strerror(-r));
    *ret_n = n;
    return 0;
}

int bus_call_embed(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    static const char *const only[] = {"priority", "timeout", NULL};
    _cleanup_(freep) EmbeddingInput *inputs = calloc(EMBEDDING_MAX_INPUTS, sizeof(*inputs));
    size_t n = 0;
    Options options;
    BusCall *c;

    if (!inputs)
        return error_set(e, -ENOMEM, "Out of memory.");
    int r = read_texts(m, inputs, &n, e);
    if (r < 0 || (r = options_copy(&options, &s->d->config->defaults, e)) < 0)
        return r;
    r = bus_options_read(m, &options, NULL, only, e);
    if (r >= 0)
        r = call_new(s, o, m, &c, e);
    if (r >= 0) {
        r = embedding_start(s->d, REQUEST_TRANSPORT_DBUS, request_owner_of_uid(o->uid), &options, inputs, n,
            on_embedded, c, &c->embedding, e);
        if (r < 0)
            call_free(c);
    }
    options_done(&options);
    return r;
}

/* ---------------------------------------------------------------------------------------------- Prewarm */

static void on_prefilled(Request *r, const RequestResult *result, void *userdata) {
    BusCall *c = userdata;

    c->request = NULL;
    if (result->finish == ENGINE_FINISH_ERROR) {
        call_fail(c, &result->error);
        return;
    }
    sd_bus_reply_method_return(c->message, NULL);
    call_free(c);
}

static const RequestSink prewarm_sink = {on_delta, on_prefilled};

static void on_loaded(void *userdata, const Error *error) {
    BusCall *c = userdata;

    c->wait = NULL;
    c->held = false;
    if (error) {
        call_fail(c, error);
        return;
    }
    if (c->message)
        sd_bus_reply_method_return(c->message, NULL);
    call_free(c);
}

int bus_call_prewarm(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    Conversation conversation = {};
    Options options;
    BusCall *c;

    int r = options_copy(&options, &s->d->config->defaults, e);
    if (r < 0)
        return r;
    r = bus_options_read(m, &options, &conversation, NULL, e);
    if (r >= 0)
        r = call_new(s, o, m, &c, e);
    if (r >= 0) {
        if (conversation.n || options.system)
            r = start_request(c, &options, &conversation, true, &prewarm_sink, e);
        else
            r = model_host_wait(s->d->host, on_loaded, c, &c->wait, e);
        if (r < 0)
            call_free(c);
    }
    conversation_done(&conversation);
    options_done(&options);
    return r;
}

/* ---------------------------------------------------------------------------------------------- LoadModel */

int bus_call_load_model(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    const char *name;
    BusCall *c;

    int r = sd_bus_message_read(m, "s", &name);
    if (r < 0)
        return error_set(e, -EINVAL, "The name could not be read: %s.", strerror(-r));
    r = call_new(s, o, m, &c, e);
    if (r < 0)
        return r;
    c->held = true;
    r = model_host_load(s->d->host, name, on_loaded, c, e);
    if (r < 0)
        call_free(c);
    return r;
}

/* ---------------------------------------------------------------------------------------------- CountTokens */

static void count_on_thread(uv_work_t *work) {
    CountWork *w = work->data;
    w->r = model_tokenize(
        w->model, &(TextSpan){.text = w->text, .size = strlen(w->text)}, 1, false, &w->tokens, &w->error);
}

static void after_count(uv_work_t *work, int status) {
    CountWork *w = work->data;
    BusCall *c = w->call;

    if (status < 0)
        w->r = error_set(&w->error, status, "The text could not be counted: %s.", uv_strerror(status));
    if (c) {
        c->work = NULL;
        if (w->r < 0)
            call_fail(c, &w->error);
        else {
            sd_bus_reply_method_return(c->message, "u", (uint32_t)w->tokens.n);
            call_free(c);
        }
    }
    token_array_done(&w->tokens);
    model_unref(w->model);
    free(w->text);
    free(w);
}

static void on_model_to_count(void *userdata, const Error *error) {
    BusCall *c = userdata;
    Daemon *d = c->service->d;
    Error e;

    c->wait = NULL;
    if (error) {
        call_fail(c, error);
        return;
    }
    CountWork *w = calloc(1, sizeof(CountWork));
    if (!w) {
        error_set(&e, -ENOMEM, "Out of memory.");
        call_fail(c, &e);
        return;
    }
    *w = (CountWork){.call = c, .model = model_ref(model_host_model(d->host)), .text = TAKE_PTR(c->text)};
    w->work.data = w;
    c->work = w;
    int r = uv_queue_work(d->loop, &w->work, count_on_thread, after_count);
    if (r < 0)
        after_count(&w->work, r);
}

int bus_call_count_tokens(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    static const char *const none[] = {NULL};
    const char *text;
    Options options;
    BusCall *c;

    int r = sd_bus_message_read(m, "s", &text);
    if (r < 0)
        return error_set(e, -EINVAL, "The text could not be read: %s.", strerror(-r));
    options_init(&options);
    r = bus_options_read(m, &options, NULL, none, e);
    options_done(&options);
    if (r >= 0)
        r = call_new(s, o, m, &c, e);
    if (r < 0)
        return r;
    c->text = strdup(text);
    r = c->text ? model_host_wait(s->d->host, on_model_to_count, c, &c->wait, e)
                : error_set(e, -ENOMEM, "Out of memory.");
    if (r < 0)
        call_free(c);
    return r;
}
