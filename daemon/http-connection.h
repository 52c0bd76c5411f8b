/* A client's connection: who it is, how long it may take to say what it wants, and whether it is still there. Shared by
 * http-server.c and http-exchange.c; handlers never see it. */
#pragma once

#include <microhttpd.h>
#include <uv.h>

#include "http-limits.h"
#include "http-server.h"

typedef struct HttpConnection HttpConnection;
struct HttpConnection {
    HttpServer *server; /* borrowed */
    HttpConnection *previous, *next;
    HttpOwner *owner;              /* borrowed from the server's limits */
    struct MHD_Connection *mhd;    /* borrowed; NULL until the library has taken it, and after it has closed */
    struct HttpExchange *exchange; /* borrowed; NULL: between requests */
    int fd;                        /* the library's */
    uv_poll_t hangup;              /* active from a request's first sleep to its end */
    uv_timer_t deadline;           /* active while a request is arriving */
    unsigned n_handles;            /* uv handles not closed yet; the memory goes with the last */
    bool sleeping;
    bool gone; /* the client hung up, or we cut it off */
};

/* Takes fd, which is closed on failure. */
int http_connection_new(HttpServer *s, int fd, HttpOwner *owner, HttpConnection **ret);
/* The library has closed it, or never took it. */
void http_connection_closed(HttpConnection *c);

/* The rest of a request has to arrive before the deadline; between requests the next one has to begin and arrive. The
 * library watches for the client's leaving itself then. */
void http_connection_expect_request(HttpConnection *c);
void http_connection_request_arrived(HttpConnection *c);
/* The library leaves the connection alone until it is woken; from now on we watch for the client's leaving. */
void http_connection_sleep(HttpConnection *c);
void http_connection_wake(HttpConnection *c);
/* Makes the library notice an end of the connection. */
void http_connection_cut(HttpConnection *c);
