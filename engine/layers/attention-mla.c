/* Multi-head latent attention in its absorbed form (DeepSeek-V2, arXiv 2405.04434, section 2.1.2): keys and values are
 * never unpacked from the latent; instead each head's query is brought into the latent's space (by W_k), attends there,
 * and the result is brought out (by W_v). The cache holds [rope | latent] once for all heads, which is what makes long
 * contexts cheap. */
#include <string.h>

#include "layers/pass.h"

static uint32_t query_width(const Config *c) {
    return c->latent.nope + c->rope.n_dims;
}

size_t attention_mla_scratch(const Config *c, uint32_t max_rows) {
    if (c->latent.kv_rank == 0)
        return 0;
    size_t widest = MAX(c->latent.nope, c->latent.kv_rank);
    size_t bytes = max_rows * MAX(q8_row_bytes(widest), q14_row_bytes(widest));
    return MAX((size_t)c->latent.nope * c->latent.kv_rank + max_rows, bytes / sizeof(float));
}

/* y[r] = rows [first, first + n_out) of a matrix times x[r]; the bytes or words of x, where wanted, are made in the
 * scratch. */
static void product(Worker *w, const Tensor *t, size_t first, size_t n_out, const float *x, size_t x_stride, float *y,
    size_t y_stride) {
    const Pass *p = w->pass;
    Matmul m = {
        .traits = quant_traits(t->type),
        .w = t->data + first * t->row_bytes,
        .w_stride = t->row_bytes,
        .x = (const uint8_t *)x,
        .x_stride = x_stride * sizeof(float),
        .y = y,
        .y_stride = y_stride,
        .n_out = n_out,
        .n_rows = p->n_rows,
        .k = t->ne[0],
    };
    const ActFormat act = p->kernels->act[t->type];
    if (act != ACT_F32) {
        uint8_t *rows = (uint8_t *)w->scratch;
        m.x = rows;
        m.x_stride = act_row_bytes(act, m.k);
        for (uint32_t r = 0; r < p->n_rows; r++)
            p->kernels->quantize[act](x + r * x_stride, rows + r * m.x_stride, m.k, 0, m.k);
    }
    p->kernels->matmul[t->type](&m);
}

/* ---- into the latent's space */

/* The rows of W_k as an older file has them, one for each element of the query: their sum, weighted by the query. */
static void absorb_rows(
    Worker *w, const LayerWeights *l, uint32_t head, const float *q, size_t q_stride, float *out, size_t out_stride) {
    const Pass *p = w->pass;
    const LatentConfig *m = &p->config->latent;
    const Tensor *t = &l->attn_kv_b;
    size_t first = (size_t)head * (m->nope + m->v_dim);
    float *rows = w->scratch, *ones = rows + (size_t)m->nope * m->kv_rank;

    for (uint32_t i = 0; i < m->nope; i++)
        p->kernels->dequantize[t->type](
            t->data + (first + i) * t->row_bytes, rows + (size_t)i * m->kv_rank, m->kv_rank);
    for (uint32_t r = 0; r < p->n_rows; r++) {
        ones[r] = 1;
        memset(out + r * out_stride, 0, m->kv_rank * sizeof(float));
    }
    const WeightedSum s = {.type = TENSOR_F32,
        .acc = out,
        .acc_stride = out_stride,
        .rescale = ones,
        .p = q,
        .p_stride = q_stride,
        .v = (const uint8_t *)rows,
        .v_stride = m->kv_rank * sizeof(float),
        .n_rows = p->n_rows,
        .n = m->nope,
        .width = m->kv_rank};
    p->kernels->weighted_sum[s.type](&s);
}

