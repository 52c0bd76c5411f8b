/* One request and its reply, on the HTTP library's side; see http-exchange.h.
 *
 * The library calls http_exchange_access() first with the head, then for each piece of the body, then once more when
 * the body is complete, and again after each time that we suspended the connection; a response may be queued in the
 * first and the last kind of call. So a request that the head already condemns is refused at once where the client
 * waits for leave to send (Expect: 100-continue) or where the rest cannot be trusted or is too long to read; otherwise
 * its body is read and thrown away first, for a client that is still writing would see a broken pipe instead of the
 * reason, and the connection could not be used again. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http-connection.h"
#include "http-exchange-mhd.h"
#include "http-exchange.h"
#include "http-json.h"
#include "http-route.h"

#define STREAM_BLOCK 4096

struct HttpExchange {
    HttpConnection *connection; /* borrowed */
    const HttpRoute *route;     /* borrowed; NULL: refused, see error */
    char *path;                 /* owned */
    const char *argument;       /* into path */
    char allow[64];
    HttpError error; /* status 0: none */
    HttpBuffer body;
    size_t body_taken; /* from the limits */
    uint64_t body_seen;

    bool arrived;                  /* the body is complete */
    unsigned status;               /* of the response */
    struct MHD_Response *response; /* owned until it is queued */
    bool queued;
    HttpReader reader;
    void *reader_userdata;
    struct HttpHeader {
        char *name, *value;
    } headers[8]; /* owned */
    size_t n_headers;

    void (*ended)(void *userdata);
    void *ended_userdata;
};

/* ------------------------------------------------------------------------------------------------ the head */

typedef struct HeadCheck {
    HttpError *error;
    unsigned n_lengths, n_encodings;
} HeadCheck;

/* The library takes a request apart leniently; what one reader could understand differently from another is refused. */
static enum MHD_Result check_header(
    void *userdata, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value, size_t value_size) {
    HeadCheck *check = userdata;
    bool odd = name_size == 0;

    for (size_t i = 0; i < name_size; i++)
        odd |= (unsigned char)name[i] <= ' ' || name[i] == 0x7F;
    for (size_t i = 0; i < value_size; i++)
        odd |= ((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7F;
    if (odd)
        http_error_set(check->error, 400, NULL, NULL, "A header holds a control character.");

    if (strcasecmp(name, "Content-Length") == 0 && check->n_lengths++ > 0)
        http_error_set(check->error, 400, NULL, NULL, "Content-Length is given twice.");
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        if (check->n_encodings++ > 0 || strcasecmp(value, "chunked") != 0)
            http_error_set(check->error, 501, NULL, NULL, "Only the transfer encoding \"chunked\" is supported.");
    }
    return MHD_YES;
}

/* Whether the request can be read on; if not, the connection is closed after the refusal. */
static bool head_is_sound(HttpExchange *x, const char *method) {
    HeadCheck check = {.error = &x->error};
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, check_header, &check);

    if (x->error.status == 0 && check.n_lengths > 0 && check.n_encodings > 0)
        http_error_set(&x->error, 400, NULL, NULL, "Content-Length and Transfer-Encoding exclude each other.");
    if (x->error.status == 0 && check.n_lengths + check.n_encodings == 0 &&
        (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0))
        http_error_set(&x->error, 411, NULL, NULL, "A request with a body needs Content-Length or chunks.");
    return x->error.status == 0;
}

static uint64_t body_limit(const HttpExchange *x) {
    return http_server_daemon(x->connection->server)->config->http_body_bytes;
}

static void refuse_long_body(HttpExchange *x) {
    http_error_set(
        &x->error, 413, "body_too_long", NULL, "The body is longer than the %" PRIu64 " bytes allowed.", body_limit(x));
}

static bool declares_too_much(HttpExchange *x) {
    const char *length = MHD_lookup_connection_value(x->connection->mhd, MHD_HEADER_KIND, "Content-Length");
    return length && strtoull(length, NULL, 10) > body_limit(x);
}

