/* Llama 1 to 3, Mistral, SmolLM, R1-Distill-Llama, and whatever else is converted as "llama". */
#include <errno.h>

#include "arch.h"

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
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_llama, NULL},
    .configure = configure,
};
