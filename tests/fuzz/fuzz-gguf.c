/* A model file's metadata and tensor table: parsed, read through every getter, and bound as a model. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "model.h"

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

/* Reads the ends of all that was bound. */
static void read_weights(const Model *m) {
    const Tensor *all = (const Tensor *)m->weights.layers;
    size_t n = m->config.n_layers * (sizeof(LayerWeights) / sizeof(Tensor));
    for (size_t i = 0; i < n; i++)
        if (all[i].data)
            sink += all[i].data[0] + all[i].data[all[i].row_bytes * all[i].ne[1] - 1];
    const Tensor *output = &m->weights.output;
    sink += output->data[0] + output->data[output->row_bytes * output->ne[1] - 1];
}

static void load(const uint8_t *data, size_t size) {
    _cleanup_(model_unrefp) Model *m = NULL;
    Gguf *g = NULL;
    Error e;
    if (gguf_parse(data, size, true, &g, &e) >= 0 && model_new(g, "fuzz.gguf", size, &m, &e) >= 0)
        read_weights(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse(data, size, true);
    parse(data, size, false);
    load(data, size);
    return 0;
}
