/* DeepSeek V2, V3, R1: latent attention, experts with a shared one, chosen by groups, after a few dense layers (arXiv
 * 2405.04434, 2412.19437). */
#include <errno.h>
#include <math.h>

#include "arch.h"

static const TensorSpec tensors[] = {
    LAYER_TENSOR("attn_norm.weight", attn_norm, DIM_EMBD),
    LAYER_TENSOR_OPTIONAL("attn_q.weight", attn_q, DIM_EMBD, DIM_LATENT_Q),
    LAYER_TENSOR_OPTIONAL("attn_q_a.weight", attn_q_a, DIM_EMBD, DIM_Q_RANK),
    LAYER_TENSOR_OPTIONAL("attn_q_a_norm.weight", attn_q_a_norm, DIM_Q_RANK),
    LAYER_TENSOR_OPTIONAL("attn_q_b.weight", attn_q_b, DIM_Q_RANK, DIM_LATENT_Q),
    LAYER_TENSOR("attn_kv_a_mqa.weight", attn_kv_a, DIM_EMBD, DIM_KV_A),
    LAYER_TENSOR("attn_kv_a_norm.weight", attn_kv_a_norm, DIM_KV_RANK),
    LAYER_TENSOR_OPTIONAL("attn_k_b.weight", attn_k_b, DIM_NOPE, DIM_KV_RANK, DIM_N_HEADS),
    LAYER_TENSOR_OPTIONAL("attn_v_b.weight", attn_v_b, DIM_KV_RANK, DIM_V_DIM, DIM_N_HEADS),
    LAYER_TENSOR_OPTIONAL("attn_kv_b.weight", attn_kv_b, DIM_KV_RANK, DIM_KV_B),
    LAYER_TENSOR("attn_output.weight", attn_output, DIM_LATENT_OUT, DIM_EMBD),
    EXPERT_TENSOR_OPTIONAL("exp_probs_b.bias", selection_bias, DIM_EXPERTS),
    {},
};

/* YaRN's temperature goes into the scale of the scores, where it concerns all of a head; with a multiplier of its own
 * cos and sin keep their length. */
static int configure_temperature(const Gguf *g, Config *c, Error *e) {
    float log_multiplier = 0, attn_factor = 1;
    int r;

    if ((r = arch_read_number(g, "deepseek2", "rope.scaling.yarn_log_multiplier", &log_multiplier, e)) < 0 ||
        (r = arch_read_scale(g, "deepseek2", "rope.scaling.attn_factor", &attn_factor, e)) < 0)
        return r;
    float temperature = c->rope.attn_factor;
    if (c->rope.scaling == ROPE_SCALING_YARN && log_multiplier != 0) {
        temperature = attn_factor * (c->rope.factor > 1 ? 1 + log_multiplier * logf(c->rope.factor) : 1);
        c->rope.attn_factor = attn_factor;
    }
    c->attn_scale *= temperature * temperature;
    return 0;
}

/* Sizes of a head as the model has it; afterwards Config speaks of the cache, which is one head of [rope | latent]. */
static int configure_latent(const Gguf *g, Config *c, Error *e) {
    LatentConfig *m = &c->latent;
    uint32_t k = c->head_dim_k, v = c->head_dim_v;
    int r;

    if ((r = arch_read_size(g, "deepseek2", "attention.q_lora_rank", 1u << 16, &m->q_rank, e)) < 0 ||
        (r = arch_read_size(g, "deepseek2", "attention.kv_lora_rank", 1u << 16, &m->kv_rank, e)) < 0 ||
        (r = arch_read_size(g, "deepseek2", "attention.key_length_mla", 1024, &k, e)) < 0 ||
        (r = arch_read_size(g, "deepseek2", "attention.value_length_mla", 1024, &v, e)) < 0)
        return r;
    if (m->kv_rank == 0)
        return error_set(e, -EBADMSG, "key deepseek2.attention.kv_lora_rank is missing");
    if (k <= c->rope.n_dims)
        return error_set(e, -EBADMSG, "deepseek2: heads of %u elements of which %u rotate", k, c->rope.n_dims);
    m->nope = k - c->rope.n_dims;
    m->v_dim = v;
    c->n_kv_heads = 1;
    c->head_dim_k = c->rope.n_dims + m->kv_rank;
    c->head_dim_v = m->kv_rank;
    c->attn_scale = 1 / sqrtf((float)k);

    return configure_temperature(g, c, e);
}

static int configure_experts(const Gguf *g, Config *c, Error *e) {
    ExpertConfig *x = &c->experts;
    uint32_t n = 0, n_shared = 0, gating = 1;
    int r = arch_read_size(g, "deepseek2", "expert_count", 1024, &n, e);

    if (r < 0 || n == 0)
        return r;
    if ((r = arch_configure_experts(g, "deepseek2", c, e)) < 0 ||
        (r = gguf_get_u32(g, "deepseek2.leading_dense_block_count", &x->n_dense_layers, e)) < 0 ||
        (r = gguf_get_u32(g, "deepseek2.expert_shared_count", &n_shared, e)) < 0 ||
        (r = gguf_get_u32(g, "deepseek2.expert_gating_func", &gating, e)) < 0 ||
        (r = gguf_get_bool(g, "deepseek2.expert_weights_norm", &x->normalise, e)) < 0)
        return r;
    if (gating > 2)
        return error_set(
            e, -EOPNOTSUPP, "key deepseek2.expert_gating_func: %u is not supported (1 softmax, 2 sigmoid)", gating);
    if (n_shared > 64)
        return error_set(e, -EBADMSG, "key deepseek2.expert_shared_count: %u is more than 64", n_shared);
    x->gating = gating == 2 ? GATING_SIGMOID : GATING_SOFTMAX;
    x->n_ff_shared = n_shared * x->n_ff;
    return 0;
}

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_INTERLEAVED;
    int r = arch_configure(g, "deepseek2", c, e);
    uint32_t n_predicting = 0;
    if (r < 0 || (r = configure_latent(g, c, e)) < 0 ||
        (r = gguf_get_u32(g, "deepseek2.nextn_predict_layers", &n_predicting, e)) < 0)
        return r;
    if (n_predicting >= c->n_layers)
        return error_set(e, -EBADMSG, "key deepseek2.nextn_predict_layers: %u of %u layers", n_predicting, c->n_layers);
    c->n_layers -= n_predicting;
    c->n_layers_unused = n_predicting;
    return configure_experts(g, c, e);
}

static int check(const Config *c, const Weights *w, Error *e) {
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const LayerWeights *l = &w->layers[i];
        if (c->latent.q_rank ? !l->attn_q_a.data || !l->attn_q_a_norm.data || !l->attn_q_b.data : !l->attn_q.data)
            return error_set(e, -EBADMSG, "tensor blk.%u.%s is missing", i,
                c->latent.q_rank ? "attn_q_a or attn_q_b" : "attn_q.weight");
        if (!l->attn_kv_b.data && (!l->attn_k_b.data || !l->attn_v_b.data))
            return error_set(
                e, -EBADMSG, "tensors blk.%u.attn_k_b.weight and attn_v_b.weight, or attn_kv_b.weight, are missing", i);
    }
    return 0;
}

const Architecture arch_deepseek2 = {
    .name = "deepseek2",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, tensors, arch_tensors_ffn, arch_tensors_experts,
        arch_tensors_shared, NULL},
    .keys = (const char *const[]){"rope.scaling.yarn_log_multiplier", "expert_gating_func", NULL},
    .configure = configure,
    .check = check,
};
