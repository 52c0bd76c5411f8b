/* See request.h.
 *
 *   WAITING ──model ready──▶ PREPARING ──prompt──▶ RUNNING ──FINISHED event──▶ finished(), freed
 *      ▲                        │ the model was replaced meanwhile
 *      └────────────────────────┘
 *   from WAITING and PREPARING an error or a cancellation leads to ENDING: finished() comes from the timer
 *
 * One timer per request serves the deadline and, in ENDING, the delivery of finished() on a clean stack. Preparation
 * runs on the thread pool on an object of its own; a request that ends first orphans it (request = NULL), so nobody
 * waits for a long prompt to be tokenized in vain. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"
#include "metrics.h"
#include "model-host.h"
#include "request.h"
#include "tool-call.h"

typedef enum RequestState {
    REQUEST_WAITING,
    REQUEST_PREPARING,
    REQUEST_RUNNING,
    REQUEST_ENDING,
} RequestState;

/* What the thread pool needs, copied once and immutable while a worker may look at it. */
typedef struct Preparation {
    uv_work_t work;
    Request *request; /* borrowed; NULL: orphaned */
    bool busy;        /* on the thread pool */
    Conversation conversation;
    bool is_chat;
    char *system;   /* owned */
    char *tools;    /* owned; see Options */
    char *template; /* owned; see Options */
    char *text;     /* owned; plain completion */
    size_t text_size;
    Model *model; /* owned */
    Prompt prompt;
    int r;
    Error error;
} Preparation;

struct Request {
    Request *next, **link; /* in Daemon.requests */
    Daemon *d;             /* borrowed */
    uint64_t id;
    RequestTransport transport;
    uint64_t owner;
    RequestState state;
    Options options;
    bool embed;
    bool prefill_only;
    bool is_chat;
    Preparation *prep; /* owned until orphaned */
    ModelWait *wait;   /* borrowed from the host */
    Bridge *bridge;    /* borrowed, valid while RUNNING */
    uint64_t engine_id;
    uv_timer_t timer;
    uint64_t started; /* uv_hrtime() */
    bool first_token_seen;
    bool abandoned;
    RequestSink sink;
    void *userdata; /* borrowed */
    char *model;    /* owned; name */
    RequestResult result;
};

static const char *const transport_names[] = {[REQUEST_TRANSPORT_DBUS] = "dbus", [REQUEST_TRANSPORT_HTTP] = "http"};
static const char *const finish_names[] = {
    [ENGINE_FINISH_STOP] = "stop",
    [ENGINE_FINISH_LENGTH] = "length",
    [ENGINE_FINISH_CANCELLED] = "cancelled",
    [ENGINE_FINISH_ERROR] = "error",
};

static void start_waiting(Request *r);

uint64_t request_owner_of_uid(uid_t uid) {
    return (uint64_t)uid;
}

uint64_t request_id(const Request *r) {
    return r->id;
}

/* ---------------------------------------------------------------------------------------------- end of a request */

static Preparation *preparation_free(Preparation *p) {
    if (!p)
        return NULL;
    conversation_done(&p->conversation);
    prompt_done(&p->prompt);
    model_unref(p->model);
    free(p->system);
    free(p->tools);
    free(p->template);
    free(p->text);
    free(p);
    return NULL;
}
DEFINE_CLEANUP(Preparation *, preparation_free)

static void drop_preparation(Request *r) {
    Preparation *p = TAKE_PTR(r->prep);
    if (p && p->busy)
        p->request = NULL; /* after_prepare() frees it */
    else
        preparation_free(p);
}

static void on_timer_closed(uv_handle_t *handle) {
    Request *r = handle->data;
    options_done(&r->options);
    free(r->model);
    free(r);
}

static void request_unlink(Request *r) {
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    r->d->n_requests--;
}

static void log_end(const Request *r) {
    char owner[32];

    snprintf(owner, sizeof(owner), "uid %" PRIu64, r->owner);
    LogFields f = {
        .request_id = r->id,
        .owner = owner,
        .transport = transport_names[r->transport],
        .model = r->model,
        .outcome = finish_names[r->result.finish],
        .prompt_tokens = r->result.usage.prompt_tokens,
        .completion_tokens = r->result.usage.completion_tokens,
    };
    if (r->result.finish == ENGINE_FINISH_ERROR)
        log_message(LOG_NOTICE, &f, "Failed: %s", r->result.error.message);
    else
        log_message(LOG_DEBUG, &f,
            "Finished: %s, %" PRIu32 " prompt tokens (%" PRIu32 " cached), %" PRIu32 " generated.", f.outcome,
            f.prompt_tokens, r->result.usage.cached_tokens, f.completion_tokens);
}