static void absorb_head(Worker *w, const LayerWeights *l, uint32_t head) {
    const Pass *p = w->pass;
    const Config *c = p->config;
    uint32_t rope = c->rope.n_dims, nope = c->latent.nope;
    size_t from_stride = (size_t)c->n_heads * query_width(c), to_stride = (size_t)c->n_heads * c->head_dim_k;
    const float *from = p->heads.x + (size_t)head * query_width(c);
    float *to = p->q + (size_t)head * c->head_dim_k;

    for (uint32_t r = 0; r < p->n_rows; r++)
        memcpy(to + r * to_stride, from + r * from_stride + nope, rope * sizeof(float));
    if (l->attn_k_b.data)
        product(w, &l->attn_k_b, (size_t)head * c->latent.kv_rank, c->latent.kv_rank, from, from_stride, to + rope,
            to_stride);
    else
        absorb_rows(w, l, head, from, from_stride, to + rope, to_stride);
}

/* p->v holds [latent | rope] as the projection gives it; the cache wants [rope | latent], the latent normed. */
static void store_latent(const Pass *p, const LayerWeights *l, uint32_t row, uint32_t layer) {
    const Config *c = p->config;
    uint32_t rope = c->rope.n_dims, rank = c->latent.kv_rank;
    const float *from = p->v + (size_t)row * c->head_dim_k;
    float *k = p->k + (size_t)row * c->head_dim_k;

    memcpy(k, from + rank, rope * sizeof(float));
    p->kernels->rms_norm(k + rope, from, (const float *)l->attn_kv_a_norm.data, rank, c->norm_eps);
    attention_store_row(p, l, row, layer);
}

void attention_mla_project(Worker *w, const LayerWeights *l, uint32_t layer) {
    Pass *p = w->pass;
    const Config *c = p->config;
    uint32_t q_rank = c->latent.q_rank;
    size_t q_width = (size_t)c->n_heads * query_width(c), begin, end;
    const Linear jobs[] = {
        {&l->attn_kv_a, NULL, p->v, c->head_dim_k},
        {q_rank ? &l->attn_q_a : &l->attn_q, NULL, q_rank ? p->q_low.x : p->heads.x, q_rank ? q_rank : q_width},
    };

    linear(w, jobs, ELEMENTSOF(jobs), p->normed);
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            store_latent(p, l, (uint32_t)r, layer);
            if (q_rank) {
                float *q = p->q_low.x + r * q_rank;
                p->kernels->rms_norm(q, q, (const float *)l->attn_q_a_norm.data, q_rank, c->norm_eps);
                quantize_row(p, product_input(p, &l->attn_q_b), p->q_low, r, q_rank);
            }
        }
    threads_barrier(p->threads);

    if (q_rank) {
        const Linear widen = {&l->attn_q_b, NULL, p->heads.x, q_width};
        linear(w, &widen, 1, p->q_low);
    }
    while (threads_next(p->threads, c->n_heads, 1, &begin, &end))
        for (size_t head = begin; head < end; head++)
            absorb_head(w, l, (uint32_t)head);
    threads_barrier(p->threads);
}

/* ---- and out of it */

void attention_mla_output(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    const Config *c = p->config;
    const LatentConfig *m = &c->latent;
    size_t from_stride = (size_t)c->n_heads * m->kv_rank, to_stride = (size_t)c->n_heads * m->v_dim, begin, end;
    const Tensor *t = l->attn_v_b.data ? &l->attn_v_b : &l->attn_kv_b;
    ActFormats formats = product_input(p, &l->attn_output);
    bool by_head = m->v_dim % Q8_UNIT == 0; /* a head's bytes, and its words, are its own */

    while (threads_next(p->threads, c->n_heads, 1, &begin, &end))
        for (size_t head = begin; head < end; head++) {
            size_t first = l->attn_v_b.data ? head * m->v_dim : head * (m->nope + m->v_dim) + m->nope;
            product(w, t, first, m->v_dim, p->attended.x + head * m->kv_rank, from_stride, p->heads.x + head * m->v_dim,
                to_stride);
            for (uint32_t r = 0; by_head && r < p->n_rows; r++)
                quantize_part(p, formats, p->heads.x + r * to_stride + head * m->v_dim, p->heads, r, to_stride,
                    head * m->v_dim, m->v_dim);
        }
    threads_barrier(p->threads);
    if (!by_head)
        quantize(w, formats, p->heads, p->n_rows, to_stride);
    residual(w, &l->attn_output, NULL, &l->attn_post_norm, p->heads);
}
