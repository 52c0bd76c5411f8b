/* Qwen3 with experts (30B-A3B, 235B-A22B). */
#include "arch.h"

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    int r = arch_configure(g, "qwen3moe", c, e);
    if (r < 0)
        return r;
    c->experts.normalise = true;
    return arch_configure_experts(g, "qwen3moe", c, e);
}

const Architecture arch_qwen3moe = {
    .name = "qwen3moe",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_qk_norm,
        arch_tensors_ffn, arch_tensors_experts, NULL},
    .configure = configure,
};
