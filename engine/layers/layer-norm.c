/* The norm of encoders (Ba et al. 2016, arXiv 1607.06450). A row is a few hundred floats beside millions of products,
 * so it is summed plainly, in double. */
#include <math.h>

#include "layers/pass.h"

static void layer_norm_row(float *x, const float *weight, const float *bias, size_t n, float eps) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double factor = 1 / sqrt(squares / (double)n + eps);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((x[i] - mean) * factor) * weight[i] + bias[i];
}

void layer_norm(Worker *w, const Tensor *weight, const Tensor *bias, ActFormats formats) {
    Pass *p = w->pass;
    size_t n = p->config->n_embd, begin, end;

    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            layer_norm_row(
                p->x + r * n, (const float *)weight->data, (const float *)bias->data, n, p->config->norm_eps);
            quantize_row(p, formats, p->normed, r, n);
        }
    threads_barrier(p->threads);
}
