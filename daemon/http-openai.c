/* What chat and plain completions of OpenAI's API share: request fields, the model's name, usage; see http-openai.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http-json.h"
#include "http-openai.h"
#include "http-tokens.h"
#include "model-host.h"

/* ------------------------------------------------------------------------------------------------ fields */

/* OpenAI's and our neighbours' names for the options of options.c, which knows types and ranges. Of two that mean the
 * same the later one wins. */
static const struct {
    const char *field, *option;
} options[] = {
    {"max_tokens", "max-tokens"},
    {"max_completion_tokens", "max-tokens"},
    {"temperature", "temperature"},
    {"top_p", "top-p"},
    {"top_k", "top-k"},
    {"min_p", "min-p"},
    {"repeat_penalty", "repeat-penalty"},
    {"presence_penalty", "presence-penalty"},
    {"frequency_penalty", "frequency-penalty"},
    {"seed", "seed"},
    {"priority", "priority"},
};

static bool is_empty(const json_t *v) {
    return (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static bool is_string(const json_t *v, const char *s) {
    return json_is_string(v) && strcmp(json_string_value(v), s) == 0;
}

static bool is_auto_or_none(const json_t *v) {
    return is_string(v, "auto") || is_string(v, "none");
}

static bool is_text_format(const json_t *v) {
    return is_string(json_object_get(v, "type"), "text");
}

static bool is_text_only(const json_t *v) {
    return json_array_size(v) == 1 && is_string(json_array_get(v, 0), "text");
}

static bool is_medium(const json_t *v) {
    return is_string(v, "medium");
}

static bool is_one(const json_t *v) {
    return json_is_integer(v) && json_integer_value(v) == 1;
}

static bool is_empty_string(const json_t *v) {
    return is_string(v, "");
}

/* Fields that would change the answer, and the values of them that would not. */
static const struct {
    const char *field;
    bool (*harmless)(const json_t *value);
    bool in_chat; /* supported there */
} unsupported[] = {
    {"tools", is_empty, true},
    {"tool_choice", is_auto_or_none, true},
    {"functions", is_empty},
    {"function_call", is_auto_or_none},
    {"response_format", is_text_format},
    {"modalities", is_text_only},
    {"audio", is_empty},
    {"web_search_options", is_empty},
    {"verbosity", is_medium},
    {"best_of", is_one},
    {"suffix", is_empty_string},
    {"grammar", is_empty_string},
    {"json_schema", is_empty},
    {"chat_template", is_empty_string},
    {"chat_template_kwargs", is_empty, true},
};

static int refuse_unsupported(const json_t *body, bool chat, HttpError *he) {
    for (size_t i = 0; i < ELEMENTSOF(unsupported); i++) {
        const char *field = unsupported[i].field;
        if (!(chat && unsupported[i].in_chat) && http_json_has(body, field) &&
            !unsupported[i].harmless(json_object_get(body, field)))
            return http_error_set(
                he, 400, "unsupported_parameter", field, "'%s' is not supported by this version of inferd.", field);
    }
    return 0;
}

static int set_option(Options *o, const char *option, const json_t *value, Error *e) {
    if (json_is_integer(value))
        return options_set_int(o, option, json_integer_value(value), e);
    if (json_is_real(value))
        return options_set_double(o, option, json_real_value(value), e);
    if (json_is_string(value))
        return options_set_string(o, option, json_string_value(value), e);
    return error_set(e, -EINVAL, "Option \"%s\" must be a number or a string.", option);
}

static int set_options(Options *o, const json_t *body, HttpError *he) {
    for (size_t i = 0; i < ELEMENTSOF(options); i++) {
        Error e = {};
        if (http_json_has(body, options[i].field) &&
            set_option(o, options[i].option, json_object_get(body, options[i].field), &e) < 0)
            return http_error_from(he, &e, options[i].field);
    }
    return 0;
}

static int set_reasoning(Options *o, const json_t *body, HttpError *he) {
    const char *effort = NULL;
    Error e = {};

    int r = http_json_string(body, "reasoning_effort", &effort, NULL, he);
    if (r < 0 || !effort)
        return r;
    if (strcmp(effort, "minimal") == 0)
        effort = "low";
    r = options_set_string(o, "reasoning", effort, &e);
    return r < 0 ? http_error_from(he, &e, "reasoning_effort") : 0;
}

static int set_stop(Options *o, const json_t *body, HttpError *he) {
    if (!http_json_has(body, "stop"))
        return 0;
    const json_t *stop = json_object_get(body, "stop");
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    const char *values[ENGINE_MAX_STOP];
    Error e = {};

    if (json_is_array(stop) && n == 0)
        return 0;
    for (size_t i = 0; i < n && i < ELEMENTSOF(values); i++) {
        const json_t *value = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
            return http_error_field(he, "stop", "'stop' must be a string or an array of strings without NUL.");
        values[i] = json_string_value(value);
    }
    int r = options_set_strings(o, "stop", values, n, &e);
    return r < 0 ? http_error_from(he, &e, "stop") : 0;
}

static int parse_token(const char *key, Token *ret) {
    char *end;
    errno = 0;
    unsigned long n = strtoul(key, &end, 10);
    if (key[0] < '0' || key[0] > '9' || *end != '\0' || errno != 0 || n >= TOKEN_NONE)
        return -EINVAL;
    *ret = n;
    return 0;
}

static int set_logit_bias(Options *o, const json_t *body, HttpError *he) {
    if (!http_json_has(body, "logit_bias"))
        return 0;
    json_t *map = json_object_get(body, "logit_bias");
    if (!json_is_object(map))
        return http_error_field(he, "logit_bias", "'logit_bias' must be an object from token ids to numbers.");

    _cleanup_(freep) LogitBias *biases = calloc(MAX(json_object_size(map), 1u), sizeof(*biases));
    if (!biases)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        if (parse_token(key, &biases[n].token) < 0 || !json_is_number(value))
            return http_error_field(
                he, "logit_bias", "'logit_bias' maps token ids to numbers: \"%.40s\" is not such a pair.", key);
        biases[n++].bias = json_number_value(value);
    }
    Error e = {};
    int r = options_set_logit_bias(o, biases, n, &e);
    return r < 0 ? http_error_from(he, &e, "logit_bias") : 0;
}

static int set_stream(HttpOpenaiRequest *q, const json_t *body, HttpError *he) {
    int r = http_json_bool(body, "stream", &q->stream, he);
    if (r < 0 || !http_json_has(body, "stream_options"))
        return r;
    const json_t *o = json_object_get(body, "stream_options");
    if (!json_is_object(o))
        return http_error_field(he, "stream_options", "'stream_options' must be an object.");
    if (!q->stream)
        return http_error_field(he, "stream_options", "'stream_options' is only allowed when 'stream' is true.");
    return http_json_bool(o, "include_usage", &q->include_usage, he);
}

static int set_model(HttpOpenaiRequest *q, const json_t *body, HttpError *he) {
    const char *name = NULL;
    int r = http_json_string(body, "model", &name, NULL, he);
    if (r < 0 || !name || name[0] == '\0' || strcmp(name, "default") == 0)
        return r;
    q->model = strdup(name);
    return q->model ? 0 : http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
}

void http_openai_request_done(HttpOpenaiRequest *q) {
    options_done(&q->options);
    free(q->model);
    *q = (HttpOpenaiRequest){};
}

static void request_donep(HttpOpenaiRequest *q) {
    http_openai_request_done(q);
}

int http_openai_request_parse(Daemon *d, const json_t *body, bool chat, HttpOpenaiRequest *ret, HttpError *he) {
    _cleanup_(request_donep) HttpOpenaiRequest q = {.n = 1};
    Error e = {};
    if (options_copy(&q.options, &d->config->defaults, &e) < 0)
        return http_error_from(he, &e, NULL);

    int64_t n = 1;
    int r = refuse_unsupported(body, chat, he);
    if (r >= 0)
        r = set_model(&q, body, he);
    if (r >= 0)
        r = set_options(&q.options, body, he);
    if (r >= 0)
        r = set_reasoning(&q.options, body, he);
    if (r >= 0)
        r = set_stop(&q.options, body, he);
    if (r >= 0)
        r = set_logit_bias(&q.options, body, he);
    if (r >= 0)
        r = set_stream(&q, body, he);
    if (r >= 0)
        r = http_json_int(body, "n", 1, HTTP_OPENAI_MAX_CHOICES, &n, he);
    if (r >= 0 && q.model && model_host_model_name(d->host))
        r = http_openai_check_model(d->host, q.model, he);
    if (r < 0)
        return r;
    q.n = n;
    *ret = q;
    q = (HttpOpenaiRequest){}; /* handed over */
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the model */

static bool is_installed(ModelHost *host, const char *name) {
    InstalledModel *models = NULL;
    size_t n = 0;
    bool found = false;
    if (model_host_list(host, &models, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        found |= installed_models_means(name, models[i].name);
    installed_models_free(models, n);
    return found;
}

int http_openai_check_model(ModelHost *host, const char *name, HttpError *he) {
    const char *loaded = model_host_model_name(host);
    if (loaded && installed_models_means(name, loaded))
        return 0;
    if (!is_installed(host, name))
        return http_error_set(he, 404, "model_not_found", "model", "The model '%.100s' is not installed%s%.100s%s",
            name, loaded ? ": the one that is shared now is '" : ". See /v1/models.", loaded ? loaded : "",
            loaded ? "'." : "");
    if (!loaded)
        return 0;
    return http_error_set(he, 404, "model_not_loaded", "model",
        "The model '%.100s' is installed, but '%.100s' is the one that is shared now. To change it for everybody: "
        "infer "
        "load %.100s.",
        name, loaded, name);
}

/* ------------------------------------------------------------------------------------------------ answers */

json_t *http_openai_head(const HttpGeneration *g, const char *object) {
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "id", g->id, "object", object, "created", (json_int_t)g->created,
        "model", g->model_name, "system_fingerprint", "inferd-" INFERD_VERSION);
}

json_t *http_openai_usage(const EngineUsage *u) {
    return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)u->prompt_tokens,
        "completion_tokens", (json_int_t)u->completion_tokens, "total_tokens",
        (json_int_t)u->prompt_tokens + u->completion_tokens, "prompt_tokens_details", "cached_tokens",
        (json_int_t)u->cached_tokens, "completion_tokens_details", "reasoning_tokens", (json_int_t)u->reasoning_tokens);
}

char *http_openai_token_text(const HttpGeneration *g, Token token, size_t *ret_size) {
    char *text = NULL;
    if (g->model && http_token_piece(g->model, token, &text, ret_size) >= 0)
        return text;
    *ret_size = 0;
    return strdup("");
}

double http_openai_logprob(float logprob) {
    return logprob > -9999.0f ? logprob : -9999.0; /* JSON has no infinity; OpenAI's number for it */
}
