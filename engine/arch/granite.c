/* Granite 3 and 4: Llama with four multipliers, and the same with experts. */
#include "arch.h"

static int configure_decoder(const Gguf *g, const char *arch, Config *c, Error *e) {
    float logit_divisor = 1;
    bool rotates = true;

    c->rope.layout = ROPE_INTERLEAVED;
    int r = arch_configure(g, arch, c, e);
    if (r < 0 || (r = arch_read_scale(g, arch, "embedding_scale", &c->embd_scale, e)) < 0 ||
        (r = arch_read_scale(g, arch, "residual_scale", &c->residual_scale, e)) < 0 ||
        (r = arch_read_scale(g, arch, "logit_scale", &logit_divisor, e)) < 0)
        return r;
    c->logit_scale = 1 / logit_divisor;

    /* models without positions say so by this key */
    if ((r = arch_read_bool(g, arch, "rope.scaling.finetuned", &rotates, e)) < 0)
        return r;
    if (!rotates)
        c->rope.n_dims = 0;
    return 0;
}

static int configure(const Gguf *g, Config *c, Error *e) {
    return configure_decoder(g, "granite", c, e);
}

static int configure_moe(const Gguf *g, Config *c, Error *e) {
    int r = configure_decoder(g, "granitemoe", c, e);
    if (r < 0 || (r = arch_configure_experts(g, "granitemoe", c, e)) < 0)
        return r;
    c->experts.n_ff = c->n_ff;
    c->experts.normalise = true;
    return gguf_get_u32(g, "granitemoe.expert_shared_feed_forward_length", &c->experts.n_ff_shared, e);
}

static const char *const keys[] = {"embedding_scale", "residual_scale", "logit_scale", NULL};

const Architecture arch_granite = {
    .name = "granite",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_llama, NULL},
    .keys = keys,
    .configure = configure,
};

const Architecture arch_granite_moe = {
    .name = "granitemoe",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_experts, arch_tensors_shared, arch_tensors_llama, NULL},
    .keys = keys,
    .configure = configure_moe,
};
