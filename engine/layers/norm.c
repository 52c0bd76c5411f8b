#include "layers/pass.h"

/* Floats that no product takes stay in the worker's cache. */
void norm(Worker *w, const Tensor *weight, ActFormats formats) {
    Pass *p = w->pass;
    const bool floats = formats & act_set(ACT_F32);
    size_t n = p->config->n_embd, begin, end;

    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            float *y = floats ? p->normed.x + r * n : w->scratch;
            p->kernels->rms_norm(y, p->x + r * n, (const float *)weight->data, n, p->config->norm_eps);
            quantize_part(p, formats, y, p->normed, r, n, 0, n);
        }
    threads_barrier(p->threads);
}
