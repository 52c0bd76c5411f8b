/* Which handler answers which method and path. */
#pragma once

#include "http-exchange.h"

typedef struct HttpRoute {
    const char *method;
    const char *path; /* a last segment {} stands for the rest of the path, slashes included, at least one byte */
    void (*handler)(HttpExchange *x);
} HttpRoute;

/* HEAD finds GET's route. *ret_argument points into `path`. On failure *he says 404, or 405 with the methods that would
 * do in `allow`, as the Allow header wants them; a status of 204 means OPTIONS, whose answer is that header alone. */
int http_route_find(const char *method, const char *path, const HttpRoute **ret, const char **ret_argument,
    char allow[static 64], HttpError *he);
