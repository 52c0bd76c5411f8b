/* POST /tokenize {"content": text, "add_special": bool, "with_pieces": bool} → {"tokens": [...]}
 * POST /detokenize {"tokens": [...]} → {"content": text}
 *
 * Both wait for the model when it is not loaded, and work on the thread pool: a megabyte of text takes long enough to
 * be felt by everybody else if it held up the loop. */
#include <errno.h>
#include <string.h>

#include "http-json.h"
#include "http-own.h"
#include "http-tokens.h"
#include "model-host.h"

typedef struct HttpTokens {
    HttpExchange *exchange;                /* borrowed; NULL: the client is gone */
    json_t *(*work)(struct HttpTokens *t); /* on the thread pool; the answer, or NULL with error */
    Daemon *daemon;                        /* borrowed */
    json_t *body;                          /* owned */
    bool add_special, with_pieces;
    Model *model; /* owned */
    ModelWait *wait;
    uv_work_t queued;
    bool busy;
    json_t *answer; /* owned */
    HttpError error;
} HttpTokens;

static void tokens_free(HttpTokens *t) {
    json_decref(t->body);
    json_decref(t->answer);
    model_unref(t->model);
    free(t);
}

static void on_exchange_end(void *userdata) {
    HttpTokens *t = userdata;
    t->exchange = NULL;
    if (t->wait)
        model_host_wait_cancel(TAKE_PTR(t->wait));
    if (!t->busy)
        tokens_free(t);
}

/* ------------------------------------------------------------------------------------------------ the work */

/* SentencePiece drops the space before a text's first word, so the token is written twice: the second is the piece. */
int http_token_piece(const Model *m, Token token, char **ret, size_t *ret_size) {
    const Token twice[] = {token, token};
    _cleanup_(freep) char *one = NULL;
    _cleanup_(freep) char *two = NULL;
    size_t n_one = 0, n_two = 0;

    int r = model_detokenize(m, twice, 1, true, &one, &n_one, NULL);
    if (r >= 0)
        r = model_detokenize(m, twice, 2, true, &two, &n_two, NULL);
    if (r < 0)
        return r;
    size_t at = MIN(n_one, n_two);
    memmove(two, two + at, n_two - at + 1);
    *ret = TAKE_PTR(two);
    *ret_size = n_two - at;
    return 0;
}

static json_t *piece_to_json(HttpTokens *t, Token token) {
    char *text = NULL;
    size_t size = 0;
    if (http_token_piece(t->model, token, &text, &size) < 0)
        return NULL;
    json_t *json = json_pack("{s:I, s:o}", "id", (json_int_t)token, "piece", http_json_text(text, size));
    free(text);
    return json;
}

static json_t *do_tokenize(HttpTokens *t) {
    json_t *content = json_object_get(t->body, "content");
    TextSpan span = {.text = json_string_value(content), .size = json_string_length(content)};
    TokenArray tokens = {};
    Error e = {};
    if (model_tokenize(t->model, &span, 1, t->add_special, &tokens, &e) < 0) {
        http_error_from(&t->error, &e, "content");
        return NULL;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < tokens.n; i++)
        json_array_append_new(
            array, t->with_pieces ? piece_to_json(t, tokens.items[i]) : json_integer(tokens.items[i]));
    token_array_done(&tokens);
    return json_pack("{s:o}", "tokens", array);
}

static json_t *do_detokenize(HttpTokens *t) {
    const json_t *array = json_object_get(t->body, "tokens");
    size_t n = json_array_size(array);
    _cleanup_(freep) Token *tokens = calloc(MAX(n, 1u), sizeof(*tokens));
    _cleanup_(freep) char *text = NULL;
    size_t size = 0, i;
    json_t *value;
    Error e = {};

    if (!tokens) {
        http_error_set(&t->error, 503, "overloaded", NULL, "Out of memory.");
        return NULL;
    }
    json_array_foreach(array, i, value) {
        int64_t id;
        if (http_json_whole(value, &id) < 0 || id < 0 || id >= TOKEN_NONE) {
            http_error_field(&t->error, "tokens", "'tokens' holds something that is not a token id at place %zu.", i);
            return NULL;
        }
        tokens[i] = id;
    }
    if (model_detokenize(t->model, tokens, n, true, &text, &size, &e) < 0) {
        http_error_from(&t->error, &e, "tokens");
        return NULL;
    }
    return json_pack("{s:o}", "content", http_json_text(text, size));
}

static void on_pool(uv_work_t *work) {
    HttpTokens *t = work->data;
    t->answer = t->work(t);
}

static void reply(HttpTokens *t) {
    if (t->answer || t->error.status == 0)
        http_exchange_reply_json(t->exchange, 200, TAKE_PTR(t->answer));
    else
        http_exchange_reply_error(t->exchange, &t->error);
}

static void after_pool(uv_work_t *work, int status) {
    HttpTokens *t = work->data;
    t->busy = false;
    if (t->exchange)
        reply(t);
    else
        tokens_free(t);
}

/* ------------------------------------------------------------------------------------------------ the handlers */

static void on_model(void *userdata, const Error *error) {
    HttpTokens *t = userdata;
    t->wait = NULL;
    if (error) {
        http_error_from(&t->error, error, NULL);
        reply(t);
        return;
    }
    t->model = model_ref(model_host_model(t->daemon->host));
    t->queued.data = t;
    t->busy = uv_queue_work(t->daemon->loop, &t->queued, on_pool, after_pool) >= 0;
    if (!t->busy) {
        http_error_set(&t->error, 503, "overloaded", NULL, "The thread pool takes no work.");
        reply(t);
    }
}

static int check_tokenize(HttpTokens *t, HttpError *he) {
    const char *content = NULL;
    int r = http_json_string(t->body, "content", &content, NULL, he);
    if (r >= 0 && !content)
        r = http_error_field(he, "content", "'content' is missing: the text to tokenize.");
    if (r >= 0)
        r = http_json_bool(t->body, "add_special", &t->add_special, he);
    if (r >= 0)
        r = http_json_bool(t->body, "with_pieces", &t->with_pieces, he);
    return r;
}

static int check_detokenize(HttpTokens *t, HttpError *he) {
    if (json_is_array(json_object_get(t->body, "tokens")))
        return 0;
    return http_error_field(he, "tokens", "'tokens' must be an array of token ids.");
}

static void handle(HttpExchange *x, int (*check)(HttpTokens *t, HttpError *he), json_t *(*work)(HttpTokens *t)) {
    const HttpBuffer *text = http_exchange_body(x);
    HttpError he = {};
    Error e = {};

    HttpTokens *t = calloc(1, sizeof(*t));
    if (!t) {
        http_error_set(&he, 503, "overloaded", NULL, "Out of memory.");
        http_exchange_reply_error(x, &he);
        return;
    }
    *t = (HttpTokens){.exchange = x, .work = work, .daemon = http_exchange_daemon(x)};
    http_exchange_on_end(x, on_exchange_end, t);

    int r = http_json_parse(text->data, text->size, &t->body, &he);
    if (r >= 0)
        r = check(t, &he);
    if (r >= 0 && model_host_wait(t->daemon->host, on_model, t, &t->wait, &e) < 0)
        r = http_error_from(&he, &e, NULL);
    if (r < 0)
        http_exchange_reply_error(x, &he);
}

void http_own_tokenize(HttpExchange *x) {
    handle(x, check_tokenize, do_tokenize);
}

void http_own_detokenize(HttpExchange *x) {
    handle(x, check_detokenize, do_detokenize);
}
