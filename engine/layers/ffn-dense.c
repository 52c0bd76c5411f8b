/* The gated feed-forward network (Shazeer 2020, arXiv 2002.05202). Gate and up go through the same range of a worker,
 * so that their product is taken while both are in its cache. */
#include "layers/pass.h"

/* y * logistic(1.702 y) * (x + 1), the gate kept below 7, the other within 7 of zero (gpt-oss, arXiv 2508.10925).
 * silu(a y) is a y * logistic(a y): the factor that is too much is taken from x. */
static void clamp_for_swiglu(float *y, float *x, size_t n) {
    const float alpha = 1.702f, limit = 7;
    for (size_t i = 0; i < n; i++) {
        y[i] = alpha * MIN(y[i], limit);
        float up = MIN(x[i], limit);
        x[i] = (MAX(up, -limit) + 1) / alpha;
    }
}

void ffn_activate(const Pass *p, float *y, float *x, size_t n) {
    if (p->config->activation == ACTIVATION_SWIGLU_CLAMPED)
        clamp_for_swiglu(y, x, n);
    if (p->config->activation == ACTIVATION_GELU)
        p->kernels->gelu_mul(y, x, n);
    else
        p->kernels->silu_mul(y, x, n);
}

void ffn_gate_up_range(Worker *w, const Tensor *gate, const Tensor *gate_bias, const Tensor *up, const Tensor *up_bias,
    ActFormat format, size_t begin, size_t end) {
    const Pass *p = w->pass;
    size_t n_ff = gate->ne[1], n = end - begin;

    linear_range(p, gate, gate_bias, p->normed, p->n_rows, begin, end, p->hidden.x + begin, n_ff);
    linear_range(p, up, up_bias, p->normed, p->n_rows, begin, end, w->scratch, n);
    for (uint32_t r = 0; r < p->n_rows; r++) {
        ffn_activate(p, p->hidden.x + r * n_ff + begin, w->scratch + r * n, n);
        quantize_part(p, format, p->hidden, r, n_ff, begin, n);
    }
}

void ffn_gate_up(
    Worker *w, const Tensor *gate, const Tensor *gate_bias, const Tensor *up, const Tensor *up_bias, ActFormat format) {
    Pass *p = w->pass;
    size_t n_ff = gate->ne[1], begin, end;

    size_t grain = linear_grain(p, n_ff);
    while (threads_next_near(p->threads, n_ff, grain, &begin, &end))
        ffn_gate_up_range(w, gate, gate_bias, up, up_bias, format, begin, end);
    threads_barrier(p->threads);
}

void ffn_dense(Worker *w, const LayerWeights *l) {
    ffn_gate_up(w, &l->ffn_gate, &l->ffn_gate_bias, &l->ffn_up, &l->ffn_up_bias, product_input(w->pass, &l->ffn_down));
    residual(w, &l->ffn_down, &l->ffn_down_bias, &l->ffn_post_norm, w->pass->hidden);
}
