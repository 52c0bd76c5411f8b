/* Products with weight matrices, cut into ranges of outputs. */
#include "layers/pass.h"

/* Few rows: large ranges, so that each worker reads long stretches of weights. Many rows: small ones, so that the
 * workers end together and a range's results fit the worker's scratch. */
size_t linear_grain(const Pass *p, size_t n_out) {
    size_t share = n_out / (threads_count(p->threads) * 8);
    size_t fit = p->worker_floats / MAX(p->n_rows, 1u);
    size_t grain = MIN(share, fit) / LINEAR_UNIT * LINEAR_UNIT;
    return MAX(grain, (size_t)LINEAR_UNIT);
}

void linear_range(const Pass *p, const Tensor *weight, const Tensor *bias, const float *x, uint32_t n_rows,
    size_t begin, size_t end, float *y, size_t y_stride) {
    Matmul m = {
        .traits = quant_traits(weight->type),
        .w = weight->data + begin * weight->row_bytes,
        .w_stride = weight->row_bytes,
        .x = x,
        .x_stride = weight->ne[0],
        .y = y,
        .y_stride = y_stride,
        .n_out = end - begin,
        .n_rows = n_rows,
        .k = weight->ne[0],
    };
    p->kernels->matmul[weight->type](&m);
    if (bias && bias->data)
        for (uint32_t r = 0; r < n_rows; r++)
            p->kernels->add(y + r * y_stride, (const float *)bias->data + begin, end - begin);
}

static void job_range(Worker *w, const Linear *job, const float *x, size_t begin, size_t end) {
    const Pass *p = w->pass;
    if (!job->accumulate) {
        linear_range(p, job->weight, job->bias, x, p->n_rows, begin, end, job->y + begin, job->y_stride);
        return;
    }
    linear_range(p, job->weight, job->bias, x, p->n_rows, begin, end, w->scratch, end - begin);
    for (uint32_t r = 0; r < p->n_rows; r++)
        p->kernels->add(job->y + r * job->y_stride + begin, w->scratch + r * (end - begin), end - begin);
}

void linear(Worker *w, const Linear *jobs, size_t n_jobs, const float *x) {
    Pass *p = w->pass;
    size_t n_out = 0, begin, end;
    for (size_t i = 0; i < n_jobs; i++)
        n_out += jobs[i].weight->ne[1];

    size_t grain = linear_grain(p, n_out);
    while (threads_next(p->threads, n_out, grain, &begin, &end)) {
        size_t first = 0; /* of this job's outputs among all */
        for (size_t i = 0; i < n_jobs && first < end; i++) {
            size_t last = first + jobs[i].weight->ne[1];
            if (last > begin)
                job_range(w, &jobs[i], x, MAX(begin, first) - first, MIN(end, last) - first);
            first = last;
        }
    }
    threads_barrier(p->threads);
}

void residual(Worker *w, const Tensor *weight, const Tensor *bias, const Tensor *post_norm, const float *input) {
    Pass *p = w->pass;
    const Config *c = p->config;
    bool plain = !post_norm->data && c->residual_scale == 1;
    size_t n = c->n_embd, begin, end;

    /* normed has served its purpose by now */
    const Linear job = {weight, bias, plain ? p->x : p->normed, n, .accumulate = plain};
    linear(w, &job, 1, input);
    if (plain)
        return;
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            float *y = p->normed + r * n;
            if (post_norm->data)
                p->kernels->rms_norm(y, y, (const float *)post_norm->data, n, c->norm_eps);
            if (c->residual_scale != 1)
                p->kernels->scale(y, c->residual_scale, n);
            p->kernels->add(p->x + r * n, y, n);
        }
    threads_barrier(p->threads);
}
