/* Nomic Embed (Nussbaum et al. 2024, arXiv 2402.01613): BERT with rotary positions and a gate in the feed-forward
 * network, without its biases. */
#include "arch.h"

static const TensorSpec tensors[] = {
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_q, DIM_EMBD, DIM_Q, DIM_NONE, DIM_QKV),
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_k, DIM_EMBD, DIM_K, DIM_Q, DIM_QKV),
    LAYER_TENSOR_FUSED("attn_qkv.weight", attn_v, DIM_EMBD, DIM_V, DIM_QK, DIM_QKV),
    LAYER_TENSOR("ffn_gate.weight", ffn_gate, DIM_EMBD, DIM_FF),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    return arch_configure_encoder(g, "nomic-bert", c, e);
}

const Architecture arch_nomic_bert = {
    .name = "nomic-bert",
    .tensors = (const TensorSpec *const[]){arch_tensors_encoder, tensors, NULL},
    .configure = configure,
};