/* The one place where a request ends. */
static void finish(Request *r) {
    Daemon *d = r->d;

    if (r->wait)
        model_host_wait_cancel(TAKE_PTR(r->wait));
    drop_preparation(r);
    r->result.model = r->model;
    metrics_request_finished(d->metrics, r->transport, &r->result);
    log_end(r);
    request_unlink(r);
    r->state = REQUEST_ENDING;
    if (!r->abandoned) {
        r->abandoned = true; /* exactly once, whatever finished() does */
        r->sink.finished(r, &r->result, r->userdata);
    }
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    daemon_activity(d);
}

static void on_end(uv_timer_t *timer) {
    finish(timer->data);
}

/* For everything that happens before the engine has the request: finished() comes from the loop. */
static void end_soon(Request *r, int code, const char *message) {
    if (r->state == REQUEST_ENDING)
        return;
    if (r->wait)
        model_host_wait_cancel(TAKE_PTR(r->wait));
    drop_preparation(r);
    r->state = REQUEST_ENDING;
    r->result.finish = code ? ENGINE_FINISH_ERROR : ENGINE_FINISH_CANCELLED;
    if (code)
        error_set(&r->result.error, code, "%s", message);
    uv_timer_start(&r->timer, on_end, 0, 0);
}

void request_cancel(Request *r, int code, const char *message) {
    if (r->state == REQUEST_RUNNING)
        bridge_cancel(r->bridge, r->engine_id, code, message);
    else
        end_soon(r, code, message);
}

void request_abandon(Request *r) {
    r->abandoned = true;
    request_cancel(r, 0, NULL);
}

void request_consumed(Request *r, size_t size) {
    if (r->state == REQUEST_RUNNING)
        bridge_consumed(r->bridge, r->engine_id, size);
}

void request_cancel_all(Daemon *d, int code, const char *message) {
    for (Request *r = d->requests; r; r = r->next)
        request_cancel(r, code, message);
}

static void on_deadline(uv_timer_t *timer) {
    request_cancel(timer->data, -ETIMEDOUT, "The request did not end within its time limit.");
}

/* ---------------------------------------------------------------------------------------------- running */

static void on_event(void *userdata, const EngineEvent *ev) {
    Request *r = userdata;

    if (ev->type == ENGINE_EVENT_DELTA) {
        if (!r->first_token_seen) {
            r->first_token_seen = true;
            metrics_first_token(r->d->metrics, (uv_hrtime() - r->started) / 1000);
        }
        if (r->abandoned)
            return;
        char id[TOOL_CALL_ID_SIZE];
        RequestDelta delta = {.kind = ev->kind,
            .text = ev->text ? ev->text : "",
            .size = ev->size,
            .logprobs = ev->logprobs,
            .n_logprobs = ev->n_logprobs};
        if (ev->kind == ENGINE_TEXT_TOOL_CALL) {
            tool_call_make_id(id);
            delta.tool_name = ev->tool_name;
            delta.tool_id = id;
            r->result.n_tool_calls++;
        }
        r->sink.delta(r, &delta, r->userdata);
        return;
    }
    r->result.finish = ev->finish;
    r->result.usage = ev->usage;
    r->result.embedding = ev->embedding;
    r->result.n_embedding = ev->n_embedding;
    if (ev->finish == ENGINE_FINISH_ERROR) {
        r->result.error = ev->error;
        if (ev->error.code == -EIO && r->bridge == model_host_bridge(r->d->host)) {
            Error error = ev->error;
            model_host_io_failed(r->d->host, &error);
        }
    }
    finish(r);
}

static void submit(Request *r, const Prompt *prompt) {
    size_t n_stop = 0;
    Error e = {};

    while (r->options.stop && r->options.stop[n_stop])
        n_stop++;
    EngineRequest q = {
        .embed = r->embed,
        .owner = r->owner,
        .priority = r->options.priority,
        .prompt = prompt->tokens.items,
        .n_prompt = prompt->tokens.n,
        .max_tokens = r->prefill_only ? 0 : r->options.max_tokens,
        .sampler = r->options.sampler,
        .stop = (const char *const *)r->options.stop,
        .n_stop = n_stop,
        .top_logprobs = r->options.top_logprobs,
        .split_reasoning = r->is_chat,
        .reasoning_open = prompt->reasoning_open,
        .syntax = prompt->syntax,
        .tool_calls = r->is_chat && r->options.tools,
        .tools = r->options.tools,
        .reasoning_budget = r->options.reasoning_budget,
    };
    const ModelInfo *info = model_info(model_host_model(r->d->host));
    if (!r->options.temperature_given && info->temperature >= 0)
        q.sampler.temperature = info->temperature;
    Bridge *b = model_host_bridge(r->d->host);
    int k = bridge_submit(b, &q, on_event, r, &r->engine_id, &e);
    if (k < 0) {
        end_soon(r, k, e.message);
        return;
    }
    r->bridge = b;
    r->state = REQUEST_RUNNING;
    free(r->model);
    r->model = strdup(model_host_model_name(r->d->host));
    if (r->sink.accepted && !r->abandoned)
        r->sink.accepted(r, r->userdata);
}

