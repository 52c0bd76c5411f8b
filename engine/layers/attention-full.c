/* Attention without a cache, for encoders: every row sees every row of its own sequence. A task is some rows of one
 * head, so that keys and values are read once for all of them. */
#include <math.h>
#include <string.h>

#include "layers/pass.h"

#define TASK_ROWS LINEAR_UNIT /* scratch holds as many scores for each row of the pass */

static void rotate_rows(Worker *w) {
    Pass *p = w->pass;
    const Config *c = p->config;
    size_t q_width = (size_t)c->n_heads * c->head_dim_k, k_width = (size_t)c->n_kv_heads * c->head_dim_k, begin, end;

    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            for (uint32_t h = 0; h < c->n_heads; h++)
                rope_apply(p, 0, (uint32_t)r, p->q + r * q_width + h * c->head_dim_k);
            for (uint32_t h = 0; h < c->n_kv_heads; h++)
                rope_apply(p, 0, (uint32_t)r, p->k + r * k_width + h * c->head_dim_k);
        }
    threads_barrier(p->threads);
}

static void attend(Worker *w, uint32_t head, size_t row, size_t n_rows) {
    const Pass *p = w->pass;
    const Config *c = p->config;
    size_t n = p->n_rows, kv_head = head / (c->n_heads / c->n_kv_heads);
    size_t q_width = (size_t)c->n_heads * c->head_dim_k, k_width = (size_t)c->n_kv_heads * c->head_dim_k;
    size_t out_width = (size_t)c->n_heads * c->head_dim_v, v_width = (size_t)c->n_kv_heads * c->head_dim_v;
    float *scores = w->scratch, *out = p->attended.x + row * out_width + head * c->head_dim_v;
    float rescale[TASK_ROWS], sums[TASK_ROWS];

    p->kernels->matmul[TENSOR_F32](&(Matmul){
        .traits = quant_traits(TENSOR_F32),
        .w = (const uint8_t *)(p->k + kv_head * c->head_dim_k),
        .w_stride = k_width * sizeof(float),
        .x = (const uint8_t *)(p->q + row * q_width + head * c->head_dim_k),
        .x_stride = q_width * sizeof(float),
        .y = scores,
        .y_stride = n,
        .n_out = n,
        .n_rows = n_rows,
        .k = c->head_dim_k,
    });
    for (size_t r = 0; r < n_rows; r++) {
        float max = -INFINITY;
        sums[r] = 0;
        p->kernels->scale(scores + r * n, c->attn_scale, n);
        rescale[r] = p->kernels->softmax_block(scores + r * n, n, &max, &sums[r]);
        memset(out + r * out_width, 0, c->head_dim_v * sizeof(float));
    }
    p->kernels->weighted_sum[TENSOR_F32](&(WeightedSum){
        .type = TENSOR_F32,
        .acc = out,
        .acc_stride = out_width,
        .rescale = rescale,
        .p = scores,
        .p_stride = n,
        .v = (const uint8_t *)(p->v + kv_head * c->head_dim_v),
        .v_stride = v_width * sizeof(float),
        .n_rows = n_rows,
        .n = n,
        .width = c->head_dim_v,
    });
    for (size_t r = 0; r < n_rows; r++)
        p->kernels->scale(out + r * out_width, 1 / sums[r], c->head_dim_v);
}

void attention_full(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    const Config *c = p->config;
    static const Tensor none;
    const Linear jobs[] = {
        {&l->attn_q, &l->attn_q_bias, p->q, (size_t)c->n_heads * c->head_dim_k},
        {&l->attn_k, &l->attn_k_bias, p->k, (size_t)c->n_kv_heads * c->head_dim_k},
        {&l->attn_v, &l->attn_v_bias, p->v, (size_t)c->n_kv_heads * c->head_dim_v},
    };
    linear(w, jobs, ELEMENTSOF(jobs), p->normed);
    if (p->rope[ROPE_GLOBAL].frequency)
        rotate_rows(w);

    size_t blocks = (p->n_rows + TASK_ROWS - 1) / TASK_ROWS, begin, end;
    while (threads_next(p->threads, blocks * c->n_heads, 1, &begin, &end)) {
        size_t row = begin % blocks * TASK_ROWS;
        attend(w, (uint32_t)(begin / blocks), row, MIN(p->n_rows - row, (size_t)TASK_ROWS));
    }
    threads_barrier(p->threads);

    quantize(w, product_input(p, &l->attn_output), p->attended, p->n_rows, l->attn_output.ne[0]);
    residual(w, &l->attn_output, &l->attn_output_bias, &none, p->attended);
}
