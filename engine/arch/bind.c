/* Tensors of the file to slots of the model, by the architecture's tables; see arch.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"

typedef struct Binder {
    const Gguf *gguf;
    const Architecture *arch;
    const Config *config;
    bool *bound; /* owned, [n_tensors] */
    uint64_t n_bound;
} Binder;

static uint64_t dimension(const Config *c, TensorDim d) {
    switch (d) {
    case DIM_NONE: return 1;
    case DIM_EMBD: return c->n_embd;
    case DIM_VOCAB: return c->n_vocab;
    case DIM_Q: return (uint64_t)c->n_heads * c->head_dim_k;
    case DIM_K: return (uint64_t)c->n_kv_heads * c->head_dim_k;
    case DIM_V: return (uint64_t)c->n_kv_heads * c->head_dim_v;
    case DIM_HEADS: return (uint64_t)c->n_heads * c->head_dim_v;
    case DIM_FF: return c->n_ff;
    case DIM_ROPE_PAIRS: return c->rope.n_dims / 2;
    case DIM_HEAD_K: return c->head_dim_k;
    case DIM_QK: return dimension(c, DIM_Q) + dimension(c, DIM_K);
    case DIM_QKV: return dimension(c, DIM_QK) + dimension(c, DIM_V);
    case DIM_FF2: return 2 * (uint64_t)c->n_ff;
    case DIM_EXPERTS: return c->experts.n;
    case DIM_FF_EXPERT: return c->experts.n_ff;
    case DIM_FF_SHARED: return c->experts.n_ff_shared;
    case DIM_N_HEADS: return c->n_heads;
    case DIM_Q_RANK: return c->latent.q_rank;
    case DIM_KV_RANK: return c->latent.kv_rank;
    case DIM_KV_A: return (uint64_t)c->latent.kv_rank + c->rope.n_dims;
    case DIM_LATENT_Q: return (uint64_t)c->n_heads * (c->latent.nope + c->rope.n_dims);
    case DIM_NOPE: return c->latent.nope;
    case DIM_V_DIM: return c->latent.v_dim;
    case DIM_KV_B: return (uint64_t)c->n_heads * (c->latent.nope + c->latent.v_dim);
    case DIM_LATENT_OUT: return (uint64_t)c->n_heads * c->latent.v_dim;
    case DIM_CONTEXT: return c->n_ctx_train;
    case DIM_TOKEN_TYPES: return c->n_token_types;
    }
    assert(false);
    return 0;
}

/* "[896, 151936]", for messages */
static const char *shape(char buffer[static 96], uint32_t n_dims, const uint64_t *ne) {
    int n = 0;
    for (uint32_t i = 0; i < n_dims; i++)
        n += snprintf(buffer + n, 96 - (size_t)n, "%s%llu", i > 0 ? ", " : "[", (unsigned long long)ne[i]);
    snprintf(buffer + n, 96 - (size_t)n, "]");
    return buffer;
}

static int check_shape(const Binder *b, const TensorSpec *s, const char *name, const GgufTensor *t, Error *e) {
    uint64_t wanted[4];
    uint32_t n_dims = 1;
    bool fits = true;
    for (uint32_t i = 0; i < 4; i++) {
        wanted[i] = dimension(b->config, i == 1 && s->fused != DIM_NONE ? s->fused : s->ne[i]);
        if (s->ne[i] != DIM_NONE)
            n_dims = i + 1;
        fits &= s->ne[i] == DIM_VOCAB ? t->ne[i] >= wanted[i] : t->ne[i] == wanted[i];
    }
    if (fits)
        return 0;

    char is[96], must_be[96];
    return error_set(e, -EBADMSG, "tensor %s: has the shape %s, must be %s", name, shape(is, t->n_dims, t->ne),
        shape(must_be, n_dims, wanted));
}

static int check_type(const TensorSpec *s, const char *name, const GgufTensor *t, Error *e) {
    const QuantTraits *q = quant_traits(t->type);
    if (!q->dequantize)
        return error_set(e, -EOPNOTSUPP, "tensor %s: weights of type %s are not supported", name, q->name);
    if ((s->f32 || s->ne[1] == DIM_NONE) && t->type != TENSOR_F32)
        return error_set(e, -EOPNOTSUPP, "tensor %s: a vector of type %s is not supported, must be F32", name, q->name);
    return 0;
}