/* ---------------------------------------------------------------------------------------------- preparing */

static int format_conversation(Preparation *p) {
    size_t n = p->conversation.n, first = p->system ? 1 : 0;

    _cleanup_(freep) ChatMessage *messages = calloc(n + 1, sizeof(ChatMessage));
    if (!messages)
        return error_set(&p->error, -ENOMEM, "Out of memory.");
    if (p->system)
        messages[0] = (ChatMessage){.role = "system", .content = p->system, .content_size = strlen(p->system)};
    for (size_t i = 0; i < n; i++) {
        const Message *m = &p->conversation.messages[i];
        messages[first + i] = (ChatMessage){.role = m->role,
            .content = m->no_content ? NULL : m->content,
            .content_size = m->content_size,
            .fields = m->fields};
    }
    const ChatOptions options = {.tools = p->tools, .variables = p->template};
    return model_format_chat(p->model, messages, first + n, &options, &p->prompt, &p->error);
}

static void prepare_on_thread(uv_work_t *work) {
    Preparation *p = work->data;

    if (p->is_chat)
        p->r = format_conversation(p);
    else
        p->r = model_tokenize(
            p->model, &(TextSpan){.text = p->text, .size = p->text_size}, 1, true, &p->prompt.tokens, &p->error);
}

/* The prompt is there, and belongs to the model that is still the shared one. */
static void prepared(Request *r) {
    Preparation *p = r->prep;

    if (p->prompt.tokens.n == 0)
        return end_soon(r, -EINVAL, "The prompt is empty.");
    submit(r, &p->prompt);
    if (r->state == REQUEST_RUNNING)
        drop_preparation(r);
}

static void after_prepare(uv_work_t *work, int status) {
    Preparation *p = work->data;
    Request *r = p->request;

    p->busy = false;
    if (!r) {
        preparation_free(p);
        return;
    }
    if (status < 0)
        p->r = error_set(&p->error, status, "The prompt could not be prepared: %s.", uv_strerror(status));
    if (p->r < 0) {
        Error e = p->error;
        end_soon(r, p->r, e.message);
        return;
    }
    if (p->model != model_host_model(r->d->host)) {
        prompt_done(&p->prompt);
        p->prompt = (Prompt){};
        p->model = model_unref(p->model);
        start_waiting(r);
        return;
    }
    prepared(r);
}

static void on_model(void *userdata, const Error *error) {
    Request *r = userdata;
    Preparation *p = r->prep;

    r->wait = NULL;
    if (error) {
        Error e = *error;
        end_soon(r, e.code, e.message);
        return;
    }
    if (r->embed != model_info(model_host_model(r->d->host))->encoder) {
        end_soon(r, -EOPNOTSUPP,
            r->embed ? "The model that is loaded generates text and computes no embeddings. Load one that does (bert, "
                       "nomic-bert)."
                     : "The model that is loaded computes embeddings and generates no text. Load one that does.");
        return;
    }
    if (!p->is_chat && !p->text) { /* token ids as they are */
        prepared(r);
        return;
    }
    r->state = REQUEST_PREPARING;
    p->model = model_ref(model_host_model(r->d->host));
    p->busy = true;
    int k = uv_queue_work(r->d->loop, &p->work, prepare_on_thread, after_prepare);
    if (k < 0) {
        p->busy = false;
        end_soon(r, k, "The thread pool cannot take the request.");
    }
}

static void start_waiting(Request *r) {
    Error e = {};

    r->state = REQUEST_WAITING;
    int k = model_host_wait(r->d->host, on_model, r, &r->wait, &e);
    if (k < 0)
        end_soon(r, k, e.message);
}

/* ---------------------------------------------------------------------------------------------- start */

