/* The projections of grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245), and the cache's rows. */
#include <string.h>

#include "layers/pass.h"

static void store_vector(const Pass *p, uint8_t *out, const float *x, size_t n) {
    switch (p->kv.type) {
    case ENGINE_KV_F16: p->kernels->to_half(x, (uint16_t *)out, n); break;
    case ENGINE_KV_Q8_0: quantize_q8_0(x, out, n); break;
    case ENGINE_KV_F32: memcpy(out, x, n * sizeof(*x)); break;
    }
}

uint8_t *kv_page(const Pass *p, uint32_t page, uint32_t layer) {
    return p->pool + (size_t)page * p->kv.page_bytes + layer * p->kv.layer_bytes;
}

void attention_norm_head(const Pass *p, const Tensor *weight, float *head) {
    const Config *c = p->config;
    if (weight->data)
        p->kernels->rms_norm(head, head, (const float *)weight->data, c->head_dim_k, c->norm_eps);
}

void attention_store_row(const Pass *p, const LayerWeights *l, uint32_t r, uint32_t layer) {
    const Config *c = p->config;
    uint32_t position = p->rows[r].position, slot = position % KV_PAGE_TOKENS;
    size_t k_width = (size_t)c->n_kv_heads * c->head_dim_k, v_width = (size_t)c->n_kv_heads * c->head_dim_v;
    float *k = p->k + r * k_width, *v = p->v + r * v_width;

    for (uint32_t h = 0; h < c->n_kv_heads; h++) {
        attention_norm_head(p, &l->attn_k_norm, k + (size_t)h * c->head_dim_k);
        rope_apply(p, layer, r, k + (size_t)h * c->head_dim_k);
    }
    uint8_t *keys = kv_page(p, p->rows[r].pages[position / KV_PAGE_TOKENS], layer);
    uint8_t *values = keys + KV_PAGE_TOKENS * p->kv.k_row_bytes;
    store_vector(p, keys + slot * p->kv.k_row_bytes, k, k_width);
    if (p->kv.v_row_bytes > 0)
        store_vector(p, values + slot * p->kv.v_row_bytes, v, v_width);
}

void attention_gqa_project(Worker *w, const LayerWeights *l, uint32_t layer) {
    Pass *p = w->pass;
    const Config *c = p->config;
    const Linear jobs[] = {
        {&l->attn_q, &l->attn_q_bias, p->q, (size_t)c->n_heads * c->head_dim_k},
        {&l->attn_k, &l->attn_k_bias, p->k, (size_t)c->n_kv_heads * c->head_dim_k},
        {&l->attn_v, &l->attn_v_bias, p->v, (size_t)c->n_kv_heads * c->head_dim_v},
    };
    linear(w, jobs, ELEMENTSOF(jobs), p->normed);

    size_t begin, end;
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++)
            attention_store_row(p, l, (uint32_t)r, layer);
    threads_barrier(p->threads);
}

void attention_gqa_output(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    quantize(w, p->attended, p->n_rows, l->attn_output.ne[0]);
    residual(w, &l->attn_output, &l->attn_output_bias, &l->attn_post_norm, p->attended);
}