static bool awaits_continue(HttpExchange *x) {
    const char *expect = MHD_lookup_connection_value(x->connection->mhd, MHD_HEADER_KIND, "Expect");
    return expect && strcasecmp(expect, "100-continue") == 0;
}

static void close_after(HttpExchange *x) {
    http_exchange_header(x, "Connection", "close");
}

/* ------------------------------------------------------------------------------------------------ the reply */

static enum MHD_Result queue_response(HttpExchange *x) {
    for (size_t i = 0; i < x->n_headers; i++)
        MHD_add_response_header(x->response, x->headers[i].name, x->headers[i].value);
    if (http_server_stopping(x->connection->server))
        MHD_add_response_header(x->response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(x->connection->mhd, x->status, x->response);
    MHD_destroy_response(TAKE_PTR(x->response));
    x->queued = true;
    return result;
}

void http_exchange_header(HttpExchange *x, const char *name, const char *value) {
    assert(x->n_headers < ELEMENTSOF(x->headers));
    struct HttpHeader h = {strdup(name), strdup(value)};
    if (h.name && h.value)
        x->headers[x->n_headers++] = h;
    else {
        free(h.name);
        free(h.value);
    }
}

/* Without a response (no memory) the connection is closed. */
static void set_response(HttpExchange *x, unsigned status, const char *content_type, struct MHD_Response *response) {
    assert(!x->response && !x->queued);
    x->status = status;
    x->response = response;
    if (response && content_type)
        MHD_add_response_header(response, "Content-Type", content_type);
    if (!response)
        http_connection_cut(x->connection);
    http_connection_wake(x->connection);
}

void http_exchange_reply(HttpExchange *x, unsigned status, const char *content_type, char *body, size_t size) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body ? size : 0, body, body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response)
        free(body);
    set_response(x, status, content_type, response);
}

void http_exchange_reply_json(HttpExchange *x, unsigned status, json_t *json) {
    char *body = json ? json_dumps(json, HTTP_JSON_FORMAT) : NULL;
    json_decref(json);
    if (!body) {
        set_response(x, 500, NULL, NULL);
        return;
    }
    http_exchange_reply(x, status, "application/json", body, strlen(body));
}

void http_exchange_reply_error(HttpExchange *x, const HttpError *he) {
    if (he->retry_after > 0) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%u", he->retry_after);
        http_exchange_header(x, "Retry-After", seconds);
    }
    /* a deadline that passed will pass again: OpenAI's clients would repeat the whole work twice */
    if (he->status == 504)
        http_exchange_header(x, "X-Should-Retry", "false");
    http_exchange_reply_json(x, he->status, http_error_to_json(he));
}

static ssize_t on_pull(void *userdata, uint64_t position, char *buffer, size_t max) {
    HttpExchange *x = userdata;
    if (x->connection->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    ssize_t n = x->reader(x->reader_userdata, buffer, max);
    if (n == HTTP_READER_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0)
        http_connection_sleep(x->connection);
    return n;
}

void http_exchange_stream(HttpExchange *x, const char *content_type, HttpReader reader, void *userdata) {
    x->reader = reader;
    x->reader_userdata = userdata;
    http_exchange_header(x, "Cache-Control", "no-store");
    set_response(
        x, 200, content_type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_pull, x, NULL));
}

void http_exchange_wake(HttpExchange *x) {
    http_connection_wake(x->connection);
}

/* ------------------------------------------------------------------------------------------------ its life */

static HttpExchange *exchange_new(HttpConnection *c, const char *url) {
    HttpExchange *x = calloc(1, sizeof(*x));
    char *path = strdup(url);
    if (!x || !path) {
        free(path);
        free(x);
        return NULL;
    }
    *x = (HttpExchange){.connection = c, .path = path};
    c->exchange = x;
    return x;
}

