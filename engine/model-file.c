/* See model-file.h.
 *
 * The mappings stay as the kernel makes them, on purpose:
 *  - no MAP_POPULATE and no checksum, so that loading reads a few pages whatever the model's size, and of a mixture of
 *    experts only the experts used ever take memory. That is what lets a model larger than memory run.
 *  - no MADV_RANDOM: a matrix is read from its beginning to its end, and reading ahead is what makes that fast from a
 *    disk. Experts are matrices of megabytes, so what is read too much at their ends is little.
 *  - no MADV_WILLNEED or MADV_SEQUENTIAL: the first would fetch the whole file, the second let go of pages that the
 *    next token needs.
 *  - no mlock(): the page cache is shared with everybody, and the kernel knows best what to drop. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "gguf-parts.h"
#include "mapping.h"
#include "model-file.h"
#include "split-name.h"

struct ModelFile {
    uint32_t n;
    Mapping **mappings; /* owned, [n] */
    Gguf **parts;       /* owned, [n]; NULL: taken, or joined to the first */
    uint64_t bytes;
};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int map_and_parse(ModelFile *f, uint32_t i, const char *path, Error *e) {
    int r = mapping_open(path, &f->mappings[i], e);
    if (r < 0)
        return r;
    size_t size;
    const uint8_t *bytes = mapping_bytes(f->mappings[i], &size);
    f->bytes += size; /* addresses of one process: no overflow */
    r = gguf_parse(bytes, size, true, &f->parts[i], e);
    if (mapping_failed(f->mappings[i])) /* whatever was refused, this is why */
        return error_set(e, -EIO, "%s could not be read: it was cut short, or its disk fails", path);
    return r;
}

static int allocate(ModelFile *f, uint32_t n, Error *e) {
    Mapping **mappings = calloc(n, sizeof(*mappings));
    Gguf **parts = calloc(n, sizeof(*parts));
    if (!mappings || !parts) {
        free(mappings);
        free(parts);
        return error_set(e, -ENOMEM, "out of memory");
    }
    if (f->n > 0) {
        mappings[0] = f->mappings[0];
        parts[0] = f->parts[0];
        free(f->mappings);
        free(f->parts);
    }
    f->mappings = mappings;
    f->parts = parts;
    f->n = n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ parts */

/* Somebody asked for another part than the first. */
static int refuse_later_part(const char *path, const SplitName *name, const GgufSplit *s, Error *e) {
    if (!name)
        return error_set(e, -EBADMSG, "%s is part %u of a model split into %u; load the first, NAME-00001-of-%05u.gguf",
            path, s->no + 1, s->count, s->count);
    _cleanup_(freep) char *first = split_name_path(path, name, 1);
    if (!first)
        return error_set(e, -ENOMEM, "out of memory");
    return error_set(e, -EBADMSG, "%s is part %u of a model split into %u; %s", base_name(path), s->no + 1, s->count,
        access(first, F_OK) == 0 ? "load the first part" : "the first part is missing: put it into the same folder");
}

/* The others are found by the first one's name, so it has to be right. */
static int check_first(const char *path, const SplitName *name, const GgufSplit *s, Error *e) {
    if (s->count > SPLIT_PARTS_MAX)
        return error_set(e, -EBADMSG, "key split.count: %u parts are more than the %u that are supported", s->count,
            SPLIT_PARTS_MAX);
    if (s->no > 0)
        return refuse_later_part(path, name, s, e);
    if (!name)
        return error_set(e, -EBADMSG,
            "%s is the first of %u parts (key split.count), so its name must end in -00001-of-%05u.gguf; rename it as "
            "it was, and its other parts",
            path, s->count, s->count);
    if (name->no != 1 || name->count != s->count)
        return error_set(e, -EBADMSG,
            "%s is named as part %u of %u, but is part 1 of %u (keys split.no, split.count); give each file the name "
            "that it was made with",
            base_name(path), name->no, name->count, s->count);
    return 0;
}

static int open_part(ModelFile *f, uint32_t i, const char *path, Error *e) {
    Error reason = {};
    int r = map_and_parse(f, i, path, &reason);
    if (r == -ENOENT)
        return error_set(e, -EBADMSG, "part %u of %u is missing: put %s beside the first part", i + 1, f->n, path);
    if (r < 0)
        return error_set(e, r, "part %u of %u, %s: %s", i + 1, f->n, base_name(path), reason.message);
    return 0;
}

static int open_other_parts(ModelFile *f, const char *path, const SplitName *name, Error *e) {
    int r = allocate(f, name->count, e);
    if (r < 0)
        return r;
    for (uint32_t i = 1; i < f->n; i++) {
        _cleanup_(freep) char *other = split_name_path(path, name, i + 1);
        if (!other)
            return error_set(e, -ENOMEM, "out of memory");
        if ((r = open_part(f, i, other, e)) < 0)
            return r;
    }
    r = gguf_join(f->parts, f->n, e);
    if (model_file_failed(f))
        r = error_set(e, -EIO, "a part of %s could not be read: it was cut short, or its disk fails", path);
    for (uint32_t i = 1; i < f->n; i++)
        f->parts[i] = gguf_free(f->parts[i]);
    return r;
}

/* ------------------------------------------------------------------------------------------------ the whole */

static int open_all(ModelFile *f, const char *path, Error *e) {
    SplitName name;
    GgufSplit split;
    bool named = split_name_parse(path, &name);
    int r = allocate(f, 1, e);
    if (r < 0 || (r = map_and_parse(f, 0, path, e)) < 0 || (r = gguf_split(f->parts[0], &split, e)) < 0)
        return r;
    if (r > 0) {
        r = check_first(path, named ? &name : NULL, &split, e);
        return r < 0 ? r : open_other_parts(f, path, &name, e);
    }
    if (named && name.count > 1)
        return error_set(e, -EBADMSG,
            "%s is named as part %u of %u, but has no key split.count: if it is a whole model, rename it to %.*s.gguf, "
            "else download all parts again",
            base_name(path), name.no, name.count, (int)(path + name.stem - base_name(path)), base_name(path));
    return 0;
}

int model_file_open(const char *path, ModelFile **ret, Error *e) {
    _cleanup_(model_file_freep) ModelFile *f = calloc(1, sizeof(ModelFile));
    if (!f)
        return error_set(e, -ENOMEM, "out of memory");
    int r = open_all(f, path, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(f);
    return 0;
}

ModelFile *model_file_free(ModelFile *f) {
    if (!f)
        return NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        gguf_free(f->parts[i]);
        mapping_free(f->mappings[i]);
    }
    free(f->parts);
    free(f->mappings);
    free(f);
    return NULL;
}

Gguf *model_file_take_gguf(ModelFile *f) {
    assert(f->parts[0]);
    return TAKE_PTR(f->parts[0]);
}

uint64_t model_file_bytes(const ModelFile *f) {
    return f->bytes;
}

bool model_file_failed(const ModelFile *f) {
    for (uint32_t i = 0; i < f->n; i++)
        if (f->mappings[i] && mapping_failed(f->mappings[i]))
            return true;
    return false;
}
