/* Loading: the pieces in their order. Reads metadata and the few floats of rope_freqs, no other weight; see model.h. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "arch/arch.h"
#include "model-file.h"
#include "model.h"
#include "tool-calls.h"

static int read_chat_template(Model *m, Error *e) {
    GgufString s;
    int r = gguf_get_string(m->gguf, "tokenizer.chat_template", &s, e);
    if (r <= 0)
        return r;
    m->syntax = tool_calls_detect(s.data, s.size);
    return s.size > 0 ? template_parse(s.data, s.size, &m->chat_template, e) : 0;
}

/* Frequencies are divided by these. */
static int check_rope_freqs(const char *name, const Tensor *t, Error *e) {
    for (uint64_t i = 0; t->data && i < t->ne[0]; i++) {
        float f;
        memcpy(&f, t->data + i * sizeof(f), sizeof(f));
        if (!isfinite(f) || f <= 0)
            return error_set(
                e, -EBADMSG, "tensor %s: factor %llu is %g, must be positive", name, (unsigned long long)i, (double)f);
    }
    return 0;
}

static int build(Model *m, const char *path, uint64_t file_bytes, Error *e) {
    int r = model_info_new(m->gguf, path, file_bytes, &m->info, e);
    if (r < 0)
        return r;

    const Architecture *arch;
    GgufString name = {};
    if ((r = gguf_get_string(m->gguf, "general.architecture", &name, e)) < 0 || (r = arch_find(name, &arch, e)) < 0 ||
        (r = arch->configure(m->gguf, &m->config, e)) < 0 || (r = arch_refuse_keys(m->gguf, arch, &m->config, e)) < 0 ||
        (r = read_chat_template(m, e)) < 0)
        return r;

    m->config.n_vocab = m->info->n_vocab;
    m->info->encoder = m->config.encoder;
    if (m->config.n_vocab == 0)
        return error_set(e, -EBADMSG, "key tokenizer.ggml.tokens is missing or empty");
    m->weights.layers = calloc(m->config.n_layers, sizeof(LayerWeights));
    if (!m->weights.layers)
        return error_set(e, -ENOMEM, "out of memory");
    r = arch_bind(m->gguf, arch, &m->config, &m->weights, e);
    if (r < 0)
        return r;
    if (!m->weights.output.data)
        m->weights.output = m->weights.token_embd;
    if (!m->weights.rope_factors_long.data != !m->weights.rope_factors_short.data)
        return error_set(e, -EBADMSG, "tensor rope_factors_%s.weight is missing",
            m->weights.rope_factors_long.data ? "short" : "long");
    if ((r = check_rope_freqs("rope_freqs.weight", &m->weights.rope_freqs, e)) < 0 ||
        (r = check_rope_freqs("rope_factors_long.weight", &m->weights.rope_factors_long, e)) < 0 ||
        (r = check_rope_freqs("rope_factors_short.weight", &m->weights.rope_factors_short, e)) < 0)
        return r;

    /* last, because it takes longer than all the rest */
    r = tokenizer_new(m->gguf, &m->tokenizer, e);
    assert(r < 0 || tokenizer_n_vocab(m->tokenizer) == m->config.n_vocab);
    return r;
}

int model_new(Gguf *g, const char *path, uint64_t file_bytes, Model **ret, Error *e) {
    _cleanup_(model_unrefp) Model *m = calloc(1, sizeof(Model));
    if (!m) {
        gguf_free(g);
        return error_set(e, -ENOMEM, "out of memory");
    }
    m->n_ref = 1;
    m->gguf = g;
    int r = build(m, path, file_bytes, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

int model_load(const char *path, Model **ret, Error *e) {
    _cleanup_(model_file_freep) ModelFile *file = NULL;
    _cleanup_(model_unrefp) Model *m = NULL;
    int r = model_file_open(path, &file, e);
    if (r < 0)
        return r;
    r = model_new(model_file_take_gguf(file), path, model_file_bytes(file), &m, e);
    /* whatever was refused, this is why */
    if (model_file_failed(file))
        r = error_set(e, -EIO, "%s could not be read: it was cut short, or its disk fails", path);
    if (r < 0) {
        m = model_unref(m); /* before what it borrows from */
        return r;
    }
    m->file = TAKE_PTR(file);
    *ret = TAKE_PTR(m);
    return 0;
}

Model *model_ref(Model *m) {
    __atomic_add_fetch(&m->n_ref, 1, __ATOMIC_RELAXED);
    return m;
}

Model *model_unref(Model *m) {
    if (!m || __atomic_sub_fetch(&m->n_ref, 1, __ATOMIC_ACQ_REL) > 0)
        return NULL;
    template_free(m->chat_template);
    tokenizer_free(m->tokenizer);
    free(m->weights.layers);
    model_info_free(m->info);
    gguf_free(m->gguf);
    model_file_free(m->file);
    free(m);
    return NULL;
}

const ModelInfo *model_info(const Model *m) {
    return m->info;
}

bool model_failed(const Model *m) {
    return m->file && model_file_failed(m->file);
}
