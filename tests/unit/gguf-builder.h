/* Builds GGUF files for tests, well-formed unless asked otherwise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gguf.h"

typedef struct Blob {
    uint8_t *bytes; /* owned */
    size_t n;
} Blob;

void blob_put(Blob *b, const void *p, size_t n);
void blob_u8(Blob *b, uint8_t v);
void blob_u32(Blob *b, uint32_t v);
void blob_u64(Blob *b, uint64_t v);
void blob_f32(Blob *b, float v);
void blob_string(Blob *b, const char *s);
void blob_done(Blob *b);

typedef struct GgufBuilder {
    uint32_t version;
    uint32_t alignment;         /* only of the layout: a key general.alignment is the test's to add */
    uint64_t n_keys, n_tensors; /* counted by the functions below; a test may change them */
    Blob keys, tensors, data;
} GgufBuilder;
#define GGUF_BUILDER ((GgufBuilder){.version = 3, .alignment = 32})

void builder_key(GgufBuilder *b, const char *key, uint32_t type); /* the value follows, into b->keys */
void builder_u32(GgufBuilder *b, const char *key, uint32_t v);
void builder_f32(GgufBuilder *b, const char *key, float v);
void builder_bool(GgufBuilder *b, const char *key, bool v);
void builder_string(GgufBuilder *b, const char *key, const char *v);
void builder_array(GgufBuilder *b, const char *key, uint32_t type, uint64_t n); /* its elements follow, into b->keys */
void builder_strings(GgufBuilder *b, const char *key, const char *const *v, size_t n);

/* A table entry, verbatim, without data. */
void builder_tensor_raw(
    GgufBuilder *b, const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset);
/* A tensor of one or two dimensions (rows = 0: one), its data zero. Returns its data. */
uint8_t *builder_tensor(GgufBuilder *b, const char *name, TensorType type, uint64_t columns, uint64_t rows);

/* The file, to be freed. The builder is empty afterwards. */
uint8_t *builder_finish(GgufBuilder *b, size_t *ret_size);
/* The same, written to a file. */
void builder_write(GgufBuilder *b, const char *path);
