/* Hyperparameters that all decoders share, checked before anything is computed with them. The limits are some times
 * what the largest models have: they keep products of two or three sizes far inside 64 bits. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"

#define MAX_LAYERS       1024u
#define MAX_EMBD         (1u << 17)
#define MAX_HEADS        1024u
#define MAX_HEAD_DIM     1024u
#define MAX_FF           (1u << 20)
#define MAX_CONTEXT      (1u << 30)
#define MAX_EXPERTS      1024u
#define MAX_EXPERTS_USED 64u
#define MAX_TOKEN_TYPES  1024u

typedef struct Key {
    char name[96]; /* with the architecture's name before it */
} Key;

static Key key(const char *arch, const char *name) {
    Key k;
    snprintf(k.name, sizeof(k.name), "%s.%s", arch, name);
    return k;
}

static int check_range(const char *name, uint32_t v, uint32_t max, Error *e) {
    if (v < 1 || v > max)
        return error_set(e, -EBADMSG, "key %s: %u is not between 1 and %u", name, v, max);
    return 0;
}

static int read_size(const Gguf *g, const char *arch, const char *name, uint32_t max, uint32_t *ret, Error *e) {
    Key k = key(arch, name);
    int r = gguf_get_u32(g, k.name, ret, e);
    if (r == 0)
        return error_set(e, -EBADMSG, "key %s is missing", k.name);
    return r < 0 ? r : check_range(k.name, *ret, max, e);
}

/* *v keeps its value when the key is absent. */
static int read_optional_size(const Gguf *g, const char *arch, const char *name, uint32_t max, uint32_t *v, Error *e) {
    Key k = key(arch, name);
    int r = gguf_get_u32(g, k.name, v, e);
    return r <= 0 ? r : check_range(k.name, *v, max, e);
}

/* A size that may be written once for each layer; we need them to be the same. */
static int read_layer_size(
    const Gguf *g, const char *arch, const char *name, uint32_t n_layers, uint32_t max, uint32_t *v, Error *e) {
    Key k = key(arch, name);
    uint32_t values[MAX_LAYERS];
    int r = gguf_get_u32s(g, k.name, values, n_layers, e);
    if (r <= 0)
        return r;
    for (uint32_t i = 1; i < n_layers; i++)
        if (values[i] != values[0])
            return error_set(e, -EOPNOTSUPP, "key %s: layers of different sizes are not supported", k.name);
    *v = values[0];
    r = check_range(k.name, *v, max, e);
    return r < 0 ? r : 1;
}

static int read_required_layer_size(
    const Gguf *g, const char *arch, const char *name, uint32_t n_layers, uint32_t max, uint32_t *v, Error *e) {
    int r = read_layer_size(g, arch, name, n_layers, max, v, e);
    return r == 0 ? error_set(e, -EBADMSG, "key %s is missing", key(arch, name).name) : r;
}

/* A positive number; *v keeps its value when the key is absent. */
static int read_positive(const Gguf *g, const char *arch, const char *name, float *v, Error *e) {
    Key k = key(arch, name);
    int r = gguf_get_f32(g, k.name, v, e);
    if (r > 0 && !(*v > 0))
        return error_set(e, -EBADMSG, "key %s: %g is not positive", k.name, (double)*v);
    return r;
}

static int read_heads(const Gguf *g, const char *arch, Config *c, Error *e) {
    int r = read_required_layer_size(g, arch, "attention.head_count", c->n_layers, MAX_HEADS, &c->n_heads, e);
    if (r < 0)
        return r;
    c->n_kv_heads = c->n_heads;
    r = read_layer_size(g, arch, "attention.head_count_kv", c->n_layers, MAX_HEADS, &c->n_kv_heads, e);
    if (r < 0)
        return r;
    if (c->n_heads % c->n_kv_heads != 0)
        return error_set(e, -EBADMSG, "key %s: %u does not divide the %u heads",
            key(arch, "attention.head_count_kv").name, c->n_kv_heads, c->n_heads);

    uint32_t k = 0, v = 0;
    if ((r = read_optional_size(g, arch, "attention.key_length", MAX_HEAD_DIM, &k, e)) < 0 ||
        (r = read_optional_size(g, arch, "attention.value_length", MAX_HEAD_DIM, &v, e)) < 0)
        return r;
    if ((k == 0 || v == 0) && c->n_embd % c->n_heads != 0)
        return error_set(e, -EBADMSG, "key %s: %u heads do not divide an embedding of %u",
            key(arch, "attention.head_count").name, c->n_heads, c->n_embd);
    c->head_dim_k = k ?: c->n_embd / c->n_heads;
    c->head_dim_v = v ?: c->n_embd / c->n_heads;
    if (c->head_dim_k % 2 != 0 || c->head_dim_v % 2 != 0 || c->head_dim_k > MAX_HEAD_DIM ||
        c->head_dim_v > MAX_HEAD_DIM)
        return error_set(e, -EBADMSG, "%s: heads of %u and %u elements; their sizes must be even and at most %u", arch,
            c->head_dim_k, c->head_dim_v, MAX_HEAD_DIM);

    c->attn_scale = 1.0f / sqrtf((float)c->head_dim_k);
    return arch_read_scale(g, arch, "attention.scale", &c->attn_scale, e);
}

