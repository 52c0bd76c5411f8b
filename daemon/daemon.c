/* The process from its first to its last moment: configuration, parts, readiness, signals, watchdog, idle exit, stop.
 *
 * Stopping takes two steps. begin_stop() refuses new work and lets requests run for drain_usec, then cancels what is
 * left, so that every client hears how its request ended. When the last one is gone, end_stop() closes all handles;
 * uv_run() returns once they are closed, and uv_loop_close() would tell if one had been forgotten. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "bus-service.h"
#include "daemon.h"
#include "http-server.h"
#include "log.h"
#include "metrics.h"
#include "model-host.h"
#include "parse.h"
#include "request.h"

#define GRACE_MS   3000                          /* for cancelled requests to end and their clients to be told */
#define STUCK_USEC (10 * 60 * UINT64_C(1000000)) /* a step may be long on a small machine, but not that long */

struct Lifecycle {
    Daemon *d;                         /* borrowed */
    const DaemonArguments *arguments;  /* borrowed */
    uv_signal_t signals[3];            /* TERM, INT, HUP */
    uv_timer_t watchdog, idle, finish; /* finish: the drain's deadline, then the end on a clean stack */
    uint64_t watchdog_usec;
    uint64_t last_steps, last_progress; /* of the engine; uv_hrtime() */
    bool ready, cancelled, ending;
    Error error;
};

static void warn_to_log(const char *message, void *userdata) {
    log_warning("%s", message);
}

