/* Gemma 3 (arXiv 2503.19786): normed queries and keys instead of caps, five local layers for a global one, each kind
 * with its RoPE base. */
#include "arch.h"

static int configure(const Gguf *g, Config *c, Error *e) {
    int r = arch_configure_gemma(g, "gemma3", 62, c, e);
    if (r < 0)
        return r;

    /* only the global layers are stretched */
    c->rope_local = c->rope;
    c->rope_local.scaling = ROPE_SCALING_NONE;
    c->rope_local.factor = 1;
    c->rope_local.base = 10000;
    if ((r = arch_configure_window(g, "gemma3", 6, c, e)) < 0)
        return r;
    r = arch_read_number(g, "gemma3", "final_logit_softcapping", &c->logit_softcap, e);
    return r < 0 ? r : 0;
}

const Architecture arch_gemma3 = {
    .name = "gemma3",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_qk_norm,
        arch_tensors_ffn, arch_tensors_gemma, NULL},
    .keys = (const char *const[]){"attention.sliding_window", "final_logit_softcapping", NULL},
    .configure = configure,
};