static int read_rope_scaling_type(const Gguf *g, const char *arch, RopeScaling *ret, Error *e) {
    static const struct {
        const char *name;
        RopeScaling type;
    } names[] = {{"none", ROPE_SCALING_NONE}, {"linear", ROPE_SCALING_LINEAR}, {"yarn", ROPE_SCALING_YARN},
        {"longrope", ROPE_SCALING_LINEAR}}; /* the rest of longrope is in tensors */

    Key k = key(arch, "rope.scaling.type");
    GgufString s;
    int r = gguf_get_string(g, k.name, &s, e);
    if (r <= 0)
        return r;
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (strlen(names[i].name) == s.size && memcmp(names[i].name, s.data, s.size) == 0) {
            *ret = names[i].type;
            return 1;
        }
    char buffer[GGUF_PRINTABLE_SIZE];
    return error_set(e, -EOPNOTSUPP,
        "key %s: RoPE scaling \"%s\" is not supported (none, linear, yarn and longrope are)", k.name,
        gguf_printable(s, buffer));
}

static int read_yarn(const Gguf *g, const char *arch, Config *c, Error *e) {
    RopeConfig *rope = &c->rope;
    float ext_factor = 1.0f;
    rope->beta_fast = 32.0f;
    rope->beta_slow = 1.0f;

    Key ext = key(arch, "rope.scaling.yarn_ext_factor");
    int r;
    if ((r = read_positive(g, arch, "rope.scaling.yarn_beta_fast", &rope->beta_fast, e)) < 0 ||
        (r = read_positive(g, arch, "rope.scaling.yarn_beta_slow", &rope->beta_slow, e)) < 0 ||
        (r = gguf_get_f32(g, ext.name, &ext_factor, e)) < 0)
        return r;
    if (ext_factor > 1.0f)
        return error_set(e, -EBADMSG, "key %s: %g is more than 1", ext.name, (double)ext_factor);
    rope->ext_factor = ext_factor < 0 ? 1.0f : ext_factor; /* negative: "not set" */

    /* the temperature of the attention, section 3.4 of the paper, brought into cos and sin: sqrt(1/t) = 0.1 ln s + 1 */
    if (rope->ext_factor > 0 && rope->factor > 1)
        rope->attn_factor *= 0.1f * logf(rope->factor) + 1.0f;
    return 0;
}

static int read_rope(const Gguf *g, const char *arch, Config *c, Error *e) {
    RopeConfig *rope = &c->rope;
    rope->n_dims = c->head_dim_k;
    rope->base = 10000.0f;
    rope->factor = 1.0f;
    rope->attn_factor = 1.0f;
    rope->original_context = c->n_ctx_train;

    int r = read_optional_size(g, arch, "rope.dimension_count", c->head_dim_k, &rope->n_dims, e);
    if (r < 0 ||
        (r = read_optional_size(
             g, arch, "rope.scaling.original_context_length", MAX_CONTEXT, &rope->original_context, e)) < 0 ||
        (r = read_positive(g, arch, "rope.freq_base", &rope->base, e)) < 0 ||
        (r = read_positive(g, arch, "rope.scaling.attn_factor", &rope->attn_factor, e)) < 0)
        return r;
    if (rope->n_dims % 2 != 0)
        return error_set(e, -EBADMSG, "key %s: %u is odd", key(arch, "rope.dimension_count").name, rope->n_dims);
    if (rope->base <= 1.0f)
        return error_set(
            e, -EBADMSG, "key %s: %g is not more than 1", key(arch, "rope.freq_base").name, (double)rope->base);

    /* a factor alone means linear scaling, and 0 means none: the habits of older files */
    float factor = 0.0f;
    RopeScaling type = ROPE_SCALING_LINEAR;
    Key scaling = key(arch, "rope.scaling.factor");
    r = read_rope_scaling_type(g, arch, &type, e);
    if (r < 0 || (r = gguf_get_f32(g, scaling.name, &factor, e)) < 0)
        return r;
    if (r == 0) {
        scaling = key(arch, "rope.scale_linear");
        if ((r = gguf_get_f32(g, scaling.name, &factor, e)) < 0)
            return r;
    }
    if (factor < 0)
        return error_set(e, -EBADMSG, "key %s: %g is negative", scaling.name, (double)factor);
    if (type == ROPE_SCALING_NONE || factor == 0 || (factor == 1 && type == ROPE_SCALING_LINEAR))
        return 0;
    rope->scaling = type;
    rope->factor = factor;
    return type == ROPE_SCALING_YARN ? read_yarn(g, arch, c, e) : 0;
}

