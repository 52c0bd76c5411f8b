/* GGUF v2/v3: untrusted bytes in, a checked table out, nothing else (public specification: ggml docs/gguf.md).
 *
 * After gguf_parse() every string, array and tensor lies inside the buffer, no size calculation overflows, keys and
 * tensor names are unique. What the values mean is for model.c and the tokenizer to check. */
#pragma once

#include "kernels/quants.h"
#include "macros.h"

typedef enum GgufType {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT,
} GgufType;

typedef struct GgufString {
    const char *data; /* borrowed from the buffer, not NUL-terminated, any bytes */
    uint64_t size;
} GgufString;

/* For messages: cut to a readable length, anything but printable ASCII replaced. Returns the buffer. */
#define GGUF_PRINTABLE_SIZE 72
const char *gguf_printable(GgufString s, char buffer[static GGUF_PRINTABLE_SIZE]);

typedef struct GgufKey GgufKey; /* one metadata entry */

typedef struct GgufTensor {
    GgufString name;
    TensorType type;
    uint32_t n_dims; /* 1..4 */
    uint64_t ne[4];  /* ne[0] varies fastest; unused ones are 1 */
    uint64_t size;   /* bytes, whole rows of whole blocks */
    const uint8_t
        *data; /* borrowed; NULL when the buffer holds metadata only (gguf_parse with tensors_required = false) */
} GgufTensor;

typedef struct Gguf Gguf;

/* Parses a file's bytes, which must outlive *ret. With data_required = false a file that ends after its header (a
 * vocabulary) is accepted. -EBADMSG with a sentence naming the key or tensor. */
int gguf_parse(const void *bytes, size_t size, bool data_required, Gguf **ret, Error *e);
Gguf *gguf_free(Gguf *g);
DEFINE_CLEANUP(Gguf *, gguf_free)

uint64_t gguf_n_tensors(const Gguf *g);
const GgufTensor *gguf_tensor_at(const Gguf *g, uint64_t i);
const GgufTensor *gguf_find_tensor(const Gguf *g, const char *name); /* logarithmic; NULL if absent */

/* Typed getters: 1 found, 0 absent (*ret untouched), -EBADMSG present with another type or out of range, naming the
 * key. Any integer type is accepted for u32/i64/u64 as long as the value fits; bool only for bool; float for f32/f64
 * and integers. */
int gguf_get_u32(const Gguf *g, const char *key, uint32_t *ret, Error *e);
int gguf_get_u64(const Gguf *g, const char *key, uint64_t *ret, Error *e);
int gguf_get_f32(const Gguf *g, const char *key, float *ret, Error *e); /* finite only */
int gguf_get_bool(const Gguf *g, const char *key, bool *ret, Error *e);
int gguf_get_string(const Gguf *g, const char *key, GgufString *ret, Error *e);

/* An array. Elements are read through the accessors below, index < n. */
typedef struct GgufArray {
    GgufType type; /* of the elements, never GGUF_ARRAY: nested arrays are refused by gguf_parse */
    uint64_t n;
    const uint8_t *data;       /* scalars, little endian, unaligned */
    const GgufString *strings; /* GGUF_STRING: an index built when the array is first parsed */
} GgufArray;
int gguf_get_array(const Gguf *g, const char *key, GgufType type, GgufArray *ret, Error *e); /* exact element type */
/* An integer array of any width, or of bools, or one integer that stands for every element (per-layer head counts):
 * fills out[n].
 * -EBADMSG when the array's length is not n. */
int gguf_get_u32s(const Gguf *g, const char *key, uint32_t *out, size_t n, Error *e);
/* What a key holds, if it is there. */
int gguf_get_type(const Gguf *g, const char *key, GgufType *ret);
float gguf_array_f32(const GgufArray *a, uint64_t i);
int32_t gguf_array_i32(const GgufArray *a, uint64_t i);
