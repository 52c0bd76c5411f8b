/* The configuration: vendor defaults, /etc/inferd/inferd.conf and drop-ins, read with inih. Every key stands commented,
 * with its default, in data/inferd.conf. */
#pragma once

#include <stdio.h>

#include "engine.h"
#include "options.h"

typedef struct Config {
    /* [Model] */
    char **model_dirs;         /* owned, NULL-terminated; first match wins */
    char *model;               /* owned; name or absolute path; NULL: the only installed one, else the embedded one */
    char *embedded_model;      /* owned; path of the built-in model, NULL if there is none */
    uint64_t idle_unload_usec; /* 0: never */
    /* [Engine] */
    EngineOptions engine; /* wake/userdata unused here */
    /* [Service] */
    uint64_t idle_exit_usec; /* 0: never */
    uint64_t drain_usec;     /* time that running requests get at shutdown and when the model changes */
    uint64_t request_timeout_usec;
    uint32_t max_sessions_per_owner;
    uint32_t max_requests_per_owner;
    uint32_t log_level; /* syslog priority */
    /* [Socket] */
    char *socket_path;        /* owned; used when systemd passed no socket; NULL: none */
    uint32_t http_connections; /* at once, of all users; in the system's service half of them for one user */
    uint64_t http_idle_usec;  /* a connection that sends nothing */
    uint64_t http_body_bytes; /* longest request body */
    uint64_t ping_usec;       /* keep-alive comments while a stream is silent */
    /* [Defaults] */
    Options defaults;
} Config;

typedef void (*ConfigWarning)(const char *message, void *userdata);

/* Reads vendor file, main file, drop-ins in order. Unknown keys and sections are reported through `warn` with file and
 * line; a bad value is -EINVAL with file, line and reason. `path` NULL: the standard places of the system or, with
 * user, of the user; else that file and its .d folder alone. */
int config_load(const char *path, bool user, ConfigWarning warn, void *userdata, Config **ret, Error *e);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config *, config_free)

/* Built-in defaults only. */
int config_new(bool user, Config **ret, Error *e);
/* Applies one file's text on top; `file` is for messages. On failure c may be partly changed. */
int config_parse(
    Config *c, const char *file, const char *text, size_t size, ConfigWarning warn, void *userdata, Error *e);
/* What single keys cannot tell: names, absolute paths, the length of the socket's path. */
int config_check(const Config *c, Error *e);
/* In the syntax of the file, every key. */
void config_print(const Config *c, FILE *f);