int arch_read_number(const Gguf *g, const char *arch, const char *name, float *v, Error *e) {
    return gguf_get_f32(g, key(arch, name).name, v, e);
}

int arch_read_bool(const Gguf *g, const char *arch, const char *name, bool *v, Error *e) {
    return gguf_get_bool(g, key(arch, name).name, v, e);
}

int arch_read_scale(const Gguf *g, const char *arch, const char *name, float *v, Error *e) {
    float scale = 0;
    int r = gguf_get_f32(g, key(arch, name).name, &scale, e);
    if (r < 0)
        return r;
    if (scale < 0)
        return error_set(e, -EBADMSG, "key %s: %g is negative", key(arch, name).name, (double)scale);
    if (scale > 0)
        *v = scale;
    return 0;
}

int arch_read_size(const Gguf *g, const char *arch, const char *name, uint32_t max, uint32_t *v, Error *e) {
    return read_optional_size(g, arch, name, max, v, e);
}

/* Which layers have the window: one in so many has none, or a list that says it of each. Lists that no such period
 * describes are refused. */
static int read_window_pattern(const Gguf *g, const char *arch, Config *c, Error *e) {
    Key k = key(arch, "attention.sliding_window_pattern");
    GgufType type = GGUF_U32;
    uint32_t local[MAX_LAYERS];
    if (gguf_get_type(g, k.name, &type) == 0 || type != GGUF_ARRAY)
        return gguf_get_u32(g, k.name, &c->window_period, e);

    int r = gguf_get_u32s(g, k.name, local, c->n_layers, e);
    if (r < 0)
        return r;
    for (c->window_period = 0; c->window_period <= c->n_layers; c->window_period++) {
        uint32_t i = 0;
        while (i < c->n_layers && layer_is_local(c, i) == (local[i] != 0))
            i++;
        if (i == c->n_layers)
            return 1;
    }
    return error_set(e, -EOPNOTSUPP, "key %s: an irregular pattern of layers is not supported", k.name);
}

int arch_configure_window(const Gguf *g, const char *arch, uint32_t period, Config *c, Error *e) {
    Key window = key(arch, "attention.sliding_window"), base = key(arch, "rope.freq_base_swa");
    int r = gguf_get_u32(g, window.name, &c->window, e);
    if (r < 0 || c->window == 0)
        return r;
    c->window_period = period;
    if ((r = check_range(window.name, c->window, MAX_CONTEXT, e)) < 0 || (r = read_window_pattern(g, arch, c, e)) < 0 ||
        (r = read_positive(g, arch, "rope.freq_base_swa", &c->rope_local.base, e)) < 0)
        return r;
    if (c->rope_local.base <= 1)
        return error_set(e, -EBADMSG, "key %s: %g is not more than 1", base.name, (double)c->rope_local.base);
    return 0;
}

static int read_groups(const Gguf *g, const char *arch, ExpertConfig *x, Error *e) {
    Key n = key(arch, "expert_group_count"), used = key(arch, "expert_group_used_count");
    int r;

    x->n_groups = x->n_groups_used = 1;
    if ((r = gguf_get_u32(g, n.name, &x->n_groups, e)) < 0 ||
        (r = gguf_get_u32(g, used.name, &x->n_groups_used, e)) < 0)
        return r;
    if (x->n_groups <= 1) {
        x->n_groups = x->n_groups_used = 1;
        return 0;
    }
    if ((r = check_range(n.name, x->n_groups, x->n, e)) < 0 ||
        (r = check_range(used.name, x->n_groups_used, x->n_groups, e)) < 0)
        return r;
    if (x->n % x->n_groups != 0 || x->n_groups_used * (x->n / x->n_groups) < x->n_used)
        return error_set(e, -EBADMSG, "%s: %u experts of %u cannot be chosen from %u of %u groups", arch, x->n_used,
            x->n, x->n_groups_used, x->n_groups);
    return 0;
}

