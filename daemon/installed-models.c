/* See installed-models.h. Names come from clients, so they are matched against directory entries, never pasted into a
 * path unchecked. Only regular files count: opening a FIFO would block the service. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "installed-models.h"
#include "parse.h"
#include "split-name.h"

#define SUFFIX    ".gguf"
#define FILES_MAX 1024 /* more are not listed */

typedef struct File {
    char *name; /* owned */
    char *path; /* owned */
    bool embedded;
} File;

typedef struct FileList {
    File *files; /* owned */
    size_t n, n_installed;
} FileList;

typedef struct CacheEntry CacheEntry;
struct CacheEntry {
    CacheEntry *next;
    uint64_t identity;
    ModelInfo *info; /* owned; NULL: error */
    Error error;
    bool seen;
};

struct InstalledModels {
    CacheEntry *entries; /* owned */
};

static CacheEntry *entry_free(CacheEntry *entry) {
    model_info_free(entry->info);
    free(entry);
    return NULL;
}

int installed_models_new(InstalledModels **ret) {
    InstalledModels *c = calloc(1, sizeof(InstalledModels));
    if (!c)
        return -ENOMEM;
    *ret = c;
    return 0;
}

InstalledModels *installed_models_unref(InstalledModels *c) {
    while (c && c->entries) {
        CacheEntry *entry = c->entries;
        c->entries = entry->next;
        entry_free(entry);
    }
    free(c);
    return NULL;
}

static void file_list_done(FileList *l) {
    for (size_t i = 0; i < l->n; i++) {
        free(l->files[i].name);
        free(l->files[i].path);
    }
    free(l->files);
    *l = (FileList){};
}

static bool listed(const FileList *l, const char *name) {
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->files[i].name, name) == 0)
            return true;
    return false;
}

/* ---------------------------------------------------------------------------------------------- names */

static bool is_model_name(const char *file) {
    size_t n = strlen(file);
    return file[0] != '.' && n > strlen(SUFFIX) && strcmp(file + n - strlen(SUFFIX), SUFFIX) == 0;
}

/* How much of a file's name is the model's. Whatever the administrator names by its path counts, also without the
 * suffix. */
static size_t name_size(const char *file) {
    SplitName split;
    if (split_name_parse(file, &split))
        return split.stem;
    return strlen(file) - (is_model_name(file) ? strlen(SUFFIX) : 0);
}

static char *name_of_path(const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    return strndup(base, name_size(base));
}

static bool means_first_part(const char *asked, const char *name) {
    char file[256 + sizeof(SUFFIX)];
    SplitName split;
    bool has_suffix = strlen(asked) > strlen(SUFFIX) && is_model_name(asked);
    return snprintf(file, sizeof(file), "%s%s", asked, has_suffix ? "" : SUFFIX) < (int)sizeof(file) &&
           split_name_parse(file, &split) && split.no == 1 && split.stem == strlen(name) &&
           strncmp(file, name, split.stem) == 0;
}

bool installed_models_means(const char *asked, const char *name) {
    size_t n = strlen(name);
    return (strncmp(asked, name, n) == 0 && (asked[n] == '\0' || strcmp(asked + n, SUFFIX) == 0)) ||
           means_first_part(asked, name);
}

/* ---------------------------------------------------------------------------------------------- identity */

