/* Qwen3: as Qwen2, with normed queries and keys in place of the biases. */
#include "arch.h"

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    return arch_configure(g, "qwen3", c, e);
}

const Architecture arch_qwen3 = {
    .name = "qwen3",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_qk_norm,
        arch_tensors_ffn, NULL},
    .configure = configure,
};
