/* A model file's metadata and tensor table: parsed, then read through every getter. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gguf.h"

/* The names a model loader asks for, each asked for as every type. */
static const char *const keys[] = {
    "general.architecture",
    "general.alignment",
    "llama.block_count",
    "llama.attention.head_count_kv",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
    "k",
};

static volatile uint64_t sink; /* keeps the reads */

static void read_key(const Gguf *g, const char *key) {
    uint32_t u32, u32s[3];
    uint64_t u64;
    float f32;
    bool b;
    GgufString s;
    GgufArray a;
    Error e;

    gguf_get_u32(g, key, &u32, &e);
    gguf_get_u64(g, key, &u64, &e);
    gguf_get_f32(g, key, &f32, &e);
    gguf_get_bool(g, key, &b, &e);
    gguf_get_u32s(g, key, u32s, 3, &e);
    if (gguf_get_string(g, key, &s, &e) > 0)
        for (uint64_t i = 0; i < s.size; i++)
            sink += (uint8_t)s.data[i];
    if (gguf_get_array(g, key, GGUF_STRING, &a, &e) > 0)
        for (uint64_t i = 0; i < a.n; i++)
            for (uint64_t j = 0; j < a.strings[i].size; j++)
                sink += (uint8_t)a.strings[i].data[j];
    if (gguf_get_array(g, key, GGUF_F32, &a, &e) > 0)
        for (uint64_t i = 0; i < a.n; i++)
            sink += gguf_array_f32(&a, i) > 0;
    if (gguf_get_array(g, key, GGUF_I32, &a, &e) > 0)
        for (uint64_t i = 0; i < a.n; i++)
            sink += (uint32_t)gguf_array_i32(&a, i);
}

static void parse(const uint8_t *data, size_t size, bool data_required) {
    _cleanup_(gguf_freep) Gguf *g = NULL;
    Error e;
    if (gguf_parse(data, size, data_required, &g, &e) < 0)
        return;

    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        read_key(g, keys[i]);
    for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
        const GgufTensor *t = gguf_tensor_at(g, i);
        if (t->data)
            sink += t->data[0] + t->data[t->size - 1];
        char name[65];
        memcpy(name, t->name.data, t->name.size);
        name[t->name.size] = '\0';
        const GgufTensor *found = gguf_find_tensor(g, name);
        sink += found == t;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse(data, size, true);
    parse(data, size, false);
    return 0;
}
