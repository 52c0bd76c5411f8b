/* Gemma 3 (arXiv 2503.19786): normed queries and keys instead of caps, five local layers for a global one, each kind
 * with its RoPE base. */
#include <errno.h>

#include "arch.h"

static int configure(const Gguf *g, Config *c, Error *e) {
    int r = arch_configure_gemma(g, "gemma3", 62, 6, c, e);
    if (r < 0)
        return r;

    /* only the global layers are stretched */
    c->rope_local.scaling = ROPE_SCALING_NONE;
    c->rope_local.factor = 1;
    c->rope_local.base = 10000;
    r = arch_read_number(g, "gemma3", "rope.freq_base_swa", &c->rope_local.base, e);
    if (r < 0)
        return r;
    if (!(c->rope_local.base > 1))
        return error_set(
            e, -EBADMSG, "key gemma3.rope.freq_base_swa: %g is not more than 1", (double)c->rope_local.base);
    r = arch_read_number(g, "gemma3", "final_logit_softcapping", &c->logit_softcap, e);
    return r < 0 ? r : 0;
}

const Architecture arch_gemma3 = {
    .name = "gemma3",
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_qk_norm,
        arch_tensors_ffn, arch_tensors_gemma, NULL},
    .configure = configure,
};
