/* See gguf-table.h. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "gguf-table.h"

void gguf_table_init(GgufTable *t, size_t entry_size) {
    assert(entry_size >= sizeof(GgufString));
    *t = (GgufTable){.entry_size = entry_size};
}

void gguf_table_done(GgufTable *t) {
    free(t->entries);
    free(t->by_name);
    *t = (GgufTable){};
}

void *gguf_table_next(GgufTable *t) {
    if (t->n == t->allocated) {
        uint32_t want = MAX(64u, t->allocated * 2); /* at most 2 * GGUF_MAX_ENTRIES */
        uint8_t *p = reallocarray(t->entries, want, t->entry_size);
        if (!p)
            return NULL;
        t->entries = p;
        t->allocated = want;
    }
    return memset(t->entries + t->n * t->entry_size, 0, t->entry_size);
}

/* Not alphabetical: sizes first, so that most comparisons need not touch the names. */
static int compare_names(GgufString a, GgufString b) {
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return memcmp(a.data, b.data, a.size);
}

void *gguf_table_at(const GgufTable *t, uint32_t i) {
    return t->entries + i * t->entry_size;
}

static int compare_by_name(const void *a, const void *b, void *table) {
    const GgufString *x = gguf_table_at(table, *(const uint32_t *)a), *y = gguf_table_at(table, *(const uint32_t *)b);
    return compare_names(*x, *y);
}

uint32_t *gguf_table_sort(GgufTable *t, GgufCompare compare) {
    uint32_t *index = malloc(MAX(t->n, 1u) * sizeof(*index));
    if (!index)
        return NULL;
    for (uint32_t i = 0; i < t->n; i++)
        index[i] = i;
    qsort_r(index, t->n, sizeof(*index), compare, t);
    return index;
}

int gguf_table_index(GgufTable *t, const char *noun, Error *e) {
    free(t->by_name);
    t->by_name = gguf_table_sort(t, compare_by_name);
    if (!t->by_name)
        return error_set(e, -ENOMEM, "out of memory while reading the model's metadata");
    for (uint32_t i = 1; i < t->n; i++)
        if (compare_by_name(&t->by_name[i - 1], &t->by_name[i], t) == 0) {
            char buffer[GGUF_PRINTABLE_SIZE];
            const GgufString *name = gguf_table_at(t, t->by_name[i]);
            return error_set(e, -EBADMSG, "%s %s occurs twice", noun, gguf_printable(*name, buffer));
        }
    return 0;
}

const void *gguf_table_find(const GgufTable *t, const char *name, size_t size) {
    const GgufString wanted = {name, size};
    uint32_t low = 0, high = t->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const void *entry = gguf_table_at(t, t->by_name[middle]);
        int c = compare_names(wanted, *(const GgufString *)entry);
        if (c == 0)
            return entry;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
