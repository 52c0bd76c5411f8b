/* The model files an administrator has put into the model folders, and the built-in one. Metadata is read on first
 * sight of a file and kept until the file's identity (device, inode, time, size) changes. A split model
 * (NAME-00001-of-00003.gguf and so on) is one model, called NAME; it has the path of its first part. */
#pragma once

#include "config.h"
#include "engine.h"

typedef struct InstalledModel {
    char *name;            /* file name without .gguf and number of a part, unique, no '/' */
    const ModelInfo *info; /* borrowed, valid until the next scan; NULL: unreadable, see error */
    Error error;
    bool loaded;
    bool embedded; /* the small built-in model */
} InstalledModel;

typedef struct InstalledModels InstalledModels; /* the cache */

int installed_models_new(InstalledModels **ret);
InstalledModels *installed_models_unref(InstalledModels *c);

/* Sorted by name. A file that cannot be read is listed with its reason, not left out. */
int installed_models_scan(InstalledModels *c, const Config *config, InstalledModel **ret, size_t *ret_n, Error *e);
InstalledModel *installed_models_free(InstalledModel *models, size_t n);

/* Whether a client that writes `asked` means the model called `name`: people write file names. */
bool installed_models_means(const char *asked, const char *name);

/* Turns a name that a client sent into the model's own and a path. -EINVAL for anything that could leave the model
 * folders, -ENOENT names the folders. */
int installed_models_find(const Config *config, const char *asked, char **ret_name, char **ret_path, Error *e);
/* The model to load when nobody has chosen: the configured one, the only installed one, else the built-in one.
 * -ENOTCONN says what to do when there is none. */
int installed_models_default(const Config *config, char **ret_name, char **ret_path, Error *e);

/* Of a file, or of all files of a split model: another one as soon as one of them is replaced, changed or comes. */
uint64_t installed_models_identity(const char *path);
