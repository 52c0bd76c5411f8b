/* Granite 3: Llama with four multipliers. */
#include <errno.h>

#include "arch.h"

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
    .tensors = (const TensorSpec *const[]){arch_tensors_decoder, arch_tensors_attention, arch_tensors_ffn,
        arch_tensors_llama, NULL},
    .configure = configure,
};
