/* POST /v1/embeddings: texts or token ids to vectors, as numbers or as the base64 of little-endian floats. */
#include <errno.h>
#include <string.h>

#include "embedding.h"
#include "http-json.h"
#include "http-openai.h"
#include "model-host.h"

typedef struct HttpEmbeddings {
    HttpExchange *exchange; /* borrowed */
    json_t *body;           /* owned: the inputs' texts lie in it */
    const char *model;      /* borrowed from the body; NULL: whichever is loaded */
    bool base64;
    EmbeddingInput *inputs; /* owned */
    size_t n_inputs;
    Embedding *embedding; /* owned */
} HttpEmbeddings;

static void on_exchange_end(void *userdata) {
    HttpEmbeddings *h = userdata;

    embedding_free(h->embedding);
    for (size_t i = 0; i < h->n_inputs; i++)
        free((Token *)h->inputs[i].tokens);
    free(h->inputs);
    json_decref(h->body);
    free(h);
}

/* ------------------------------------------------------------------------------------------------ the request */

static bool is_token_array(const json_t *v) {
    return json_is_array(v) && json_is_number(json_array_get(v, 0));
}

static int parse_tokens(const json_t *array, EmbeddingInput *ret, HttpError *he) {
    Token *tokens = calloc(json_array_size(array), sizeof(*tokens));
    if (!tokens)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    ret->tokens = tokens;
    ret->n_tokens = json_array_size(array);
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value) {
        int64_t id;
        if (http_json_whole(value, &id) < 0 || id < 0 || id >= TOKEN_NONE)
            return http_error_field(he, "input", "'input' holds something that is not a token id at place %zu.", i);
        tokens[i] = id;
    }
    return 0;
}

static int parse_input(const json_t *v, EmbeddingInput *ret, HttpError *he) {
    if (is_token_array(v))
        return parse_tokens(v, ret, he);
    if (!json_is_string(v))
        return http_error_field(
            he, "input", "'input' must be a string, an array of strings, an array of token ids or an array of those.");
    if (json_string_length(v) == 0)
        return http_error_field(he, "input", "'input' must not be empty.");
    ret->text = json_string_value(v);
    ret->size = json_string_length(v);
    return 0;
}

static int parse_inputs(HttpEmbeddings *h, HttpError *he) {
    const json_t *input = json_object_get(h->body, "input");
    bool many = json_is_array(input) && !is_token_array(input);
    size_t n = many ? json_array_size(input) : 1;

    if (n == 0 || n > EMBEDDING_MAX_INPUTS)
        return http_error_field(he, "input", "'input' must hold between 1 and %d texts.", EMBEDDING_MAX_INPUTS);
    h->inputs = calloc(n, sizeof(*h->inputs));
    if (!h->inputs)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    h->n_inputs = n;
    for (size_t i = 0; i < n; i++) {
        int r = parse_input(many ? json_array_get(input, i) : input, &h->inputs[i], he);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse(HttpEmbeddings *h, HttpError *he) {
    const HttpBuffer *text = http_exchange_body(h->exchange);
    ModelHost *host = http_exchange_daemon(h->exchange)->host;
    const char *format = NULL;

    int r = http_json_parse(text->data, text->size, &h->body, he);
    if (r >= 0 && http_json_has(h->body, "dimensions"))
        r = http_error_set(he, 400, "unsupported_parameter", "dimensions",
            "'dimensions' is not supported: an embedding has as many as its model gives it.");
    if (r >= 0)
        r = http_json_string(h->body, "encoding_format", &format, NULL, he);
    if (r >= 0 && format && strcmp(format, "float") != 0 && strcmp(format, "base64") != 0)
        r = http_error_field(he, "encoding_format", "'encoding_format' must be \"float\" or \"base64\".");
    h->base64 = format && strcmp(format, "base64") == 0;
    if (r >= 0)
        r = http_json_string(h->body, "model", &h->model, NULL, he);
    if (h->model && (h->model[0] == '\0' || strcmp(h->model, "default") == 0))
        h->model = NULL;
    if (r >= 0 && h->model && model_host_model_name(host))
        r = http_openai_check_model(host, h->model, he);
    return r < 0 ? r : parse_inputs(h, he);
}

/* ------------------------------------------------------------------------------------------------ the answer */

static json_t *to_base64(const float *values, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)values;
    size_t size = n * sizeof(float), at = 0;
    _cleanup_(freep) char *out = malloc((size + 2) / 3 * 4 + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = MIN(size - i, (size_t)3);
        uint32_t v = bytes[i] << 16 | (left > 1 ? bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
        out[at++] = digits[v >> 18];
        out[at++] = digits[v >> 12 & 63];
        out[at++] = left > 1 ? digits[v >> 6 & 63] : '=';
        out[at++] = left > 2 ? digits[v & 63] : '=';
    }
    return json_stringn(out, at);
}

static json_t *to_numbers(const float *values, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_real((double)values[i]));
    return array;
}

static json_t *answer(const HttpEmbeddings *h, const EmbeddingResult *result) {
    json_t *data = json_array();
    for (size_t i = 0; i < result->n; i++) {
        const float *values = result->values + i * result->width;
        json_array_append_new(
            data, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index", (json_int_t)i, "embedding",
                      h->base64 ? to_base64(values, result->width) : to_numbers(values, result->width)));
    }
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model", result->model, "usage",
        "prompt_tokens", (json_int_t)result->prompt_tokens, "total_tokens", (json_int_t)result->prompt_tokens);
}

static void on_done(void *userdata, const EmbeddingResult *result, const Error *error) {
    HttpEmbeddings *h = userdata;
    HttpError he = {};

    if (error)
        http_error_from(&he, error, NULL);
    /* it may have been loaded only for this request */
    else if (!h->model || http_openai_check_model(http_exchange_daemon(h->exchange)->host, h->model, &he) >= 0) {
        http_exchange_reply_json(h->exchange, 200, answer(h, result));
        return;
    }
    http_exchange_reply_error(h->exchange, &he);
}

void http_openai_embeddings(HttpExchange *x) {
    Daemon *d = http_exchange_daemon(x);
    HttpError he = {};
    Error e = {};

    HttpEmbeddings *h = calloc(1, sizeof(*h));
    if (!h) {
        http_error_set(&he, 503, "overloaded", NULL, "Out of memory.");
        http_exchange_reply_error(x, &he);
        return;
    }
    h->exchange = x;
    http_exchange_on_end(x, on_exchange_end, h);

    int r = parse(h, &he);
    if (r >= 0 && embedding_start(d, REQUEST_TRANSPORT_HTTP, request_owner_of_uid(http_exchange_uid(x)),
                      &d->config->defaults, h->inputs, h->n_inputs, on_done, h, &h->embedding, &e) < 0)
        r = http_error_from(&he, &e, NULL);
    if (r < 0)
        http_exchange_reply_error(x, &he);
}