int arch_configure_experts(const Gguf *g, const char *arch, Config *c, Error *e) {
    ExpertConfig *x = &c->experts;
    int r;

    x->scale = 1;
    if ((r = read_size(g, arch, "expert_count", MAX_EXPERTS, &x->n, e)) < 0 ||
        (r = read_size(g, arch, "expert_used_count", MAX_EXPERTS_USED, &x->n_used, e)) < 0)
        return r;
    if (x->n_used > x->n)
        return error_set(e, -EBADMSG, "key %s: %u of %u experts", key(arch, "expert_used_count").name, x->n_used, x->n);
    x->n_ff = c->n_ff / x->n_used; /* where no key says so */
    if ((r = read_optional_size(g, arch, "expert_feed_forward_length", MAX_FF, &x->n_ff, e)) < 0 ||
        (r = arch_read_scale(g, arch, "expert_weights_scale", &x->scale, e)) < 0)
        return r;
    return read_groups(g, arch, x, e);
}

static int configure(const Gguf *g, const char *arch, const char *epsilon, Config *c, Error *e) {
    c->embd_scale = c->residual_scale = c->logit_scale = 1.0f;
    int r = read_size(g, arch, "block_count", MAX_LAYERS, &c->n_layers, e);
    if (r < 0)
        return r;
    if (c->n_layers > gguf_n_tensors(g))
        return error_set(e, -EBADMSG, "key %s: %u layers, but the file has only %llu tensors",
            key(arch, "block_count").name, c->n_layers, (unsigned long long)gguf_n_tensors(g));
    if ((r = read_size(g, arch, "embedding_length", MAX_EMBD, &c->n_embd, e)) < 0 ||
        (r = read_size(g, arch, "context_length", MAX_CONTEXT, &c->n_ctx_train, e)) < 0 ||
        (r = read_required_layer_size(g, arch, "feed_forward_length", c->n_layers, MAX_FF, &c->n_ff, e)) < 0 ||
        (r = read_heads(g, arch, c, e)) < 0 || (r = read_rope(g, arch, c, e)) < 0)
        return r;

    r = read_positive(g, arch, epsilon, &c->norm_eps, e);
    if (r == 0)
        return error_set(e, -EBADMSG, "key %s is missing", key(arch, epsilon).name);
    return r < 0 ? r : 0;
}

/* Positions see those before them, or those after them too. */
static int check_causal(const Gguf *g, const char *arch, bool must_be, Error *e) {
    Key k = key(arch, "attention.causal");
    bool causal = must_be;
    int r = gguf_get_bool(g, k.name, &causal, e);
    if (r < 0 || causal == must_be)
        return r < 0 ? r : 0;
    return error_set(e, -EOPNOTSUPP, "key %s: %s is not supported", k.name,
        must_be ? "a decoder whose positions see what follows" : "an encoder whose positions do not see each other");
}

int arch_configure(const Gguf *g, const char *arch, Config *c, Error *e) {
    int r = configure(g, arch, "attention.layer_norm_rms_epsilon", c, e);
    return r < 0 ? r : check_causal(g, arch, true, e);
}

/* What an encoder's file says in absence of a word on pooling is what most were trained with. */
static int read_pooling(const Gguf *g, const char *arch, Pooling *ret, Error *e) {
    Key k = key(arch, "pooling_type");
    uint32_t type = POOLING_MEAN;
    int r = gguf_get_u32(g, k.name, &type, e);
    if (r < 0)
        return r;
    if (type != POOLING_MEAN && type != POOLING_CLS)
        return error_set(
            e, -EOPNOTSUPP, "key %s: pooling of type %u is not supported (1, mean, and 2, CLS, are)", k.name, type);
    *ret = type;
    return 0;
}

int arch_configure_encoder(const Gguf *g, const char *arch, Config *c, Error *e) {
    int r = configure(g, arch, "attention.layer_norm_epsilon", c, e);
    if (r < 0)
        return r;

    if ((r = check_causal(g, arch, false, e)) < 0)
        return r;

    static const char types[] = "tokenizer.ggml.token_type_count";
    c->encoder = true;
    c->n_token_types = 2;
    if ((r = gguf_get_u32(g, types, &c->n_token_types, e)) < 0 ||
        (r = check_range(types, c->n_token_types, MAX_TOKEN_TYPES, e)) < 0)
        return r;
    return read_pooling(g, arch, &c->pooling, e);
}
