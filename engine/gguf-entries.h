/* What the files that make up the GGUF reader know of each other; everybody else includes gguf.h. */
#pragma once

#include <endian.h>
#include <string.h>

#include "gguf-table.h"

struct GgufKey {
    GgufString name; /* first, as in GgufTensor: a GgufTable sees only names */
    GgufType type;
    union {
        const uint8_t *scalar; /* little endian, unaligned */
        GgufString string;
        GgufArray array; /* strings owned */
    };
};

struct Gguf {
    GgufTable keys;    /* of GgufKey */
    GgufTable tensors; /* of GgufTensor */
};

typedef struct GgufTypeTraits {
    const char *name;
    uint8_t size; /* of a value; 0: variable */
} GgufTypeTraits;
extern const GgufTypeTraits gguf_types[GGUF_TYPE_COUNT];

const GgufKey *gguf_find_key(const Gguf *g, const char *key);

static inline uint32_t gguf_load_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t gguf_load_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}
