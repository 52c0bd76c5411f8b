/* The gated feed-forward network (Shazeer 2020, arXiv 2002.05202). Gate and up go through the same range of a worker,
 * so that their product is taken while both are in its cache. */
#include "layers/pass.h"

static void gate_up(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    size_t n_ff = p->config->n_ff, begin, end;
    void (*gate)(float *, const float *, size_t) =
        p->config->activation == ACTIVATION_GELU ? p->kernels->gelu_mul : p->kernels->silu_mul;

    size_t grain = linear_grain(p, n_ff);
    while (threads_next(p->threads, n_ff, grain, &begin, &end)) {
        size_t n = end - begin;
        linear_range(p, &l->ffn_gate, &l->ffn_gate_bias, p->normed, p->n_rows, begin, end, p->hidden + begin, n_ff);
        linear_range(p, &l->ffn_up, &l->ffn_up_bias, p->normed, p->n_rows, begin, end, w->scratch, n);
        for (uint32_t r = 0; r < p->n_rows; r++)
            gate(p->hidden + r * n_ff + begin, w->scratch + r * n, n);
    }
    threads_barrier(p->threads);
}

void ffn_dense(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    gate_up(w, l);
    residual(w, &l->ffn_down, &l->ffn_down_bias, &l->ffn_post_norm, p->hidden);
}
