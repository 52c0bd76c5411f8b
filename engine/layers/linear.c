/* Products with weight matrices, cut into ranges of outputs. */
#include <string.h>

#include "layers/pass.h"

/* So many bytes of a matrix are read in one stretch without the beginnings of stretches being felt. */
#define RANGE_BYTES (512u << 10)
#define RANGES      4 /* of each worker, at least */
#define RANGE_PARTS 4 /* that the last one of them comes in */

/* Few rows: large ranges, so that each worker reads long stretches of weights. Many rows: small ones, so that a range's
 * results fit the worker's scratch. */
Grain linear_grain(const Pass *p, const Tensor *weight, size_t n_out) {
    size_t share = n_out / (threads_count(p->threads) * RANGES);
    size_t fit = p->worker_floats / 2 / MAX(p->n_rows, 1u);
    size_t most = MIN(share, fit);
    most = MIN(most, RANGE_BYTES / weight->row_bytes);
    size_t least = MAX(most / RANGE_PARTS / LINEAR_UNIT, (size_t)1) * LINEAR_UNIT;
    return (Grain){.most = MAX(most / least, (size_t)1) * least, .least = least};
}

/* A layer's weights are tensors and nothing else, so they can be gone through as an array. */
ActFormats model_inputs(const Model *m, const Kernels *k) {
    _Static_assert(sizeof(LayerWeights) % sizeof(Tensor) == 0, "LayerWeights has more than tensors");
    ActFormats formats = act_set(k->act[m->weights.output.type]);
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const Tensor *tensors = (const Tensor *)&m->weights.layers[i];
        for (size_t j = 0; j < sizeof(LayerWeights) / sizeof(Tensor); j++)
            if (tensors[j].data)
                formats |= act_set(k->act[tensors[j].type]);
    }
    return formats;
}

static ActFormats rows_for(const Pass *p, const Tensor *const *weights, size_t n) {
    ActFormats formats = 0;
    for (size_t i = 0; i < n; i++)
        if (weights[i]->data)
            formats |= product_input(p, weights[i]);
    return formats;
}

ActFormats attention_input(const Pass *p, const LayerWeights *l) {
    const Tensor *const weights[] = {&l->attn_q, &l->attn_k, &l->attn_v, &l->attn_q_a, &l->attn_kv_a};
    return rows_for(p, weights, ELEMENTSOF(weights));
}

ActFormats ffn_input(const Pass *p, const LayerWeights *l) {
    const Tensor *const weights[] = {&l->ffn_gate, &l->ffn_up, &l->router, &l->experts_gate, &l->experts_up,
        &l->shared_router, &l->shared_gate, &l->shared_up};
    return rows_for(p, weights, ELEMENTSOF(weights));
}

ActFormats product_input(const Pass *p, const Tensor *weight) {
    return act_set(p->kernels->act[weight->type]);
}

#define QUANTIZE_RANGE 1024u /* elements, whole units of Q8_UNIT */

/* Rows with one scale for 32 elements serve every kind of weights that takes bytes, those with two not. */
void quantize_part(
    const Pass *p, ActFormats formats, const float *x, Rows to, size_t row, size_t k, size_t begin, size_t n) {
    if (formats & act_set(ACT_Q8_32))
        p->kernels->quantize[ACT_Q8_32](x, to.q8 + row * q8_row_bytes(k), k, begin, n);
    else if (formats & act_set(ACT_Q8_16))
        p->kernels->quantize[ACT_Q8_16](x, to.q8 + row * q8_row_bytes(k), k, begin, n);
    if (formats & act_set(ACT_Q14))
        p->kernels->quantize[ACT_Q14](x, to.q14 + row * q14_row_bytes(k), k, begin, n);
}

void quantize_row(const Pass *p, ActFormats formats, Rows in, size_t row, size_t k) {
    quantize_part(p, formats, in.x + row * k, in, row, k, 0, k);
}

void quantize(Worker *w, ActFormats formats, Rows in, size_t n_rows, size_t k) {
    Pass *p = w->pass;
    if (!(formats & ~act_set(ACT_F32)))
        return;

    size_t per_row = (k + QUANTIZE_RANGE - 1) / QUANTIZE_RANGE, begin, end;
    while (threads_next(p->threads, n_rows * per_row, 1, &begin, &end)) {
        size_t row = begin / per_row, at = begin % per_row * QUANTIZE_RANGE;
        quantize_part(p, formats, in.x + row * k + at, in, row, k, at, MIN(k - at, (size_t)QUANTIZE_RANGE));
    }
    threads_barrier(p->threads);
}

