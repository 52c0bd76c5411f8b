/* Qwen2, Qwen2.5, QwQ, R1-Distill-Qwen. */
#include "arch.h"

static const TensorSpec tensors[] = {
    LAYER_TENSOR("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR("attn_v.bias", attn_v_bias, DIM_V),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    return arch_configure(g, "qwen2", c, e);
}

const Architecture arch_qwen2 = {
    .name = "qwen2",
    .tensors =
        (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn, tensors, NULL},
    .configure = configure,
};
