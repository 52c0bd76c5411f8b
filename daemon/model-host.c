/* See model-host.h.
 *
 *              default found                    after_load()
 *   NO_MODEL ──────────────▶ LOADING ──────────────────────────▶ READY ◀──▶ IDLE (unloaded for lack of work)
 *                              ▲  │ fails, nothing to fall back on   │
 *                              │  ▼                                  ▼ UnloadModel
 *                          MODEL_FAILED ◀── file failed under us   DISABLED
 *
 * While a new model loads, the old engine goes on with what it has; a second engine is started before the first one is
 * given up, so that a failure leaves everything as it was. Loading runs on the thread pool; a load that nobody wants
 * any more is orphaned (host = NULL) and frees itself when the thread comes back. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "log.h"
#include "model-host.h"
#include "request.h"

#define OBSERVERS_MAX 4

typedef enum HostState {
    HOST_NO_MODEL,
    HOST_LOADING,
    HOST_READY,
    HOST_IDLE,
    HOST_FAILED,
    HOST_DISABLED,
} HostState;

typedef struct Loading {
    uv_work_t work;
    ModelHost *host;  /* borrowed; NULL: superseded */
    char *name;       /* owned */
    char *path;       /* owned */
    HostState before; /* to go back to */
    ModelReady done;
    void *userdata; /* borrowed */
    Model *model;   /* owned, the result */
    int r;
    Error error;
    uint64_t started; /* loop time in ms */
} Loading;

/* An engine that may finish what it has begun, while another one serves the new requests. */
typedef struct Draining Draining;
struct Draining {
    Draining *next;
    uv_timer_t timer;
    ModelHost *host; /* borrowed */
    Bridge *bridge;  /* owned */
};

struct ModelWait {
    ModelWait *next, **link;
    ModelReady done;
    void *userdata; /* borrowed */
};

struct ModelHost {
    Daemon *d;                  /* borrowed */
    InstalledModels *installed; /* owned */
    HostState state;
    char *name;         /* owned; of the model that is loaded, or would be */
    char *path;         /* owned */
    Model *model;       /* owned */
    Bridge *bridge;     /* owned */
    Error error;        /* why FAILED or NO_MODEL */
    uint64_t failed;    /* identity of the file it failed with */
    Loading *loading;   /* owned by its work */
    Draining *draining; /* owned */
    ModelWait *waits;   /* owned */
    uv_timer_t kick;    /* answers waits that could be answered at once */
    uv_timer_t idle;
    unsigned n_handles;
    struct {
        void (*changed)(void *userdata);
        void *userdata;
    } observers[OBSERVERS_MAX];
};

const char *availability_to_string(Availability a) {
    static const char *const names[] = {
        [AVAILABILITY_NO_MODEL] = "no-model",
        [AVAILABILITY_LOADING] = "loading",
        [AVAILABILITY_READY] = "ready",
        [AVAILABILITY_MODEL_FAILED] = "model-failed",
        [AVAILABILITY_DISABLED] = "disabled",
    };
    return names[a];
}

Availability model_host_availability(const ModelHost *h) {
    switch (h->state) {
    case HOST_NO_MODEL: return AVAILABILITY_NO_MODEL;
    case HOST_LOADING: return AVAILABILITY_LOADING;
    case HOST_FAILED: return AVAILABILITY_MODEL_FAILED;
    case HOST_DISABLED: return AVAILABILITY_DISABLED;
    default: return AVAILABILITY_READY; /* IDLE too: a request will be served */
    }
}

const Error *model_host_error(const ModelHost *h) {
    return &h->error;
}

Model *model_host_model(const ModelHost *h) {
    return h->state == HOST_READY ? h->model : NULL;
}

Bridge *model_host_bridge(const ModelHost *h) {
    return h->state == HOST_READY ? h->bridge : NULL;
}

const char *model_host_model_name(const ModelHost *h) {
    return h->state == HOST_NO_MODEL || h->state == HOST_DISABLED ? NULL : h->name;
}

void model_host_on_change(ModelHost *h, void (*changed)(void *userdata), void *userdata) {
    size_t i = 0;
    while (i < OBSERVERS_MAX && h->observers[i].changed)
        i++;
    assert(i < OBSERVERS_MAX);
    h->observers[i].changed = changed;
    h->observers[i].userdata = userdata;
}

