#include "layers/pass.h"

void norm(Worker *w, const Tensor *weight, ActFormats formats) {
    Pass *p = w->pass;
    size_t n = p->config->n_embd, begin, end;

    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            float *y = p->normed.x + r * n;
            p->kernels->rms_norm(y, p->x + r * n, (const float *)weight->data, n, p->config->norm_eps);
            quantize_row(p, formats, p->normed, r, n);
        }
    threads_barrier(p->threads);
}
