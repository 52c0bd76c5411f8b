/* Which model everybody shares: the installed files, the loaded one, its engine, and the state clients see as
 * Availability. */
#pragma once

#include "bridge.h"
#include "daemon.h"
#include "installed-models.h"

/* Begins to load the default model, if there is one. */
int model_host_new(Daemon *d, ModelHost **ret, Error *e);
/* The loop must run on until the handles are closed. Nothing is called back any more. */
ModelHost *model_host_free(ModelHost *h);

Availability model_host_availability(const ModelHost *h);
const Error *model_host_error(const ModelHost *h); /* why MODEL_FAILED or NO_MODEL */
/* Borrowed; NULL unless READY, and also while READY after an idle unload: whoever needs the model calls
 * model_host_wait() first, which brings it back. */
Model *model_host_model(const ModelHost *h);
Bridge *model_host_bridge(const ModelHost *h);
const char *model_host_model_name(const ModelHost *h); /* as ListModels names it; NULL if none */

/* Calls `done` once on the loop thread, never from inside the call: with NULL when a model is ready, or with the reason
 * why none is coming. Starts loading the configured model when it is not loaded. Returns a handle that
 * model_host_wait_cancel() accepts until `done` was called. */
typedef struct ModelWait ModelWait;
typedef void (*ModelReady)(void *userdata, const Error *error);
int model_host_wait(ModelHost *h, ModelReady done, void *userdata, ModelWait **ret, Error *e);
void model_host_wait_cancel(ModelWait *w);

/* Replaces the shared model. New requests wait for the new one; running ones get drain_usec to end, then fail with a
 * clear error. When the new one cannot be loaded the former stays. `done` (or NULL) as for model_host_wait(). */
int model_host_load(ModelHost *h, const char *name, ModelReady done, void *userdata, Error *e);
int model_host_unload(ModelHost *h, Error *e);

/* Installed models, read on each call (metadata only, cached by file identity), the
 * configured file among them wherever it lies. info is valid until the next call. */
int model_host_list(ModelHost *h, InstalledModel **ret, size_t *ret_n, Error *e);

/* Observers (bus properties, /metrics): called on every change of availability or model. At most 4. */
void model_host_on_change(ModelHost *h, void (*changed)(void *userdata), void *userdata);

/* No request is active any more, or one is: drives the idle unload. */
void model_host_busy(ModelHost *h, bool busy);
/* A request failed because the model's file failed under us: the model is unusable until its file is replaced. */
void model_host_io_failed(ModelHost *h, const Error *error);
/* After a configuration reload: loads the default model where `model_changed` or where none could be loaded before. */
void model_host_reload(ModelHost *h, bool model_changed);
