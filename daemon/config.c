/* See config.h. The keys are one table; parsing, range checks and --check-config all walk it.
 *
 * inih reads the syntax, but it cuts long lines silently and does not tell its handler the line number. So the lines
 * come from a reader of ours, which counts them and refuses what inih would mangle: lines longer than its buffer, NUL
 * bytes, invalid UTF-8. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#include <ini.h>

#include "config.h"
#include "parse.h"

typedef enum KeyType {
    KEY_STRING, /* empty: none */
    KEY_PATHS,  /* colon-separated */
    KEY_UINT32,
    KEY_SIZE,
    KEY_SIZE32,
    KEY_TIME,
    KEY_KV_TYPE,
    KEY_LOG_LEVEL,
} KeyType;

typedef struct KeyRow {
    const char *section, *key;
    KeyType type;
    size_t offset;
    uint64_t min, max;
} KeyRow;

#define AT(field) offsetof(Config, field)
#define SEC       UINT64_C(1000000)
#define YEAR      (365 * 86400 * SEC)
#define MIB       (UINT64_C(1) << 20)

static const KeyRow key_rows[] = {
    {"Model", "Directories", KEY_PATHS, AT(model_dirs), 0, 0},
    {"Model", "Model", KEY_STRING, AT(model), 0, 0},
    {"Model", "EmbeddedModel", KEY_STRING, AT(embedded_model), 0, 0},
    {"Model", "IdleUnload", KEY_TIME, AT(idle_unload_usec), 0, YEAR},
    {"Engine", "Threads", KEY_UINT32, AT(engine.n_threads), 0, 1024},
    {"Engine", "PoolSize", KEY_SIZE, AT(engine.pool_bytes), 0, UINT64_C(1) << 46},
    {"Engine", "KVType", KEY_KV_TYPE, AT(engine.kv_type), 0, 0},
    {"Engine", "ContextSize", KEY_UINT32, AT(engine.context_size), 0, 1u << 30},
    {"Engine", "StepTokens", KEY_UINT32, AT(engine.step_tokens), 0, 65536},
    {"Engine", "MaxRunning", KEY_UINT32, AT(engine.max_running), 0, 4096},
    {"Engine", "MaxQueued", KEY_UINT32, AT(engine.max_queued), 0, 65536},
    {"Engine", "OutboxSize", KEY_SIZE32, AT(engine.outbox_bytes), 0, 64 * MIB},
    {"Engine", "StallTimeout", KEY_TIME, AT(engine.stall_usec), 0, YEAR},
    {"Engine", "QueueTimeout", KEY_TIME, AT(engine.queue_usec), 0, YEAR},
    {"Service", "IdleExit", KEY_TIME, AT(idle_exit_usec), 0, YEAR},
    {"Service", "DrainTimeout", KEY_TIME, AT(drain_usec), 0, 3600 * SEC},
    {"Service", "RequestTimeout", KEY_TIME, AT(request_timeout_usec), 0, YEAR},
    {"Service", "MaxSessionsPerUser", KEY_UINT32, AT(max_sessions_per_owner), 1, 100000},
    {"Service", "MaxRequestsPerUser", KEY_UINT32, AT(max_requests_per_owner), 1, 100000},
    {"Service", "LogLevel", KEY_LOG_LEVEL, AT(log_level), 0, 0},
    {"Socket", "Path", KEY_STRING, AT(socket_path), 0, 0},
    {"Socket", "MaxConnections", KEY_UINT32, AT(http_connections), 1, 65536},
    {"Socket", "IdleTimeout", KEY_TIME, AT(http_idle_usec), SEC, YEAR},
    {"Socket", "MaxBody", KEY_SIZE, AT(http_body_bytes), 1024, 1024 * MIB},
    {"Socket", "PingInterval", KEY_TIME, AT(ping_usec), SEC / 10, 3600 * SEC},
};

static const char *const kv_type_names[] = {
    [ENGINE_KV_F16] = "f16", [ENGINE_KV_F32] = "f32", [ENGINE_KV_Q8_0] = "q8_0"};
