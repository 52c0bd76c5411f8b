/* Our own endpoints that read the daemon's state; the two about tokens are in http-tokens.c. */
#include "http-own.h"
#include "metrics.h"
#include "model-host.h"

/* 200 when a request would be answered, 503 with the reason when not. */
void http_own_health(HttpExchange *x) {
    const Daemon *d = http_exchange_daemon(x);
    Availability a = model_host_availability(d->host);
    bool ok = a == AVAILABILITY_READY && !d->stopping;
    const char *status = d->stopping ? "stopping" : ok ? "ok" : availability_to_string(a);
    const char *name = model_host_model_name(d->host);
    const Error *error = model_host_error(d->host);

    json_t *json = json_pack("{s:s, s:s, s:s?}", "status", status, "version", INFERD_VERSION, "model", name);
    if (!ok && error && error->code != 0)
        json_object_set_new(json, "message", json_string(error->message));
    if (!ok)
        http_exchange_header(x, "Retry-After", "5");
    http_exchange_reply_json(x, ok ? 200 : 503, json);
}

void http_own_metrics(HttpExchange *x) {
    char *text = NULL;
    size_t size = 0;
    if (metrics_render(http_exchange_daemon(x), &text, &size) < 0) {
        HttpError he = {};
        http_error_set(&he, 503, "overloaded", NULL, "Out of memory.");
        http_exchange_reply_error(x, &he);
        return;
    }
    http_exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", text, size);
}