static void set_state(ModelHost *h, HostState state) {
    h->state = state;
    for (size_t i = 0; i < OBSERVERS_MAX && h->observers[i].changed; i++)
        h->observers[i].changed(h->observers[i].userdata);
}

/* ---------------------------------------------------------------------------------------------- waiting */

static void wait_unlink(ModelWait *w) {
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
}

static void answer_waits(ModelHost *h, const Error *error) {
    /* a callback may start to wait again: only those that are here now are answered */
    ModelWait *todo = h->waits;
    h->waits = NULL;
    if (todo)
        todo->link = &todo;
    while (todo) {
        ModelWait *w = todo;
        wait_unlink(w);
        ModelReady done = w->done;
        void *userdata = w->userdata;
        free(w);
        done(userdata, error);
    }
}

static void on_kick(uv_timer_t *timer) {
    ModelHost *h = timer->data;
    Error e = {};

    if (h->state == HOST_LOADING)
        return;
    if (h->state == HOST_READY)
        return answer_waits(h, NULL);
    if (h->error.code)
        e = h->error;
    else
        error_set(&e, -ENOTCONN, "The model was unloaded.");
    answer_waits(h, &e);
}

static void kick(ModelHost *h) {
    uv_timer_start(&h->kick, on_kick, 0, 0);
}

void model_host_wait_cancel(ModelWait *w) {
    if (!w)
        return;
    wait_unlink(w);
    free(w);
}

/* ---------------------------------------------------------------------------------------------- loading */

static void on_draining_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void end_drain(Draining *dr, int code, const char *message) {
    if (dr->host)
        for (Draining **p = &dr->host->draining; *p; p = &(*p)->next)
            if (*p == dr) {
                *p = dr->next;
                break;
            }
    dr->bridge = bridge_free(dr->bridge, code, message);
    uv_close((uv_handle_t *)&dr->timer, on_draining_closed);
}

static void on_drained(void *userdata) {
    end_drain(userdata, 0, "");
}

static void on_drain_over(uv_timer_t *timer) {
    end_drain(timer->data, -ENOTCONN, "The model was replaced or unloaded while the request ran. Send it again.");
}

/* Lets the present engine finish its requests, up to drain_usec, and gives it up. */
static void retire(ModelHost *h) {
    h->model = model_unref(h->model);
    Bridge *b = TAKE_PTR(h->bridge);
    if (!b)
        return;

    Draining *dr = bridge_n_active(b) ? calloc(1, sizeof(Draining)) : NULL;
    if (!dr) {
        bridge_free(b, -ENOTCONN, "The model was replaced or unloaded while the request ran. Send it again.");
        return;
    }
    dr->host = h;
    dr->bridge = b;
    uv_timer_init(h->d->loop, &dr->timer);
    dr->timer.data = dr;
    uv_timer_start(&dr->timer, on_drain_over, h->d->config->drain_usec / 1000, 0);
    bridge_on_idle(b, on_drained, dr);
    dr->next = h->draining;
    h->draining = dr;
}

static Loading *loading_free(Loading *l) {
    if (!l)
        return NULL;
    model_unref(l->model);
    free(l->name);
    free(l->path);
    free(l);
    return NULL;
}

static void load_on_thread(uv_work_t *work) {
    Loading *l = work->data;
    l->r = model_load(l->path, &l->model, &l->error);
}

static void load_failed(ModelHost *h, Loading *l) {
    log_error("Cannot load model %s: %s", l->name, l->error.message);
    if (l->before == HOST_READY || l->before == HOST_IDLE) {
        set_state(h, l->before);
        if (h->state == HOST_IDLE && h->waits && model_host_wait(h, NULL, NULL, NULL, NULL) >= 0)
            return;
        kick(h);
        return;
    }
    h->error = l->error;
    h->failed = installed_models_identity(l->path);
    free(h->name);
    free(h->path);
    h->name = TAKE_PTR(l->name);
    h->path = TAKE_PTR(l->path);
    set_state(h, HOST_FAILED);
    kick(h);
}

static void load_succeeded(ModelHost *h, Loading *l, Bridge *b) {
    retire(h);
    h->model = TAKE_PTR(l->model);
    h->bridge = b;
    free(h->name);
    free(h->path);
    h->name = TAKE_PTR(l->name);
    h->path = TAKE_PTR(l->path);
    h->error = (Error){};
    log_message(LOG_INFO, &(LogFields){.model = h->name}, "Model %s is ready after %llu ms.", h->name,
        (unsigned long long)(uv_now(h->d->loop) - l->started));
    set_state(h, HOST_READY);
    model_host_busy(h, h->d->n_requests > 0);
    kick(h);
}

