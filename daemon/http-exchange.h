/* One request and its reply, as the handlers of the API families see it: they know nothing of the HTTP library.
 *
 * A handler is called once, when the body is complete, and either replies before it returns or later, from a callback;
 * until then the connection sleeps. Whatever happens, `ended` is called once, after which the exchange is gone: the
 * reply is with the client, or the client is. Loop thread only. */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "daemon.h"
#include "http-buffer.h"
#include "http-error.h"

typedef struct HttpExchange HttpExchange;

/* Writes at most `max` bytes of a streamed body. 0: nothing now, http_exchange_wake() says when. */
typedef ssize_t (*HttpReader)(void *userdata, char *buffer, size_t max);
#define HTTP_READER_END   (-1) /* the body is complete */
#define HTTP_READER_BREAK (-2) /* it never will be: the connection is cut, so that the client sees it */

Daemon *http_exchange_daemon(const HttpExchange *x);
uid_t http_exchange_uid(const HttpExchange *x);            /* who asks */
const char *http_exchange_argument(const HttpExchange *x); /* what the route's {} stands for; NULL if it has none */
const HttpBuffer *http_exchange_body(const HttpExchange *x);

void http_exchange_on_end(HttpExchange *x, void (*ended)(void *userdata), void *userdata);

/* Before a reply; copied. */
void http_exchange_header(HttpExchange *x, const char *name, const char *value);
/* The one reply. `body` is owned by the exchange from now on (malloc; NULL: empty). */
void http_exchange_reply(HttpExchange *x, unsigned status, const char *content_type, char *body, size_t size);
void http_exchange_reply_json(HttpExchange *x, unsigned status, json_t *json /* owned; NULL: out of memory */);
void http_exchange_reply_error(HttpExchange *x, const HttpError *he);
/* The one reply, status 200, whose headers go out now and whose body is pulled from `reader` as the client takes it. */
void http_exchange_stream(HttpExchange *x, const char *content_type, HttpReader reader, void *userdata);
void http_exchange_wake(HttpExchange *x);
