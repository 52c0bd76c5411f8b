/* Granite 3: Llama with four multipliers. */
#include <errno.h>

#include "arch.h"

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
    float logit_divisor = 1;

    c->rope.layout = ROPE_INTERLEAVED;
    int r = arch_configure(g, "granite", c, e);
    if (r < 0 || (r = arch_read_number(g, "granite", "embedding_scale", &c->embd_scale, e)) < 0 ||
        (r = arch_read_number(g, "granite", "residual_scale", &c->residual_scale, e)) < 0 ||
        (r = arch_read_number(g, "granite", "logit_scale", &logit_divisor, e)) < 0)
        return r;
    if (logit_divisor == 0)
        return error_set(e, -EBADMSG, "key granite.logit_scale: must not be 0");
    c->logit_scale = 1 / logit_divisor;
    return 0;
}

const Architecture arch_granite = {
    .name = "granite",
    .tensors =
        (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn, tensors, NULL},
    .configure = configure,
};
