/* HTTP/1.1 on Unix sockets; see http-server.h.
 *
 * libmicrohttpd runs without threads of its own: its epoll descriptor sits under uv_poll, its next timeout under
 * uv_timer, and either makes us call MHD_run(). We accept connections ourselves, because it knows neither several
 * listening sockets nor peer credentials. Everything it calls back runs inside MHD_run(), so on the loop thread. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http-connection.h"
#include "http-exchange-mhd.h"
#include "listener.h"

#define CONNECTION_MEMORY (16u * 1024) /* per connection, for the head of a request and the copy buffers */
#define BODIES_AT_ONCE    8            /* bodies of the greatest length that may be held at the same time */
#define FLUSH_ROUNDS      64
#define SPARE_FDS         64 /* for everything that is not a client's connection */

struct HttpServer {
    Daemon *daemon;     /* borrowed */
    Listener *listener; /* owned; NULL: stopped */
    struct MHD_Daemon *mhd;
    uv_poll_t events;
    uv_timer_t timeout;
    unsigned n_handles; /* uv handles not closed yet; the memory goes with the last */
    HttpLimits limits;
    HttpConnection *connections; /* owned */
    HttpConnection *arriving;    /* being handed to the library */
};

static void pump(HttpServer *s);

static void on_timeout(uv_timer_t *timer) {
    pump(timer->data);
}

static void on_events(uv_poll_t *poll, int status, int events) {
    pump(poll->data);
}

static void pump(HttpServer *s) {
    MHD_run(s->mhd);
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(s->mhd, &ms) == MHD_YES)
        uv_timer_start(&s->timeout, on_timeout, ms, 0);
    else
        uv_timer_stop(&s->timeout);
}

static void unlink_connection(HttpServer *s, HttpConnection *c) {
    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    http_limits_disconnect(&s->limits, c->owner);
    http_connection_closed(c);
}

static void on_connection(
    void *userdata, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code) {
    HttpServer *s = userdata;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        HttpConnection *c = TAKE_PTR(s->arriving);
        c->mhd = mhd;
        *context = c;
        c->next = s->connections;
        if (c->next)
            c->next->previous = c;
        s->connections = c;
        http_connection_expect_request(c);
    } else
        unlink_connection(s, *context);
    daemon_activity(s->daemon);
}

#define FULL_BODY                                                                                                      \
    "{\"error\":{\"message\":\"Too many "                                                                              \
    "connections.\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}"
_Static_assert(sizeof(FULL_BODY) - 1 == 100, "the length stands in the header");

