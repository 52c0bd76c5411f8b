/* Counters, and their Prometheus text form for /metrics. Loop thread only. */
#pragma once

#include "daemon.h"
#include "request.h"

#define METRICS_TTFT_BUCKETS 14

struct Metrics {
    uint64_t requests[N_REQUEST_TRANSPORTS][4]; /* by EngineFinish */
    uint64_t refused[N_REQUEST_TRANSPORTS];     /* request_start() said no */
    uint64_t prompt_tokens;
    uint64_t cached_tokens;
    uint64_t completion_tokens;
    uint64_t reasoning_tokens;
    uint64_t ttft_buckets[METRICS_TTFT_BUCKETS + 1]; /* not cumulative here; the last one has no bound */
    uint64_t ttft_count;
    double ttft_sum;
};

void metrics_request_refused(Metrics *m, RequestTransport t);
void metrics_request_finished(Metrics *m, RequestTransport t, const RequestResult *result);
void metrics_first_token(Metrics *m, uint64_t usec); /* since the request's start */

/* Text format 0.0.4; *ret is malloc()ed and NUL-terminated beyond *ret_size. */
int metrics_render(Daemon *d, char **ret, size_t *ret_size);
