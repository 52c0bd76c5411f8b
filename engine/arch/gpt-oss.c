/* gpt-oss (arXiv 2508.10925): experts with biases, chosen before their weights are made to add up to one; every other
 * layer local, and every head with a sink that takes attention nobody else wants. */
#include <errno.h>

#include "arch.h"

static const TensorSpec tensors[] = {
    LAYER_TENSOR("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR("attn_v.bias", attn_v_bias, DIM_V),
    LAYER_TENSOR("attn_output.bias", attn_output_bias, DIM_EMBD),
    LAYER_TENSOR("attn_sinks.weight", attn_sinks, DIM_N_HEADS),
    LAYER_TENSOR("post_attention_norm.weight", ffn_norm, DIM_EMBD), /* by its place, the feed-forward network's */
    EXPERT_TENSOR("ffn_gate_inp.bias", router_bias, DIM_EXPERTS),
    EXPERT_VECTORS("ffn_gate_exps.bias", experts_gate_bias, DIM_FF_EXPERT),
    EXPERT_VECTORS("ffn_up_exps.bias", experts_up_bias, DIM_FF_EXPERT),
    EXPERT_VECTORS("ffn_down_exps.bias", experts_down_bias, DIM_EMBD),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    c->activation = ACTIVATION_SWIGLU_CLAMPED;
    int r = arch_configure(g, "gpt-oss", c, e);
    if (r < 0 || (r = arch_configure_experts(g, "gpt-oss", c, e)) < 0)
        return r;
    c->experts.gating = GATING_SOFTMAX_CHOSEN;
    c->rope_local = c->rope;
    return arch_configure_window(g, "gpt-oss", 2, c, e);
}

const Architecture arch_gpt_oss = {
    .name = "gpt-oss",
    .tensors =
        (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, tensors, arch_tensors_experts, NULL},
    .keys = (const char *const[]){"attention.sliding_window", NULL},
    .configure = configure,
};
