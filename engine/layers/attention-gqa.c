/* Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) over KV pages, with the softmax done page by page
 * (Dao et al. 2022, arXiv 2205.14135), so that no score outlives its page.
 *
 * Pages are cut at absolute positions, so a row meets the same blocks in the same order whether it is read with its
 * prompt or decoded alone: its result is the same to the bit. */
#include <math.h>
#include <string.h>

#include "layers/pass.h"

/* Query vectors that share one pass over the pages: enough to pay for unpacking them, few enough that they, their sums
 * and a page stay in the second-level cache. */
#define TILE_QUERIES 48u

static uint32_t group_size(const Config *c) {
    return c->n_heads / c->n_kv_heads;
}

uint32_t attention_gqa_task_rows(const Config *c) {
    return MAX(TILE_QUERIES / group_size(c), 1u);
}

/* One worker's view of a task: `n` queries are row-major, the heads of a group together. */
typedef struct Tile {
    float *q;       /* [n][head_dim_k], scaled */
    float *acc;     /* [n][head_dim_v] */
    float *scores;  /* [n][KV_PAGE_TOKENS] */
    float *values;  /* [KV_PAGE_TOKENS][head_dim_v], unpacked */
    float *max;     /* [n] */
    float *sum;     /* [n] */
    float *rescale; /* [n] */
    uint32_t n;
} Tile;

static size_t tile_queries(const Config *c) {
    return (size_t)attention_gqa_task_rows(c) * group_size(c);
}

size_t attention_gqa_scratch(const Config *c) {
    return tile_queries(c) * (c->head_dim_k + c->head_dim_v + KV_PAGE_TOKENS + 3) +
           (size_t)KV_PAGE_TOKENS * c->head_dim_v;
}

static Tile tile_layout(const Config *c, float *scratch) {
    size_t n = tile_queries(c);
    Tile t = {.q = scratch};
    t.acc = t.q + n * c->head_dim_k;
    t.values = t.acc + n * c->head_dim_v;
    t.scores = t.values + (size_t)KV_PAGE_TOKENS * c->head_dim_v;
    t.max = t.scores + n * KV_PAGE_TOKENS;
    t.sum = t.max + n;
    t.rescale = t.sum + n;
    return t;
}

static void store_vector(const Pass *p, uint8_t *out, const float *x, size_t n) {
    if (p->kv.type == ENGINE_KV_F16)
        p->kernels->to_half(x, (uint16_t *)out, n);
    else
        memcpy(out, x, n * sizeof(*x));
}

static uint8_t *layer_page(const Pass *p, uint32_t page, uint32_t layer) {
    return p->pool + (size_t)page * p->kv.page_bytes + layer * p->kv.layer_bytes;
}

/* Queries and keys of some models are normed head by head before they rotate. */
static void norm_head(const Pass *p, const Tensor *weight, float *head) {
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
        norm_head(p, &l->attn_k_norm, k + (size_t)h * c->head_dim_k);
        rope_apply(p, layer, r, k + (size_t)h * c->head_dim_k);
    }
    uint8_t *keys = layer_page(p, p->rows[r].pages[position / KV_PAGE_TOKENS], layer);
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

/* Rotates and scales the queries of a task's rows for one KV head into the tile. */
static void load_queries(
    const Pass *p, const LayerWeights *l, const AttentionTask *task, uint32_t kv_head, uint32_t layer, Tile *t) {
    const Config *c = p->config;
    uint32_t group = group_size(c);

    t->n = task->n_rows * group;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t r = task->row + i / group, head = kv_head * group + i % group;
        float *q = t->q + (size_t)i * c->head_dim_k;
        memcpy(q, p->q + ((size_t)r * c->n_heads + head) * c->head_dim_k, c->head_dim_k * sizeof(float));
        norm_head(p, &l->attn_q_norm, q);
        rope_apply(p, layer, r, q);
        p->kernels->scale(q, c->attn_scale, c->head_dim_k);
        t->max[i] = -INFINITY;
        t->sum[i] = 0;
    }
    memset(t->acc, 0, (size_t)t->n * c->head_dim_v * sizeof(float));
}

/* Scores of every query of the tile against the first n keys of a page. */
static void page_scores(const Pass *p, const uint8_t *keys, uint32_t kv_head, uint32_t n, Tile *t) {
    const Config *c = p->config;
    TensorType type = p->kv.type == ENGINE_KV_F16 ? TENSOR_F16 : TENSOR_F32;
    const QuantTraits *traits = quant_traits(type);
    Matmul m = {
        .traits = traits,
        .w = keys + (size_t)kv_head * c->head_dim_k * traits->block_bytes,
        .w_stride = p->kv.k_row_bytes,
        .x = (const uint8_t *)t->q,
        .x_stride = c->head_dim_k * sizeof(float),
        .y = t->scores,
        .y_stride = KV_PAGE_TOKENS,
        .n_out = n,
        .n_rows = t->n,
        .k = c->head_dim_k,
    };
    p->kernels->matmul[type](&m);

    for (uint32_t i = 0; c->attn_softcap > 0 && i < t->n; i++)
        for (uint32_t j = 0; j < n; j++) {
            float *score = &t->scores[(size_t)i * KV_PAGE_TOKENS + j];
            *score = c->attn_softcap * tanhf(*score / c->attn_softcap);
        }
}

/* The first n values of a page as floats: unpacked into the tile, or where they lie. Values without rows of their own
 * are the end of the keys. */
