/* The projections of grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245), and the cache's rows. */
#include <string.h>

#include "kernels/key-columns.h"
#include "layers/pass.h"

_Static_assert(KEY_COLUMNS == KV_PAGE_TOKENS, "a page holds the keys that a kernel goes through together");

static void store_vector(const Pass *p, uint8_t *out, const float *x, size_t n) {
    switch (p->kv.type) {
    case ENGINE_KV_F16: p->kernels->to_half(x, (uint16_t *)out, n); break;
    case ENGINE_KV_Q8_0: quantize_q8_0(x, out, n); break;
    case ENGINE_KV_F32: memcpy(out, x, n * sizeof(*x)); break;
    }
}

/* A key to its column, a part at a time. */
static void store_key(const Pass *p, uint8_t *keys, uint32_t column, const float *x, size_t n) {
    float part[KEY_PART];
    for (size_t i = 0; i < n; i += KEY_PART) {
        size_t count = MIN(n - i, (size_t)KEY_PART);
        store_vector(p, (uint8_t *)part, x + i, count);
        key_put(kv_tensor_type(p->kv.type), keys, i, count, column, part);
    }
}

uint8_t *kv_keys(const Pass *p, uint32_t page, uint32_t layer, uint32_t kv_head) {
    return p->pool + (size_t)page * p->kv.page_bytes + layer * p->kv.layer_bytes + kv_head * p->kv.head_bytes;
}

void attention_norm_head(const Pass *p, const Tensor *weight, float *head) {
    const Config *c = p->config;
    if (weight->data)
        p->kernels->rms_norm(head, head, (const float *)weight->data, c->head_dim_k, c->norm_eps);
}

void attention_store_row(const Pass *p, const LayerWeights *l, uint32_t r, uint32_t layer) {
    const Config *c = p->config;
    uint32_t position = p->rows[r].position, slot = position % KV_PAGE_TOKENS;

    for (uint32_t h = 0; h < c->n_kv_heads; h++) {
        uint8_t *keys = kv_keys(p, p->rows[r].pages[position / KV_PAGE_TOKENS], layer, h);
        float *k = p->k + ((size_t)r * c->n_kv_heads + h) * c->head_dim_k;
        attention_norm_head(p, &l->attn_k_norm, k);
        rope_apply(p, layer, r, k);
        if (p->kv.v_row_bytes == 0) {
            store_vector(p, keys + slot * p->kv.k_row_bytes, k, c->head_dim_k);
            continue;
        }
        uint8_t *values = keys + KV_PAGE_TOKENS * p->kv.k_row_bytes;
        store_key(p, keys, slot, k, c->head_dim_k);
        store_vector(p, values + slot * p->kv.v_row_bytes, p->v + ((size_t)r * c->n_kv_heads + h) * c->head_dim_v,
            c->head_dim_v);
    }
}

/* Rows that a worker stores at a time: in a prompt many, since neighbours share cache lines. */
static size_t store_grain(const Pass *p) {
    size_t share = MAX(p->n_rows / (4 * (size_t)threads_count(p->threads)), (size_t)1);
    return MIN(share, (size_t)KV_PAGE_TOKENS);
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
    while (threads_next(p->threads, p->n_rows, store_grain(p), &begin, &end))
        for (size_t r = begin; r < end; r++)
            attention_store_row(p, l, (uint32_t)r, layer);
    threads_barrier(p->threads);
}

void attention_gqa_output(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    const ActFormats formats = product_input(p, &l->attn_output);
    if (attended_formats(p, l) != formats)
        quantize(w, formats, p->attended, p->n_rows, l->attn_output.ne[0]);
    residual(w, &l->attn_output, &l->attn_output_bias, &l->attn_post_norm, p->attended);
}
