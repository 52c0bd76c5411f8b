/* The engine: one thread that owns everything a model computes for its requests.
 *
 * Round and round: take what other threads want (inbox), end what is over, let the scheduler plan a step, compute it,
 * pick a token for each sequence that has reached its end, hand out the text (outbox). When the plan is empty the
 * thread sleeps until somebody wants something or the nearest deadline comes; without one it sleeps for good.
 *
 * Every request ends through finish(), once: with its final event, made in advance so that the end cannot fail. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "admission.h"
#include "encoder.h"
#include "engine-size.h"
#include "engine.h"
#include "forward.h"
#include "generation.h"
#include "inbox.h"
#include "kv-pool.h"
#include "model.h"
#include "outbox.h"
#include "prefix-index.h"
#include "scheduler.h"

struct Engine {
    Model *model; /* owned reference */
    uint32_t context_size;
    uint32_t max_running;
    uint64_t outbox_bytes;
    uint64_t stall_usec;
    uint64_t queue_usec;

    Encoder *encoder;          /* owned; NULL: the model generates, else there is no forward */
    Forward *forward;          /* owned */
    KvPool *pool;              /* owned */
    PrefixIndex *index;        /* owned */
    Scheduler *scheduler;      /* owned */
    GenerationContext context; /* owned */
    Generation **active;       /* owned, [max_live]: in the scheduler */
    uint32_t n_active;
    BatchRun *batch; /* owned, [max_running] */

    Inbox inbox;
    Outbox outbox;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t stats_lock;
    EngineStats stats; /* as of the last step */
    EngineStats next;  /* the engine thread's own */
};

