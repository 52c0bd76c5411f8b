/* A client's connection; see http-connection.h.
 *
 * A suspended connection is out of the library's sight, so from the first time that one sleeps until its request is
 * over we watch its descriptor ourselves; a stream sleeps after every token. Only a full close counts: a client may
 * shut down its sending half after the request and wait for the answer. EPOLLRDHUP cannot tell the two apart and would
 * fire without end after a half close, whereas EPOLLHUP is reported always, whatever is asked for, so we ask for the
 * rarest event there is (urgent data, which no HTTP client sends).
 *
 * The library's own timeout restarts with every byte, which suits a slow reader of a reply but also a client that sends
 * its request one byte at a time for ever; the deadline here counts for the request as a whole. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "http-connection.h"

static void on_closed(uv_handle_t *handle) {
    HttpConnection *c = handle->data;
    if (--c->n_handles == 0)
        free(c);
}

int http_connection_new(HttpServer *s, int fd, HttpOwner *owner, HttpConnection **ret) {
    HttpConnection *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return -ENOMEM;
    }
    *c = (HttpConnection){.server = s, .owner = owner, .fd = fd};
    uv_loop_t *loop = http_server_daemon(s)->loop;
    int r = uv_poll_init(loop, &c->hangup, fd);
    if (r < 0) {
        close(fd);
        free(c);
        return r;
    }
    uv_timer_init(loop, &c->deadline);
    c->hangup.data = c->deadline.data = c;
    c->n_handles = 2;
    *ret = c;
    return 0;
}

void http_connection_closed(HttpConnection *c) {
    c->mhd = NULL;
    uv_poll_stop(&c->hangup);
    uv_close((uv_handle_t *)&c->hangup, on_closed);
    uv_close((uv_handle_t *)&c->deadline, on_closed);
}

static void on_deadline(uv_timer_t *timer) {
    http_connection_cut(timer->data);
}

void http_connection_expect_request(HttpConnection *c) {
    uv_poll_stop(&c->hangup);
    uv_timer_start(&c->deadline, on_deadline, http_server_daemon(c->server)->config->http_idle_usec / 1000, 0);
}

void http_connection_request_arrived(HttpConnection *c) {
    uv_timer_stop(&c->deadline);
}

static void on_hangup(uv_poll_t *poll, int status, int events) {
    HttpConnection *c = poll->data;
    uv_poll_stop(poll); /* or it would be told again and again */
    http_connection_cut(c);
    http_connection_wake(c);
}

void http_connection_sleep(HttpConnection *c) {
    if (c->sleeping)
        return;
    c->sleeping = true;
    MHD_suspend_connection(c->mhd);
    if (!uv_is_active((uv_handle_t *)&c->hangup))
        uv_poll_start(&c->hangup, UV_PRIORITIZED, on_hangup);
}

void http_connection_wake(HttpConnection *c) {
    if (!c->sleeping)
        return;
    c->sleeping = false;
    MHD_resume_connection(c->mhd);
    http_server_run_soon(c->server);
}

void http_connection_cut(HttpConnection *c) {
    c->gone = true;
    shutdown(c->fd, SHUT_RDWR);
}