Rows rows_from(Rows in, size_t first, size_t k) {
    return (Rows){
        .x = in.x + first * k,
        .q8 = in.q8 ? in.q8 + first * q8_row_bytes(k) : NULL,
        .q14 = in.q14 ? in.q14 + first * q14_row_bytes(k) : NULL,
    };
}

void rows_copy(ActFormats formats, Rows to, Rows from, size_t k) {
    if (formats & act_set(ACT_F32))
        memmove(to.x, from.x, k * sizeof(float));
    if (formats & (act_set(ACT_Q8_16) | act_set(ACT_Q8_32)))
        memmove(to.q8, from.q8, q8_row_bytes(k));
    if (formats & act_set(ACT_Q14))
        memmove(to.q14, from.q14, q14_row_bytes(k));
}

static const uint8_t *rows_as(Rows in, ActFormat act) {
    return act_is_q8(act) ? in.q8 : act == ACT_Q14 ? in.q14 : (const uint8_t *)in.x;
}

void linear_range(const Pass *p, const Tensor *weight, const Tensor *bias, Rows in, uint32_t n_rows, size_t begin,
    size_t end, float *y, size_t y_stride) {
    size_t k = weight->ne[0];
    const ActFormat act = p->kernels->act[weight->type];
    Matmul m = {
        .traits = quant_traits(weight->type),
        .w = weight->data + begin * weight->row_bytes,
        .w_stride = weight->row_bytes,
        .x = rows_as(in, act),
        .x_stride = act_row_bytes(act, k),
        .y = y,
        .y_stride = y_stride,
        .n_out = end - begin,
        .n_rows = n_rows,
        .k = k,
    };
    p->kernels->matmul[weight->type](&m);
    if (bias && bias->data)
        for (uint32_t r = 0; r < n_rows; r++)
            p->kernels->add(y + r * y_stride, (const float *)bias->data + begin, end - begin);
}

static void job_range(Worker *w, const Linear *job, Rows in, size_t begin, size_t end) {
    const Pass *p = w->pass;
    if (!job->accumulate) {
        linear_range(p, job->weight, job->bias, in, p->n_rows, begin, end, job->y + begin, job->y_stride);
        return;
    }
    linear_range(p, job->weight, job->bias, in, p->n_rows, begin, end, w->scratch, end - begin);
    for (uint32_t r = 0; r < p->n_rows; r++)
        p->kernels->add(job->y + r * job->y_stride + begin, w->scratch + r * (end - begin), end - begin);
}

void linear(Worker *w, const Linear *jobs, size_t n_jobs, Rows in) {
    Pass *p = w->pass;
    size_t n_out = 0, begin, end;
    for (size_t i = 0; i < n_jobs; i++)
        n_out += jobs[i].weight->ne[1];

    const Grain grain = linear_grain(p, jobs[0].weight, n_out);
    while (threads_next_near(p->threads, n_out, grain, &begin, &end)) {
        size_t first = 0; /* of this job's outputs among all */
        for (size_t i = 0; i < n_jobs && first < end; i++) {
            size_t last = first + jobs[i].weight->ne[1];
            if (last > begin)
                job_range(w, &jobs[i], in, MAX(begin, first) - first, MIN(end, last) - first);
            first = last;
        }
    }
    threads_barrier(p->threads);
}

void residual(Worker *w, const Tensor *weight, const Tensor *bias, const Tensor *post_norm, Rows input) {
    Pass *p = w->pass;
    const Config *c = p->config;
    bool plain = !post_norm->data && c->residual_scale == 1;
    size_t n = c->n_embd, begin, end;

    /* normed has served its purpose by now */
    const Linear job = {weight, bias, plain ? p->x : p->normed.x, n, .accumulate = plain};
    linear(w, &job, 1, input);
    if (plain)
        return;
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            float *y = p->normed.x + r * n;
            if (post_norm->data)
                p->kernels->rms_norm(y, y, (const float *)post_norm->data, n, c->norm_eps);
            if (c->residual_scale != 1)
                p->kernels->scale(y, c->residual_scale, n);
            p->kernels->add(p->x + r * n, y, n);
        }
    threads_barrier(p->threads);
}
