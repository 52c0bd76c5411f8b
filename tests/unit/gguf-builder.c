#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf-builder.h"

void blob_put(Blob *b, const void *p, size_t n) {
    b->bytes = realloc(b->bytes, b->n + n + 1);
    assert(b->bytes);
    if (p)
        memcpy(b->bytes + b->n, p, n);
    else
        memset(b->bytes + b->n, 0, n);
    b->n += n;
}

void blob_u8(Blob *b, uint8_t v) {
    blob_put(b, &v, sizeof(v));
}

void blob_u32(Blob *b, uint32_t v) {
    blob_put(b, &v, sizeof(v));
}

void blob_u64(Blob *b, uint64_t v) {
    blob_put(b, &v, sizeof(v));
}

void blob_f32(Blob *b, float v) {
    blob_put(b, &v, sizeof(v));
}

void blob_string(Blob *b, const char *s) {
    blob_u64(b, strlen(s));
    blob_put(b, s, strlen(s));
}

void blob_done(Blob *b) {
    free(b->bytes);
    *b = (Blob){};
}

static void pad(Blob *b, uint32_t alignment) {
    while (b->n % alignment != 0)
        blob_u8(b, 0);
}

void builder_key(GgufBuilder *b, const char *key, uint32_t type) {
    blob_string(&b->keys, key);
    blob_u32(&b->keys, type);
    b->n_keys++;
}

void builder_u32(GgufBuilder *b, const char *key, uint32_t v) {
    builder_key(b, key, GGUF_U32);
    blob_u32(&b->keys, v);
}

void builder_f32(GgufBuilder *b, const char *key, float v) {
    builder_key(b, key, GGUF_F32);
    blob_f32(&b->keys, v);
}

void builder_bool(GgufBuilder *b, const char *key, bool v) {
    builder_key(b, key, GGUF_BOOL);
    blob_u8(&b->keys, v);
}

void builder_string(GgufBuilder *b, const char *key, const char *v) {
    builder_key(b, key, GGUF_STRING);
    blob_string(&b->keys, v);
}

void builder_array(GgufBuilder *b, const char *key, uint32_t type, uint64_t n) {
    builder_key(b, key, GGUF_ARRAY);
    blob_u32(&b->keys, type);
    blob_u64(&b->keys, n);
}

void builder_strings(GgufBuilder *b, const char *key, const char *const *v, size_t n) {
    builder_array(b, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++)
        blob_string(&b->keys, v[i]);
}

void builder_tensor_raw(
    GgufBuilder *b, const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset) {
    blob_string(&b->tensors, name);
    blob_u32(&b->tensors, n_dims);
    blob_put(&b->tensors, ne, n_dims * sizeof(*ne));
    blob_u32(&b->tensors, type);
    blob_u64(&b->tensors, offset);
    b->n_tensors++;
}

uint8_t *builder_tensor(GgufBuilder *b, const char *name, TensorType type, uint64_t columns, uint64_t rows) {
    const QuantTraits *q = quant_traits(type);
    uint64_t ne[] = {columns, rows};
    pad(&b->data, b->alignment);
    builder_tensor_raw(b, name, rows > 0 ? 2 : 1, ne, type, b->data.n);

    size_t size = columns / q->block_size * q->block_bytes * (rows > 0 ? rows : 1), at = b->data.n;
    blob_put(&b->data, NULL, size);
    return b->data.bytes + at;
}

uint8_t *builder_finish(GgufBuilder *b, size_t *ret_size) {
    Blob file = {};
    blob_put(&file, "GGUF", 4);
    blob_u32(&file, b->version);
    blob_u64(&file, b->n_tensors);
    blob_u64(&file, b->n_keys);
    blob_put(&file, b->keys.bytes ?: (uint8_t *)"", b->keys.n);
    blob_put(&file, b->tensors.bytes ?: (uint8_t *)"", b->tensors.n);
    if (b->data.n > 0)
        pad(&file, b->alignment);
    blob_put(&file, b->data.bytes ?: (uint8_t *)"", b->data.n);
    blob_done(&b->keys);
    blob_done(&b->tensors);
    blob_done(&b->data);
    *b = GGUF_BUILDER;

    /* at the end of its own allocation, so that a sanitizer sees a read of one byte too many */
    uint8_t *exact = malloc(file.n);
    assert(exact);
    memcpy(exact, file.bytes, file.n);
    *ret_size = file.n;
    blob_done(&file);
    return exact;
}

void builder_write(GgufBuilder *b, const char *path) {
    size_t size;
    uint8_t *bytes = builder_finish(b, &size);
    FILE *f = fopen(path, "we");
    assert(f);
    size_t written = fwrite(bytes, 1, size, f);
    assert(written == size);
    fclose(f);
    free(bytes);
}
