/* Qwen1.5 and Qwen2 with experts: one of them shared, behind a gate of its own. */
#include "arch.h"

static const TensorSpec tensors[] = {
    LAYER_TENSOR("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR("attn_v.bias", attn_v_bias, DIM_V),
    EXPERT_TENSOR("ffn_gate_inp_shexp.weight", shared_router, DIM_EMBD),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    int r = arch_configure(g, "qwen2moe", c, e);
    if (r < 0 || (r = arch_configure_experts(g, "qwen2moe", c, e)) < 0)
        return r;
    c->experts.n_ff_shared = c->n_ff;
    return arch_read_size(g, "qwen2moe", "expert_shared_feed_forward_length", 1u << 20, &c->experts.n_ff_shared, e);
}

const Architecture arch_qwen2moe = {
    .name = "qwen2moe",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_experts, arch_tensors_shared, tensors, NULL},
    .configure = configure,
};
