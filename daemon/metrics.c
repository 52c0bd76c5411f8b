/* See metrics.h. Names follow Prometheus' conventions: a unit in the name, _total on counters. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "metrics.h"
#include "model-host.h"

static const double ttft_bounds[METRICS_TTFT_BUCKETS] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};

static const char *const transport_names[N_REQUEST_TRANSPORTS] = {
    [REQUEST_TRANSPORT_DBUS] = "dbus", [REQUEST_TRANSPORT_HTTP] = "http"};

static const char *const finish_names[] = {
    [ENGINE_FINISH_STOP] = "stop",
    [ENGINE_FINISH_LENGTH] = "length",
    [ENGINE_FINISH_CANCELLED] = "cancelled",
    [ENGINE_FINISH_ERROR] = "error",
};

void metrics_request_refused(Metrics *m, RequestTransport t) {
    m->refused[t]++;
}

void metrics_request_finished(Metrics *m, RequestTransport t, const RequestResult *result) {
    m->requests[t][result->finish]++;
    m->prompt_tokens += result->usage.prompt_tokens;
    m->cached_tokens += result->usage.cached_tokens;
    m->completion_tokens += result->usage.completion_tokens;
    m->reasoning_tokens += result->usage.reasoning_tokens;
}

void metrics_first_token(Metrics *m, uint64_t usec) {
    double s = usec / 1e6;
    size_t i = 0;

    while (i < METRICS_TTFT_BUCKETS && s > ttft_bounds[i])
        i++;
    m->ttft_buckets[i]++;
    m->ttft_count++;
    m->ttft_sum += s;
}

static void head(FILE *f, const char *name, const char *type, const char *help) {
    fprintf(f, "# HELP inferd_%s %s\n# TYPE inferd_%s %s\n", name, help, name, type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, uint64_t value) {
    head(f, name, type, help);
    fprintf(f, "inferd_%s %" PRIu64 "\n", name, value);
}

static void render_requests(FILE *f, const Metrics *m) {
    head(f, "requests_total", "counter", "Generations that ended, by transport and outcome.");
    for (size_t t = 0; t < N_REQUEST_TRANSPORTS; t++) {
        for (size_t k = 0; k < ELEMENTSOF(finish_names); k++)
            fprintf(f, "inferd_requests_total{transport=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", transport_names[t],
                finish_names[k], m->requests[t][k]);
        fprintf(f, "inferd_requests_total{transport=\"%s\",outcome=\"refused\"} %" PRIu64 "\n", transport_names[t],
            m->refused[t]);
    }
    one(f, "prompt_tokens_total", "counter", "Tokens of prompts.", m->prompt_tokens);
    one(f, "cached_tokens_total", "counter", "Tokens of prompts found in the KV pool.", m->cached_tokens);
    one(f, "completion_tokens_total", "counter", "Tokens generated.", m->completion_tokens);
    one(f, "reasoning_tokens_total", "counter", "Tokens generated as reasoning.", m->reasoning_tokens);

    head(f, "time_to_first_token_seconds", "histogram", "From a request's arrival to its first token.");
    uint64_t sum = 0;
    for (size_t i = 0; i < METRICS_TTFT_BUCKETS; i++) {
        sum += m->ttft_buckets[i];
        fprintf(f, "inferd_time_to_first_token_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", ttft_bounds[i], sum);
    }
    fprintf(f, "inferd_time_to_first_token_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", m->ttft_count);
    fprintf(f, "inferd_time_to_first_token_seconds_sum %.6f\n", m->ttft_sum);
    fprintf(f, "inferd_time_to_first_token_seconds_count %" PRIu64 "\n", m->ttft_count);
}

static void render_engine(FILE *f, Daemon *d) {
    EngineStats s = {};

    Bridge *b = d->host ? model_host_bridge(d->host) : NULL;
    if (b)
        bridge_stats(b, &s);
    one(f, "model_loaded", "gauge", "1 while a model is loaded.", b != NULL);
    one(f, "requests_active", "gauge", "Requests from arrival to final event.", d->n_requests);
    one(f, "requests_running", "gauge", "Sequences being generated.", s.running);
    one(f, "requests_queued", "gauge", "Requests waiting in the scheduler.", s.queued);
    one(f, "kv_pages", "gauge", "Pages of the KV pool.", s.pages_total);
    one(f, "kv_pages_used", "gauge", "Pages referenced by running sequences.", s.pages_used);
    one(f, "kv_pages_cached", "gauge", "Pages kept for their prefix.", s.pages_cached);
    one(f, "kv_page_tokens", "gauge", "Positions in a page.", s.page_tokens);
    one(f, "engine_steps_total", "counter", "Steps since the model was loaded.", s.steps);
}

int metrics_render(Daemon *d, char **ret, size_t *ret_size) {
    char *text = NULL;
    size_t size;

    FILE *f = open_memstream(&text, &size);
    if (!f)
        return -errno;
    head(f, "build_info", "gauge", "Constant 1, labelled with the version.");
    fprintf(f, "inferd_build_info{version=\"%s\"} 1\n", INFERD_VERSION);
    render_requests(f, d->metrics);
    render_engine(f, d);
    if (fclose(f) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret = text;
    *ret_size = size;
    return 0;
}