/* The tensor without the padding of a vocabulary (ids beyond the tokenizer's never get a logit), or its part of a fused
 * one. */
static Tensor view(const Binder *b, const TensorSpec *s, const GgufTensor *t) {
    const QuantTraits *q = quant_traits(t->type);
    Tensor v = {.data = t->data, .type = t->type, .n_dims = t->n_dims};
    for (uint32_t i = 0; i < 4; i++)
        v.ne[i] = dimension(b->config, s->ne[i]);
    v.row_bytes = v.ne[0] / q->block_size * q->block_bytes;
    if (s->offset != DIM_NONE)
        v.data += dimension(b->config, s->offset) * v.row_bytes;
    return v;
}

static int bind_tensor(Binder *b, const TensorSpec *s, uint32_t layer, uint8_t *slots, Error *e) {
    char name[80];
    if (s->per_layer)
        snprintf(name, sizeof(name), "blk.%u.%s", layer, s->name);
    else
        snprintf(name, sizeof(name), "%s", s->name);

    const GgufTensor *t = gguf_find_tensor(b->gguf, name);
    if (!t)
        return s->optional ? 0 : error_set(e, -EBADMSG, "tensor %s is missing", name);
    int r = check_type(s, name, t, e);
    if (r < 0 || (r = check_shape(b, s, name, t, e)) < 0)
        return r;

    bool *bound = &b->bound[t - gguf_tensor_at(b->gguf, 0)];
    b->n_bound += !*bound;
    *bound = true;
    *(Tensor *)(slots + s->slot) = view(b, s, t);
    return 0;
}

/* "blk.N." of a layer after the last that is used */
static bool is_unused(const Config *c, GgufString name) {
    static const char prefix[] = "blk.";
    size_t i = sizeof(prefix) - 1;
    uint64_t layer = 0;
    if (name.size < i || memcmp(name.data, prefix, i) != 0)
        return false;
    for (; i < name.size && name.data[i] >= '0' && name.data[i] <= '9' && layer <= UINT32_MAX; i++)
        layer = layer * 10 + (uint64_t)(name.data[i] - '0');
    return i < name.size && name.data[i] == '.' && layer >= c->n_layers && layer - c->n_layers < c->n_layers_unused;
}

static int refuse_unknown(const Binder *b, Error *e) {
    char buffer[GGUF_PRINTABLE_SIZE];
    for (uint64_t i = 0; i < gguf_n_tensors(b->gguf); i++)
        if (!b->bound[i] && !is_unused(b->config, gguf_tensor_at(b->gguf, i)->name))
            return error_set(e, -EBADMSG, "tensor %s does not belong to a %s model of %u layers",
                gguf_printable(gguf_tensor_at(b->gguf, i)->name, buffer), b->arch->name, b->config->n_layers);
    return 0;
}

static bool layer_has(const Config *c, const TensorSpec *s, uint32_t layer) {
    if (s->layers == LAYERS_ALL)
        return true;
    if (layer_has_experts(c, layer) != (s->layers != LAYERS_DENSE))
        return false;
    return s->layers != LAYERS_SHARED_EXPERT || c->experts.n_ff_shared > 0;
}

int arch_bind(const Gguf *g, const Architecture *a, const Config *c, Weights *w, Error *e) {
    _cleanup_(freep) bool *bound = calloc(gguf_n_tensors(g) + 1, sizeof(bool));
    if (!bound)
        return error_set(e, -ENOMEM, "out of memory");
    Binder b = {.gguf = g, .arch = a, .config = c, .bound = bound};

    for (const TensorSpec *const *table = a->tensors; *table; table++)
        for (const TensorSpec *s = *table; s->name; s++)
            for (uint32_t layer = 0; layer < (s->per_layer ? c->n_layers : 1); layer++) {
                if (!layer_has(c, s, layer))
                    continue;
                int r = bind_tensor(&b, s, layer, s->per_layer ? (uint8_t *)&w->layers[layer] : (uint8_t *)w, e);
                if (r < 0)
                    return r;
            }
    int r = b.n_bound < gguf_n_tensors(g) ? refuse_unknown(&b, e) : 0;
    return r < 0 || !a->check ? r : a->check(c, w, e);
}
