/* Phi-3, Phi-3.5, Phi-4: queries, keys and values in one tensor, gate and up in one, a part of each head rotated, and
 * factors for long and short contexts (Ding et al. 2024, "LongRoPE", arXiv 2402.13753). */
#include "arch.h"

static const TensorSpec tensors[] = {
    TENSOR_OPTIONAL("rope_factors_long.weight", rope_factors_long, DIM_ROPE_PAIRS),
    TENSOR_OPTIONAL("rope_factors_short.weight", rope_factors_short, DIM_ROPE_PAIRS),
    LAYER_TENSOR("attn_norm.weight", attn_norm, DIM_EMBD),
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_q, DIM_EMBD, DIM_Q, DIM_NONE, DIM_QKV),
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_k, DIM_EMBD, DIM_K, DIM_Q, DIM_QKV),
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_v, DIM_EMBD, DIM_V, DIM_QK, DIM_QKV),
    LAYER_TENSOR("attn_output.weight", attn_output, DIM_HEADS, DIM_EMBD),
    LAYER_TENSOR("ffn_norm.weight", ffn_norm, DIM_EMBD),
    LAYER_TENSOR_FUSED("ffn_up.weight", ffn_gate, DIM_EMBD, DIM_FF, DIM_NONE, DIM_FF2),
    LAYER_TENSOR_FUSED("ffn_up.weight", ffn_up, DIM_EMBD, DIM_FF, DIM_FF, DIM_FF2),
    LAYER_TENSOR("ffn_down.weight", ffn_down, DIM_FF, DIM_EMBD),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    int r = arch_configure(g, "phi3", c, e);
    if (r < 0)
        return r;
    c->rope_local = c->rope;
    return arch_configure_window(g, "phi3", 0, c, e);
}

const Architecture arch_phi3 = {
    .name = "phi3",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, tensors, NULL},
    .keys = (const char *const[]){"attention.sliding_window", NULL},
    .configure = configure,
};
