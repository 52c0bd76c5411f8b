/* Server-sent events; see http-sse.h. */
#include <errno.h>
#include <string.h>

#include "http-json.h"
#include "http-sse.h"

#define PING ": ping\n\n"

struct HttpSse {
    HttpExchange *exchange; /* borrowed */
    HttpSseSource source;
    void *userdata;
    HttpBuffer out;     /* what fill() wrote */
    size_t sent;        /* of it */
    HttpSseState state; /* END and BREAK are for good */
    uv_timer_t timer;
    bool silent; /* nothing was sent since the last tick */
    bool ping;
};

/* Copies what is written and not sent yet. */
static size_t take(HttpSse *s, char *buffer, size_t max) {
    size_t n = MIN(s->out.size - s->sent, max);
    if (n == 0)
        return 0;
    memcpy(buffer, s->out.data + s->sent, n);
    s->sent += n;
    if (s->sent == s->out.size) {
        http_buffer_clear(&s->out);
        s->sent = 0;
        s->source.taken(s->userdata);
    }
    return n;
}

static ssize_t on_read(void *userdata, char *buffer, size_t max) {
    HttpSse *s = userdata;
    size_t n = take(s, buffer, max);

    if (s->state == HTTP_SSE_QUIET)
        s->state = HTTP_SSE_MORE;
    while (n < max && s->state == HTTP_SSE_MORE) {
        s->state = s->source.fill(s->userdata, &s->out);
        n += take(s, buffer + n, max - n);
    }
    if (n == 0 && s->state == HTTP_SSE_END)
        return HTTP_READER_END;
    if (n == 0 && s->state == HTTP_SSE_BREAK)
        return HTTP_READER_BREAK;
    if (n == 0 && s->ping && max >= strlen(PING)) {
        n = strlen(PING);
        memcpy(buffer, PING, n);
    }
    s->ping = false;
    if (n > 0)
        s->silent = false;
    return n;
}

static void on_tick(uv_timer_t *timer) {
    HttpSse *s = timer->data;
    if (s->silent) {
        s->ping = true;
        http_exchange_wake(s->exchange);
    }
    s->silent = true;
}

int http_sse_new(HttpExchange *x, const HttpSseSource *source, void *userdata, HttpSse **ret) {
    HttpSse *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (HttpSse){.exchange = x, .source = *source, .userdata = userdata, .silent = true};

    Daemon *d = http_exchange_daemon(x);
    uv_timer_init(d->loop, &s->timer);
    s->timer.data = s;
    uint64_t ms = MAX(d->config->ping_usec / 1000, 1u);
    uv_timer_start(&s->timer, on_tick, ms, ms);

    http_exchange_stream(x, "text/event-stream", on_read, s);
    *ret = s;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

HttpSse *http_sse_free(HttpSse *s) {
    if (!s)
        return NULL;
    http_buffer_done(&s->out);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    return NULL;
}

void http_sse_wake(HttpSse *s) {
    http_exchange_wake(s->exchange);
}

int http_sse_write_text(HttpBuffer *out, const char *text) {
    int r = http_buffer_append(out, "data: ", 6);
    if (r >= 0)
        r = http_buffer_append(out, text, strlen(text));
    return r < 0 ? r : http_buffer_append(out, "\n\n", 2);
}

int http_sse_write_json(HttpBuffer *out, json_t *json) {
    char *text = json ? json_dumps(json, HTTP_JSON_FORMAT) : NULL;
    json_decref(json);
    if (!text)
        return -ENOMEM;
    int r = http_sse_write_text(out, text);
    free(text);
    return r;
}