static const struct {
    const char *name;
    uint32_t level;
} log_levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

/* ---------------------------------------------------------------------------------------------- values */

static char **paths_free(char **paths) {
    for (char **p = paths; p && *p; p++)
        free(*p);
    free(paths);
    return NULL;
}
DEFINE_CLEANUP(char **, paths_free)

static int paths_parse(const char *value, char ***ret) {
    size_t n = 1;
    for (const char *p = value; *p; p++)
        n += *p == ':';
    _cleanup_(paths_freep) char **paths = calloc(n + 1, sizeof(char *));
    if (!paths)
        return -ENOMEM;

    n = 0;
    while (*value) {
        size_t size = strcspn(value, ":");
        if (size && !(paths[n++] = strndup(value, size)))
            return -ENOMEM;
        value += size;
        value += *value == ':';
    }
    *ret = TAKE_PTR(paths);
    return 0;
}

static int set_text(void *field, const KeyRow *row, const char *value, Error *e) {
    if (row->type == KEY_PATHS) {
        char **paths;
        if (paths_parse(value, &paths) < 0)
            return error_set(e, -ENOMEM, "out of memory");
        paths_free(*(char ***)field);
        *(char ***)field = paths;
        return 0;
    }
    char *copy = *value ? strdup(value) : NULL;
    if (*value && !copy)
        return error_set(e, -ENOMEM, "out of memory");
    free(*(char **)field);
    *(char **)field = copy;
    return 0;
}

static int set_word(void *field, const KeyRow *row, const char *value, Error *e) {
    if (row->type == KEY_KV_TYPE) {
        for (size_t i = 0; i < ELEMENTSOF(kv_type_names); i++)
            if (strcmp(kv_type_names[i], value) == 0) {
                *(EngineKvType *)field = (EngineKvType)i;
                return 0;
            }
        return error_set(e, -EINVAL, "%s is \"%.60s\", but must be f16, f32 or q8_0", row->key, value);
    }
    for (size_t i = 0; i < ELEMENTSOF(log_levels); i++)
        if (strcmp(log_levels[i].name, value) == 0) {
            *(uint32_t *)field = log_levels[i].level;
            return 0;
        }
    return error_set(e, -EINVAL, "%s is \"%.60s\", but must be error, warning, notice, info or debug", row->key, value);
}

static void format_number(KeyType type, uint64_t v, char *s, size_t size) {
    static const char units[] = "TGMK";

    if (type == KEY_TIME) {
        if (v % SEC == 0)
            snprintf(s, size, "%" PRIu64 "s", v / SEC);
        else if (v % 1000 == 0)
            snprintf(s, size, "%" PRIu64 "ms", v / 1000);
        else
            snprintf(s, size, "%" PRIu64 "us", v);
        return;
    }
    if (type != KEY_UINT32)
        for (int i = 0; i < 4; i++) {
            uint64_t unit = UINT64_C(1) << (10 * (4 - i));
            if (v && v % unit == 0) {
                snprintf(s, size, "%" PRIu64 "%c", v / unit, units[i]);
                return;
            }
        }
    snprintf(s, size, "%" PRIu64, v);
}

static int set_number(void *field, const KeyRow *row, const char *value, Error *e) {
    const char *what = row->type == KEY_TIME     ? "a time such as 30s or 5min"
                       : row->type == KEY_UINT32 ? "a whole number"
                                                 : "a size such as 65536, 512M or 2G";
    char min[32], max[32];
    uint64_t v;

    int r = row->type == KEY_TIME     ? parse_usec(value, &v)
            : row->type == KEY_UINT32 ? parse_uint64(value, &v)
                                      : parse_size(value, &v);
    if (r == -EINVAL)
        return error_set(e, -EINVAL, "%s is \"%.60s\", but must be %s", row->key, value, what);
    if (r < 0 || v < row->min || v > row->max) {
        format_number(row->type, row->min, min, sizeof(min));
        format_number(row->type, row->max, max, sizeof(max));
        return error_set(e, -EINVAL, "%s is \"%.60s\", but must lie between %s and %s", row->key, value, min, max);
    }
    if (row->type == KEY_UINT32 || row->type == KEY_SIZE32)
        *(uint32_t *)field = (uint32_t)v;
    else
        *(uint64_t *)field = v;
    return 0;
}