/* FNV-1a: nobody gains by a collision here but who may write into the model folder anyway. */
static uint64_t mix(uint64_t hash, uint64_t value) {
    for (int i = 0; i < 8; i++, value >>= 8)
        hash = (hash ^ (value & 0xFF)) * 0x100000001B3u;
    return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path) {
    struct stat st;
    if (stat(path, &st) < 0)
        return mix(hash, 0);
    hash = mix(mix(hash, st.st_dev), st.st_ino);
    hash = mix(mix(hash, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
    return mix(hash, (uint64_t)st.st_size);
}

uint64_t installed_models_identity(const char *path) {
    uint64_t hash = 0xCBF29CE484222325u;
    SplitName split;
    if (!split_name_parse(path, &split))
        return mix_file(hash, path);
    for (uint32_t i = 1; i <= split.count; i++) {
        _cleanup_(freep) char *part = split_name_path(path, &split, i);
        hash = part ? mix_file(hash, part) : mix(hash, i);
    }
    return hash;
}

/* ---------------------------------------------------------------------------------------------- folders */

/* Takes name and path over. What is no regular file, or hidden by an earlier one, is left out. */
static int add_file(FileList *l, char *name, char *path, bool embedded) {
    _cleanup_(freep) char *own_name = name, *own_path = path;
    struct stat st;

    if (!name || !path)
        return -ENOMEM;
    if (l->n >= FILES_MAX || listed(l, name) || !parse_is_utf8(name, strlen(name)))
        return 0;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;

    File *files = reallocarray(l->files, l->n + 1, sizeof(File));
    if (!files)
        return -ENOMEM;
    l->files = files;
    l->files[l->n++] = (File){.name = TAKE_PTR(own_name), .path = TAKE_PTR(own_path), .embedded = embedded};
    if (!embedded)
        l->n_installed++;
    return 0;
}

static int is_model(const struct dirent *de) {
    return is_model_name(de->d_name);
}

static int by_file_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_entry(FileList *l, const char *dir, const char *file) {
    char *path;
    return add_file(l, name_of_path(file), asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : path, false);
}

/* Whole files first: they hide parts of the same name. Of a split model the first part comes first, as the entries are
 * sorted, and so hides the others; where it is missing another one is listed, with that as the reason. */
static int add_dir(FileList *l, const char *dir) {
    struct dirent **entries;
    int r = 0, n = scandir(dir, &entries, is_model, by_file_name);
    if (n < 0)
        return errno == ENOMEM ? -ENOMEM : 0; /* a folder that is not there holds no models */

    for (int parts = 0; parts < 2; parts++)
        for (int i = 0; i < n && r >= 0; i++) {
            SplitName split;
            if (split_name_parse(entries[i]->d_name, &split) == (parts == 1))
                r = add_entry(l, dir, entries[i]->d_name);
        }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return r;
}

static int add_path(FileList *l, const char *path, bool embedded) {
    return path && path[0] == '/' ? add_file(l, name_of_path(path), strdup(path), embedded) : 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const File *)a)->name, ((const File *)b)->name);
}

static int file_list_read(const Config *config, FileList *ret, Error *e) {
    FileList l = {};

    int r = add_path(&l, config->model, false);
    for (char **dir = config->model_dirs; dir && *dir && r >= 0; dir++)
        r = add_dir(&l, *dir);
    if (r >= 0)
        r = add_path(&l, config->embedded_model, true);
    if (r < 0) {
        file_list_done(&l);
        return error_set(e, r, "Cannot list the installed models: %s.", strerror(-r));
    }
    if (l.n)
        qsort(l.files, l.n, sizeof(File), by_name);
    *ret = l;
    return 0;
}

static CacheEntry *look_at(InstalledModels *c, const File *f) {
    uint64_t identity = installed_models_identity(f->path);
    for (CacheEntry *entry = c->entries; entry; entry = entry->next)
        if (entry->identity == identity)
            return entry;

    CacheEntry *entry = calloc(1, sizeof(CacheEntry));
    if (!entry)
        return NULL;
    entry->identity = identity;
    if (model_info_read(f->path, &entry->info, &entry->error) < 0)
        entry->info = NULL;
    entry->next = c->entries;
    c->entries = entry;
    return entry;
}

static void forget_unseen(InstalledModels *c) {
    for (CacheEntry **p = &c->entries; *p;) {
        CacheEntry *entry = *p;
        if (!entry->seen) {
            *p = entry->next;
            entry_free(entry);
            continue;
        }
        entry->seen = false;
        p = &entry->next;
    }
}