int daemon_load_config(const DaemonArguments *a, Config **ret, Error *e) {
    _cleanup_(config_freep) Config *c = NULL;

    int r = config_load(a->config_path, a->user, warn_to_log, NULL, &c, e);
    if (r < 0)
        return r;
    char **fields[] = {&c->model, &c->socket_path};
    const char *values[] = {a->model, a->socket_path};
    for (size_t i = 0; i < ELEMENTSOF(fields); i++)
        if (values[i]) {
            free(*fields[i]);
            *fields[i] = *values[i] ? strdup(values[i]) : NULL;
            if (*values[i] && !*fields[i])
                return error_set(e, -ENOMEM, "Out of memory.");
        }
    if (a->idle_exit && parse_usec(a->idle_exit, &c->idle_exit_usec) < 0)
        return error_set(e, -EINVAL, "--idle-exit=%s: must be a time such as 30s or 5min.", a->idle_exit);
    r = config_check(c, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- readiness */

static void notify_status(Daemon *d) {
    Availability a = model_host_availability(d->host);
    const char *name = model_host_model_name(d->host);

    if (d->stopping)
        return;
    if (a == AVAILABILITY_READY)
        sd_notifyf(0, "STATUS=Serving model %s.", name);
    else if (a == AVAILABILITY_LOADING)
        sd_notify(0, "STATUS=Loading the model.");
    else if (a == AVAILABILITY_DISABLED)
        sd_notify(0, "STATUS=The model was unloaded.");
    else
        sd_notifyf(0, "STATUS=%s", model_host_error(d->host)->message);
}

static void on_host_changed(void *userdata) {
    Daemon *d = userdata;
    notify_status(d);
    daemon_activity(d);
}

void daemon_bus_settled(Daemon *d) {
    if (!d->lifecycle || d->lifecycle->ready || d->stopping)
        return;
    d->lifecycle->ready = true;
    sd_notify(0, "READY=1");
    notify_status(d);
    log_info("inferd " INFERD_VERSION " is ready.");
    daemon_activity(d);
}

/* ---------------------------------------------------------------------------------------------- stop */

static void end_stop(Lifecycle *l) {
    Daemon *d = l->d;

    l->ending = true;
    d->http = http_server_free(d->http);
    d->bus = bus_service_free(d->bus);
    d->host = model_host_free(d->host);
    for (size_t i = 0; i < ELEMENTSOF(l->signals); i++)
        uv_close((uv_handle_t *)&l->signals[i], NULL);
    uv_close((uv_handle_t *)&l->watchdog, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_close((uv_handle_t *)&l->finish, NULL);
}

static bool is_done(const Daemon *d) {
    return d->n_requests == 0 && (!d->http || http_server_n_active(d->http) == 0);
}

/* The drain is over, or everything is done, or those that were told to end have had their time to say so. */
static void on_finish(uv_timer_t *timer) {
    Lifecycle *l = timer->data;

    if (is_done(l->d) || l->cancelled) {
        end_stop(l);
        return;
    }
    log_warning("%" PRIu32 " requests did not end in time and are cancelled.", l->d->n_requests);
    l->cancelled = true;
    request_cancel_all(l->d, -ESHUTDOWN, "inferd is stopping.");
    uv_timer_start(&l->finish, on_finish, GRACE_MS, 0);
}

static void begin_stop(Lifecycle *l, const char *why) {
    Daemon *d = l->d;

    if (l->ending)
        return;
    if (d->stopping) { /* asked again: do not wait any longer */
        if (!l->cancelled)
            uv_timer_start(&l->finish, on_finish, 0, 0);
        return;
    }
    d->stopping = true;
    sd_notify(0, "STOPPING=1\nSTATUS=Stopping.");
    log_info("Stopping: %s.", why);
    if (d->http)
        http_server_stop(d->http);
    uv_timer_stop(&l->idle);
    uv_timer_start(&l->finish, on_finish, is_done(d) ? 0 : d->config->drain_usec / 1000, 0);
}

void daemon_fail(Daemon *d, const Error *error) {
    if (!d->lifecycle || d->lifecycle->ending)
        return;
    d->lifecycle->error = *error;
    begin_stop(d->lifecycle, "it cannot go on");
}

/* ---------------------------------------------------------------------------------------------- idle exit */

static bool is_idle(const Daemon *d) {
    return d->n_requests == 0 && (!d->bus || !bus_service_is_used(d->bus)) &&
           (!d->http || http_server_n_connections(d->http) == 0) &&
           model_host_availability(d->host) != AVAILABILITY_LOADING;
}

/* Nobody calls in vain in this instant: the name is given up first, and taken again for whoever was faster. */
static void on_idle_exit(uv_timer_t *timer) {
    Lifecycle *l = timer->data;
    Daemon *d = l->d;

    if (d->bus)
        bus_service_release(d->bus);
    if (is_idle(d))
        begin_stop(l, "nothing to do");
    else if (d->bus)
        bus_service_claim(d->bus);
}

void daemon_activity(Daemon *d) {
    Lifecycle *l = d->lifecycle;

    if (d->host)
        model_host_busy(d->host, d->n_requests > 0);
    if (d->bus)
        bus_service_touch(d->bus);
    if (!l || l->ending)
        return;
    if (d->stopping) {
        if (is_done(d))
            uv_timer_start(&l->finish, on_finish, 0, 0);
        return;
    }
    if (l->ready && d->config->idle_exit_usec && is_idle(d))
        uv_timer_start(&l->idle, on_idle_exit, MAX(d->config->idle_exit_usec / 1000, (uint64_t)1), 0);
    else
        uv_timer_stop(&l->idle);
}

/* ---------------------------------------------------------------------------------------------- watchdog */

/* The loop is alive, or this would not run. The engine is asked too: steps must go on while sequences run. */
static void on_watchdog(uv_timer_t *timer) {
    Lifecycle *l = timer->data;
    EngineStats s = {};

    Bridge *b = l->d->host ? model_host_bridge(l->d->host) : NULL;
    if (b)
        bridge_stats(b, &s);
    if (s.running == 0 || s.steps != l->last_steps) {
        l->last_steps = s.steps;
        l->last_progress = uv_hrtime();
    }
    if ((uv_hrtime() - l->last_progress) / 1000 < STUCK_USEC)
        sd_notify(0, "WATCHDOG=1");
}

/* ---------------------------------------------------------------------------------------------- reload */

static bool strings_equal(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void reload(Lifecycle *l) {
    Daemon *d = l->d;
    struct timespec now;
    Config *c;
    Error e;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading the configuration.",
        (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    if (daemon_load_config(l->arguments, &c, &e) < 0)
        log_error("The running configuration stays: %s", e.message);
    else {
        bool model_changed = !strings_equal(c->model, d->config->model);
        config_free(d->config);
        d->config = c;
        log_init((int)c->log_level);
        log_info("The configuration was read again.");
        model_host_reload(d->host, model_changed);
        daemon_activity(d);
    }
    sd_notify(0, "READY=1");
    notify_status(d);
}

static void on_signal(uv_signal_t *handle, int number) {
    Lifecycle *l = handle->data;

    if (number != SIGHUP)
        begin_stop(l, number == SIGINT ? "interrupted" : "asked to");
    else if (!l->d->stopping)
        reload(l);
}

/* ---------------------------------------------------------------------------------------------- start */

static void lifecycle_init(Lifecycle *l, Daemon *d, const DaemonArguments *a) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_timer_t *timers[] = {&l->watchdog, &l->idle, &l->finish};

    *l = (Lifecycle){.d = d, .arguments = a, .last_progress = uv_hrtime()};
    for (size_t i = 0; i < ELEMENTSOF(l->signals); i++) {
        uv_signal_init(d->loop, &l->signals[i]);
        l->signals[i].data = l;
        uv_signal_start(&l->signals[i], on_signal, numbers[i]);
    }
    for (size_t i = 0; i < ELEMENTSOF(timers); i++) {
        uv_timer_init(d->loop, timers[i]);
        timers[i]->data = l;
    }
    if (sd_watchdog_enabled(0, &l->watchdog_usec) > 0) {
        uint64_t ms = MAX(l->watchdog_usec / 2000, (uint64_t)1);
        uv_timer_start(&l->watchdog, on_watchdog, ms, ms);
    }
}

static int start_parts(Daemon *d, const DaemonArguments *a, Error *e) {
    int r = model_host_new(d, &d->host, e);
    if (r < 0)
        return r;
    model_host_on_change(d->host, on_host_changed, d);
    r = http_server_new(d, &d->http, e);
    if (r < 0)
        return r;
    if (!a->no_bus)
        return bus_service_new(d, &d->bus, e);
    if (!d->http)
        return error_set(e, -EINVAL, "There is neither a bus nor a socket to serve.");
    daemon_bus_settled(d);
    return 0;
}

int daemon_run(const DaemonArguments *a, Error *e) {
    Metrics metrics = {};
    Lifecycle lifecycle;
    Daemon d = {.user = a->user, .metrics = &metrics, .loop = uv_default_loop(), .lifecycle = &lifecycle};

    int r = daemon_load_config(a, &d.config, e);
    if (r < 0)
        return r;
    log_init((int)d.config->log_level);
    signal(SIGPIPE, SIG_IGN); /* readers that go away are seen as EPIPE */

    lifecycle_init(&lifecycle, &d, a);
    r = start_parts(&d, a, &lifecycle.error);
    if (r < 0)
        end_stop(&lifecycle);
    uv_run(d.loop, UV_RUN_DEFAULT);

    r = uv_loop_close(d.loop);
    assert(r == 0);
    config_free(d.config);
    if (lifecycle.error.code < 0)
        return error_set(e, lifecycle.error.code, "%s", lifecycle.error.message);
    return 0;
}