static void after_load(uv_work_t *work, int status) {
    Loading *l = work->data;
    ModelHost *h = l->host;
    Bridge *b = NULL;

    if (!h) {
        loading_free(l);
        return;
    }
    h->loading = NULL;
    if (status < 0)
        l->r = error_set(&l->error, status, "Loading was interrupted: %s.", uv_strerror(status));
    if (l->r >= 0)
        l->r = bridge_new(h->d->loop, l->model, &h->d->config->engine, &b, &l->error);

    ModelReady done = l->done;
    void *userdata = l->userdata;
    Error error = l->error;
    int r = l->r;
    if (r < 0)
        load_failed(h, l);
    else
        load_succeeded(h, l, b);
    loading_free(l);
    if (done)
        done(userdata, r < 0 ? &error : NULL);
}

static void supersede(ModelHost *h, int code, const char *message) {
    Loading *l = h->loading;
    if (!l)
        return;
    h->loading = NULL;
    l->host = NULL; /* frees itself in after_load() */
    h->state = l->before;
    if (l->done) {
        Error e;
        error_set(&e, code, "%s", message);
        l->done(l->userdata, &e);
    }
}

/* Takes name and path over, whatever happens. */
static int begin_load(ModelHost *h, char *name, char *path, ModelReady done, void *userdata, Error *e) {
    supersede(h, -ECANCELED, "Another model was asked for before this one was loaded.");

    Loading *l = calloc(1, sizeof(Loading));
    if (!l) {
        free(name);
        free(path);
        return error_set(e, -ENOMEM, "Out of memory.");
    }
    *l = (Loading){.host = h,
        .name = name,
        .path = path,
        .before = h->state,
        .done = done,
        .userdata = userdata,
        .started = uv_now(h->d->loop)};
    l->work.data = l;
    int r = uv_queue_work(h->d->loop, &l->work, load_on_thread, after_load);
    if (r < 0) {
        loading_free(l);
        return error_set(e, r, "Cannot start to load the model: %s.", uv_strerror(r));
    }
    h->loading = l;
    set_state(h, HOST_LOADING);
    return 0;
}

static bool failed_file_unchanged(const ModelHost *h, const char *path) {
    return h->path && strcmp(h->path, path) == 0 && installed_models_identity(path) == h->failed;
}

/* Loads whatever model is meant to be there, unless that is known to be hopeless. */
static int load_default(ModelHost *h, bool retry_failed, Error *e) {
    char *name = NULL, *path = NULL;

    if (h->state == HOST_IDLE) { /* what was there before comes back, also where somebody had chosen it */
        name = strdup(h->name);
        path = strdup(h->path);
        if (!name || !path) {
            free(name);
            free(path);
            return error_set(e, -ENOMEM, "Out of memory.");
        }
        return begin_load(h, name, path, NULL, NULL, e);
    }

    Error reason = {};
    int r = installed_models_default(h->d->config, &name, &path, &reason);
    if (r < 0) {
        h->error = reason;
        if (h->state != HOST_NO_MODEL)
            set_state(h, HOST_NO_MODEL);
        return error_set(e, r, "%s", reason.message);
    }
    if (h->state == HOST_FAILED && !retry_failed && failed_file_unchanged(h, path)) {
        free(name);
        free(path);
        return error_set(e, h->error.code, "%s", h->error.message);
    }
    return begin_load(h, name, path, NULL, NULL, e);
}

int model_host_wait(ModelHost *h, ModelReady done, void *userdata, ModelWait **ret, Error *e) {
    if (h->d->stopping)
        return error_set(e, -ESHUTDOWN, "inferd is stopping.");
    if (h->state == HOST_DISABLED)
        return error_set(e, -ENOTCONN, "The model was unloaded. Load one first: infer load NAME.");
    if (h->state != HOST_READY && h->state != HOST_LOADING) {
        int r = load_default(h, false, e);
        if (r < 0)
            return r;
    }
    if (!done)
        return 0;

    ModelWait *w = calloc(1, sizeof(ModelWait));
    if (!w)
        return error_set(e, -ENOMEM, "Out of memory.");
    *w = (ModelWait){.done = done, .userdata = userdata};
    /* first come, first served */
    ModelWait **p = &h->waits;
    while (*p)
        p = &(*p)->next;
    *p = w;
    w->link = p;
    if (h->state == HOST_READY)
        kick(h);
    *ret = w;
    return 0;
}

