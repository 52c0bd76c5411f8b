/* What one user may take of the service's connections and memory, so that nobody is locked out by somebody else. */
#pragma once

#include <sys/types.h>

#include "macros.h"

typedef struct HttpOwner HttpOwner; /* a user with at least one connection */

typedef struct HttpLimits {
    unsigned max_connections, max_owner_connections;
    size_t max_body_bytes, max_owner_body_bytes; /* of request bodies held in memory, all together */
    unsigned n_connections;
    size_t body_bytes;
    HttpOwner *owners; /* owned; a handful, so a list */
} HttpLimits;

/* -EUSERS: the service has, or this user has, as many connections as there may be. */
int http_limits_connect(HttpLimits *l, uid_t uid, HttpOwner **ret);
void http_limits_disconnect(HttpLimits *l, HttpOwner *o);
/* -ENOBUFS: too many bytes of bodies are held already. */
int http_limits_take_body(HttpLimits *l, HttpOwner *o, size_t size);
void http_limits_return_body(HttpLimits *l, HttpOwner *o, size_t size);
uid_t http_owner_uid(const HttpOwner *o);
