/* BERT and the many sentence encoders made of it (Devlin et al. 2018, arXiv 1810.04805): learned positions, biases
 * everywhere, GELU without a gate. */
#include "arch.h"

static const TensorSpec tensors[] = {
    TENSOR("position_embd.weight", position_embd, DIM_EMBD, DIM_CONTEXT),
    LAYER_TENSOR("attn_q.weight", attn_q, DIM_EMBD, DIM_Q),
    LAYER_TENSOR("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR("attn_k.weight", attn_k, DIM_EMBD, DIM_K),
    LAYER_TENSOR("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR("attn_v.weight", attn_v, DIM_EMBD, DIM_V),
    LAYER_TENSOR("attn_v.bias", attn_v_bias, DIM_V),
    LAYER_TENSOR("attn_output.bias", attn_output_bias, DIM_EMBD),
    LAYER_TENSOR("ffn_up.bias", ffn_up_bias, DIM_FF),
    LAYER_TENSOR("ffn_down.bias", ffn_down_bias, DIM_EMBD),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->activation = ACTIVATION_GELU;
    return arch_configure_encoder(g, "bert", c, e);
}

const Architecture arch_bert = {
    .name = "bert",
    .tensors = (const TensorSpec *const[]){arch_tensors_encoder, tensors, NULL},
    .configure = configure,
};
