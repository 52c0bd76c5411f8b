/* From a row of logits to the next token and its text; see generation.h. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "generation.h"
#include "harmony.h"

#define CLOSING "\n</think>\n\n"

int generation_context_init(GenerationContext *c, const Tokenizer *t, uint32_t n_logits, Error *e) {
    *c = (GenerationContext){
        .tokenizer = t,
        .n_logits = n_logits,
        .think = tokenizer_find(t, "<think>"),
        .end_think = tokenizer_find(t, "</think>"),
    };
    const TextSpan closing = {.text = CLOSING, .size = strlen(CLOSING), .trusted = true};
    const TextSpan channel = {.text = HARMONY_CLOSING, .size = strlen(HARMONY_CLOSING), .trusted = true};
    int r = tokenizer_encode(t, &closing, 1, false, &c->closing, e);
    if (r >= 0)
        r = tokenizer_encode(t, &channel, 1, false, &c->channel_closing, e);
    if (r < 0)
        return r;
    if (sampler_scratch_new(MIN(n_logits, tokenizer_n_vocab(t)), &c->scratch) < 0)
        return error_set(e, -ENOMEM, "out of memory for the sampler");
    return 0;
}

void generation_context_done(GenerationContext *c) {
    c->scratch = sampler_scratch_free(c->scratch);
    token_array_done(&c->closing);
    token_array_done(&c->channel_closing);
}

static int init(Generation *g, const EngineRequest *r, uint32_t capacity) {
    g->final = calloc(1, sizeof(*g->final));
    if (!g->final)
        return -ENOMEM;
    if (r->sampler.n_logit_bias > 0) {
        size_t size;
        if (__builtin_mul_overflow(r->sampler.n_logit_bias, sizeof(LogitBias), &size))
            return -ENOMEM;
        LogitBias *copy = malloc(size);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, r->sampler.logit_bias, size);
        g->sampler.logit_bias = copy;
        g->sampler.n_logit_bias = r->sampler.n_logit_bias;
    }
    const OutputOptions output = {
        .stop = r->stop,
        .n_stop = r->n_stop,
        .split_reasoning = r->split_reasoning,
        .reasoning_open = r->reasoning_open,
        .syntax = r->syntax,
        .tool_calls = r->tool_calls,
        .tools = r->tools,
    };
    if (output_new(&output, &g->output) < 0)
        return -ENOMEM;
    return sequence_init(&g->sequence, r->owner, r->priority, r->prompt, (uint32_t)r->n_prompt, capacity);
}

int generation_new(const EngineRequest *r, uint32_t capacity, uint64_t now, Generation **ret, Error *e) {
    _cleanup_(generation_freep) Generation *g = calloc(1, sizeof(*g));
    if (!g)
        return error_set(e, -ENOMEM, "out of memory for the request");
    g->sampler = r->sampler;
    g->sampler.logit_bias = NULL;
    g->sampler.n_logit_bias = 0;
    g->top_logprobs = r->top_logprobs;
    g->split_reasoning = r->split_reasoning;
    g->channels = r->syntax == ENGINE_SYNTAX_HARMONY;
    g->reasoning_budget = r->reasoning_budget;
    g->submitted = now;
    g->usage.prompt_tokens = (uint32_t)r->n_prompt;
    if (r->timeout_usec == 0 || __builtin_add_overflow(now, r->timeout_usec, &g->deadline))
        g->deadline = UINT64_MAX;
    if (init(g, r, capacity) < 0)
        return error_set(e, -ENOMEM, "out of memory for a request of %zu tokens", r->n_prompt);
    *ret = TAKE_PTR(g);
    return 0;
}

Generation *generation_free(Generation *g) {
    if (!g)
        return NULL;
    sequence_done(&g->sequence);
    output_free(g->output);
    engine_event_free(g->final);
    free((void *)g->sampler.logit_bias);
    free(g);
    return NULL;
}

/* The token to take instead of asking the model: once the reasoning has had its budget, what ends it. */
static Token forced_token(Generation *g, const GenerationContext *c) {
    if (!g->forcing && g->n_forced == 0 && g->split_reasoning && output_in_reasoning(g->output) &&
        g->n_reasoned >= g->reasoning_budget && g->reasoning_budget != ENGINE_UNLIMITED)
        g->forcing = true;
    const TokenArray *closing = g->channels ? &c->channel_closing : &c->closing;
    if (g->forcing && g->n_forced < closing->n)
        return closing->items[g->n_forced++];
    g->forcing = false;
    return TOKEN_NONE;
}

static int add_text(
    Generation *g, const GenerationContext *c, Token token, const TokenLogprob *logprob, bool *ret_stopped) {
    /* the tags may be control tokens, but their text is what tells reasoning from answer */
    bool special = token == c->think || token == c->end_think;
    size_t size;
    const char *piece = tokenizer_piece(c->tokenizer, token, special, &size);

    bool before = output_in_reasoning(g->output);
    int r = output_push(g->output, piece, size, g->top_logprobs >= 0 ? logprob : NULL, ret_stopped);
    g->n_reasoned += before;
    g->usage.reasoning_tokens += before || output_in_reasoning(g->output);
    return r;
}

int generation_next(
    Generation *g, const GenerationContext *c, float *logits, uint64_t now, EngineFinish *ret_finish, Error *e) {
    if (g->usage.completion_tokens == 0) {
        g->first_token = now;
        g->usage.prefill_usec = now - g->started;
    }
    g->usage.decode_usec = now - g->first_token;

    Sequence *q = &g->sequence;
    const SamplerInput in = {
        .logits = logits,
        .n_logits = c->n_logits,
        .history = q->tokens,
        .n_history = q->n_tokens,
        .n_prompt = q->n_prompt,
        .forced = forced_token(g, c),
        .top_logprobs = g->top_logprobs,
    };
    TokenLogprob logprob = {};
    Token token = sampler_sample(&g->sampler, c->scratch, &in, &logprob);
    if (token == TOKEN_NONE)
        return error_set(e, -EBADMSG,
            "the model gave no usable probabilities for the next token (all are NaN); its file may be damaged");
    g->usage.completion_tokens++;

    if (in.forced == TOKEN_NONE && tokenizer_is_end(c->tokenizer, token)) {
        *ret_finish = ENGINE_FINISH_STOP;
        return 1;
    }
    sequence_append(q, token);
    bool stopped;
    if (add_text(g, c, token, &logprob, &stopped) < 0)
        return error_set(e, -ENOMEM, "out of memory for the text of the answer");
    if (stopped) {
        *ret_finish = ENGINE_FINISH_STOP;
        return 1;
    }
    if (q->n_tokens == q->capacity) {
        *ret_finish = ENGINE_FINISH_LENGTH;
        return 1;
    }
    return 0;
}
