/* HTTP/1.1 on Unix sockets: libmicrohttpd driven by the daemon's loop. */
#pragma once

#include "daemon.h"

/* Listens on the sockets that systemd passed, else on config->socket_path; *ret is NULL when there is neither. */
int http_server_new(Daemon *d, HttpServer **ret, Error *e);
/* No new connections and no further request on old ones; replies under way go on. */
void http_server_stop(HttpServer *s);
/* Cuts what is left. The memory goes when the loop has closed the handles. */
HttpServer *http_server_free(HttpServer *s);

uint32_t http_server_n_connections(const HttpServer *s);
uint32_t http_server_n_active(const HttpServer *s); /* requests arriving or being answered */

/* For the other http-*.c files. */
Daemon *http_server_daemon(const HttpServer *s);
struct HttpLimits *http_server_limits(HttpServer *s);
void http_server_run_soon(HttpServer *s); /* a connection was woken: the library does not tell its epoll descriptor */
bool http_server_stopping(const HttpServer *s);
