/* One request being served: its sequence, its sampling options, its text on the way out, its account. Belongs to the
 * engine thread, but for the part that the inbox's lock guards. */
#pragma once

#include "engine.h"
#include "outbox.h"
#include "output.h"
#include "sampler.h"
#include "sequence.h"
#include "tokenizer/tokenizer.h"

/* What is the same for every request of an engine. */
typedef struct GenerationContext {
    const Tokenizer *tokenizer; /* borrowed */
    SamplerScratch *scratch;    /* owned */
    uint32_t n_logits;          /* of a row */
    Token think, end_think;     /* the tags as single tokens, or TOKEN_NONE */
    TokenArray closing;         /* "\n</think>\n\n" */
    TokenArray channel_closing; /* HARMONY_CLOSING */
} GenerationContext;

int generation_context_init(GenerationContext *c, const Tokenizer *t, uint32_t n_logits, Error *e);
void generation_context_done(GenerationContext *c);

typedef struct Generation Generation;
struct Generation {
    Sequence sequence;
    SamplerOptions sampler; /* owns its logit_bias */
    int top_logprobs;
    bool split_reasoning;
    bool channels; /* the model writes channels, not <think> */
    uint32_t reasoning_budget;
    Output *output; /* owned */

    uint32_t n_reasoned; /* tokens since the reasoning began */
    uint32_t n_forced;   /* tokens of the closing that have been forced */
    bool forcing;

    EngineUsage usage;
    uint64_t submitted, started, first_token; /* usec; 0: not yet */
    uint64_t deadline;                        /* usec; UINT64_MAX: none */
    uint64_t stalled_since;                   /* usec, while sequence.stalled */
    uint64_t outstanding;                     /* bytes of text the client has not taken */
    OutboxTail tail;
    Generation *cancelled_next; /* in InboxNews */
    EngineEvent *final;         /* owned: made at the beginning, so that the end needs no memory */

    /* guarded by the inbox */
    Generation *next;         /* in the list of the new */
    Generation *table_next;   /* in the table of ids */
    Generation *touched_next; /* in the list of the touched */
    bool touched;
    bool cancelled;
    Error cancel_error; /* code 0: plainly cancelled */
    uint64_t credit;    /* bytes */
};

/* capacity: the longest that the sequence may become. */
int generation_new(const EngineRequest *r, uint32_t capacity, uint64_t now, Generation **ret, Error *e);
Generation *generation_free(Generation *g);
DEFINE_CLEANUP(Generation *, generation_free)

/* The model's answer to all tokens so far has come: picks the next one and adds its text. 1: it was the last one and
 * *ret_finish says why; 0: go on; negative: the request has failed. Overwrites the logits. */
int generation_next(
    Generation *g, const GenerationContext *c, float *logits, uint64_t now, EngineFinish *ret_finish, Error *e);
