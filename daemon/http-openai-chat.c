/* POST /v1/chat/completions */
#include <string.h>

#include "http-json.h"
#include "http-openai-messages.h"
#include "http-openai.h"

/* ------------------------------------------------------------------------------------------------ the request */

static bool has_system_message(const Conversation *c) {
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->messages[i].role, "system") == 0)
            return true;
    return false;
}

static int parse_logprobs(Options *o, const json_t *body, HttpError *he) {
    bool wanted = false;
    int64_t n = -1;
    int r = http_json_bool(body, "logprobs", &wanted, he);
    if (r >= 0)
        r = http_json_int(body, "top_logprobs", 0, ENGINE_MAX_TOP_LOGPROBS, &n, he);
    if (r < 0)
        return r;
    if (n >= 0 && !wanted)
        return http_error_field(he, "top_logprobs", "'top_logprobs' is only allowed when 'logprobs' is true.");
    o->top_logprobs = wanted ? MAX(n, 0) : -1;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the answer */

static json_t *bytes_to_json(const char *text, size_t size) {
    json_t *bytes = json_array();
    for (size_t i = 0; i < size; i++)
        json_array_append_new(bytes, json_integer((unsigned char)text[i]));
    return bytes;
}

static json_t *token_to_json(const HttpGeneration *g, Token token, float logprob) {
    size_t size = 0;
    _cleanup_(freep) char *text = http_openai_token_text(g, token, &size);
    if (!text)
        return NULL;
    return json_pack("{s:o, s:f, s:o}", "token", http_json_text(text, size), "logprob", http_openai_logprob(logprob),
        "bytes", bytes_to_json(text, size));
}

static json_t *logprobs_to_json(const HttpGeneration *g, const HttpLogprobs *l) {
    json_t *content = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const TokenLogprob *t = &l->items[i];
        json_t *entry = token_to_json(g, t->token, t->logprob);
        json_t *top = json_array();
        for (uint32_t j = 0; j < t->n_top; j++)
            json_array_append_new(top, token_to_json(g, t->top[j].token, t->top[j].logprob));
        json_object_set_new(entry, "top_logprobs", top);
        json_array_append_new(content, entry);
    }
    return json_pack("{s:o, s:n}", "content", content, "refusal");
}

/* One event: `delta` and `logprobs` are owned. */
static json_t *chunk(const HttpChoice *c, json_t *delta, json_t *logprobs, const char *finish_reason) {
    json_t *json = http_openai_head(c->generation, "chat.completion.chunk");
    json_t *choice = json_pack("{s:i, s:o, s:o, s:s?}", "index", (int)c->index, "delta", delta, "logprobs",
        logprobs ? logprobs : json_null(), "finish_reason", finish_reason);
    json_object_set_new(json, "choices", json_pack("[o]", choice));
    if (c->generation->include_usage)
        json_object_set_new(json, "usage", json_null());
    return json;
}

static json_t *on_start(const HttpChoice *c) {
    return chunk(c, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL, NULL);
}

static json_t *call_to_json(const HttpPiece *p) {
    return json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", p->tool_id, "type", "function", "function", "name", p->tool_name,
        "arguments", http_json_text(p->text.data, p->text.size));
}

/* A call comes in one piece, with its index, as clients expect it of a stream. */
static json_t *call_chunk(const HttpChoice *c, const HttpPiece *p) {
    json_t *call = call_to_json(p);
    json_object_set_new(call, "index", json_integer(p->tool_index));
    return chunk(c, json_pack("{s:[o]}", "tool_calls", call), NULL, NULL);
}

static json_t *on_piece(HttpChoice *c, const HttpPiece *p) {
    if (p->kind == ENGINE_TEXT_TOOL_CALL)
        return call_chunk(c, p);
    const char *key = p->kind == ENGINE_TEXT_REASONING ? "reasoning_content" : "content";
    json_t *logprobs =
        c->generation->logprobs && p->kind == ENGINE_TEXT_ANSWER ? logprobs_to_json(c->generation, &p->logprobs) : NULL;
    return chunk(c, json_pack("{s:o}", key, http_json_text(p->text.data, p->text.size)), logprobs, NULL);
}

