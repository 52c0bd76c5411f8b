/* Which model everybody shares: the installed files, the loaded one, its engine, and the state clients see as
 * Availability. */
#pragma once

#include "bridge.h"
#include "daemon.h"

int model_host_new(Daemon *d, ModelHost **ret, Error *e);
ModelHost *model_host_free(ModelHost *h);

Availability model_host_availability(const ModelHost *h);
const Error *model_host_error(const ModelHost *h);     /* why MODEL_FAILED */
Model *model_host_model(const ModelHost *h);           /* borrowed; NULL unless READY */
Bridge *model_host_bridge(const ModelHost *h);         /* borrowed; NULL unless READY */
const char *model_host_model_name(const ModelHost *h); /* as ListModels names it; NULL if none */

/* Calls `done` once on the loop thread, never from inside the call: with NULL when a model is ready, or with the reason
 * why none is coming. Starts loading the configured model when it is not loaded. Returns a handle that
 * model_host_wait_cancel() accepts. */
typedef struct ModelWait ModelWait;
typedef void (*ModelReady)(void *userdata, const Error *error);
int model_host_wait(ModelHost *h, ModelReady done, void *userdata, ModelWait **ret, Error *e);
void model_host_wait_cancel(ModelWait *w);

/* Replaces the shared model. New requests wait for the new one; running ones get drain_usec to end, then fail with a
 * clear error. */
int model_host_load(ModelHost *h, const char *name, ModelReady done, void *userdata, Error *e);
int model_host_unload(ModelHost *h, Error *e);

/* Installed models, read on each call (metadata only, cached by file identity): name → info. */
typedef struct InstalledModel {
    char *name;            /* file name without .gguf, unique, no '/' */
    const ModelInfo *info; /* borrowed; NULL: unreadable, see error */
    Error error;
    bool loaded;
    bool embedded; /* the small built-in model */
} InstalledModel;
int model_host_list(ModelHost *h, InstalledModel **ret, size_t *ret_n, Error *e);
InstalledModel *installed_models_free(InstalledModel *models, size_t n);

/* Observers (bus properties, /metrics): called on every change of availability or model. */
void model_host_on_change(ModelHost *h, void (*changed)(void *userdata), void *userdata);