static uint64_t now_usec(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ------------------------------------------------------------------------------------------------ the end of a request
 */

/* Hands out the text that has become certain. */
static int publish(Engine *en, Generation *g) {
    OutputText t;
    int r;
    while ((r = output_take(g->output, &t)) > 0) {
        size_t size = t.size;
        if (outbox_add_text(&en->outbox, &g->tail, g->sequence.id, &t) < 0) {
            output_text_done(&t);
            return -ENOMEM;
        }
        g->outstanding += size;
    }
    return r;
}

static void finish(Engine *en, Generation *g, EngineFinish why, const Error *e) {
    if (output_finish(g->output) < 0 || publish(en, g) < 0) {
        /* some text is missing, so it must not look complete */
        static const Error missing = {-ENOMEM, "out of memory for the text of the answer"};
        if (why != ENGINE_FINISH_ERROR)
            e = &missing;
        why = ENGINE_FINISH_ERROR;
    }
    EngineEvent *final = TAKE_PTR(g->final);
    final->type = ENGINE_EVENT_FINISHED;
    final->finish = why;
    if (why == ENGINE_FINISH_ERROR)
        final->error = *e;
    final->usage = g->usage;
    if (g->started == 0)
        final->usage.queue_usec = now_usec() - g->submitted;
    final->usage.cached_tokens = g->sequence.n_cached;

    uint32_t i = 0;
    while (en->active[i] != g)
        i++;
    en->active[i] = en->active[--en->n_active];
    if (!en->encoder)
        scheduler_remove(en->scheduler, &g->sequence);
    inbox_forget(&en->inbox, g); /* before the event, so that who reads it can submit the next request at once */
    outbox_add_final(&en->outbox, final);
    generation_free(g);
}

static void fail(Engine *en, Generation *g, int code, const char *format, ...) _printf_(4, 5);
static void fail(Engine *en, Generation *g, int code, const char *format, ...) {
    Error e = {};
    va_list ap;
    va_start(ap, format);
    error_setv(&e, code, format, ap);
    va_end(ap);
    finish(en, g, ENGINE_FINISH_ERROR, &e);
}

static Generation *generation_of(Sequence *q) {
    return (Generation *)((char *)q - offsetof(Generation, sequence));
}

/* ------------------------------------------------------------------------------------------------ deadlines */

static void check_stall(Engine *en, Generation *g, uint64_t now) {
    bool stalled = g->outstanding > en->outbox_bytes;
    if (stalled && !g->sequence.stalled)
        g->stalled_since = now;
    g->sequence.stalled = stalled;
}

/* Ends what has run out of time. */
static void expire(Engine *en, uint64_t now) {
    for (uint32_t i = en->n_active; i-- > 0;) { /* finish() moves the last into the gap: go down */
        Generation *g = en->active[i];
        check_stall(en, g, now);
        if (now >= g->deadline)
            fail(en, g, -ETIMEDOUT, "the request was not done within its time limit of %.1f s",
                (double)(g->deadline - g->submitted) / 1e6);
        else if (g->sequence.stalled && now - g->stalled_since >= en->stall_usec)
            fail(en, g, -EPIPE, "the client has not read its text for %.1f s", (double)en->stall_usec / 1e6);
    }
    Sequence *q;
    while ((q = scheduler_expired(en->scheduler, now)))
        fail(en, generation_of(q), -ENOSPC,
            "the KV pool of %u tokens had no room for this request for %.1f s; try again later or make the pool larger",
            kv_pool_n_pages(en->pool) * KV_PAGE_TOKENS, (double)en->queue_usec / 1e6);
}

/* When expire() may next have something to do. */
static uint64_t next_deadline(const Engine *en) {
    uint64_t first = scheduler_deadline(en->scheduler);
    for (uint32_t i = 0; i < en->n_active; i++) {
        const Generation *g = en->active[i];
        uint64_t at;
        first = MIN(first, g->deadline);
        if (g->sequence.stalled && !__builtin_add_overflow(g->stalled_since, en->stall_usec, &at))
            first = MIN(first, at);
    }
    return first;
}

/* ------------------------------------------------------------------------------------------------ a step */

/* One sequence has reached its end: the next token, and perhaps the request's. */
static void next_token(Engine *en, Generation *g, float *logits, uint64_t now) {
    if (g->sequence.n_tokens == g->sequence.capacity) { /* no token was asked for, only the prompt to be read */
        g->usage.prefill_usec = now - g->started;
        finish(en, g, ENGINE_FINISH_LENGTH, NULL);
        return;
    }
    Error e = {};
    EngineFinish why = ENGINE_FINISH_ERROR;
    int r = generation_next(g, &en->context, logits, now, &why, &e);
    if (r >= 0)
        en->next.completion_tokens++;
    if (r == 0 && publish(en, g) < 0)
        r = error_set(&e, -ENOMEM, "out of memory for the text of the answer");
    if (r != 0)
        finish(en, g, r > 0 ? why : ENGINE_FINISH_ERROR, &e);
}

static void fail_model(Engine *en) {
    while (en->n_active > 0)
        fail(en, en->active[0], -EIO,
            "the model file can no longer be read (it has changed, or its disk has failed); load a model again");
    en->next.model_failed = true;
}

static void step(Engine *en, const ScheduledRun *runs, size_t n) {
    uint64_t now = now_usec();
    for (size_t i = 0; i < n; i++) {
        Generation *g = generation_of(runs[i].sequence);
        if (g->started == 0) {
            g->started = now;
            g->usage.queue_usec = now - g->submitted;
        }
        en->batch[i] = (BatchRun){
            .pages = g->sequence.pages,
            .tokens = g->sequence.tokens + runs[i].position,
            .n_tokens = runs[i].n_tokens,
            .position = runs[i].position,
            .n_logits = runs[i].last,
        };
    }
    float *logits = NULL;
    forward_step(en->forward, kv_pool_arena(en->pool), en->batch, n, &logits);
    en->next.steps++;
    if (model_failed(en->model)) {
        fail_model(en);
        return;
    }

    uint64_t begun = now;
    now = now_usec();
    scheduler_took(en->scheduler, now - begun);
    for (size_t i = 0; i < n; i++) {
        Sequence *q = runs[i].sequence;
        uint32_t cached = q->n_cached;
        scheduler_commit(en->scheduler, &runs[i]);
        en->next.cached_tokens += q->n_cached - cached;
        if (!runs[i].last)
            continue;
        next_token(en, generation_of(q), logits, now);
        logits += en->context.n_logits;
    }
}

/* An encoder takes one text a step, whole: the highest class first, then the oldest. Nothing is paused or cached, so it
 * needs neither the scheduler nor the pool. */
static void embed_step(Engine *en) {
    Generation *g = en->active[0];
    for (uint32_t i = 1; i < en->n_active; i++) {
        const Sequence *q = &en->active[i]->sequence, *best = &g->sequence;
        if (q->priority < best->priority || (q->priority == best->priority && q->id < best->id))
            g = en->active[i];
    }
    size_t n = en->model->config.n_embd;
    g->started = now_usec();
    g->usage.queue_usec = g->started - g->submitted;
    g->final->embedding = calloc(n, sizeof(float));
    if (!g->final->embedding) {
        fail(en, g, -ENOMEM, "out of memory for the embedding");
        return;
    }
    Error e = {};
    int r = encoder_run(en->encoder, g->sequence.tokens, g->sequence.n_tokens, g->final->embedding, &e);
    g->usage.prefill_usec = now_usec() - g->started;
    en->next.steps++;
    if (model_failed(en->model)) {
        fail_model(en);
        return;
    }
    if (r < 0) {
        free(TAKE_PTR(g->final->embedding));
        finish(en, g, ENGINE_FINISH_ERROR, &e);
        return;
    }
    g->final->n_embedding = n;
    finish(en, g, ENGINE_FINISH_STOP, NULL);
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void take_news(Engine *en, const InboxNews *news, uint64_t now) {
    Generation *next;
    for (Generation *g = news->submitted; g; g = next) {
        next = g->next;
        en->active[en->n_active++] = g;
        en->next.prompt_tokens += g->sequence.n_prompt;
        if (!en->encoder)
            scheduler_add(en->scheduler, &g->sequence, now);
    }
    for (Generation *g = news->cancelled; g; g = next) {
        next = g->cancelled_next;
        finish(en, g, g->cancel_error.code == 0 ? ENGINE_FINISH_CANCELLED : ENGINE_FINISH_ERROR, &g->cancel_error);
    }
}

static void update_stats(Engine *en) {
    EngineStats *s = &en->next;
    s->pages_cached = kv_pool_n_cached(en->pool);
    s->pages_used = s->pages_total - kv_pool_n_available(en->pool);
    s->running = en->encoder ? MIN(en->n_active, 1u) : scheduler_n_running(en->scheduler);
    pthread_mutex_lock(&en->stats_lock);
    en->stats = *s;
    pthread_mutex_unlock(&en->stats_lock);
}

static void *run(void *userdata) {
    Engine *en = userdata;
    pthread_setname_np(pthread_self(), "inferd-engine");

    bool busy = false;
    for (;;) {
        InboxNews news = inbox_receive(&en->inbox, busy ? 0 : next_deadline(en));
        uint64_t now = now_usec();
        take_news(en, &news, now);
        if (news.stopping)
            break;
        expire(en, now);

        const ScheduledRun *runs;
        size_t n = en->encoder ? en->n_active : scheduler_plan(en->scheduler, now, &runs);
        busy = n > 0;
        if (busy && en->encoder)
            embed_step(en);
        else if (busy)
            step(en, runs, n);
        update_stats(en);
        outbox_announce(&en->outbox);
    }
    while (en->n_active > 0) {
        Generation *g = en->active[--en->n_active];
        if (!en->encoder)
            scheduler_remove(en->scheduler, &g->sequence);
        inbox_forget(&en->inbox, g);
        generation_free(g);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ set-up */

static int init(Engine *en, const EngineOptions *o, Error *e) {
    const Config *config = &en->model->config;
    KvLayout layout;
    uint32_t n_pages = 0;
    /* an encoder keeps nothing: its one page may be of any type */
    int r = kv_layout(config, config->encoder ? ENGINE_KV_F32 : o->kv_type, &layout, e);
    if (r < 0)
        return r;
    r = engine_size_choose(o, config, layout.page_bytes, engine_size_memory(), &n_pages, &en->context_size, e);
    if (r < 0)
        return r;

    uint32_t step_tokens = o->step_tokens > 0 ? o->step_tokens : 256;
    en->max_running = MIN(o->max_running > 0 ? o->max_running : 32u, step_tokens);
    en->outbox_bytes = o->outbox_bytes > 0 ? o->outbox_bytes : 64 * 1024;
    en->stall_usec = o->stall_usec > 0 ? o->stall_usec : 30 * 1000000u;
    en->queue_usec = o->queue_usec > 0 ? o->queue_usec : 60 * 1000000u;
    uint32_t max_live;
    if (__builtin_add_overflow(en->max_running, o->max_queued > 0 ? o->max_queued : 1024u, &max_live))
        return error_set(e, -EINVAL, "max-queued of %u is too much", o->max_queued);

    const ForwardOptions forward = {
        .n_threads = o->n_threads,
        .max_rows = step_tokens,
        .max_logits = en->max_running,
        .max_context = en->context_size,
        .kv_type = o->kv_type,
    };
    r = config->encoder ? encoder_new(en->model, o->n_threads, en->context_size, &en->encoder, e)
                        : forward_new(en->model, &forward, &en->forward, e);
    if (r < 0)
        return r;
    if ((r = kv_pool_new(n_pages, layout.page_bytes, &en->pool, e)) < 0)
        return r;
    if ((r = prefix_index_new(en->pool, KV_PAGE_TOKENS, &en->index, e)) < 0)
        return r;
    if ((r = generation_context_init(&en->context, en->model->tokenizer, config->n_vocab, e)) < 0)
        return r;

    const SchedulerOptions scheduler = {
        .step_tokens = step_tokens,
        .max_running = en->max_running,
        .max_sequences = max_live,
        .queue_usec = en->queue_usec,
    };
    en->active = calloc(max_live, sizeof(*en->active));
    en->batch = calloc(en->max_running, sizeof(*en->batch));
    if (!en->active || !en->batch || inbox_init(&en->inbox, max_live) < 0 ||
        scheduler_new(&scheduler, en->pool, en->index, &en->scheduler) < 0)
        return error_set(e, -ENOMEM, "out of memory for a queue of %u requests", max_live);

    en->next = (EngineStats){
        .context_size = en->context_size,
        .page_tokens = KV_PAGE_TOKENS,
        .pages_total = n_pages,
    };
    en->stats = en->next;
    return 0;
}

int engine_new(Model *m, const EngineOptions *o, Engine **ret, Error *e) {
    Engine *en = calloc(1, sizeof(*en));
    if (!en)
        return error_set(e, -ENOMEM, "out of memory for the engine");
    en->model = model_ref(m);
    pthread_mutex_init(&en->stats_lock, NULL);
    outbox_init(&en->outbox, o->wake, o->userdata);

    int r = init(en, o, e);
    if (r == 0) {
        r = -pthread_create(&en->thread, NULL, run, en);
        if (r < 0)
            error_set(e, r, "cannot start the engine's thread: %s", strerror(-r));
    }
    if (r < 0) {
        engine_free(en);
        return r;
    }
    en->has_thread = true;
    *ret = en;
    return 0;
}

Engine *engine_free(Engine *en) {
    if (!en)
        return NULL;
    if (en->has_thread) {
        inbox_stop(&en->inbox);
        pthread_join(en->thread, NULL);
    }
    scheduler_free(en->scheduler);
    prefix_index_free(en->index);
    kv_pool_free(en->pool);
    forward_free(en->forward);
    encoder_free(en->encoder);
    generation_context_done(&en->context);
    free(en->active);
    free(en->batch);
    inbox_done(&en->inbox);
    outbox_done(&en->outbox);
    pthread_mutex_destroy(&en->stats_lock);
    model_unref(en->model);
    free(en);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ other threads */

int engine_submit(Engine *en, const EngineRequest *r, uint64_t *ret_id, Error *e) {
    int x = admission_check(r, &en->model->config, en->context_size, e);
    if (x < 0)
        return x;
    if (model_failed(en->model))
        return error_set(e, -EIO, "the model file can no longer be read; load a model again");

    uint32_t capacity;
    if (__builtin_add_overflow((uint32_t)r->n_prompt, r->embed ? 0 : r->max_tokens, &capacity) ||
        capacity > en->context_size)
        capacity = en->context_size;
    _cleanup_(generation_freep) Generation *g = NULL;
    if ((x = generation_new(r, capacity, now_usec(), &g, e)) < 0)
        return x;
    if ((x = inbox_submit(&en->inbox, g, ret_id, e)) < 0)
        return x;
    TAKE_PTR(g);
    return 0;
}

void engine_cancel(Engine *en, uint64_t id, int code, const char *message) {
    inbox_cancel(&en->inbox, id, code, message);
}

void engine_consumed(Engine *en, uint64_t id, size_t bytes) {
    inbox_credit(&en->inbox, id, bytes);
}

EngineEvent *engine_take_events(Engine *en) {
    return outbox_take(&en->outbox);
}

void engine_stats(Engine *en, EngineStats *ret) {
    pthread_mutex_lock(&en->stats_lock);
    *ret = en->stats;
    pthread_mutex_unlock(&en->stats_lock);
    uint32_t n_live = inbox_n_live(&en->inbox);
    ret->queued = n_live - MIN(n_live, ret->running);
    ret->model_failed |= model_failed(en->model);
}
