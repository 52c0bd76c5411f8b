/* Entries with unique names, in the order in which they were read: the keys of a GGUF file, or its tensors.
 *
 * Indexed by sorting, not hashing: duplicates and lookups stay cheap also when a file is built to make them expensive.
 */
#pragma once

#include "gguf.h"

typedef struct GgufTable {
    uint8_t *entries; /* owned, [n]; each begins with its name, a GgufString */
    size_t entry_size;
    uint32_t n, allocated;
    uint32_t *by_name; /* owned, [n]; NULL before gguf_table_index() */
} GgufTable;

#define GGUF_MAX_ENTRIES (1u << 20) /* keys, and tensors; the largest models have some 50,000 */

void gguf_table_init(GgufTable *t, size_t entry_size);
void gguf_table_done(GgufTable *t);

/* The next entry, zeroed, which counts once t->n is raised; NULL when out of memory. Memory follows what has really
 * been read. Never more than GGUF_MAX_ENTRIES. */
void *gguf_table_next(GgufTable *t);
void *gguf_table_at(const GgufTable *t, uint32_t i);

/* The numbers of all entries in the order of `compare`, which gets two of them and the table; to be freed. */
typedef int (*GgufCompare)(const void *a, const void *b, void *table);
uint32_t *gguf_table_sort(GgufTable *t, GgufCompare compare);

/* Once all entries are there, and again when some have been added: -EBADMSG names one that is there twice, as `noun`
 * ("key", "tensor"). */
int gguf_table_index(GgufTable *t, const char *noun, Error *e);
const void *gguf_table_find(const GgufTable *t, const char *name, size_t size); /* NULL: absent */
