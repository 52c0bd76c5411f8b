/* The GGUF reader; see gguf.h for what it promises.
 *
 * One pass over a cursor that can only shrink. Every count is held against the bytes that are left before anything is
 * allocated for it, and tables grow with what has really been read, so a small file cannot ask for much memory. */
#include <assert.h>
#include <errno.h>

#include "gguf-entries.h"

#define MAX_NAME_BYTES        65535u     /* of a key; the specification's limit */
#define MAX_TENSOR_NAME_BYTES 64u        /* the same */
#define MAX_STRINGS           (1u << 24) /* in all arrays together; the largest vocabularies and merges have 10^6 */
#define DEFAULT_ALIGNMENT     32u

typedef struct Reader {
    const uint8_t *p;
    size_t left;
    uint64_t strings_left; /* of MAX_STRINGS */
} Reader;

/* ------------------------------------------------------------------------------------------------ reading */

static const uint8_t *read_bytes(Reader *r, uint64_t n) {
    if (n > r->left)
        return NULL;
    const uint8_t *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static bool read_u32(Reader *r, uint32_t *ret) {
    const uint8_t *p = read_bytes(r, sizeof(*ret));
    if (p)
        *ret = gguf_load_u32(p);
    return p;
}

static bool read_u64(Reader *r, uint64_t *ret) {
    const uint8_t *p = read_bytes(r, sizeof(*ret));
    if (p)
        *ret = gguf_load_u64(p);
    return p;
}

static bool read_string(Reader *r, GgufString *ret) {
    uint64_t size;
    if (!read_u64(r, &size))
        return false;
    const uint8_t *p = read_bytes(r, size);
    if (p)
        *ret = (GgufString){(const char *)p, size};
    return p;
}

static int out_of_memory(Error *e) {
    return error_set(e, -ENOMEM, "out of memory while reading the model's metadata");
}

/* ------------------------------------------------------------------------------------------------ keys */

static bool bools_are_valid(const uint8_t *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (p[i] > 1)
            return false;
    return true;
}

static int read_array(Reader *r, const char *name, GgufArray *ret, Error *e) {
    uint32_t type;
    uint64_t n, bytes;
    if (!read_u32(r, &type) || !read_u64(r, &n))
        return error_set(e, -EBADMSG, "key %s: the file ends inside its array", name);
    if (type == GGUF_ARRAY)
        return error_set(e, -EBADMSG, "key %s: arrays of arrays are not supported", name);
    if (type >= GGUF_TYPE_COUNT)
        return error_set(e, -EBADMSG, "key %s: unknown array element type %u", name, type);

    /* a string has at least the 8 bytes of its size */
    uint64_t min_size = type == GGUF_STRING ? 8 : gguf_types[type].size;
    if (__builtin_mul_overflow(n, min_size, &bytes) || bytes > r->left)
        return error_set(
            e, -EBADMSG, "key %s: an array of %llu elements is longer than the file", name, (unsigned long long)n);

    *ret = (GgufArray){.type = type, .n = n};
    if (type != GGUF_STRING) {
        ret->data = read_bytes(r, bytes);
        if (type == GGUF_BOOL && !bools_are_valid(ret->data, n))
            return error_set(e, -EBADMSG, "key %s: a boolean is neither 0 nor 1", name);
        return 0;
    }

    if (n > r->strings_left)
        return error_set(e, -EBADMSG, "key %s: more than %u strings in the file's arrays", name, MAX_STRINGS);
    r->strings_left -= n;
    _cleanup_(freep) GgufString *strings = malloc(MAX(n, 1u) * sizeof(GgufString));
    if (!strings)
        return out_of_memory(e);
    for (uint64_t i = 0; i < n; i++)
        if (!read_string(r, &strings[i]))
            return error_set(
                e, -EBADMSG, "key %s: the file ends inside string %llu of its array", name, (unsigned long long)i);
    ret->strings = TAKE_PTR(strings);
    return 0;
}

static int read_value(Reader *r, const char *name, GgufKey *k, Error *e) {
    uint32_t type;
    if (!read_u32(r, &type))
        return error_set(e, -EBADMSG, "key %s: the file ends before its value", name);
    if (type >= GGUF_TYPE_COUNT)
        return error_set(e, -EBADMSG, "key %s: unknown value type %u", name, type);

    k->type = type;
    if (type == GGUF_ARRAY)
        return read_array(r, name, &k->array, e);
    if (type == GGUF_STRING ? !read_string(r, &k->string) : !(k->scalar = read_bytes(r, gguf_types[type].size)))
        return error_set(e, -EBADMSG, "key %s: its value reaches beyond the end of the file", name);
    if (type == GGUF_BOOL && !bools_are_valid(k->scalar, 1))
        return error_set(e, -EBADMSG, "key %s: a boolean is neither 0 nor 1", name);
    return 0;
}

static int read_keys(Reader *r, GgufTable *keys, uint64_t n, Error *e) {
    char buffer[GGUF_PRINTABLE_SIZE];

    for (uint64_t i = 0; i < n; i++) {
        GgufKey *k = gguf_table_next(keys);
        if (!k)
            return out_of_memory(e);
        if (!read_string(r, &k->name))
            return error_set(e, -EBADMSG, "the file ends inside the name of key %llu of %llu", (unsigned long long)i,
                (unsigned long long)n);
        const char *name = gguf_printable(k->name, buffer);
        if (k->name.size == 0)
            return error_set(e, -EBADMSG, "key %llu has an empty name", (unsigned long long)i);
        if (k->name.size > MAX_NAME_BYTES)
            return error_set(e, -EBADMSG, "key %s: its name has %llu bytes, at most %u are allowed", name,
                (unsigned long long)k->name.size, MAX_NAME_BYTES);
        int code = read_value(r, name, k, e);
        if (code < 0)
            return code;
        keys->n++;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ tensors */

/* Shape and type of one tensor; its size follows from them. */
static int read_shape(Reader *r, const char *name, GgufTensor *t, Error *e) {
    if (!read_u32(r, &t->n_dims))
        return error_set(e, -EBADMSG, "tensor %s: the file ends before its shape", name);
    if (t->n_dims < 1 || t->n_dims > 4)
        return error_set(e, -EBADMSG, "tensor %s: has %u dimensions, 1 to 4 are possible", name, t->n_dims);

    uint64_t n = 1;
    for (uint32_t i = 0; i < 4; i++) {
        t->ne[i] = 1;
        if (i < t->n_dims && !read_u64(r, &t->ne[i]))
            return error_set(e, -EBADMSG, "tensor %s: the file ends inside its shape", name);
        if (t->ne[i] == 0)
            return error_set(e, -EBADMSG, "tensor %s: dimension %u is 0", name, i);
        if (__builtin_mul_overflow(n, t->ne[i], &n) || n > INT64_MAX)
            return error_set(e, -EBADMSG, "tensor %s: its dimensions multiply to more than 2^63 elements", name);
    }

    uint32_t type;
    if (!read_u32(r, &type))
        return error_set(e, -EBADMSG, "tensor %s: the file ends before its type", name);
    const QuantTraits *q = quant_traits(type);
    if (!q)
        return error_set(e, -EBADMSG, "tensor %s: unknown type %u", name, type);
    t->type = type;
    if (t->ne[0] % q->block_size != 0)
        return error_set(e, -EBADMSG, "tensor %s: rows of %llu elements are no whole number of %s blocks of %u", name,
            (unsigned long long)t->ne[0], q->name, q->block_size);
    if (__builtin_mul_overflow(n / q->block_size, (uint64_t)q->block_bytes, &t->size))
        return error_set(e, -EBADMSG, "tensor %s: its size does not fit into 64 bits", name);
    return 0;
}

/* Where the data begins is known only after the last tensor, so the offsets go into a list of their own. */
static int read_tensors(Reader *r, GgufTable *tensors, uint64_t n, uint64_t *offsets, Error *e) {
    char buffer[GGUF_PRINTABLE_SIZE];

    for (uint64_t i = 0; i < n; i++) {
        GgufTensor *t = gguf_table_next(tensors);
        if (!t)
            return out_of_memory(e);
        if (!read_string(r, &t->name))
            return error_set(e, -EBADMSG, "the file ends inside the name of tensor %llu of %llu", (unsigned long long)i,
                (unsigned long long)n);
        const char *name = gguf_printable(t->name, buffer);
        if (t->name.size == 0)
            return error_set(e, -EBADMSG, "tensor %llu has an empty name", (unsigned long long)i);
        if (t->name.size > MAX_TENSOR_NAME_BYTES)
            return error_set(e, -EBADMSG, "tensor %s: its name has %llu bytes, at most %u are allowed", name,
                (unsigned long long)t->name.size, MAX_TENSOR_NAME_BYTES);
        int code = read_shape(r, name, t, e);
        if (code < 0)
            return code;
        if (!read_u64(r, &offsets[i]))
            return error_set(e, -EBADMSG, "tensor %s: the file ends before its offset", name);
        tensors->n++;
    }
    return 0;
}

static int compare_by_data(const void *a, const void *b, void *table) {
    const GgufTensor *x = gguf_table_at(table, *(const uint32_t *)a), *y = gguf_table_at(table, *(const uint32_t *)b);
    return x->data < y->data ? -1 : x->data > y->data;
}

static int check_overlaps(GgufTable *tensors, Error *e) {
    _cleanup_(freep) uint32_t *by_data = gguf_table_sort(tensors, compare_by_data);
    if (!by_data)
        return out_of_memory(e);
    for (uint32_t i = 1; i < tensors->n; i++) {
        const GgufTensor *a = gguf_table_at(tensors, by_data[i - 1]), *b = gguf_table_at(tensors, by_data[i]);
        if (a->data + a->size > b->data) {
            char x[GGUF_PRINTABLE_SIZE], y[GGUF_PRINTABLE_SIZE];
            return error_set(
                e, -EBADMSG, "tensor %s: overlaps tensor %s", gguf_printable(a->name, x), gguf_printable(b->name, y));
        }
    }
    return 0;
}

/* Gives each tensor its bytes. data: [data_size], what follows the header and its padding; NULL: the file has none. */
static int place_tensors(GgufTable *tensors, const uint64_t *offsets, uint32_t alignment, const uint8_t *data,
    uint64_t data_size, Error *e) {
    char buffer[GGUF_PRINTABLE_SIZE];

    for (uint32_t i = 0; i < tensors->n; i++) {
        GgufTensor *t = gguf_table_at(tensors, i);
        const char *name = gguf_printable(t->name, buffer);
        uint64_t end;
        if (offsets[i] % alignment != 0)
            return error_set(e, -EBADMSG, "tensor %s: its offset %llu is not a multiple of the alignment %u", name,
                (unsigned long long)offsets[i], alignment);
        if (__builtin_add_overflow(offsets[i], t->size, &end))
            return error_set(e, -EBADMSG, "tensor %s: its offset and size do not fit into 64 bits", name);
        if (!data)
            continue;
        if (end > data_size)
            return error_set(e, -EBADMSG,
                "tensor %s: ends %llu bytes beyond the end of the file; is the download incomplete?", name,
                (unsigned long long)(end - data_size));
        t->data = data + offsets[i];
    }
    return data ? check_overlaps(tensors, e) : 0;
}

/* ------------------------------------------------------------------------------------------------ the whole file */

static int read_header(Reader *r, uint64_t *ret_n_tensors, uint64_t *ret_n_keys, Error *e) {
    const uint8_t *magic = read_bytes(r, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return error_set(e, -EBADMSG, "not a GGUF file: it does not begin with the letters GGUF");

    uint32_t version;
    if (!read_u32(r, &version))
        return error_set(e, -EBADMSG, "the file ends after the letters GGUF");
    if ((version & 0xFFFF) == 0 && version != 0)
        return error_set(e, -EBADMSG, "a big-endian GGUF file (version %u); only little-endian ones are supported",
            __builtin_bswap32(version));
    if (version != 2 && version != 3)
        return error_set(e, -EBADMSG, "GGUF version %u is not supported, only versions 2 and 3 are", version);

    uint64_t n_tensors, n_keys;
    if (!read_u64(r, &n_tensors) || !read_u64(r, &n_keys))
        return error_set(e, -EBADMSG, "the file ends inside the GGUF header");
    /* the shortest key: size, one letter, type, one byte; the shortest tensor: size, one letter, dimensions, type,
     * offset */
    if (n_keys > r->left / 14 || n_keys > GGUF_MAX_ENTRIES)
        return error_set(e, -EBADMSG, "the header promises %llu keys, more than %s", (unsigned long long)n_keys,
            n_keys > GGUF_MAX_ENTRIES ? "any model has" : "fit into the file");
    if (n_tensors > r->left / 33 || n_tensors > GGUF_MAX_ENTRIES)
        return error_set(e, -EBADMSG, "the header promises %llu tensors, more than %s", (unsigned long long)n_tensors,
            n_tensors > GGUF_MAX_ENTRIES ? "any model has" : "fit into the file");
    *ret_n_tensors = n_tensors;
    *ret_n_keys = n_keys;
    return 0;
}

static int read_alignment(const Gguf *g, uint32_t *ret, Error *e) {
    *ret = DEFAULT_ALIGNMENT;
    const GgufKey *k = gguf_find_key(g, "general.alignment");
    if (!k)
        return 0;
    if (k->type != GGUF_U32)
        return error_set(e, -EBADMSG, "key general.alignment: has type %s, must be u32", gguf_types[k->type].name);
    *ret = gguf_load_u32(k->scalar);
    /* the specification asks for a multiple of 8, and the widest element has 8 bytes */
    if (*ret < 8 || (*ret & (*ret - 1)) != 0)
        return error_set(e, -EBADMSG, "key general.alignment: %u is not a power of two of at least 8", *ret);
    return 0;
}

int gguf_parse(const void *bytes, size_t size, bool data_required, Gguf **ret, Error *e) {
    Reader reader = {.p = bytes, .left = size, .strings_left = MAX_STRINGS};
    uint64_t n_tensors = 0, n_keys = 0;
    uint32_t alignment;
    int r = read_header(&reader, &n_tensors, &n_keys, e);
    if (r < 0)
        return r;

    _cleanup_(gguf_freep) Gguf *g = calloc(1, sizeof(Gguf));
    _cleanup_(freep) uint64_t *offsets = calloc(MAX(n_tensors, 1u), sizeof(uint64_t));
    if (!g || !offsets)
        return out_of_memory(e);
    gguf_table_init(&g->keys, sizeof(GgufKey));
    gguf_table_init(&g->tensors, sizeof(GgufTensor));
    if ((r = read_keys(&reader, &g->keys, n_keys, e)) < 0 || (r = gguf_table_index(&g->keys, "key", e)) < 0 ||
        (r = read_alignment(g, &alignment, e)) < 0 ||
        (r = read_tensors(&reader, &g->tensors, n_tensors, offsets, e)) < 0 ||
        (r = gguf_table_index(&g->tensors, "tensor", e)) < 0)
        return r;

    /* the header is inside the buffer, so only the padding can lead beyond it */
    uint64_t padding = -(uint64_t)(size - reader.left) & (alignment - 1);
    const uint8_t *data = padding < reader.left ? reader.p + padding : NULL;
    if (!data && data_required && n_tensors > 0)
        return error_set(e, -EBADMSG, "the file ends before its tensors; is the download incomplete?");
    r = place_tensors(&g->tensors, offsets, alignment, data, data ? reader.left - padding : 0, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(g);
    return 0;
}

Gguf *gguf_free(Gguf *g) {
    if (!g)
        return NULL;
    for (uint32_t i = 0; i < g->keys.n; i++) {
        GgufKey *k = gguf_table_at(&g->keys, i);
        if (k->type == GGUF_ARRAY)
            free((void *)k->array.strings);
    }
    gguf_table_done(&g->keys);
    gguf_table_done(&g->tensors);
    free(g);
    return NULL;
}

uint64_t gguf_n_tensors(const Gguf *g) {
    return g->tensors.n;
}

const GgufTensor *gguf_tensor_at(const Gguf *g, uint64_t i) {
    assert(i < g->tensors.n);
    return gguf_table_at(&g->tensors, (uint32_t)i);
}

const GgufTensor *gguf_find_tensor(const Gguf *g, const char *name) {
    return gguf_table_find(&g->tensors, name, strlen(name));
}
