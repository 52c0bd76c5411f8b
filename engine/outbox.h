/* Events on their way to the daemon. The engine thread adds, one reader takes everything at once. Text for a request
 * whose last piece has not been taken yet is joined to that piece, so a slow reader costs as many bytes as there is
 * text, however small the tokens are. */
#pragma once

#include <pthread.h>

#include "engine.h"
#include "output.h"

typedef struct Outbox {
    pthread_mutex_t lock;
    EngineEvent *first, *last;
    uint64_t n_taken; /* times that the reader has come */
    bool announce;    /* it has stopped being empty and nobody has been told */
    void (*wake)(void *userdata);
    void *userdata; /* borrowed */
} Outbox;

/* A request's latest piece of text; valid while nobody has taken it. */
typedef struct OutboxTail {
    EngineEvent *event;
    uint64_t n_taken;
} OutboxTail;

void outbox_init(Outbox *o, void (*wake)(void *userdata), void *userdata);
void outbox_done(Outbox *o); /* frees what was not taken */

/* Takes over the text; -ENOMEM leaves it to the caller. */
int outbox_add_text(Outbox *o, OutboxTail *tail, uint64_t id, OutputText *t);
void outbox_add_final(Outbox *o, EngineEvent *ev);
/* To be called when a step's events are all in: wakes the reader if there was nothing before them. */
void outbox_announce(Outbox *o);
EngineEvent *outbox_take(Outbox *o);
