/* From one row of logits to one token. A pure function: the same logits, options, history and position give the same
 * token on every machine, whatever happened in between, so a request that was paused goes on as if it had not been.
 *
 * In this order:
 *   1. ids beyond the vocabulary and NaN count as impossible, infinities as the largest float
 *   2. log-probabilities are taken, of the distribution as the model gave it
 *   3. logit bias is added
 *   4. repeat penalty over the last repeat_last_n tokens, prompt included: positive logits are divided by it, negative
 *      ones multiplied (Keskar et al. 2019, arXiv 1909.05858)
 *   5. presence and frequency penalties over the generated tokens are subtracted, as OpenAI defines them
 *   6. temperature 0: the largest logit, of equal ones the lowest id. Otherwise, each on what the one before left:
 *   7. top-k, then top-p, then min-p, all on the distribution at temperature 1
 *   8. temperature, and a draw */
#pragma once

#include "engine.h"

/* Working memory for one vocabulary, shared by all requests of an engine. */
typedef struct SamplerScratch SamplerScratch;
int sampler_scratch_new(uint32_t n_vocab, SamplerScratch **ret);
SamplerScratch *sampler_scratch_free(SamplerScratch *sc);
DEFINE_CLEANUP(SamplerScratch *, sampler_scratch_free)

typedef struct SamplerInput {
    float *logits;        /* [n_logits], overwritten */
    uint32_t n_logits;    /* ids at and beyond the scratch's n_vocab are never sampled */
    const Token *history; /* prompt and what has been generated */
    size_t n_history;
    size_t n_prompt;
    Token forced;     /* TOKEN_NONE, or the token to take whatever the logits say (steps 3 to 8 are left out) */
    int top_logprobs; /* -1: no log-probabilities wanted */
} SamplerInput;

/* TOKEN_NONE if no token is possible (every logit is NaN or -inf). *ret_logprob is filled where it is wanted. */
Token sampler_sample(const SamplerOptions *o, SamplerScratch *sc, const SamplerInput *in, TokenLogprob *ret_logprob);

/* The i-th number of the sequence that `seed` begins, in [0, 1). */
double sampler_random(uint64_t seed, uint64_t i);
