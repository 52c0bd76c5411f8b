/* See bridge.h. Only ids and copies cross: an event that arrives for an id nobody waits for any more is dropped, so
 * neither side ever holds a pointer into the other's objects.
 *
 * The handle and the work request live inside Bridge, so Bridge itself is freed in the handle's close callback, after
 * the engine's thread was joined on the thread pool: that join can take one step of a large model. */
#include <assert.h>
#include <errno.h>

#include "bridge.h"

#define N_BUCKETS 256

typedef struct Receiver Receiver;
struct Receiver {
    Receiver *next;
    uint64_t id;
    BridgeReceiver receive;
    void *userdata; /* borrowed */
};

struct Bridge {
    uv_async_t wake;
    uv_work_t teardown;
    uv_loop_t *loop; /* borrowed */
    Engine *engine;  /* owned */
    Receiver *buckets[N_BUCKETS];
    uint32_t n_active;
    bool dead; /* bridge_free() was called */
    void (*idle)(void *userdata);
    void *idle_userdata; /* borrowed */
};

static Receiver **find_receiver(Bridge *b, uint64_t id) {
    Receiver **p = &b->buckets[id % N_BUCKETS];
    while (*p && (*p)->id != id)
        p = &(*p)->next;
    return p;
}

static void deliver(Bridge *b, const EngineEvent *ev) {
    Receiver **p = find_receiver(b, ev->id);
    if (!*p)
        return;
    BridgeReceiver receive = (*p)->receive;
    void *userdata = (*p)->userdata;
    if (ev->type == ENGINE_EVENT_FINISHED) {
        Receiver *gone = *p;
        *p = gone->next;
        free(gone);
        b->n_active--;
    }
    receive(userdata, ev);
}

static void on_wake(uv_async_t *handle) {
    Bridge *b = handle->data;

    EngineEvent *ev = b->dead ? NULL : engine_take_events(b->engine);
    while (ev) {
        if (!b->dead)
            deliver(b, ev);
        ev = engine_event_free(ev);
    }
    if (!b->dead && b->n_active == 0 && b->idle)
        b->idle(b->idle_userdata);
}

/* On the engine's thread. */
static void wake_from_engine(void *userdata) {
    Bridge *b = userdata;
    uv_async_send(&b->wake);
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

int bridge_new(uv_loop_t *loop, Model *m, const EngineOptions *o, Bridge **ret, Error *e) {
    Bridge *b = calloc(1, sizeof(Bridge));
    if (!b)
        return error_set(e, -ENOMEM, "Out of memory.");
    b->loop = loop;
    b->wake.data = b;
    b->teardown.data = b;

    int r = uv_async_init(loop, &b->wake, on_wake);
    if (r < 0) {
        free(b);
        return error_set(e, r, "Cannot watch the engine: %s.", uv_strerror(r));
    }

    EngineOptions options = *o;
    options.wake = wake_from_engine;
    options.userdata = b;
    r = engine_new(m, &options, &b->engine, e);
    if (r < 0) {
        b->dead = true;
        uv_close((uv_handle_t *)&b->wake, on_closed);
        return r;
    }
    *ret = b;
    return 0;
}

static void work_teardown(uv_work_t *work) {
    Bridge *b = work->data;
    b->engine = engine_free(b->engine);
}

static void after_teardown(uv_work_t *work, int status) {
    Bridge *b = work->data;
    b->engine = engine_free(b->engine); /* not yet done only where the work was cancelled */
    uv_close((uv_handle_t *)&b->wake, on_closed);
}

Bridge *bridge_free(Bridge *b, int code, const char *message) {
    if (!b || b->dead)
        return NULL;
    b->idle = NULL;

    EngineEvent ev = {.type = ENGINE_EVENT_FINISHED, .finish = ENGINE_FINISH_ERROR};
    error_set(&ev.error, code, "%s", message);
    for (size_t i = 0; i < N_BUCKETS; i++)
        while (b->buckets[i]) {
            ev.id = b->buckets[i]->id;
            engine_cancel(b->engine, ev.id, code, message);
            deliver(b, &ev);
        }
    assert(b->n_active == 0);
    b->dead = true;
    if (uv_queue_work(b->loop, &b->teardown, work_teardown, after_teardown) < 0)
        after_teardown(&b->teardown, 0);
    return NULL;
}

int bridge_submit(
    Bridge *b, const EngineRequest *r, BridgeReceiver receiver, void *userdata, uint64_t *ret_id, Error *e) {
    Receiver *n = calloc(1, sizeof(Receiver));
    if (!n)
        return error_set(e, -ENOMEM, "Out of memory.");

    /* events for this id wait in the outbox until the loop comes round, so the order below is safe */
    int k = engine_submit(b->engine, r, &n->id, e);
    if (k < 0) {
        free(n);
        return k;
    }
    n->receive = receiver;
    n->userdata = userdata;
    n->next = b->buckets[n->id % N_BUCKETS];
    b->buckets[n->id % N_BUCKETS] = n;
    b->n_active++;
    *ret_id = n->id;
    return 0;
}

void bridge_cancel(Bridge *b, uint64_t id, int code, const char *message) {
    engine_cancel(b->engine, id, code, message);
}

void bridge_consumed(Bridge *b, uint64_t id, size_t size) {
    engine_consumed(b->engine, id, size);
}

uint32_t bridge_n_active(const Bridge *b) {
    return b->n_active;
}

void bridge_stats(Bridge *b, EngineStats *ret) {
    engine_stats(b->engine, ret);
}

void bridge_on_idle(Bridge *b, void (*idle)(void *userdata), void *userdata) {
    b->idle = idle;
    b->idle_userdata = userdata;
}
