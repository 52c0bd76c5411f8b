/* The process: what every part of the daemon can reach. Loop thread only. */
#pragma once

#include <systemd/sd-bus.h>
#include <uv.h>

#include "config.h"
#include "engine.h"

typedef enum Availability {
    AVAILABILITY_NO_MODEL, /* nothing installed, nothing configured */
    AVAILABILITY_LOADING,
    AVAILABILITY_READY,
    AVAILABILITY_MODEL_FAILED, /* see model_host_error() */
    AVAILABILITY_DISABLED,     /* unloaded on purpose; the next LoadModel brings it back */
} Availability;
const char *availability_to_string(Availability a); /* "ready", "loading", "no-model", "model-failed", "disabled" */

typedef struct ModelHost ModelHost;   /* model-host.h: which model everybody shares, its engine, its state */
typedef struct BusService BusService; /* bus-service.h: connection, manager object, sessions */
typedef struct HttpServer HttpServer; /* http-server.h */
typedef struct Metrics Metrics;       /* metrics.h */
typedef struct Request Request;       /* request.h */
typedef struct Lifecycle Lifecycle;   /* daemon.c: signals, watchdog, idle exit, shutdown */

typedef struct Daemon {
    Config *config;       /* owned; replaced on reload, so never keep pointers into it across callbacks */
    uv_loop_t *loop;      /* borrowed, the default loop */
    ModelHost *host;      /* owned */
    BusService *bus;      /* owned; NULL when no bus is used */
    HttpServer *http;     /* owned; NULL when no socket is used */
    Metrics *metrics;     /* owned */
    Lifecycle *lifecycle; /* owned; NULL in tests of the parts */
    Request *requests;    /* list of all active ones, owned by request.c */
    uint32_t n_requests;
    uint64_t last_request_id;
    bool user; /* --user: session bus, $XDG_RUNTIME_DIR */
    bool stopping;
} Daemon;

typedef struct DaemonArguments {
    const char *config_path; /* NULL: the standard places */
    const char *model;       /* NULL: the configuration's; else a name or an absolute path */
    const char *socket_path; /* NULL: the configuration's */
    const char *idle_exit;   /* NULL: the configuration's */
    bool user;
    bool no_bus;
} DaemonArguments;

/* The configuration with the command line on top, warnings on the log. */
int daemon_load_config(const DaemonArguments *a, Config **ret, Error *e);
/* Serves until SIGTERM, SIGINT or the idle exit. The error's code tells main() which exit status fits. */
int daemon_run(const DaemonArguments *a, Error *e);

/* Called by the parts whenever what keeps the process busy may have changed: requests, sessions, connections. */
void daemon_activity(Daemon *d);
/* The bus name is ours, or will not come: the last thing the readiness notification waits for. */
void daemon_bus_settled(Daemon *d);
/* Something that cannot be repaired by waiting: ends daemon_run() with this error. */
void daemon_fail(Daemon *d, const Error *error);