static int set_key(Config *c, const KeyRow *row, const char *value, Error *e) {
    void *field = (char *)c + row->offset;

    switch (row->type) {
    case KEY_STRING:
    case KEY_PATHS: return set_text(field, row, value, e);
    case KEY_KV_TYPE:
    case KEY_LOG_LEVEL: return set_word(field, row, value, e);
    default: return set_number(field, row, value, e);
    }
}

/* ---------------------------------------------------------------------------------------------- one file */

typedef struct Parser {
    Config *config;
    const char *file;
    const char *text; /* borrowed */
    size_t size, at;
    unsigned line;
    bool continuation; /* the present line is indented under another one */
    ConfigWarning warn;
    void *userdata;
    Error *e;
    int r;
} Parser;

static int parser_fail(Parser *p, const char *reason) {
    p->r = error_set(p->e, -EINVAL, "%s:%u: %s.", p->file, p->line, reason);
    return p->r;
}

static void parser_warn(Parser *p, const char *format, ...) _printf_(2, 3);
static void parser_warn(Parser *p, const char *format, ...) {
    char message[400], full[600];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    snprintf(full, sizeof(full), "%s:%u: %s", p->file, p->line, message);
    if (p->warn)
        p->warn(full, p->userdata);
}

/* What fgets() is to a file, with checks. NULL ends the parsing. */
static char *parser_read_line(char *buffer, int buffer_size, void *stream) {
    Parser *p = stream;

    if (p->r < 0 || p->at >= p->size)
        return NULL;
    const char *start = p->text + p->at;
    const char *newline = memchr(start, '\n', p->size - p->at);
    size_t n = newline ? (size_t)(newline - start) : p->size - p->at;
    p->at += n + (newline != NULL);
    p->line++;

    size_t indent = 0;
    while (indent < n && (start[indent] == ' ' || start[indent] == '\t'))
        indent++;
    bool comment = indent < n && (start[indent] == '#' || start[indent] == ';');
    p->continuation = indent > 0 && indent < n && !comment;
    if (comment)
        n = 0; /* of any length and any encoding */
    if (n + 3 > (size_t)buffer_size) {
        char reason[120];
        snprintf(reason, sizeof(reason), "the line has %zu bytes, but at most %d are read", n, buffer_size - 3);
        parser_fail(p, reason);
        return NULL;
    }
    if (!parse_is_utf8(start, n)) {
        parser_fail(p, "the line is not valid UTF-8 text");
        return NULL;
    }
    memcpy(buffer, start, n);
    buffer[n] = '\n';
    buffer[n + 1] = '\0';
    return buffer;
}

/* 1 when all is well: inih's convention. */
static int parser_handle(void *userdata, const char *section, const char *key, const char *value) {
    Parser *p = userdata;
    Error why = {};
    int r = 0;

    if (p->r < 0)
        return 0;
    if (p->continuation) {
        parser_fail(p, "a value takes one line; keys begin at the line's start");
        return 0;
    }
    if (strcmp(section, "Defaults") == 0) {
        if (options_known(key))
            r = options_parse(&p->config->defaults, key, value, &why);
        else
            parser_warn(p, "Unknown key \"%.60s\" in section [Defaults], ignored.", key);
    } else {
        bool section_known = false;
        const KeyRow *row = NULL;
        for (size_t i = 0; i < ELEMENTSOF(key_rows) && !row; i++) {
            bool same = strcmp(key_rows[i].section, section) == 0;
            section_known |= same;
            if (same && strcmp(key_rows[i].key, key) == 0)
                row = &key_rows[i];
        }
        if (row)
            r = set_key(p->config, row, value, &why);
        else if (section_known)
            parser_warn(p, "Unknown key \"%.60s\" in section [%s], ignored.", key, section);
        else
            parser_warn(p, "Unknown section [%.60s], key \"%.60s\" ignored.", section, key);
    }
    if (r < 0) {
        size_t n = strlen(why.message);
        if (n && why.message[n - 1] == '.')
            why.message[n - 1] = '\0';
        parser_fail(p, why.message);
        return 0;
    }
    return 1;
}

