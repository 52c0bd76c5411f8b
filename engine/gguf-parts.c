/* See gguf-parts.h. Parts are downloaded one by one, so a mixture of two models, or of two versions of one, is what
 * happens: it must not become a model that answers nonsense. */
#include <assert.h>
#include <errno.h>

#include "gguf-entries.h"
#include "gguf-parts.h"

/* Not -EBADMSG for a whole file: programs write split.count = 0 or 1 into those. */
int gguf_split(const Gguf *g, GgufSplit *ret, Error *e) {
    GgufSplit s = {.n_tensors = UINT32_MAX};
    int r = gguf_get_u32(g, "split.count", &s.count, e);
    if (r < 0)
        return r;
    if (s.count <= 1)
        return 0;
    r = gguf_get_u32(g, "split.no", &s.no, e);
    if (r == 0)
        r = error_set(e, -EBADMSG, "key split.no is missing: which of %u parts is this? Download it again", s.count);
    if (r < 0 || (r = gguf_get_u32(g, "split.tensors.count", &s.n_tensors, e)) < 0)
        return r;
    if (s.no >= s.count)
        return error_set(
            e, -EBADMSG, "key split.no: %u, and there are %u parts, of which the first is 0", s.no, s.count);
    *ret = s;
    return 1;
}

/* ------------------------------------------------------------------------------------------------ keys */

static bool strings_equal(GgufString a, GgufString b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool keys_equal(const GgufKey *a, const GgufKey *b) {
    if (a->type != b->type)
        return false;
    if (a->type == GGUF_STRING)
        return strings_equal(a->string, b->string);
    if (a->type != GGUF_ARRAY)
        return memcmp(a->scalar, b->scalar, gguf_types[a->type].size) == 0;
    if (a->array.type != b->array.type || a->array.n != b->array.n)
        return false;
    if (a->array.type != GGUF_STRING)
        return memcmp(a->array.data, b->array.data, a->array.n * gguf_types[a->array.type].size) == 0;
    for (uint64_t i = 0; i < a->array.n; i++)
        if (!strings_equal(a->array.strings[i], b->array.strings[i]))
            return false;
    return true;
}

/* What differs from part to part: its place, and how its own bytes are laid out. */
static bool is_own_key(GgufString name) {
    static const char alignment[] = "general.alignment";
    return (name.size > 6 && memcmp(name.data, "split.", 6) == 0) ||
           strings_equal(name, (GgufString){alignment, sizeof(alignment) - 1});
}

/* Most parts but the first have no keys besides those of the split. Where there are some, they must be the first's. */
static int check_keys(const Gguf *first, const Gguf *part, uint32_t no, uint32_t n, Error *e) {
    for (uint32_t i = 0; i < part->keys.n; i++) {
        const GgufKey *k = gguf_table_at(&part->keys, i);
        if (is_own_key(k->name))
            continue;
        const GgufKey *same = gguf_table_find(&first->keys, k->name.data, k->name.size);
        char buffer[GGUF_PRINTABLE_SIZE];
        if (!same || !keys_equal(k, same))
            return error_set(e, -EBADMSG,
                "part %u of %u belongs to another model: its key %s is not that of part 1; download all parts again",
                no, n, gguf_printable(k->name, buffer));
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ parts */

static int check_part(const Gguf *first, const GgufSplit *whole, const Gguf *part, uint32_t i, Error *e) {
    uint32_t no = i + 1, n = whole->count; /* as the files are numbered */
    GgufSplit s;
    Error reason = {};
    int r = gguf_split(part, &s, &reason);
    if (r < 0)
        return error_set(e, r, "part %u of %u: %s", no, n, reason.message);
    if (r == 0)
        return error_set(e, -EBADMSG,
            "part %u of %u is no part: it has no key split.count; download it again, under its own name", no, n);
    if (s.count != n)
        return error_set(e, -EBADMSG,
            "part %u of %u says that there are %u parts (key split.count), so it belongs to another model; download "
            "all parts again",
            no, n, s.count);
    if (s.no != i)
        return error_set(e, -EBADMSG,
            "part %u of %u says that it is part %u (key split.no); give each file the name that it was made with", no,
            n, s.no + 1);
    if (s.n_tensors != UINT32_MAX && s.n_tensors != whole->n_tensors)
        return error_set(e, -EBADMSG,
            "part %u of %u belongs to a model of %u tensors (key split.tensors.count), part 1 to one of %u; download "
            "all parts again",
            no, n, s.n_tensors, whole->n_tensors);
    return check_keys(first, part, no, n, e);
}

static int append_tensors(GgufTable *to, const GgufTable *from, Error *e) {
    for (uint32_t i = 0; i < from->n; i++) {
        GgufTensor *t = to->n < GGUF_MAX_ENTRIES ? gguf_table_next(to) : NULL;
        if (!t)
            return error_set(e, -ENOMEM, "out of memory for the tensors of all parts");
        *t = *(const GgufTensor *)gguf_table_at(from, i);
        to->n++;
    }
    return 0;
}

int gguf_join(Gguf *const *parts, uint32_t n, Error *e) {
    GgufSplit whole;
    Gguf *first = parts[0];
    uint64_t n_tensors = first->tensors.n;
    int r = gguf_split(first, &whole, e);
    if (r < 0)
        return r;
    assert(r > 0 && whole.no == 0 && whole.count == n);
    if (whole.n_tensors == UINT32_MAX)
        return error_set(e, -EBADMSG, "key split.tensors.count is missing; download the first part again");

    for (uint32_t i = 1; i < n; i++) {
        if ((r = check_part(first, &whole, parts[i], i, e)) < 0)
            return r;
        n_tensors += parts[i]->tensors.n;
    }
    if (n_tensors != whole.n_tensors)
        return error_set(e, -EBADMSG,
            "the %u parts have %llu tensors together, and key split.tensors.count promises %u; download all parts "
            "again",
            n, (unsigned long long)n_tensors, whole.n_tensors);
    for (uint32_t i = 1; i < n; i++)
        if ((r = append_tensors(&first->tensors, &parts[i]->tensors, e)) < 0)
            return r;
    Error twice = {};
    r = gguf_table_index(&first->tensors, "tensor", &twice);
    return r < 0 ? error_set(e, r, "%s in the %u parts; download all parts again", twice.message, n) : 0;
}
