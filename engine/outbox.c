/* A mutexed list detached whole; see outbox.h. */
#include <errno.h>
#include <string.h>

#include "outbox.h"

EngineEvent *engine_event_free(EngineEvent *ev) {
    if (!ev)
        return NULL;
    EngineEvent *next = ev->next;
    free(ev->text);
    free(ev->tool_name);
    free(ev->logprobs);
    free(ev->embedding);
    free(ev);
    return next;
}

void outbox_init(Outbox *o, void (*wake)(void *userdata), void *userdata) {
    *o = (Outbox){.wake = wake, .userdata = userdata};
    pthread_mutex_init(&o->lock, NULL);
}

void outbox_done(Outbox *o) {
    while (o->first)
        o->first = engine_event_free(o->first);
    pthread_mutex_destroy(&o->lock);
}

static void append(Outbox *o, EngineEvent *ev) {
    if (o->last)
        o->last->next = ev;
    else {
        o->first = ev;
        o->announce = true;
    }
    o->last = ev;
}

/* Joins t to ev; leaves both as they were when memory is short. */
static int join(EngineEvent *ev, OutputText *t) {
    char *text = realloc(ev->text, ev->size + t->size + 1);
    if (!text)
        return -ENOMEM;
    ev->text = text;
    if (t->n_logprobs > 0) {
        TokenLogprob *l = reallocarray(ev->logprobs, ev->n_logprobs + t->n_logprobs, sizeof(*l));
        if (!l)
            return -ENOMEM;
        memcpy(l + ev->n_logprobs, t->logprobs, t->n_logprobs * sizeof(*l));
        ev->logprobs = l;
        ev->n_logprobs += t->n_logprobs;
    }
    memcpy(text + ev->size, t->text, t->size + 1);
    ev->size += t->size;
    output_text_done(t);
    return 0;
}

static int add_text(Outbox *o, OutboxTail *tail, uint64_t id, OutputText *t) {
    EngineEvent *ev = tail->n_taken == o->n_taken ? tail->event : NULL;
    if (ev && ev->kind == t->kind && t->kind != ENGINE_TEXT_TOOL_CALL)
        return join(ev, t);

    ev = calloc(1, sizeof(*ev));
    if (!ev)
        return -ENOMEM;
    *ev = (EngineEvent){
        .id = id,
        .type = ENGINE_EVENT_DELTA,
        .kind = t->kind,
        .text = TAKE_PTR(t->text),
        .size = t->size,
        .tool_name = TAKE_PTR(t->tool_name),
        .logprobs = TAKE_PTR(t->logprobs),
        .n_logprobs = t->n_logprobs,
    };
    append(o, ev);
    *tail = (OutboxTail){ev, o->n_taken};
    return 0;
}

int outbox_add_text(Outbox *o, OutboxTail *tail, uint64_t id, OutputText *t) {
    pthread_mutex_lock(&o->lock);
    int r = add_text(o, tail, id, t);
    pthread_mutex_unlock(&o->lock);
    return r;
}

void outbox_add_final(Outbox *o, EngineEvent *ev) {
    pthread_mutex_lock(&o->lock);
    append(o, ev);
    pthread_mutex_unlock(&o->lock);
}

void outbox_announce(Outbox *o) {
    pthread_mutex_lock(&o->lock);
    bool announce = o->announce;
    o->announce = false;
    pthread_mutex_unlock(&o->lock);
    if (announce && o->wake)
        o->wake(o->userdata);
}

EngineEvent *outbox_take(Outbox *o) {
    pthread_mutex_lock(&o->lock);
    EngineEvent *first = o->first;
    o->first = o->last = NULL;
    o->n_taken++;
    pthread_mutex_unlock(&o->lock);
    return first;
}
