/* POST /v1/completions: text that goes on. One request may bring several prompts and ask for several choices each;
 * choices are numbered prompt by prompt. */
#include <errno.h>
#include <string.h>

#include "http-json.h"
#include "http-openai.h"

#define MAX_PROMPTS 64

/* ------------------------------------------------------------------------------------------------ the request */

typedef struct PromptInput {
    const char *text; /* borrowed from the body; NULL: tokens */
    size_t size;
    Token *tokens; /* owned */
    size_t n_tokens;
} PromptInput;

typedef struct PromptInputs {
    PromptInput *items; /* owned */
    size_t n;
} PromptInputs;

static void inputs_done(PromptInputs *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].tokens);
    free(p->items);
}

static bool is_token_array(const json_t *v) {
    return json_is_array(v) && json_is_number(json_array_get(v, 0));
}

static int parse_tokens(const json_t *array, PromptInput *ret, HttpError *he) {
    ret->tokens = calloc(json_array_size(array), sizeof(*ret->tokens));
    if (!ret->tokens)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value) {
        int64_t id;
        if (http_json_whole(value, &id) < 0 || id < 0 || id >= TOKEN_NONE)
            return http_error_field(he, "prompt", "'prompt' holds something that is not a token id at place %zu.", i);
        ret->tokens[i] = id;
    }
    ret->n_tokens = json_array_size(array);
    return 0;
}

static int parse_one(const json_t *v, PromptInput *ret, HttpError *he) {
    if (is_token_array(v))
        return parse_tokens(v, ret, he);
    if (!json_is_string(v))
        return http_error_field(he, "prompt",
            "'prompt' must be a string, an array of strings, an array of token ids or an array of those.");
    ret->text = json_string_value(v);
    ret->size = json_string_length(v);
    return 0;
}

