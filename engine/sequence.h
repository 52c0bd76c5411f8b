/* One timeline of tokens and the pages that hold what the model has computed for it.
 *
 * The pages may all be given back at any time (the request is paused): the tokens stay, and the rows are found again in
 * the prefix index or computed again, to the bit. */
#pragma once

#include "engine.h"
#include "kv-pool.h"
#include "prefix-index.h"

typedef struct SchedulerOwner SchedulerOwner;

typedef struct Sequence {
    uint64_t id; /* ascending with the time of submission */
    uint64_t owner;
    EnginePriority priority;

    Token *tokens; /* owned, [capacity]: the prompt, then what has been generated */
    uint32_t n_tokens;
    uint32_t n_prompt;
    uint32_t capacity;

    uint32_t *pages; /* owned, room for `capacity` positions */
    uint32_t n_pages;
    uint32_t n_computed; /* positions whose rows are in the pages */
    uint32_t n_reached;  /* the most n_computed has been */
    uint32_t n_cached;   /* positions that were found before anyone computed them for this sequence */

    /* the scheduler's */
    SchedulerOwner *share;
    uint64_t queued_since; /* usec; while it has no place */
    uint32_t n_planned;    /* tokens in the step being planned */
    bool running;          /* has a place */
    bool stalled;          /* set by the engine: to be left out of steps for now */
} Sequence;

uint32_t sequence_pages_for(uint32_t n_positions);

/* Copies the prompt. capacity: the longest it may become. -ENOMEM. */
int sequence_init(
    Sequence *s, uint64_t owner, EnginePriority priority, const Token *prompt, uint32_t n_prompt, uint32_t capacity);
void sequence_done(Sequence *s); /* its pages must have been released */

void sequence_append(Sequence *s, Token token);

/* Whether all tokens but the last have been computed: the next step gives the logits for one more. */
bool sequence_is_decoding(const Sequence *s);

/* Goes on with pages that the index knows, as far as it can. The last token is always left to compute, because its
 * logits are wanted. */
void sequence_adopt(Sequence *s, KvPool *pool, const PrefixIndex *index);
/* Gets pages for positions up to n_positions; -ENOSPC, keeping those it got, when the pool has no more. */
int sequence_reserve(Sequence *s, KvPool *pool, uint32_t n_positions);
/* n more positions have been computed; pages that are now full become findable. */
void sequence_advance(Sequence *s, KvPool *pool, PrefixIndex *index, uint32_t n);
/* Gives all pages back; the index keeps finding the full ones until they are evicted. */
void sequence_release(Sequence *s, KvPool *pool);