static const float *page_values(
    const Pass *p, const uint8_t *keys, uint32_t kv_head, uint32_t n, Tile *t, size_t *ret_stride) {
    const Config *c = p->config;
    size_t element = p->kv.type == ENGINE_KV_F16 ? 2 : 4, stride = p->kv.v_row_bytes;
    const uint8_t *values = keys + KV_PAGE_TOKENS * p->kv.k_row_bytes + (size_t)kv_head * c->head_dim_v * element;

    if (stride == 0) {
        stride = p->kv.k_row_bytes;
        values = keys + ((size_t)c->head_dim_k - c->head_dim_v) * element;
    }
    if (p->kv.type == ENGINE_KV_F32) {
        *ret_stride = stride / sizeof(float);
        return (const float *)values;
    }
    for (uint32_t j = 0; j < n; j++)
        p->kernels->dequantize[TENSOR_F16](values + j * stride, t->values + (size_t)j * c->head_dim_v, c->head_dim_v);
    *ret_stride = c->head_dim_v;
    return t->values;
}

/* The first position that a row of a layer looks back to. */
static uint32_t window_start(const Config *c, uint32_t layer, uint32_t position) {
    return layer_is_local(c, layer) && position >= c->window ? position - c->window + 1 : 0;
}

/* Hides the first n scores of the page from a row's queries. */
static void hide(Tile *t, uint32_t first_query, uint32_t n_queries, uint32_t n) {
    for (uint32_t i = first_query; i < first_query + n_queries; i++)
        for (uint32_t j = 0; j < n; j++)
            t->scores[(size_t)i * KV_PAGE_TOKENS + j] = -INFINITY;
}

/* One page for all rows of a task. A row sees the positions up to its own, from where its window begins. */
static void attend_page(
    const Pass *p, const AttentionTask *task, uint32_t kv_head, uint32_t layer, uint32_t page, Tile *t) {
    const Config *c = p->config;
    const PassRow *rows = p->rows + task->row;
    uint32_t group = group_size(c), start = page * KV_PAGE_TOKENS;
    uint32_t n = MIN(rows[task->n_rows - 1].position + 1 - start, KV_PAGE_TOKENS);
    const uint8_t *keys = layer_page(p, rows[0].pages[page], layer);

    page_scores(p, keys, kv_head, n, t);
    size_t v_stride;
    const float *v = page_values(p, keys, kv_head, n, t, &v_stride);

    for (uint32_t r = 0, same; r < task->n_rows; r += same) {
        same = 1;
        uint32_t from = window_start(c, layer, rows[r].position);
        if (rows[r].position < start || from >= start + n)
            continue;
        uint32_t seen = MIN(rows[r].position + 1 - start, n);
        if (seen == n && !layer_is_local(c, layer)) /* and so do all after it */
            same = task->n_rows - r;

        uint32_t first = r * group, n_queries = same * group;
        if (from > start)
            hide(t, first, n_queries, from - start);
        for (uint32_t i = first; i < first + n_queries; i++)
            t->rescale[i] =
                p->kernels->softmax_block(t->scores + (size_t)i * KV_PAGE_TOKENS, seen, &t->max[i], &t->sum[i]);
        WeightedSum s = {
            .acc = t->acc + (size_t)first * c->head_dim_v,
            .acc_stride = c->head_dim_v,
            .rescale = t->rescale + first,
            .p = t->scores + (size_t)first * KV_PAGE_TOKENS,
            .p_stride = KV_PAGE_TOKENS,
            .v = v,
            .v_stride = v_stride,
            .n_rows = n_queries,
            .n = seen,
            .width = c->head_dim_v,
        };
        p->kernels->weighted_sum(&s);
    }
}

static void store_attended(const Pass *p, const AttentionTask *task, uint32_t kv_head, const Tile *t) {
    const Config *c = p->config;
    uint32_t group = group_size(c);
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t r = task->row + i / group, head = kv_head * group + i % group;
        float *out = p->attended.x + ((size_t)r * c->n_heads + head) * c->head_dim_v;
        memcpy(out, t->acc + (size_t)i * c->head_dim_v, c->head_dim_v * sizeof(float));
        p->kernels->scale(out, 1.0f / t->sum[i], c->head_dim_v);
    }
}

void attention_gqa_attend(Worker *w, const LayerWeights *l, uint32_t layer) {
    Pass *p = w->pass;
    const Config *c = p->config;
    Tile t = tile_layout(c, w->scratch);

    /* from the last task on: within a prompt the later ones have more to look at, and long work should start first */
    size_t n = (size_t)p->n_tasks * c->n_kv_heads, begin, end;
    while (threads_next(p->threads, n, 1, &begin, &end)) {
        const AttentionTask *task = &p->tasks[(n - 1 - begin) / c->n_kv_heads];
        uint32_t kv_head = (uint32_t)((n - 1 - begin) % c->n_kv_heads);
        uint32_t last = p->rows[task->row + task->n_rows - 1].position;

        load_queries(p, l, task, kv_head, layer, &t);
        uint32_t first = window_start(c, layer, p->rows[task->row].position);
        for (uint32_t page = first / KV_PAGE_TOKENS; page <= last / KV_PAGE_TOKENS; page++)
            attend_page(p, task, kv_head, layer, page, &t);
        store_attended(p, task, kv_head, &t);
    }
    threads_barrier(p->threads);
}

void attention_gqa_output(Worker *w, const LayerWeights *l) {
    residual(w, &l->attn_output, &l->attn_output_bias, &l->attn_post_norm, w->pass->attended);
}