static int preparation_new(const RequestSpec *spec, Preparation **ret, Error *e) {
    _cleanup_(preparation_freep) Preparation *p = calloc(1, sizeof(Preparation));
    if (!p)
        return error_set(e, -ENOMEM, "Out of memory.");
    p->work.data = p;
    if (spec->conversation) {
        p->is_chat = true;
        int r = conversation_copy(&p->conversation, spec->conversation, e);
        if (r < 0)
            return r;
        const Options *o = spec->options;
        if ((o->system && !(p->system = strdup(o->system))) || (o->tools && !(p->tools = strdup(o->tools))) ||
            (o->template && !(p->template = strdup(o->template))))
            return error_set(e, -ENOMEM, "Out of memory.");
    } else if (spec->prompt_tokens) {
        p->prompt.tokens.items = calloc(MAX(spec->n_prompt_tokens, (size_t)1), sizeof(Token));
        if (!p->prompt.tokens.items)
            return error_set(e, -ENOMEM, "Out of memory.");
        memcpy(p->prompt.tokens.items, spec->prompt_tokens, spec->n_prompt_tokens * sizeof(Token));
        p->prompt.tokens.n = spec->n_prompt_tokens;
    } else {
        p->text = malloc(spec->prompt_size + 1);
        if (!p->text)
            return error_set(e, -ENOMEM, "Out of memory.");
        if (spec->prompt_size)
            memcpy(p->text, spec->prompt, spec->prompt_size);
        p->text[spec->prompt_size] = '\0';
        p->text_size = spec->prompt_size;
    }
    *ret = TAKE_PTR(p);
    return 0;
}

static int check_limits(Daemon *d, const RequestSpec *spec, Error *e) {
    uint32_t n = 0;

    if (d->stopping)
        return error_set(e, -ESHUTDOWN, "inferd is stopping.");
    for (Request *r = d->requests; r; r = r->next)
        n += r->owner == spec->owner;
    if (n >= d->config->max_requests_per_owner)
        return error_set(e, -EDQUOT, "You already have %" PRIu32 " requests running; wait until one has ended.", n);
    if (spec->conversation && spec->conversation->n == 0 && !spec->options->system)
        return error_set(e, -EINVAL, "The conversation has no messages.");
    if (!spec->conversation && !spec->prompt_tokens && spec->prompt_size > CONVERSATION_MAX_BYTES)
        return error_set(e, -EMSGSIZE, "The prompt has %zu bytes; at most %u are accepted.", spec->prompt_size,
            CONVERSATION_MAX_BYTES);
    return sampler_options_check(&spec->options->sampler, e);
}

static int request_new(Daemon *d, const RequestSpec *spec, Request **ret, Error *e) {
    _cleanup_(preparation_freep) Preparation *p = NULL;

    int k = preparation_new(spec, &p, e);
    if (k < 0)
        return k;
    Request *r = calloc(1, sizeof(Request));
    if (!r)
        return error_set(e, -ENOMEM, "Out of memory.");
    k = options_copy(&r->options, spec->options, e);
    if (k < 0) {
        free(r);
        return k;
    }
    r->d = d;
    r->transport = spec->transport;
    r->owner = spec->owner;
    r->embed = spec->embed;
    r->prefill_only = spec->prefill_only;
    r->is_chat = spec->conversation != NULL;
    r->started = uv_hrtime();
    r->prep = TAKE_PTR(p);
    r->prep->request = r;
    if (!r->options.seed_given &&
        getrandom(&r->options.sampler.seed, sizeof(r->options.sampler.seed), GRND_NONBLOCK) < 0)
        r->options.sampler.seed = r->started;
    *ret = r;
    return 0;
}

int request_start(
    Daemon *d, const RequestSpec *spec, const RequestSink *sink, void *userdata, Request **ret, Error *e) {
    Request *r = NULL;

    int k = check_limits(d, spec, e);
    if (k >= 0)
        k = request_new(d, spec, &r, e);
    if (k >= 0) {
        k = model_host_wait(d->host, on_model, r, &r->wait, e);
        if (k < 0) {
            drop_preparation(r);
            options_done(&r->options);
            free(r);
        }
    }
    if (k < 0) {
        metrics_request_refused(d->metrics, spec->transport);
        return k;
    }

    r->id = ++d->last_request_id;
    r->sink = *sink;
    r->userdata = userdata;
    uv_timer_init(d->loop, &r->timer);
    r->timer.data = r;
    uint64_t usec = r->options.timeout_usec ? r->options.timeout_usec : d->config->request_timeout_usec;
    if (usec)
        uv_timer_start(&r->timer, on_deadline, MAX(usec / 1000, (uint64_t)1), 0);
    r->next = d->requests;
    if (r->next)
        r->next->link = &r->next;
    r->link = &d->requests;
    d->requests = r;
    d->n_requests++;
    daemon_activity(d);
    *ret = r;
    return 0;
}
