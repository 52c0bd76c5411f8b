/* See admission.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admission.h"

#define MAX_STOP_BYTES 1024

/* "12,345" */
static const char *grouped(uint64_t n, char buffer[32]) {
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *p = buffer;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return buffer;
}

static int check_size(const EngineRequest *r, uint32_t context_size, Error *e) {
    char have[32], over[32], limit[32];
    if (r->n_prompt > context_size)
        return error_set(e, -EMSGSIZE, "the prompt has %s tokens, %s more than the context of %s",
            grouped(r->n_prompt, have), grouped(r->n_prompt - context_size, over), grouped(context_size, limit));
    if (r->n_prompt == context_size && r->max_tokens > 0 && !r->embed)
        return error_set(e, -EMSGSIZE, "the prompt has %s tokens and fills the whole context; shorten it by at least 1",
            grouped(r->n_prompt, have));
    return 0;
}

static int check_stop(const EngineRequest *r, Error *e) {
    if (r->n_stop > ENGINE_MAX_STOP)
        return error_set(e, -EINVAL, "%zu stop strings are more than the %d allowed", r->n_stop, ENGINE_MAX_STOP);
    for (size_t i = 0; i < r->n_stop; i++) {
        if (!r->stop || !r->stop[i] || !*r->stop[i])
            return error_set(e, -EINVAL, "a stop string must not be empty");
        if (strlen(r->stop[i]) > MAX_STOP_BYTES)
            return error_set(e, -EINVAL, "a stop string must not be longer than %d bytes", MAX_STOP_BYTES);
    }
    return 0;
}

int admission_check(const EngineRequest *r, const Config *c, uint32_t context_size, Error *e) {
    uint32_t n_vocab = c->n_vocab;
    if (r->embed != c->encoder)
        return error_set(e, -EOPNOTSUPP,
            r->embed ? "this model generates text and computes no embeddings; load one that does (bert, nomic-bert)"
                     : "this model computes embeddings and generates no text; load one that does");
    if (r->n_prompt == 0 || !r->prompt)
        return error_set(e, -EINVAL, "the prompt is empty");
    int x = check_size(r, context_size, e);
    if (x < 0)
        return x;
    for (size_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] >= n_vocab)
            return error_set(e, -EINVAL, "token %u is not in the model's vocabulary of %u", r->prompt[i], n_vocab);
    if ((unsigned)r->priority > ENGINE_PRIORITY_BACKGROUND)
        return error_set(e, -EINVAL, "there is no priority %d", (int)r->priority);
    if (r->top_logprobs < -1 || r->top_logprobs > ENGINE_MAX_TOP_LOGPROBS)
        return error_set(
            e, -EINVAL, "top-logprobs must be between 0 and %d, not %d", ENGINE_MAX_TOP_LOGPROBS, r->top_logprobs);
    if ((x = check_stop(r, e)) < 0 || (x = sampler_options_check(&r->sampler, e)) < 0)
        return x;
    for (size_t i = 0; i < r->sampler.n_logit_bias; i++)
        if (r->sampler.logit_bias[i].token >= n_vocab)
            return error_set(e, -EINVAL, "logit-bias names token %u, which is not in the model's vocabulary of %u",
                r->sampler.logit_bias[i].token, n_vocab);
    return 0;
}
