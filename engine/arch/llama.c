/* Llama 1 to 3, Mistral, Mixtral, SmolLM, R1-Distill-Llama, and whatever else is converted as "llama". */
#include <errno.h>

#include "arch.h"

static int configure(const Gguf *g, Config *c, Error *e) {
    c->rope.layout = ROPE_INTERLEAVED;
    int r = arch_configure(g, "llama", c, e);
    if (r < 0)
        return r;
    c->rope_local = c->rope;
    if ((r = arch_configure_window(g, "llama", 0, c, e)) < 0)
        return r;

    uint32_t n_experts = 0;
    if ((r = gguf_get_u32(g, "llama.expert_count", &n_experts, e)) < 0 || n_experts == 0)
        return r;
    if ((r = arch_configure_experts(g, "llama", c, e)) < 0)
        return r;
    c->experts.n_ff = c->n_ff; /* the key for dense layers is that of the experts here */
    c->experts.normalise = true;
    return 0;
}

const Architecture arch_llama = {
    .name = "llama",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_experts, arch_tensors_llama, NULL},
    .keys = (const char *const[]){"attention.sliding_window", NULL},
    .configure = configure,
};
