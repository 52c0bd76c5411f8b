/* POST /v1/chat/completions */
#include <stdio.h>
#include <string.h>

#include "http-json.h"
#include "http-openai.h"

/* ------------------------------------------------------------------------------------------------ the request */

static const char *known_role(const char *role) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    if (strcmp(role, "developer") == 0)
        return "system"; /* OpenAI's newer name for it */
    for (size_t i = 0; i < ELEMENTSOF(roles); i++)
        if (strcmp(role, roles[i]) == 0)
            return roles[i];
    return NULL;
}

/* Content in parts is joined: [{"type": "text", "text": ...}, ...] */
static int join_parts(const json_t *parts, const char *where, HttpBuffer *text, HttpError *he) {
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part) {
        const json_t *type = json_object_get(part, "type");
        const json_t *value = json_object_get(part, "text");
        if (json_is_string(type) && strcmp(json_string_value(type), "text") != 0)
            return http_error_set(he, 400, "unsupported_content", where,
                "'%s' has a part of type \"%.40s\": only \"text\" is supported.", where, json_string_value(type));
        if (!json_is_string(type) || !json_is_string(value))
            return http_error_field(
                he, where, "'%s' must consist of parts {\"type\": \"text\", \"text\": ...}.", where);
        if (http_buffer_append(text, json_string_value(value), json_string_length(value)) < 0)
            return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    }
    return 0;
}

static int add_message(Conversation *c, const json_t *message, size_t index, HttpError *he) {
    char where[64];
    snprintf(where, sizeof(where), "messages[%zu]", index);
    const json_t *role = json_object_get(message, "role");
    const json_t *content = json_object_get(message, "content");
    const char *known = json_is_string(role) ? known_role(json_string_value(role)) : NULL;

    if (!json_is_object(message) || !json_is_string(role))
        return http_error_field(he, where, "'%s' must be an object with 'role' and 'content'.", where);
    if (!known)
        return http_error_field(he, where,
            "'%s' has the role \"%.40s\": system, developer, user, assistant and tool are known.", where,
            json_string_value(role));
    const char *call = http_json_has(message, "tool_calls")      ? "tool_calls"
                       : http_json_has(message, "function_call") ? "function_call"
                                                                 : NULL;
    if (call && json_array_size(json_object_get(message, call)) + json_object_size(json_object_get(message, call)) > 0)
        return http_error_set(he, 400, "unsupported_parameter", where,
            "'%s' has '%s', which is not supported by this version of inferd.", where, call);

    HttpBuffer joined = {};
    Error e = {};
    int r = 0;
    if (json_is_array(content)) {
        r = join_parts(content, where, &joined, he);
        if (r >= 0 && conversation_append(c, known, joined.data ? joined.data : "", joined.size, &e) < 0)
            r = http_error_from(he, &e, where);
        http_buffer_done(&joined);
        return r;
    }
    if (!json_is_string(content))
        return http_error_field(he, where, "'%s' needs 'content': a string or an array of text parts.", where);
    r = conversation_append(c, known, json_string_value(content), json_string_length(content), &e);
    return r < 0 ? http_error_from(he, &e, where) : 0;
}

static int parse_messages(const json_t *body, Conversation *ret, HttpError *he) {
    const json_t *messages = json_object_get(body, "messages");
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return http_error_field(he, "messages", "'messages' must be an array with at least one message.");
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message) {
        int r = add_message(ret, message, i, he);
        if (r < 0)
            return r;
    }
    return 0;
}

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

static json_t *on_piece(HttpChoice *c, const HttpPiece *p) {
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
    json_t *message = json_pack("{s:s, s:o, s:n}", "role", "assistant", "content",
        http_json_text(answer->data ? answer->data : "", answer->size), "refusal");
    if (reasoning->size > 0)
        json_object_set_new(message, "reasoning_content", http_json_text(reasoning->data, reasoning->size));
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
        r = http_openai_request_parse(http_exchange_daemon(x), body, &q, &he);
    if (r >= 0)
        r = parse_logprobs(&q.options, body, &he);
    if (r >= 0)
        r = parse_messages(body, &conversation, &he);
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
