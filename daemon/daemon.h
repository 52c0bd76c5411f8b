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

typedef struct Daemon {
    Config *config;   /* owned */
    uv_loop_t *loop;  /* borrowed, the default loop */
    ModelHost *host;  /* owned */
    BusService *bus;  /* owned; NULL when no bus is used */
    HttpServer *http; /* owned; NULL when no socket is used */
    Metrics *metrics; /* owned */
    bool user;        /* --user: session bus, $XDG_RUNTIME_DIR */
    bool stopping;
} Daemon;
