/* What other threads want of the engine thread: new requests, cancellations, credit for text that was taken. Also the
 * table of live requests, because only under this lock is it known whether an id still means something.
 *
 * Cancellation and credit are written into the request itself, so neither needs memory and neither can fail. */
#pragma once

#include <pthread.h>

#include "engine.h"
#include "generation.h"

typedef struct Inbox {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    uint32_t max_live;
    uint32_t n_live;
    Generation **table; /* owned, [n_table]: chains by id */
    uint32_t n_table;
    uint64_t last_id;
    Generation *first_new, *last_new; /* in the order of their ids */
    Generation *touched;
    bool stopping;
} Inbox;

/* What inbox_receive() found. */
typedef struct InboxNews {
    Generation *submitted; /* list by `next`, oldest first */
    Generation *cancelled; /* list by `cancelled_next`; may be among the new as well */
    bool stopping;
} InboxNews;

int inbox_init(Inbox *x, uint32_t max_live);
void inbox_done(Inbox *x); /* no request may be left */

/* Any thread. */
int inbox_submit(Inbox *x, Generation *g, uint64_t *ret_id, Error *e); /* takes g over if it succeeds; else -EBUSY */
void inbox_cancel(Inbox *x, uint64_t id, int code, const char *message);
void inbox_credit(Inbox *x, uint64_t id, uint64_t bytes);
void inbox_stop(Inbox *x);
uint32_t inbox_n_live(Inbox *x);

/* Engine thread. Takes credits off what is outstanding. Sleeps until there is news, at most until `until` (usec,
 * CLOCK_MONOTONIC; 0: not at all, UINT64_MAX: for ever). */
InboxNews inbox_receive(Inbox *x, uint64_t until);
void inbox_forget(Inbox *x, Generation *g); /* its id means nothing any more */
