/* Who computes what in the next step. Pure policy: it knows sequences, pages and the time it is told, no model, no
 * threads, no clock; so all of it is tested by simulation.
 *
 * Every step has a budget of tokens. First each running sequence that generates gets one, then the prompts get chunks
 * of what is left, so a prompt of any length delays the others' next token by no more than one chunk. While somebody of
 * the same or a higher class generates, other than in the background, chunks are as short as keep the steps at a pace
 * that reads well, going by how long steps have taken (after Agrawal et al. 2024, "Taming throughput-latency tradeoff
 * in LLM inference with Sarathi-Serve").
 *
 * Class comes first: a waiting request takes the place and the pages of running ones of a lower class, in the very next
 * step. Inside a class the owner who has been served the fewest tokens comes first (Sheng et al. 2024, "Fairness in
 * serving large language models"), and an owner with fewer places than another takes one over until they are even;
 * inside an owner the oldest comes first.
 *
 * A sequence that loses its place is paused: its pages go back, it waits in the queue with its tokens, and goes on
 * later, from the prefix index or by computing again. The oldest of the highest class is never paused for want of
 * pages, and alone it always fits, so there is always progress. */
#pragma once

#include "engine.h"
#include "kv-pool.h"
#include "prefix-index.h"
#include "sequence.h"

typedef struct SchedulerOptions {
    uint32_t step_tokens;   /* of a step, all sequences together */
    uint32_t max_running;   /* sequences that have a place; at most step_tokens */
    uint32_t max_sequences; /* running and queued */
    uint64_t queue_usec;    /* see scheduler_expired() */
} SchedulerOptions;

/* One sequence's part of a step. */
typedef struct ScheduledRun {
    Sequence *sequence; /* borrowed */
    uint32_t position;
    uint32_t n_tokens;
    bool last; /* reaches the sequence's last token, so its logits are wanted */
} ScheduledRun;

typedef struct Scheduler Scheduler;

/* Borrows pool and index. */
int scheduler_new(const SchedulerOptions *o, KvPool *pool, PrefixIndex *index, Scheduler **ret);
Scheduler *scheduler_free(Scheduler *s); /* nothing may be left in it */
DEFINE_CLEANUP(Scheduler *, scheduler_free)

/* Borrows the sequence until scheduler_remove(). There must be room (max_sequences). */
void scheduler_add(Scheduler *s, Sequence *q, uint64_t now);
void scheduler_remove(Scheduler *s, Sequence *q);

/* Plans the next step; all pages it needs are reserved. The runs belong to the scheduler and hold until its next call.
 */
size_t scheduler_plan(Scheduler *s, uint64_t now, const ScheduledRun **ret_runs);
/* Computing the planned step took so long. */
void scheduler_took(Scheduler *s, uint64_t usec);
/* The run has been computed. */
void scheduler_commit(Scheduler *s, const ScheduledRun *run);

/* While the pool is exhausted: a sequence that has been without pages for queue_usec, or NULL. */
Sequence *scheduler_expired(Scheduler *s, uint64_t now);
/* When scheduler_expired() will next have an answer; UINT64_MAX: never as things are. */
uint64_t scheduler_deadline(const Scheduler *s);

uint32_t scheduler_n_running(const Scheduler *s);
uint32_t scheduler_n_queued(const Scheduler *s);
