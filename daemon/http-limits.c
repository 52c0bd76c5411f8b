/* Shares of connections and memory; see http-limits.h. */
#include <assert.h>
#include <errno.h>

#include "http-limits.h"

struct HttpOwner {
    HttpOwner *next;
    uid_t uid;
    unsigned n_connections; /* the owner goes with its last */
    size_t body_bytes;
};

static HttpOwner *find_or_add(HttpLimits *l, uid_t uid) {
    for (HttpOwner *o = l->owners; o; o = o->next)
        if (o->uid == uid)
            return o;
    HttpOwner *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    *o = (HttpOwner){.next = l->owners, .uid = uid};
    l->owners = o;
    return o;
}

static void drop_if_unused(HttpLimits *l, HttpOwner *o) {
    if (o->n_connections > 0)
        return;
    assert(o->body_bytes == 0);
    HttpOwner **p = &l->owners;
    while (*p != o)
        p = &(*p)->next;
    *p = o->next;
    free(o);
}

int http_limits_connect(HttpLimits *l, uid_t uid, HttpOwner **ret) {
    if (l->n_connections >= l->max_connections)
        return -EUSERS;
    HttpOwner *o = find_or_add(l, uid);
    if (!o)
        return -ENOMEM;
    if (o->n_connections >= l->max_owner_connections) {
        drop_if_unused(l, o);
        return -EUSERS;
    }
    o->n_connections++;
    l->n_connections++;
    *ret = o;
    return 0;
}

void http_limits_disconnect(HttpLimits *l, HttpOwner *o) {
    assert(o->n_connections > 0 && l->n_connections > 0);
    o->n_connections--;
    l->n_connections--;
    drop_if_unused(l, o);
}

int http_limits_take_body(HttpLimits *l, HttpOwner *o, size_t size) {
    if (size > l->max_body_bytes - l->body_bytes || size > l->max_owner_body_bytes - o->body_bytes)
        return -ENOBUFS;
    l->body_bytes += size;
    o->body_bytes += size;
    return 0;
}

void http_limits_return_body(HttpLimits *l, HttpOwner *o, size_t size) {
    assert(o->body_bytes >= size && l->body_bytes >= size);
    l->body_bytes -= size;
    o->body_bytes -= size;
}

uid_t http_owner_uid(const HttpOwner *o) {
    return o->uid;
}