static enum MHD_Result begin(HttpExchange *x, const char *method) {
    bool sound = head_is_sound(x, method);
    if (sound)
        http_route_find(method, x->path, &x->route, &x->argument, x->allow, &x->error);
    if (sound && declares_too_much(x)) {
        refuse_long_body(x);
        sound = false;
    }
    if (sound && (x->error.status == 0 || !awaits_continue(x)))
        return MHD_YES;
    close_after(x);
    http_exchange_reply_error(x, &x->error);
    return x->response ? queue_response(x) : MHD_NO;
}

static enum MHD_Result take_body(HttpExchange *x, const char *data, size_t size) {
    HttpLimits *limits = http_server_limits(x->connection->server);
    x->body_seen += size;
    if (x->body_seen > body_limit(x)) {
        /* chunks without end: what is thrown away is bounded as well */
        if (x->body_seen / 2 > body_limit(x))
            return MHD_NO;
        refuse_long_body(x);
    }
    if (x->error.status != 0)
        return MHD_YES;

    int r = http_limits_take_body(limits, x->connection->owner, size);
    if (r >= 0) {
        x->body_taken += size;
        r = http_buffer_append(&x->body, data, size);
    }
    if (r < 0)
        http_error_set(&x->error, 503, "overloaded", NULL, "Too much is being sent to the service at once.");
    return MHD_YES;
}

static void return_body(HttpExchange *x) {
    http_limits_return_body(http_server_limits(x->connection->server), x->connection->owner, x->body_taken);
    x->body_taken = 0;
    http_buffer_done(&x->body);
}

static void dispatch(HttpExchange *x) {
    x->arrived = true;
    http_connection_request_arrived(x->connection);
    if (x->allow[0] && x->error.status != 0)
        http_exchange_header(x, "Allow", x->allow);
    if (x->error.status == 204)
        http_exchange_reply(x, 204, NULL, NULL, 0);
    else if (x->error.status != 0)
        http_exchange_reply_error(x, &x->error);
    else
        x->route->handler(x);
    return_body(x); /* a generation may take minutes */
}

enum MHD_Result http_exchange_access(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **exchange) {
    HttpExchange *x = *exchange;
    if (!x) {
        HttpConnection *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        x = exchange_new(c, url);
        if (!x)
            return MHD_NO;
        *exchange = x;
        http_connection_expect_request(c);
        return begin(x, method);
    }
    if (*upload_size > 0) {
        size_t size = *upload_size;
        *upload_size = 0;
        return take_body(x, upload, size);
    }
    if (!x->arrived)
        dispatch(x);
    if (x->connection->gone)
        return MHD_NO;
    if (x->response)
        return queue_response(x);
    http_connection_sleep(x->connection);
    return MHD_YES;
}

void http_exchange_completed(
    void *userdata, struct MHD_Connection *mhd, void **exchange, enum MHD_RequestTerminationCode code) {
    HttpExchange *x = TAKE_PTR(*exchange);
    if (!x)
        return;
    HttpConnection *c = x->connection;
    c->exchange = NULL;
    if (x->ended)
        x->ended(x->ended_userdata);
    if (x->response)
        MHD_destroy_response(x->response);
    for (size_t i = 0; i < x->n_headers; i++) {
        free(x->headers[i].name);
        free(x->headers[i].value);
    }
    return_body(x);
    free(x->path);
    free(x);

    http_connection_expect_request(c);
    if (http_server_stopping(c->server))
        http_connection_cut(c);
    daemon_activity(http_server_daemon(c->server));
}

/* ------------------------------------------------------------------------------------------------ for handlers */

Daemon *http_exchange_daemon(const HttpExchange *x) {
    return http_server_daemon(x->connection->server);
}

uid_t http_exchange_uid(const HttpExchange *x) {
    return http_owner_uid(x->connection->owner);
}

const char *http_exchange_argument(const HttpExchange *x) {
    return x->argument;
}

const HttpBuffer *http_exchange_body(const HttpExchange *x) {
    return &x->body;
}

void http_exchange_on_end(HttpExchange *x, void (*ended)(void *userdata), void *userdata) {
    x->ended = ended;
    x->ended_userdata = userdata;
}
