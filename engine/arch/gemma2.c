/* Gemma 2 (arXiv 2408.00118): norms before and after each block, scores and logits capped, every other layer local. */
#include <math.h>

#include "arch.h"

const TensorSpec arch_tensors_gemma[] = {
    LAYER_TENSOR("post_attention_norm.weight", attn_post_norm, DIM_EMBD),
    LAYER_TENSOR("post_ffw_norm.weight", ffn_post_norm, DIM_EMBD),
    {},
};

int arch_configure_gemma(const Gguf *g, const char *arch, uint32_t layers_27b, Config *c, Error *e) {
    c->rope.layout = ROPE_HALVES;
    int r = arch_configure(g, arch, c, e);
    if (r < 0)
        return r;
    c->activation = ACTIVATION_GELU;
    c->embd_scale = sqrtf((float)c->n_embd);
    /* The largest model of each generation scales its queries by the width of a head that the others have, and no key
     * says so. */
    if (c->n_layers == layers_27b)
        c->attn_scale = 1.0f / sqrtf((float)(c->n_embd / c->n_heads));
    return 0;
}

static int configure(const Gguf *g, Config *c, Error *e) {
    c->attn_softcap = 50;
    c->logit_softcap = 30;
    c->window = 4096;
    int r = arch_configure_gemma(g, "gemma2", 46, c, e);
    if (r < 0)
        return r;
    c->rope_local = c->rope;
    if ((r = arch_configure_window(g, "gemma2", 2, c, e)) < 0 ||
        (r = arch_read_number(g, "gemma2", "attn_logit_softcapping", &c->attn_softcap, e)) < 0)
        return r;
    r = arch_read_number(g, "gemma2", "final_logit_softcapping", &c->logit_softcap, e);
    return r < 0 ? r : 0;
}

const Architecture arch_gemma2 = {
    .name = "gemma2",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_gemma, NULL},
    .keys =
        (const char *const[]){"attention.sliding_window", "attn_logit_softcapping", "final_logit_softcapping", NULL},
    .configure = configure,
};