int model_host_load(ModelHost *h, const char *asked, ModelReady done, void *userdata, Error *e) {
    char *name, *path;

    if (h->d->stopping)
        return error_set(e, -ESHUTDOWN, "inferd is stopping.");
    int r = installed_models_find(h->d->config, asked, &name, &path, e);
    return r < 0 ? r : begin_load(h, name, path, done, userdata, e);
}

int model_host_unload(ModelHost *h, Error *e) {
    if (h->d->stopping)
        return error_set(e, -ESHUTDOWN, "inferd is stopping.");
    supersede(h, -ECANCELED, "The model was unloaded before it was loaded.");
    retire(h);
    uv_timer_stop(&h->idle);
    h->error = (Error){};
    set_state(h, HOST_DISABLED);
    kick(h);
    return 0;
}

void model_host_io_failed(ModelHost *h, const Error *error) {
    if (h->state != HOST_READY)
        return;
    log_error("Model %s failed: %s", h->name, error->message);
    h->error = *error;
    h->failed = installed_models_identity(h->path);
    Bridge *b = TAKE_PTR(h->bridge);
    h->model = model_unref(h->model);
    set_state(h, HOST_FAILED);
    bridge_free(b, error->code, error->message);
    kick(h);
}

void model_host_reload(ModelHost *h, bool model_changed) {
    Error e = {};

    if (!model_changed && h->state != HOST_FAILED && h->state != HOST_NO_MODEL)
        return;
    if (h->state == HOST_IDLE && model_changed)
        h->state = HOST_DISABLED; /* not what was there before */
    if (load_default(h, true, &e) < 0)
        log_warning("%s", e.message);
}

/* ---------------------------------------------------------------------------------------------- idle unload */

static void on_idle(uv_timer_t *timer) {
    ModelHost *h = timer->data;

    if (h->state != HOST_READY || h->d->n_requests > 0)
        return;
    log_info("Unloading model %s: nothing to do.", h->name);
    retire(h);
    set_state(h, HOST_IDLE);
}

void model_host_busy(ModelHost *h, bool busy) {
    uint64_t usec = h->d->config->idle_unload_usec;

    if (busy || usec == 0 || h->state != HOST_READY)
        uv_timer_stop(&h->idle);
    else
        uv_timer_start(&h->idle, on_idle, MAX(usec / 1000, (uint64_t)1), 0);
}

/* ---------------------------------------------------------------------------------------------- list, life */

int model_host_list(ModelHost *h, InstalledModel **ret, size_t *ret_n, Error *e) {
    InstalledModel *models;
    size_t n;

    int r = installed_models_scan(h->installed, h->d->config, &models, &n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        models[i].loaded = h->bridge && h->name && strcmp(models[i].name, h->name) == 0;
    *ret = models;
    *ret_n = n;
    return 0;
}

int model_host_new(Daemon *d, ModelHost **ret, Error *e) {
    Error reason = {};

    ModelHost *h = calloc(1, sizeof(ModelHost));
    if (!h || installed_models_new(&h->installed) < 0) {
        free(h);
        return error_set(e, -ENOMEM, "Out of memory.");
    }
    h->d = d;
    uv_timer_init(d->loop, &h->kick);
    uv_timer_init(d->loop, &h->idle);
    h->kick.data = h->idle.data = h;
    h->n_handles = 2;
    if (load_default(h, true, &reason) < 0)
        log_warning("%s", reason.message);
    *ret = h;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    ModelHost *h = handle->data;
    if (--h->n_handles == 0)
        free(h);
}

ModelHost *model_host_free(ModelHost *h) {
    if (!h)
        return NULL;
    if (h->loading) {
        h->loading->host = NULL;
        h->loading = NULL;
    }
    h->bridge = bridge_free(h->bridge, -ESHUTDOWN, "inferd is stopping.");
    while (h->draining)
        end_drain(h->draining, -ESHUTDOWN, "inferd is stopping.");
    h->model = model_unref(h->model);
    while (h->waits)
        model_host_wait_cancel(h->waits);
    h->installed = installed_models_unref(h->installed);
    free(h->name);
    free(h->path);
    uv_close((uv_handle_t *)&h->kick, on_handle_closed);
    uv_close((uv_handle_t *)&h->idle, on_handle_closed);
    return NULL;
}
