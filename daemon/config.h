/* The configuration: vendor defaults, /etc/inferd/inferd.conf and drop-ins, read with inih. Every key stands commented,
 * with its default, in data/inferd.conf. */
#pragma once

#include "engine.h"
#include "options.h"

typedef struct Config {
    /* [Model] */
    char **model_dirs;         /* owned, NULL-terminated; first match wins */
    char *model;               /* owned; name or absolute path; NULL: the only installed one, else the embedded one */
    char *embedded_model;      /* owned; path of the built-in model, NULL if not installed */
    uint64_t idle_unload_usec; /* 0: never */
    /* [Engine] */
    EngineOptions engine; /* wake/userdata unused here */
    /* [Service] */
    uint64_t idle_exit_usec; /* 0: never; only when started by a socket or the bus */
    uint64_t drain_usec;     /* time that running requests get at shutdown and when the model changes */
    uint64_t request_timeout_usec;
    uint32_t max_sessions_per_owner;
    uint32_t max_requests_per_owner;
    /* [Socket] */
    char *socket_path;        /* owned; used when systemd passed no socket; NULL: none */
    uint64_t http_idle_usec;  /* a connection that sends nothing */
    uint64_t http_body_bytes; /* longest request body */
    uint64_t ping_usec;       /* keep-alive comments while a stream is silent */
    /* [Defaults] */
    Options defaults;
} Config;

/* Reads vendor file, main file, drop-ins in order. Unknown keys and sections are reported through `warn` with file and
 * line; a bad value is -EINVAL with file, line and reason. `path` NULL: the standard places of the system or, with
 * user, of the user. */
int config_load(const char *path, bool user, void (*warn)(const char *message, void *userdata), void *userdata,
    Config **ret, Error *e);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config *, config_free)
