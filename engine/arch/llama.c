/* Llama 1 to 3, Mistral, SmolLM, R1-Distill-Llama, and whatever else is converted as "llama". */
#include <errno.h>

#include "arch.h"

/* Llama itself has no biases, some of its descendants have. */
static const TensorSpec tensors[] = {
    LAYER_TENSOR_OPTIONAL("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR_OPTIONAL("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR_OPTIONAL("attn_v.bias", attn_v_bias, DIM_V),
    LAYER_TENSOR_OPTIONAL("attn_output.bias", attn_output_bias, DIM_EMBD),
    LAYER_TENSOR_OPTIONAL("ffn_gate.bias", ffn_gate_bias, DIM_FF),
    LAYER_TENSOR_OPTIONAL("ffn_up.bias", ffn_up_bias, DIM_FF),
    LAYER_TENSOR_OPTIONAL("ffn_down.bias", ffn_down_bias, DIM_EMBD),
    TENSOR_OPTIONAL("rope_freqs.weight", rope_freqs, DIM_ROPE_PAIRS),
    {},
};

static int configure(const Gguf *g, Config *c, Error *e) {
    uint32_t n_experts = 0;
    int r = gguf_get_u32(g, "llama.expert_count", &n_experts, e);
    if (r < 0)
        return r;
    if (n_experts > 0)
        return error_set(
            e, -EOPNOTSUPP, "llama models with experts (llama.expert_count = %u) are not supported", n_experts);

    c->rope.layout = ROPE_INTERLEAVED;
    return arch_configure(g, "llama", c, e);
}

const Architecture arch_llama = {
    .name = "llama",
    .tensors =
        (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn, tensors, NULL},
    .configure = configure,
};
