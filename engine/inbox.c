/* See inbox.h. Ids are given in ascending order, so that they spread over the table evenly by themselves. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "inbox.h"

int inbox_init(Inbox *x, uint32_t max_live) {
    *x = (Inbox){.max_live = max_live, .n_table = max_live};
    x->table = calloc(x->n_table, sizeof(*x->table));
    if (!x->table)
        return -ENOMEM;

    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->changed, &attr);
    pthread_condattr_destroy(&attr);
    return 0;
}

void inbox_done(Inbox *x) {
    if (!x->table)
        return;
    assert(x->n_live == 0);
    free(x->table);
    x->table = NULL;
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->lock);
}

static Generation **find(Inbox *x, uint64_t id) {
    Generation **link = &x->table[id % x->n_table];
    while (*link && (*link)->sequence.id != id)
        link = &(*link)->table_next;
    return link;
}

int inbox_submit(Inbox *x, Generation *g, uint64_t *ret_id, Error *e) {
    pthread_mutex_lock(&x->lock);
    uint32_t n_live = x->n_live;
    if (n_live < x->max_live) {
        uint64_t id = *ret_id = g->sequence.id = g->final->id = ++x->last_id;
        g->next = NULL;
        if (x->last_new)
            x->last_new->next = g;
        else
            x->first_new = g;
        x->last_new = g;

        Generation **head = &x->table[id % x->n_table];
        g->table_next = *head;
        *head = g;
        x->n_live++;
        pthread_cond_signal(&x->changed);
    }
    pthread_mutex_unlock(&x->lock);
    if (n_live >= x->max_live)
        return error_set(e, -EBUSY, "%u requests are already waiting or running; try again later", n_live);
    return 0;
}

static void touch(Inbox *x, Generation *g) {
    if (!g->touched) {
        g->touched = true;
        g->touched_next = x->touched;
        x->touched = g;
    }
    pthread_cond_signal(&x->changed);
}

void inbox_cancel(Inbox *x, uint64_t id, int code, const char *message) {
    pthread_mutex_lock(&x->lock);
    Generation *g = *find(x, id);
    if (g && !g->cancelled) {
        g->cancelled = true;
        if (code != 0)
            error_set(&g->cancel_error, code, "%s", message ? message : strerror(-code));
        touch(x, g);
    }
    pthread_mutex_unlock(&x->lock);
}

void inbox_credit(Inbox *x, uint64_t id, uint64_t bytes) {
    pthread_mutex_lock(&x->lock);
    Generation *g = *find(x, id);
    if (g && bytes > 0) {
        if (__builtin_add_overflow(g->credit, bytes, &g->credit))
            g->credit = UINT64_MAX;
        touch(x, g);
    }
    pthread_mutex_unlock(&x->lock);
}

void inbox_stop(Inbox *x) {
    pthread_mutex_lock(&x->lock);
    x->stopping = true;
    pthread_cond_signal(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

uint32_t inbox_n_live(Inbox *x) {
    pthread_mutex_lock(&x->lock);
    uint32_t n = x->n_live;
    pthread_mutex_unlock(&x->lock);
    return n;
}

static void wait_for_news(Inbox *x, uint64_t until) {
    const struct timespec ts = {.tv_sec = (time_t)(until / 1000000), .tv_nsec = (long)(until % 1000000) * 1000};
    int r = 0;
    while (until > 0 && r != ETIMEDOUT && !x->stopping && !x->first_new && !x->touched)
        r = until == UINT64_MAX ? pthread_cond_wait(&x->changed, &x->lock)
                                : pthread_cond_timedwait(&x->changed, &x->lock, &ts);
}

InboxNews inbox_receive(Inbox *x, uint64_t until) {
    pthread_mutex_lock(&x->lock);
    wait_for_news(x, until);
    InboxNews news = {.submitted = x->first_new, .stopping = x->stopping};
    x->first_new = x->last_new = NULL;

    while (x->touched) {
        Generation *g = x->touched;
        x->touched = g->touched_next;
        g->touched = false;
        g->outstanding -= MIN(g->outstanding, g->credit);
        g->credit = 0;
        if (g->cancelled) {
            g->cancelled_next = news.cancelled;
            news.cancelled = g;
        }
    }
    pthread_mutex_unlock(&x->lock);
    return news;
}

void inbox_forget(Inbox *x, Generation *g) {
    pthread_mutex_lock(&x->lock);
    *find(x, g->sequence.id) = g->table_next;
    for (Generation **link = &x->touched; g->touched && *link; link = &(*link)->touched_next)
        if (*link == g) {
            *link = g->touched_next;
            break;
        }
    x->n_live--;
    pthread_mutex_unlock(&x->lock);
}
