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

/* Bytes or words are made of what is still in the worker's cache; the floats of a prompt's rows would only go to
 * memory. */
void ffn_gate_up_range(Worker *w, const GateUp *g, size_t begin, size_t end) {
    const Pass *p = w->pass;
    const bool floats = g->formats == act_set(ACT_F32);
    size_t n_ff = g->gate->ne[1], n = end - begin, stride = floats ? n_ff : n;
    float *gated = floats ? g->hidden.x + begin : w->scratch, *up = w->scratch + (size_t)g->n_rows * n;

    linear_range(p, g->gate, g->gate_bias, g->in, g->n_rows, begin, end, gated, stride);
    linear_range(p, g->up, g->up_bias, g->in, g->n_rows, begin, end, up, n);
    for (uint32_t r = 0; r < g->n_rows; r++) {
        ffn_activate(p, gated + r * stride, up + r * n, n);
        if (!floats)
            quantize_part(p, g->formats, gated + r * n, g->hidden, r, n_ff, begin, n);
    }
}

void ffn_gate_up(Worker *w, const GateUp *g) {
    Pass *p = w->pass;
    size_t n_ff = g->gate->ne[1], begin, end;

    const Grain grain = linear_grain(p, g->gate, n_ff);
    while (threads_next_near(p->threads, n_ff, grain, &begin, &end))
        ffn_gate_up_range(w, g, begin, end);
    threads_barrier(p->threads);
}

GateUp ffn_dense_gate_up(const Pass *p, const LayerWeights *l) {
    return (GateUp){
        .gate = &l->ffn_gate,
        .gate_bias = &l->ffn_gate_bias,
        .up = &l->ffn_up,
        .up_bias = &l->ffn_up_bias,
        .in = p->normed,
        .n_rows = p->n_rows,
        .hidden = p->hidden,
        .formats = product_input(p, &l->ffn_down),
    };
}

void ffn_dense(Worker *w, const LayerWeights *l) {
    const GateUp g = ffn_dense_gate_up(w->pass, l);
    ffn_gate_up(w, &g);
    residual(w, &l->ffn_down, &l->ffn_down_bias, &l->ffn_post_norm, w->pass->hidden);
}
