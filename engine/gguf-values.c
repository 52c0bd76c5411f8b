/* What the keys of a GGUF file hold, as the type that the caller needs or a sentence that names the key. Also a name in
 * a form that can be printed. */
#include <assert.h>
#include <errno.h>
#include <math.h>

#include "gguf-entries.h"

const GgufTypeTraits gguf_types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},
    [GGUF_I8] = {"i8", 1},
    [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},
    [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},
    [GGUF_BOOL] = {"bool", 1},
    [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0},
    [GGUF_U64] = {"u64", 8},
    [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_printable(GgufString s, char buffer[static GGUF_PRINTABLE_SIZE]) {
    size_t n = MIN(s.size, (uint64_t)GGUF_PRINTABLE_SIZE - 4);
    for (size_t i = 0; i < n; i++)
        buffer[i] = s.data[i] >= ' ' && s.data[i] <= '~' ? s.data[i] : '?';
    memcpy(buffer + n, n < s.size ? "..." : "", n < s.size ? 4 : 1);
    return buffer;
}

const GgufKey *gguf_find_key(const Gguf *g, const char *key) {
    return gguf_table_find(&g->keys, key, strlen(key));
}

/* Any integer as sign and 64 bits: false for other types. */
static bool load_integer(GgufType type, const uint8_t *p, bool *ret_negative, uint64_t *ret) {
    int64_t s;
    *ret_negative = false;
    switch (type) {
    case GGUF_U8: *ret = *p; return true;
    case GGUF_U16: *ret = p[0] | (uint64_t)p[1] << 8; return true;
    case GGUF_U32: *ret = gguf_load_u32(p); return true;
    case GGUF_U64: *ret = gguf_load_u64(p); return true;
    case GGUF_I8: s = (int8_t)*p; break;
    case GGUF_I16: s = (int16_t)(p[0] | p[1] << 8); break;
    case GGUF_I32: s = (int32_t)gguf_load_u32(p); break;
    case GGUF_I64: s = (int64_t)gguf_load_u64(p); break;
    default: return false;
    }
    *ret_negative = s < 0;
    *ret = (uint64_t)s;
    return true;
}

static double load_float(GgufType type, const uint8_t *p) {
    union {
        uint32_t u;
        float f;
    } f32 = {.u = type == GGUF_F32 ? gguf_load_u32(p) : 0};
    union {
        uint64_t u;
        double f;
    } f64 = {.u = type == GGUF_F64 ? gguf_load_u64(p) : 0};
    return type == GGUF_F32 ? f32.f : f64.f;
}

static int wrong_type(const char *key, GgufType type, const char *wanted, Error *e) {
    return error_set(e, -EBADMSG, "key %s: has type %s, must be %s", key, gguf_types[type].name, wanted);
}

static int load_bounded(const char *key, GgufType type, const uint8_t *p, uint64_t max, uint64_t *ret, Error *e) {
    bool negative;
    uint64_t v;
    if (!load_integer(type, p, &negative, &v))
        return wrong_type(key, type, "an integer", e);
    if (negative)
        return error_set(e, -EBADMSG, "key %s: %lld is negative", key, (long long)v);
    if (v > max)
        return error_set(e, -EBADMSG, "key %s: %llu is out of range", key, (unsigned long long)v);
    *ret = v;
    return 1;
}

int gguf_get_u64(const Gguf *g, const char *key, uint64_t *ret, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    return k ? load_bounded(key, k->type, k->scalar, UINT64_MAX, ret, e) : 0;
}

int gguf_get_u32(const Gguf *g, const char *key, uint32_t *ret, Error *e) {
    uint64_t v = 0;
    const GgufKey *k = gguf_find_key(g, key);
    int r = k ? load_bounded(key, k->type, k->scalar, UINT32_MAX, &v, e) : 0;
    if (r > 0)
        *ret = (uint32_t)v;
    return r;
}

int gguf_get_f32(const Gguf *g, const char *key, float *ret, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    if (!k)
        return 0;

    double v;
    bool negative;
    uint64_t u;
    if (k->type == GGUF_F32 || k->type == GGUF_F64)
        v = load_float(k->type, k->scalar);
    else if (load_integer(k->type, k->scalar, &negative, &u))
        v = negative ? (double)(int64_t)u : (double)u;
    else
        return wrong_type(key, k->type, "a number", e);
    if (!isfinite((float)v))
        return error_set(e, -EBADMSG, "key %s: %g is not a finite number", key, v);
    *ret = (float)v;
    return 1;
}

int gguf_get_bool(const Gguf *g, const char *key, bool *ret, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    if (!k)
        return 0;
    if (k->type != GGUF_BOOL)
        return wrong_type(key, k->type, "bool", e);
    *ret = *k->scalar;
    return 1;
}

int gguf_get_string(const Gguf *g, const char *key, GgufString *ret, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    if (!k)
        return 0;
    if (k->type != GGUF_STRING)
        return wrong_type(key, k->type, "string", e);
    *ret = k->string;
    return 1;
}

int gguf_get_array(const Gguf *g, const char *key, GgufType type, GgufArray *ret, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    if (!k)
        return 0;
    if (k->type != GGUF_ARRAY)
        return wrong_type(key, k->type, "an array", e);
    if (k->array.type != type)
        return error_set(e, -EBADMSG, "key %s: is an array of %s, must be of %s", key, gguf_types[k->array.type].name,
            gguf_types[type].name);
    *ret = k->array;
    return 1;
}

int gguf_get_u32s(const Gguf *g, const char *key, uint32_t *out, size_t n, Error *e) {
    const GgufKey *k = gguf_find_key(g, key);
    if (!k)
        return 0;

    bool is_array = k->type == GGUF_ARRAY;
    GgufType type = is_array ? k->array.type : k->type;
    if (is_array && k->array.n != n)
        return error_set(
            e, -EBADMSG, "key %s: has %llu elements, must have %zu", key, (unsigned long long)k->array.n, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 0;
        const uint8_t *p = is_array ? k->array.data + i * gguf_types[type].size : k->scalar;
        int r = load_bounded(key, is_array && type == GGUF_BOOL ? GGUF_U8 : type, p, UINT32_MAX, &v, e);
        if (r < 0)
            return r;
        out[i] = (uint32_t)v;
    }
    return 1;
}

int gguf_get_type(const Gguf *g, const char *key, GgufType *ret) {
    const GgufKey *k = gguf_find_key(g, key);
    if (k)
        *ret = k->type;
    return k != NULL;
}

float gguf_array_f32(const GgufArray *a, uint64_t i) {
    assert(a->type == GGUF_F32 && i < a->n);
    return (float)load_float(GGUF_F32, a->data + i * 4);
}

int32_t gguf_array_i32(const GgufArray *a, uint64_t i) {
    assert((a->type == GGUF_I32 || a->type == GGUF_U32) && i < a->n);
    return (int32_t)gguf_load_u32(a->data + i * 4);
}
