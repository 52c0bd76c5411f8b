/* Server-sent events: frames, pings while there is nothing to say, and a pull from whoever has events to send, so that
 * a client that does not read holds up nobody but itself. */
#pragma once

#include "http-exchange.h"

typedef struct HttpSse HttpSse;

typedef enum HttpSseState {
    HTTP_SSE_MORE,  /* something was written */
    HTTP_SSE_QUIET, /* nothing now: http_sse_wake() says when */
    HTTP_SSE_END,
    HTTP_SSE_BREAK, /* the stream cannot go on: the client shall see that it is cut */
} HttpSseState;

typedef struct HttpSseSource {
    HttpSseState (*fill)(void *userdata, HttpBuffer *out); /* write the next event */
    void (*taken)(void *userdata);                         /* the client's socket has taken all that was written */
} HttpSseSource;

/* Replies to the exchange with a stream of events: its headers go out now. */
int http_sse_new(HttpExchange *x, const HttpSseSource *source, void *userdata, HttpSse **ret);
HttpSse *http_sse_free(HttpSse *s); /* the exchange has ended */
void http_sse_wake(HttpSse *s);

/* data: JSON */
int http_sse_write_json(HttpBuffer *out, json_t *json /* owned; NULL: -ENOMEM */);
int http_sse_write_text(HttpBuffer *out, const char *text);