static void refuse_connection(int fd) {
    static const char reply[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
                                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n" FULL_BODY;
    (void)!send(fd, reply, sizeof(reply) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static void on_accepted(void *userdata, int fd, uid_t uid) {
    HttpServer *s = userdata;
    HttpOwner *owner;
    if (http_limits_connect(&s->limits, uid, &owner) < 0) {
        refuse_connection(fd);
        return;
    }
    if (http_connection_new(s, fd, owner, &s->arriving) < 0) {
        http_limits_disconnect(&s->limits, owner);
        return;
    }
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (MHD_add_connection(s->mhd, fd, (struct sockaddr *)&addr, sizeof(addr.sun_family)) != MHD_YES && s->arriving) {
        /* the library has closed fd */
        http_connection_closed(TAKE_PTR(s->arriving));
        http_limits_disconnect(&s->limits, owner);
    }
    pump(s);
}

/* A thousand connections need more descriptors than the usual soft limit allows; the hard limit is left alone. */
static unsigned raise_fd_limit(unsigned n_connections) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return n_connections;
    rlim_t want = (rlim_t)n_connections + SPARE_FDS;
    if (limit.rlim_cur < want) {
        limit.rlim_cur = MIN(want, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= want)
        return n_connections;
    return limit.rlim_cur > 2 * SPARE_FDS ? limit.rlim_cur - SPARE_FDS : SPARE_FDS;
}

static void set_limits(HttpServer *s) {
    const Config *config = s->daemon->config;
    unsigned n = raise_fd_limit(config->http_connections);
    size_t bodies = MIN(config->http_body_bytes, SIZE_MAX / BODIES_AT_ONCE) * BODIES_AT_ONCE;
    bool shared = !s->daemon->user;
    s->limits = (HttpLimits){
        .max_connections = n,
        .max_owner_connections = shared ? MAX(n / 2, 1u) : n,
        .max_body_bytes = bodies,
        .max_owner_body_bytes = shared ? bodies / 2 : bodies,
    };
}

/* A path with a NUL would end there and might be that of something else: instead it gets a byte that no name has. */
static size_t unescape(void *userdata, struct MHD_Connection *connection, char *s) {
    size_t n = MHD_http_unescape(s);
    for (char *nul = memchr(s, '\0', n); nul; nul = memchr(nul, '\0', n - (size_t)(nul - s)))
        *nul = '\xFF';
    return n;
}

static int start_mhd(HttpServer *s, Error *e) {
    unsigned idle_seconds = MAX(s->daemon->config->http_idle_usec / 1000000, 1u);
    s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        http_exchange_access, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->limits.max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!s->mhd)
        return error_set(e, -EIO, "The HTTP library does not start: %s.", strerror(errno));

    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    int r = uv_poll_init(s->daemon->loop, &s->events, info->epoll_fd);
    if (r < 0)
        return error_set(e, r, "The HTTP library cannot be watched: %s.", uv_strerror(r));
    uv_timer_init(s->daemon->loop, &s->timeout);
    s->events.data = s->timeout.data = s;
    s->n_handles = 2;
    r = uv_poll_start(&s->events, UV_READABLE, on_events);
    return r < 0 ? error_set(e, r, "The HTTP library cannot be watched: %s.", uv_strerror(r)) : 0;
}

int http_server_new(Daemon *d, HttpServer **ret, Error *e) {
    HttpServer *s = calloc(1, sizeof(*s));
    if (!s)
        return error_set(e, -ENOMEM, "Out of memory.");
    s->daemon = d;
    set_limits(s);
    int r = start_mhd(s, e);
    if (r >= 0)
        r = listener_new(d->loop, d->config->socket_path, d->user ? 0600 : 0666, on_accepted, s, &s->listener, e);
    if (r < 0 || !s->listener)
        s = http_server_free(s);
    if (r >= 0)
        *ret = s;
    return r;
}

void http_server_stop(HttpServer *s) {
    s->listener = listener_free(s->listener);
    for (HttpConnection *c = s->connections; c; c = c->next)
        if (!c->exchange)
            http_connection_cut(c);
}

static void on_closed(uv_handle_t *handle) {
    HttpServer *s = handle->data;
    if (--s->n_handles == 0)
        free(s);
}

/* Replies that were given a moment ago are written as far as the sockets have room. */
static void flush(HttpServer *s) {
    MHD_UNSIGNED_LONG_LONG ms = 0;
    for (int i = 0; i < FLUSH_ROUNDS && ms == 0; i++) {
        MHD_run(s->mhd);
        if (MHD_get_timeout(s->mhd, &ms) != MHD_YES)
            ms = 1;
    }
}

HttpServer *http_server_free(HttpServer *s) {
    if (!s)
        return NULL;
    s->listener = listener_free(s->listener);
    if (s->mhd)
        flush(s);
    for (HttpConnection *c = s->connections; c; c = c->next) {
        http_connection_cut(c);
        http_connection_wake(c); /* the library does not stop while a connection sleeps */
    }
    if (s->mhd) {
        MHD_run(s->mhd);
        MHD_stop_daemon(s->mhd);
    }
    assert(!s->connections && !s->limits.owners);
    if (s->n_handles == 0) {
        free(s);
        return NULL;
    }
    uv_poll_stop(&s->events);
    uv_close((uv_handle_t *)&s->events, on_closed);
    uv_close((uv_handle_t *)&s->timeout, on_closed);
    return NULL;
}

uint32_t http_server_n_connections(const HttpServer *s) {
    return s->limits.n_connections;
}

uint32_t http_server_n_active(const HttpServer *s) {
    uint32_t n = 0;
    for (const HttpConnection *c = s->connections; c; c = c->next)
        n += c->exchange != NULL;
    return n;
}

void http_server_run_soon(HttpServer *s) {
    uv_timer_start(&s->timeout, on_timeout, 0, 0);
}

Daemon *http_server_daemon(const HttpServer *s) {
    return s->daemon;
}

struct HttpLimits *http_server_limits(HttpServer *s) {
    return &s->limits;
}

bool http_server_stopping(const HttpServer *s) {
    return !s->listener;
}