static json_t *on_end(const HttpChoice *c) {
    return chunk(c, json_object(), NULL, http_finish_reason(c));
}

static json_t *on_usage(const HttpGeneration *g) {
    EngineUsage u = http_generation_usage(g);
    json_t *json = http_openai_head(g, "chat.completion.chunk");
    json_object_set_new(json, "choices", json_array());
    json_object_set_new(json, "usage", http_openai_usage(&u));
    return json;
}

static json_t *choice_to_json(const HttpChoice *c) {
    const HttpBuffer *answer = &c->text[ENGINE_TEXT_ANSWER], *reasoning = &c->text[ENGINE_TEXT_REASONING];
    json_t *content = c->n_calls > 0 && answer->size == 0
                          ? json_null()
                          : http_json_text(answer->data ? answer->data : "", answer->size);
    json_t *message = json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", content, "refusal");
    if (reasoning->size > 0)
        json_object_set_new(message, "reasoning_content", http_json_text(reasoning->data, reasoning->size));
    if (c->n_calls > 0) {
        json_t *calls = json_array();
        for (unsigned i = 0; i < c->n_calls; i++)
            json_array_append_new(calls, call_to_json(&c->calls[i]));
        json_object_set_new(message, "tool_calls", calls);
    }
    return json_pack("{s:i, s:o, s:o, s:s}", "index", (int)c->index, "message", message, "logprobs",
        c->generation->logprobs ? logprobs_to_json(c->generation, &c->logprobs) : json_null(), "finish_reason",
        http_finish_reason(c));
}

static json_t *on_whole(HttpGeneration *g) {
    EngineUsage u = http_generation_usage(g);
    json_t *json = http_openai_head(g, "chat.completion");
    json_t *choices = json_array();
    for (unsigned i = 0; i < g->n_choices; i++)
        json_array_append_new(choices, choice_to_json(&g->choices[i]));
    json_object_set_new(json, "choices", choices);
    json_object_set_new(json, "usage", http_openai_usage(&u));
    return json;
}

static const HttpFormat format = {
    .start = on_start, .piece = on_piece, .end = on_end, .usage = on_usage, .whole = on_whole};

/* ------------------------------------------------------------------------------------------------ the handler */

static int start(HttpExchange *x, HttpOpenaiRequest *q, const Conversation *conversation, HttpError *he) {
    HttpGeneration *g;
    if (http_generation_new(x, &format, "chatcmpl-", q->n, &g) < 0)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    g->stream = q->stream;
    g->include_usage = q->include_usage;
    g->logprobs = q->options.top_logprobs >= 0;
    g->per_prompt = q->n;
    g->wanted_model = TAKE_PTR(q->model);
    for (unsigned i = 0; i < q->n; i++) {
        RequestSpec spec = {.options = &q->options, .conversation = conversation};
        int r = http_generation_start(g, i, &spec, he);
        if (r < 0)
            return r;
        q->options.sampler.seed++; /* choices with one seed would be one choice */
    }
    return 0;
}

void http_openai_chat(HttpExchange *x) {
    const HttpBuffer *text = http_exchange_body(x);
    json_auto_t *body = NULL;
    HttpOpenaiRequest q = {};
    Conversation conversation = {};
    HttpError he = {};

    int r = http_json_parse(text->data, text->size, &body, &he);
    if (r >= 0)
        r = http_openai_request_parse(http_exchange_daemon(x), body, true, &q, &he);
    if (r >= 0)
        r = http_openai_tools_parse(body, &q.options, &he);
    if (r >= 0)
        r = parse_logprobs(&q.options, body, &he);
    if (r >= 0)
        r = http_openai_messages_parse(body, &conversation, &he);
    if (r >= 0 && has_system_message(&conversation)) {
        free(q.options.system); /* the client brings its own */
        q.options.system = NULL;
    }
    if (r >= 0)
        r = start(x, &q, &conversation, &he);
    if (r < 0)
        http_exchange_reply_error(x, &he);
    conversation_done(&conversation);
    http_openai_request_done(&q);
}