int installed_models_scan(InstalledModels *c, const Config *config, InstalledModel **ret, size_t *ret_n, Error *e) {
    FileList l;

    int r = file_list_read(config, &l, e);
    if (r < 0)
        return r;
    InstalledModel *models = calloc(MAX(l.n, (size_t)1), sizeof(InstalledModel));
    for (size_t i = 0; i < l.n && models; i++) {
        CacheEntry *entry = look_at(c, &l.files[i]);
        if (!entry) {
            installed_models_free(models, i);
            models = NULL;
            break;
        }
        entry->seen = true;
        models[i] = (InstalledModel){.name = TAKE_PTR(l.files[i].name),
            .info = entry->info,
            .error = entry->error,
            .embedded = l.files[i].embedded};
    }
    size_t n = l.n;
    file_list_done(&l);
    if (!models)
        return error_set(e, -ENOMEM, "Out of memory.");
    forget_unseen(c);
    *ret = models;
    *ret_n = n;
    return 0;
}

InstalledModel *installed_models_free(InstalledModel *models, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(models[i].name);
    free(models);
    return NULL;
}

static int check_name(const char *name, Error *e) {
    size_t n = strlen(name);

    if (n == 0)
        return error_set(e, -EINVAL, "The name of the model is empty.");
    if (n > 255)
        return error_set(e, -EINVAL, "The name of the model has %zu bytes; a file name has at most 255.", n);
    if (!parse_is_utf8(name, n))
        return error_set(e, -EINVAL, "The name of the model is not valid UTF-8.");
    if (strchr(name, '/') || name[0] == '.')
        return error_set(e, -EINVAL,
            "\"%.100s\" is not the name of an installed model: a name has no \"/\" and does not begin with \".\". "
            "Models are installed by putting their file into a model folder.",
            name);
    return 0;
}

static int not_installed(const Config *config, const char *asked, Error *e) {
    return error_set(e, -ENOENT, "No model \"%.100s\" is installed. Put %.100s.gguf into %s.", asked, asked,
        config->model_dirs && config->model_dirs[0] ? config->model_dirs[0] : "a model folder");
}

int installed_models_find(const Config *config, const char *asked, char **ret_name, char **ret_path, Error *e) {
    FileList l;

    int r = check_name(asked, e);
    if (r < 0)
        return r;
    r = file_list_read(config, &l, e);
    if (r < 0)
        return r;
    r = not_installed(config, asked, e);
    for (size_t i = 0; i < l.n && r < 0; i++)
        if (installed_models_means(asked, l.files[i].name)) {
            *ret_name = TAKE_PTR(l.files[i].name);
            *ret_path = TAKE_PTR(l.files[i].path);
            r = 0;
        }
    file_list_done(&l);
    return r;
}

static int named_by_path(const char *path, char **ret_name, char **ret_path, Error *e) {
    char *name = name_of_path(path), *copy = strdup(path);

    if (!name || !copy) {
        free(name);
        free(copy);
        return error_set(e, -ENOMEM, "Out of memory.");
    }
    *ret_name = name;
    *ret_path = copy;
    return 0;
}

static int only_installed(const Config *config, char **ret_name, char **ret_path, Error *e) {
    FileList l;

    int r = file_list_read(config, &l, e);
    if (r < 0)
        return r;
    const char *dir = config->model_dirs && config->model_dirs[0] ? config->model_dirs[0] : "the model folder";
    size_t pick = l.n;
    for (size_t i = 0; i < l.n; i++)
        if (l.files[i].embedded != (l.n_installed == 1))
            pick = i;
    if (pick < l.n) {
        *ret_name = TAKE_PTR(l.files[pick].name);
        *ret_path = TAKE_PTR(l.files[pick].path);
        r = 0;
    } else if (l.n_installed == 0)
        r = error_set(e, -ENOTCONN, "No model is installed. Put a GGUF file into %s.", dir);
    else
        r = error_set(e, -ENOTCONN,
            "%zu models are installed in %s and none is chosen. Load one, or set Model= in inferd.conf.", l.n_installed,
            dir);
    file_list_done(&l);
    return r;
}

int installed_models_default(const Config *config, char **ret_name, char **ret_path, Error *e) {
    if (!config->model)
        return only_installed(config, ret_name, ret_path, e);
    if (config->model[0] == '/')
        return named_by_path(config->model, ret_name, ret_path, e);

    return installed_models_find(config, config->model, ret_name, ret_path, e);
}