int config_parse(
    Config *c, const char *file, const char *text, size_t size, ConfigWarning warn, void *userdata, Error *e) {
    Parser p = {.config = c, .file = file, .text = text, .size = size, .warn = warn, .userdata = userdata, .e = e};

    int line = ini_parse_stream(parser_read_line, &p, parser_handle, &p);
    if (p.r < 0)
        return p.r;
    if (line > 0) {
        p.line = (unsigned)line;
        return parser_fail(&p, "neither \"Key = value\" nor \"[Section]\"");
    }
    if (line < 0)
        return error_set(e, -ENOMEM, "%s: out of memory.", file);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- whole */

static int check_absolute(const char *key, const char *path, Error *e) {
    if (path && path[0] != '/')
        return error_set(e, -EINVAL, "%s is \"%.200s\", but must be an absolute path.", key, path);
    return 0;
}

int config_check(const Config *c, Error *e) {
    int r = 0;

    for (char **dir = c->model_dirs; dir && *dir && r >= 0; dir++)
        r = check_absolute("Directories=", *dir, e);
    if (r >= 0)
        r = check_absolute("EmbeddedModel=", c->embedded_model, e);
    if (r >= 0)
        r = check_absolute("Path= of [Socket]", c->socket_path, e);
    if (r < 0)
        return r;
    if (c->model && c->model[0] != '/' && strchr(c->model, '/'))
        return error_set(e, -EINVAL,
            "Model= is \"%.200s\", but must be the name of an installed model or an absolute path.", c->model);

    size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (c->socket_path && strlen(c->socket_path) > max)
        return error_set(e, -ENAMETOOLONG, "The socket's path has %zu bytes, but the system allows %zu: %.200s",
            strlen(c->socket_path), max, c->socket_path);
    return 0;
}

Config *config_free(Config *c) {
    if (!c)
        return NULL;
    paths_free(c->model_dirs);
    free(c->model);
    free(c->embedded_model);
    free(c->socket_path);
    options_done(&c->defaults);
    free(c);
    return NULL;
}

static void print_row(const Config *c, const KeyRow *row, FILE *f) {
    const void *field = (const char *)c + row->offset;
    char number[32];

    fprintf(f, "%s=", row->key);
    switch (row->type) {
    case KEY_STRING: fprintf(f, "%s\n", *(char *const *)field ? *(char *const *)field : ""); break;
    case KEY_PATHS:
        for (char **p = *(char **const *)field; p && *p; p++)
            fprintf(f, "%s%s", *p, p[1] ? ":" : "");
        fputc('\n', f);
        break;
    case KEY_KV_TYPE: fprintf(f, "%s\n", kv_type_names[*(const EngineKvType *)field]); break;
    case KEY_LOG_LEVEL:
        for (size_t i = 0; i < ELEMENTSOF(log_levels); i++)
            if (log_levels[i].level == *(const uint32_t *)field)
                fprintf(f, "%s\n", log_levels[i].name);
        break;
    default:
        format_number(row->type,
            row->type == KEY_UINT32 || row->type == KEY_SIZE32 ? *(const uint32_t *)field : *(const uint64_t *)field,
            number, sizeof(number));
        fprintf(f, "%s\n", number);
    }
}

void config_print(const Config *c, FILE *f) {
    const char *section = "";

    for (size_t i = 0; i < ELEMENTSOF(key_rows); i++) {
        if (strcmp(section, key_rows[i].section) != 0) {
            fprintf(f, "%s[%s]\n", i ? "\n" : "", key_rows[i].section);
            section = key_rows[i].section;
        }
        print_row(c, &key_rows[i], f);
    }
    fputs("\n[Defaults]\n", f);
    options_print(&c->defaults, f);
}
