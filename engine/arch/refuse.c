/* Keys that change what a model computes and that only some architectures, or none of ours, heed. A file that has one
 * which its architecture does not heed would load and answer, only worse than its authors meant: it is refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"

/* Numbers and bools count as absent when they are 0 or this; anything else that a key may hold does not. */
static const struct {
    const char *name;
    float neutral;
} keys[] = {
    {"attention.clamp_kqv", 0},
    {"attention.indexer.top_k", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.output_scale", 1},
    {"attention.relative_buckets_count", 0},
    {"attention.shared_kv_layers", 0},
    {"attention.temperature_scale", 0},
    {"attention.value_scale", 1},
    {"attn_logit_softcapping", 0},
    {"embedding_scale", 1},
    {"expert_gating_func", 1},
    {"experts_per_group", 0},
    {"final_logit_softcapping", 0},
    {"full_attention_interval", 1},
    {"hidden_activation", 0},
    {"interleave_moe_layer_step", 1},
    {"logit_scale", 1},
    {"moe_every_n_layers", 0},
    {"num_loops", 1},
    {"residual_scale", 1},
    {"rope.scaling.alpha", 0},
    {"rope.scaling.yarn_attn_factor", 1},
    {"rope.scaling.yarn_log_multiplier", 0},
    {"router_logit_softcapping", 0},
    {"swiglu_clamp_exp", 0},
    {"swiglu_clamp_shexp", 0},
    {"swin_norm", 0},
    {"use_parallel_residual", 0},
};

static bool heeds(const Architecture *a, const char *name) {
    for (const char *const *k = a->keys; k && *k; k++)
        if (strcmp(*k, name) == 0)
            return true;
    return false;
}

/* Sets *ret to the number or bool that a key holds; 0: it holds something else, or is not there. */
static int read_number(const Gguf *g, const char *key, float *ret, Error *e) {
    GgufType type;
    bool b = false;
    if (!gguf_get_type(g, key, &type) || type == GGUF_STRING || type == GGUF_ARRAY)
        return 0;
    if (type != GGUF_BOOL)
        return gguf_get_f32(g, key, ret, e);
    int r = gguf_get_bool(g, key, &b, e);
    *ret = b;
    return r;
}

static int refuse(const char *key, const Architecture *a, Error *e) {
    return error_set(e, -EOPNOTSUPP, "key %s: not supported in %s models", key, a->name);
}

/* Widths of their own for the layers with a window, and windows where we know of none. */
static int refuse_window(const Gguf *g, const Architecture *a, const Config *c, Error *e) {
    const struct {
        const char *name;
        uint32_t neutral;
    } sizes[] = {{"attention.key_length_swa", c->head_dim_k}, {"attention.value_length_swa", c->head_dim_v},
        {"rope.dimension_count_swa", c->rope.n_dims}};
    char key[96];

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        uint32_t v = sizes[i].neutral;
        snprintf(key, sizeof(key), "%s.%s", a->name, sizes[i].name);
        int r = gguf_get_u32(g, key, &v, e);
        if (r < 0 || v != sizes[i].neutral)
            return r < 0 ? r : refuse(key, a, e);
    }
    uint32_t window = 0;
    snprintf(key, sizeof(key), "%s.attention.sliding_window", a->name);
    int r = gguf_get_u32(g, key, &window, e);
    if (r < 0)
        return r;
    return window == 0 || window >= c->n_ctx_train || heeds(a, "attention.sliding_window") ? 0 : refuse(key, a, e);
}

int arch_refuse_keys(const Gguf *g, const Architecture *a, const Config *c, Error *e) {
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        char key[96];
        GgufType type;
        float v = 0;
        snprintf(key, sizeof(key), "%s.%s", a->name, keys[i].name);
        if (heeds(a, keys[i].name) || !gguf_get_type(g, key, &type))
            continue;
        int r = read_number(g, key, &v, e);
        if (r < 0)
            return r;
        if (r == 0 || (v != 0 && v != keys[i].neutral))
            return refuse(key, a, e);
    }
    return refuse_window(g, a, c, e);
}
