/* The list of architectures, and the tables that they share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"

static const Architecture *const architectures[] = {
    &arch_bert,
    &arch_deepseek2,
    &arch_gemma2,
    &arch_gemma3,
    &arch_gpt_oss,
    &arch_granite,
    &arch_granite_moe,
    &arch_llama,
    &arch_nomic_bert,
    &arch_phi3,
    &arch_qwen2,
    &arch_qwen2moe,
    &arch_qwen3,
    &arch_qwen3moe,
};

const TensorSpec arch_tensors_decoder[] = {
    TENSOR("token_embd.weight", token_embd, DIM_EMBD, DIM_VOCAB),
    TENSOR("output_norm.weight", output_norm, DIM_EMBD),
    TENSOR_OPTIONAL("output.weight", output, DIM_EMBD, DIM_VOCAB),
    TENSOR_OPTIONAL("output.bias", output_bias, DIM_VOCAB),
    {},
};

const TensorSpec arch_tensors_attention[] = {
    LAYER_TENSOR("attn_norm.weight", attn_norm, DIM_EMBD),
    LAYER_TENSOR("attn_q.weight", attn_q, DIM_EMBD, DIM_Q),
    LAYER_TENSOR("attn_k.weight", attn_k, DIM_EMBD, DIM_K),
    LAYER_TENSOR("attn_v.weight", attn_v, DIM_EMBD, DIM_V),
    LAYER_TENSOR("attn_output.weight", attn_output, DIM_HEADS, DIM_EMBD),
    {},
};

const TensorSpec arch_tensors_qk_norm[] = {
    LAYER_TENSOR("attn_q_norm.weight", attn_q_norm, DIM_HEAD_K),
    LAYER_TENSOR("attn_k_norm.weight", attn_k_norm, DIM_HEAD_K),
    {},
};

const TensorSpec arch_tensors_encoder[] = {
    TENSOR("token_embd.weight", token_embd, DIM_EMBD, DIM_VOCAB),
    TENSOR("token_types.weight", token_types, DIM_EMBD, DIM_TOKEN_TYPES),
    TENSOR("token_embd_norm.weight", token_embd_norm, DIM_EMBD),
    TENSOR("token_embd_norm.bias", token_embd_norm_bias, DIM_EMBD),
    LAYER_TENSOR("attn_output.weight", attn_output, DIM_HEADS, DIM_EMBD),
    LAYER_TENSOR("attn_output_norm.weight", attn_post_norm, DIM_EMBD),
    LAYER_TENSOR("attn_output_norm.bias", attn_post_norm_bias, DIM_EMBD),
    LAYER_TENSOR("ffn_up.weight", ffn_up, DIM_EMBD, DIM_FF),
    LAYER_TENSOR("ffn_down.weight", ffn_down, DIM_FF, DIM_EMBD),
    LAYER_TENSOR("layer_output_norm.weight", ffn_post_norm, DIM_EMBD),
    LAYER_TENSOR("layer_output_norm.bias", ffn_post_norm_bias, DIM_EMBD),
    {},
};

const TensorSpec arch_tensors_ffn[] = {
    LAYER_TENSOR("ffn_norm.weight", ffn_norm, DIM_EMBD),
    DENSE_TENSOR("ffn_gate.weight", ffn_gate, DIM_EMBD, DIM_FF),
    DENSE_TENSOR("ffn_up.weight", ffn_up, DIM_EMBD, DIM_FF),
    DENSE_TENSOR("ffn_down.weight", ffn_down, DIM_FF, DIM_EMBD),
    {},
};

const TensorSpec arch_tensors_llama[] = {
    LAYER_TENSOR_OPTIONAL("attn_q.bias", attn_q_bias, DIM_Q),
    LAYER_TENSOR_OPTIONAL("attn_k.bias", attn_k_bias, DIM_K),
    LAYER_TENSOR_OPTIONAL("attn_v.bias", attn_v_bias, DIM_V),
    LAYER_TENSOR_OPTIONAL("attn_output.bias", attn_output_bias, DIM_EMBD),
    LAYER_TENSOR_OPTIONAL("ffn_gate.bias", ffn_gate_bias, DIM_FF),
    LAYER_TENSOR_OPTIONAL("ffn_up.bias", ffn_up_bias, DIM_FF),
    LAYER_TENSOR_OPTIONAL("ffn_down.bias", ffn_down_bias, DIM_EMBD),
    TENSOR_OPTIONAL("rope_freqs.weight", rope_freqs, DIM_ROPE_PAIRS),
    TENSOR_OPTIONAL("rope_factors_long.weight", rope_factors_long, DIM_ROPE_PAIRS),
    TENSOR_OPTIONAL("rope_factors_short.weight", rope_factors_short, DIM_ROPE_PAIRS),
    {},
};

const TensorSpec arch_tensors_experts[] = {
    EXPERT_TENSOR("ffn_gate_inp.weight", router, DIM_EMBD, DIM_EXPERTS),
    EXPERT_TENSOR("ffn_gate_exps.weight", experts_gate, DIM_EMBD, DIM_FF_EXPERT, DIM_EXPERTS),
    EXPERT_TENSOR("ffn_up_exps.weight", experts_up, DIM_EMBD, DIM_FF_EXPERT, DIM_EXPERTS),
    EXPERT_TENSOR("ffn_down_exps.weight", experts_down, DIM_FF_EXPERT, DIM_EMBD, DIM_EXPERTS),
    {},
};

const TensorSpec arch_tensors_shared[] = {
    SHARED_TENSOR("ffn_gate_shexp.weight", shared_gate, DIM_EMBD, DIM_FF_SHARED),
    SHARED_TENSOR("ffn_up_shexp.weight", shared_up, DIM_EMBD, DIM_FF_SHARED),
    SHARED_TENSOR("ffn_down_shexp.weight", shared_down, DIM_FF_SHARED, DIM_EMBD),
    {},
};

int arch_find(GgufString name, const Architecture **ret, Error *e) {
    char list[400] = "";
    for (size_t i = 0; i < ELEMENTSOF(architectures); i++) {
        const char *candidate = architectures[i]->name;
        if (strlen(candidate) == name.size && memcmp(candidate, name.data, name.size) == 0) {
            *ret = architectures[i];
            return 0;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", candidate);
    }

    char buffer[GGUF_PRINTABLE_SIZE];
    return error_set(e, -EOPNOTSUPP, "models of the architecture \"%s\" are not supported; supported are: %s",
        gguf_printable(name, buffer), list);
}
