/* Where configuration comes from: the built-in defaults that depend on the user's environment, and the files, in the
 * order of systemd's: vendor, administrator (or user), drop-ins of both sorted by name, a drop-in of the administrator
 * hiding the vendor's of the same name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>

#include "config.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define DROPINS_MAX    256

typedef struct DropIns {
    char *names[DROPINS_MAX]; /* owned */
    char *paths[DROPINS_MAX]; /* owned */
    size_t n;
} DropIns;

/* $VARIABLE/rest, or ~/fallback/rest; NULL without either. */
static char *user_path(const char *variable, const char *fallback, const char *rest) {
    const char *base = getenv(variable), *home = getenv("HOME");
    char *path = NULL;
    int n;

    if (base && base[0] == '/')
        n = asprintf(&path, "%s/%s", base, rest);
    else if (fallback && home && home[0] == '/')
        n = asprintf(&path, "%s/%s/%s", home, fallback, rest);
    else
        return NULL;
    return n < 0 ? NULL : path;
}

static int default_paths(Config *c, bool user) {
    _cleanup_(freep) char *own_models = user ? user_path("XDG_DATA_HOME", ".local/share", "inferd/models") : NULL;
    size_t n = 0;

    c->model_dirs = calloc(3, sizeof(char *));
    if (!c->model_dirs)
        return -ENOMEM;
    if (own_models)
        c->model_dirs[n++] = TAKE_PTR(own_models);
    c->model_dirs[n] = strdup(INFERD_MODEL_DIR);
    c->embedded_model = strdup(INFERD_EMBEDDED_MODEL);
    if (!c->model_dirs[n] || !c->embedded_model)
        return -ENOMEM;
    /* a user without a runtime directory has no place for a socket, but may have a bus */
    c->socket_path =
        user ? user_path("XDG_RUNTIME_DIR", NULL, "inferd/inferd.sock") : strdup("/run/inferd/inferd.sock");
    return !c->socket_path && !user ? -ENOMEM : 0;
}

int config_new(bool user, Config **ret, Error *e) {
    _cleanup_(config_freep) Config *c = calloc(1, sizeof(Config));
    if (!c)
        return error_set(e, -ENOMEM, "Out of memory.");
    options_init(&c->defaults);
    c->idle_unload_usec = 30 * 60 * UINT64_C(1000000);
    c->drain_usec = 10 * UINT64_C(1000000);
    c->request_timeout_usec = 30 * 60 * UINT64_C(1000000);
    c->max_sessions_per_owner = 64;
    c->max_requests_per_owner = 64;
    c->log_level = LOG_INFO;
    c->http_connections = 4096;
    c->http_idle_usec = 60 * UINT64_C(1000000);
    c->http_body_bytes = 16 * 1024 * 1024;
    c->ping_usec = 5 * UINT64_C(1000000);
    if (default_paths(c, user) < 0)
        return error_set(e, -ENOMEM, "Out of memory.");
    *ret = TAKE_PTR(c);
    return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_size, Error *e) {
    struct stat st;

    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set(e, -errno, "Cannot read %s: %s.", path, strerror(errno));
    if (fstat(fd, &st) < 0)
        return error_set(e, -errno, "Cannot read %s: %s.", path, strerror(errno));
    bool masked = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3); /* /dev/null, as an empty file */
    if (!S_ISREG(st.st_mode) && !masked)
        return error_set(e, -EINVAL, "%s is not a regular file.", path);
    if (st.st_size > FILE_MAX_BYTES)
        return error_set(e, -EFBIG, "%s is larger than 1 MiB.", path);

    size_t size = (size_t)st.st_size, n = 0;
    _cleanup_(freep) char *text = malloc(size + 1);
    if (!text)
        return error_set(e, -ENOMEM, "Out of memory.");
    while (n < size) {
        ssize_t k = read(fd, text + n, size - n);
        if (k < 0)
            return error_set(e, -errno, "Cannot read %s: %s.", path, strerror(errno));
        if (k == 0)
            break;
        n += (size_t)k;
    }
    text[n] = '\0';
    *ret = TAKE_PTR(text);
    *ret_size = n;
    return 0;
}

static int parse_path(Config *c, const char *path, bool required, ConfigWarning warn, void *userdata, Error *e) {
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    Error why = {};

    int r = read_file(path, &text, &size, &why);
    if (r == -ENOENT && !required)
        return 0;
    if (r < 0)
        return error_set(e, r, "%s", why.message);
    return config_parse(c, path, text, size, warn, userdata, e);
}

static void drop_ins_done(DropIns *d) {
    for (size_t i = 0; i < d->n; i++) {
        free(d->names[i]);
        free(d->paths[i]);
    }
}

/* Keeps the list sorted; a name that is there already is replaced. */
static int drop_ins_add(DropIns *d, const char *dir, const char *name) {
    char *path;

    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return -ENOMEM;
    size_t i = 0;
    while (i < d->n && strcmp(d->names[i], name) < 0)
        i++;
    if (i < d->n && strcmp(d->names[i], name) == 0) {
        free(d->paths[i]);
        d->paths[i] = path;
        return 0;
    }
    char *copy = d->n < DROPINS_MAX ? strdup(name) : NULL;
    if (!copy) {
        free(path);
        return d->n < DROPINS_MAX ? -ENOMEM : -E2BIG;
    }
    memmove(d->names + i + 1, d->names + i, (d->n - i) * sizeof(char *));
    memmove(d->paths + i + 1, d->paths + i, (d->n - i) * sizeof(char *));
    d->names[i] = copy;
    d->paths[i] = path;
    d->n++;
    return 0;
}

static int drop_ins_read(DropIns *d, const char *dir, Error *e) {
    DIR *handle = opendir(dir);
    if (!handle)
        return 0;

    int r = 0;
    for (struct dirent *de; r >= 0 && (de = readdir(handle));) {
        size_t n = strlen(de->d_name);
        if (de->d_name[0] != '.' && n > 5 && strcmp(de->d_name + n - 5, ".conf") == 0)
            r = drop_ins_add(d, dir, de->d_name);
    }
    closedir(handle);
    if (r < 0)
        return error_set(e, r, "Cannot list the drop-ins of %s: %s.", dir, strerror(-r));
    return 0;
}

int config_load(const char *path, bool user, ConfigWarning warn, void *userdata, Config **ret, Error *e) {
    _cleanup_(drop_ins_done) DropIns drop_ins = {};
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_(freep) char *own = user ? user_path("XDG_CONFIG_HOME", ".config", "inferd/inferd.conf") : NULL;
    const char *files[2] = {path ? NULL : INFERD_VENDOR_DIR "/inferd.conf", path   ? path
                                                                            : user ? own
                                                                                   : INFERD_CONFIG_DIR "/inferd.conf"};

    int r = config_new(user, &c, e);
    for (size_t i = 0; i < ELEMENTSOF(files) && r >= 0; i++) {
        char dir[4096];
        if (!files[i])
            continue;
        r = parse_path(c, files[i], path != NULL, warn, userdata, e);
        if (r >= 0 && snprintf(dir, sizeof(dir), "%s.d", files[i]) < (int)sizeof(dir))
            r = drop_ins_read(&drop_ins, dir, e);
    }
    for (size_t i = 0; i < drop_ins.n && r >= 0; i++)
        r = parse_path(c, drop_ins.paths[i], true, warn, userdata, e);
    if (r >= 0)
        r = config_check(c, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}