static int parse_prompts(const json_t *body, PromptInputs *ret, HttpError *he) {
    const json_t *prompt = json_object_get(body, "prompt");
    bool many = json_is_array(prompt) && !is_token_array(prompt);
    size_t n = many ? json_array_size(prompt) : 1;

    if (n == 0 || n > MAX_PROMPTS)
        return http_error_field(he, "prompt", "'prompt' must hold between 1 and %d prompts.", MAX_PROMPTS);
    ret->items = calloc(n, sizeof(*ret->items));
    if (!ret->items)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    ret->n = n;
    for (size_t i = 0; i < n; i++) {
        int r = parse_one(many ? json_array_get(prompt, i) : prompt, &ret->items[i], he);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_logprobs(Options *o, const json_t *body, HttpError *he) {
    int64_t n = -1;
    int r = http_json_int(body, "logprobs", 0, ENGINE_MAX_TOP_LOGPROBS, &n, he);
    o->top_logprobs = n;
    return r;
}

static int parse_echo(const json_t *body, const Options *o, const PromptInputs *prompts, bool *ret, HttpError *he) {
    int r = http_json_bool(body, "echo", ret, he);
    if (r < 0 || !*ret)
        return r;
    if (o->top_logprobs >= 0)
        return http_error_set(
            he, 400, "unsupported_parameter", "echo", "'echo' together with 'logprobs' is not supported.");
    for (size_t i = 0; i < prompts->n; i++)
        if (!prompts->items[i].text)
            return http_error_set(
                he, 400, "unsupported_parameter", "echo", "'echo' is not supported for prompts of token ids.");
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the answer */

static size_t count_characters(const char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static json_t *top_to_json(const HttpGeneration *g, const TokenLogprob *t) {
    json_t *top = json_object();
    for (uint32_t i = 0; i < t->n_top; i++) {
        size_t size = 0;
        _cleanup_(freep) char *text = http_openai_token_text(g, t->top[i].token, &size);
        json_t *key = text ? http_json_text(text, size) : NULL; /* made UTF-8 */
        if (key && !json_object_get(top, json_string_value(key)))
            json_object_set_new(top, json_string_value(key), json_real(http_openai_logprob(t->top[i].logprob)));
        json_decref(key);
    }
    return top;
}

static json_t *logprobs_to_json(HttpChoice *c, const HttpLogprobs *l) {
    const HttpGeneration *g = c->generation;
    json_t *tokens = json_array(), *values = json_array(), *tops = json_array(), *offsets = json_array();
    for (size_t i = 0; i < l->n; i++) {
        size_t size = 0;
        _cleanup_(freep) char *text = http_openai_token_text(g, l->items[i].token, &size);
        json_array_append_new(tokens, http_json_text(text ? text : "", size));
        json_array_append_new(values, json_real(http_openai_logprob(l->items[i].logprob)));
        json_array_append_new(tops, top_to_json(g, &l->items[i]));
        json_array_append_new(offsets, json_integer(c->n_characters));
        c->n_characters += count_characters(text ? text : "", size);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", values, "top_logprobs", tops,
        "text_offset", offsets);
}

/* Text and logprobs are owned. The same object name serves events and whole answers. */
static json_t *choice_to_json(const HttpChoice *c, json_t *text, json_t *logprobs, const char *finish_reason) {
    return json_pack("{s:i, s:o, s:o, s:s?}", "index", (int)c->index, "text", text, "logprobs",
        logprobs ? logprobs : json_null(), "finish_reason", finish_reason);
}

static json_t *event(const HttpChoice *c, json_t *text, json_t *logprobs, const char *finish_reason) {
    json_t *json = http_openai_head(c->generation, "text_completion");
    json_object_set_new(json, "choices", json_pack("[o]", choice_to_json(c, text, logprobs, finish_reason)));
    if (c->generation->include_usage)
        json_object_set_new(json, "usage", json_null());
    return json;
}

static json_t *on_echo(const HttpChoice *c) {
    return event(c, http_json_text(c->echo.data, c->echo.size), NULL, NULL);
}

static json_t *on_piece(HttpChoice *c, const HttpPiece *p) {
    json_t *logprobs = c->generation->logprobs ? logprobs_to_json(c, &p->logprobs) : NULL;
    return event(c, http_json_text(p->text.data ? p->text.data : "", p->text.size), logprobs, NULL);
}

static json_t *on_end(const HttpChoice *c) {
    return event(c, json_string(""), NULL, http_finish_reason(c));
}

static json_t *on_usage(const HttpGeneration *g) {
    EngineUsage u = http_generation_usage(g);
    json_t *json = http_openai_head(g, "text_completion");
    json_object_set_new(json, "choices", json_array());
    json_object_set_new(json, "usage", http_openai_usage(&u));
    return json;
}

static json_t *whole_text(const HttpChoice *c) {
    const HttpBuffer *answer = &c->text[ENGINE_TEXT_ANSWER];
    HttpBuffer text = {};
    http_buffer_append(&text, c->echo.data, c->echo.size);
    int r = http_buffer_append(&text, answer->data, answer->size);
    json_t *json = r < 0 ? NULL : http_json_text(text.data, text.size);
    http_buffer_done(&text);
    return json;
}

static json_t *on_whole(HttpGeneration *g) {
    EngineUsage u = http_generation_usage(g);
    json_t *json = http_openai_head(g, "text_completion");
    json_t *choices = json_array();
    for (unsigned i = 0; i < g->n_choices; i++) {
        HttpChoice *c = &g->choices[i];
        json_t *logprobs = g->logprobs ? logprobs_to_json(c, &c->logprobs) : NULL;
        json_array_append_new(choices, choice_to_json(c, whole_text(c), logprobs, http_finish_reason(c)));
    }
    json_object_set_new(json, "choices", choices);
    json_object_set_new(json, "usage", http_openai_usage(&u));
    return json;
}

static const HttpFormat format = {.piece = on_piece, .end = on_end, .usage = on_usage, .whole = on_whole};
static const HttpFormat echo_format = {
    .start = on_echo, .piece = on_piece, .end = on_end, .usage = on_usage, .whole = on_whole};

/* ------------------------------------------------------------------------------------------------ the handler */

static int start_one(HttpGeneration *g, unsigned index, const PromptInput *p, HttpOpenaiRequest *q, HttpError *he) {
    if (g->format == &echo_format && http_buffer_append(&g->choices[index].echo, p->text, p->size) < 0)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    RequestSpec spec = {
        .options = &q->options,
        .prompt = p->text,
        .prompt_size = p->size,
        .prompt_tokens = p->tokens,
        .n_prompt_tokens = p->n_tokens,
    };
    return http_generation_start(g, index, &spec, he);
}

static int start(HttpExchange *x, HttpOpenaiRequest *q, const PromptInputs *prompts, bool echo, HttpError *he) {
    HttpGeneration *g;
    unsigned n_choices = prompts->n * q->n;
    if (http_generation_new(x, echo ? &echo_format : &format, "cmpl-", n_choices, &g) < 0)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    g->stream = q->stream;
    g->include_usage = q->include_usage;
    g->logprobs = q->options.top_logprobs >= 0;
    g->per_prompt = q->n;
    g->wanted_model = TAKE_PTR(q->model);
    uint64_t seed = q->options.sampler.seed;
    for (unsigned i = 0; i < n_choices; i++) {
        q->options.sampler.seed = seed + i % q->n; /* choices with one seed would be one choice */
        int r = start_one(g, i, &prompts->items[i / q->n], q, he);
        if (r < 0)
            return r;
    }
    return 0;
}

void http_openai_completions(HttpExchange *x) {
    const HttpBuffer *text = http_exchange_body(x);
    json_auto_t *body = NULL;
    _cleanup_(inputs_done) PromptInputs prompts = {};
    HttpOpenaiRequest q = {};
    HttpError he = {};
    bool echo = false;

    int r = http_json_parse(text->data, text->size, &body, &he);
    if (r >= 0)
        r = http_openai_request_parse(http_exchange_daemon(x), body, false, &q, &he);
    if (r >= 0)
        r = parse_logprobs(&q.options, body, &he);
    if (r >= 0)
        r = parse_prompts(body, &prompts, &he);
    if (r >= 0)
        r = parse_echo(body, &q.options, &prompts, &echo, &he);
    if (r >= 0)
        r = start(x, &q, &prompts, echo, &he);
    if (r < 0)
        http_exchange_reply_error(x, &he);
    http_openai_request_done(&q);
}
