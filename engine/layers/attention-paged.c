/* Attention of query rows over the pages that hold their past, for grouped queries and for latents alike, with the
 * softmax done block by block (Dao et al. 2022, arXiv 2205.14135), so that no score outlives its block.
 *
 * The past is cut at absolute positions into spans of SPAN_PAGES pages. Each span is gone through by itself, and what
 * the spans leave of a query is merged in their order. So a row meets the same blocks in the same order whether it is
 * read with its prompt or decoded alone, and its result is the same to the bit; and where there are few rows, as in
 * decoding, the spans of a long past can be gone through by several workers at once. */
#include <math.h>
#include <string.h>

#include "layers/pass.h"

/* Pages whose scores are turned into weights at a time: a maximum, a sum and a change of scale for all of them. */
#define BLOCK_PAGES  4u
#define BLOCK_TOKENS (BLOCK_PAGES * KV_PAGE_TOKENS)
_Static_assert(SPAN_PAGES % BLOCK_PAGES == 0, "a span is whole blocks");

/* Query vectors that share one pass over the pages: enough to pay for reading them, few enough that they, their sums
 * and a block stay in the second-level cache. */
#define TILE_QUERIES 48u

/* Below this many items of work for each worker, spans are dealt out one by one. */
#define ITEMS_PER_WORKER 8u

/* Fewer heads than this are not worth reading a page for. */
#define MIN_PART_HEADS 4u

static uint32_t group_size(const Config *c) {
    return c->n_heads / c->n_kv_heads;
}

uint32_t attention_task_rows(const Config *c) {
    return MAX(TILE_QUERIES / group_size(c), 1u);
}

/* What attention over some positions leaves of each of n queries. max = -INFINITY: there was nothing to see. */
typedef struct Partial {
    float *acc; /* [n][head_dim_v]: values weighted by exp(score - max) */
    float *max; /* [n] */
    float *sum; /* [n]: of exp(score - max) */
} Partial;

/* One worker's view of a task: `n` queries are row-major, `n_heads` heads of a group together. */
typedef struct Tile {
    float *q;        /* [n][head_dim_k], scaled */
    Partial span;    /* of the span under way */
    Partial whole;   /* of all spans so far */
    float *scores;   /* [n][BLOCK_TOKENS] */
    float *unpacked; /* [KV_PAGE_TOKENS][head_dim_k] */
    float *rescale;  /* [n] */
    uint32_t kv_head;
    uint32_t head; /* the first of n_heads */
    uint32_t n_heads;
    uint32_t n;
    uint32_t end_page; /* behind the last page of the span under way */
} Tile;

static size_t tile_queries(const Config *c) {
    return (size_t)attention_task_rows(c) * group_size(c);
}

static size_t partial_floats(const Config *c, size_t n) {
    return n * (c->head_dim_v + 2);
}

static Partial partial_at(const Config *c, float *floats, size_t n) {
    return (Partial){.acc = floats, .max = floats + n * c->head_dim_v, .sum = floats + n * (c->head_dim_v + 1)};
}

size_t attention_paged_scratch(const Config *c) {
    size_t n = tile_queries(c);
    return n * (c->head_dim_k + BLOCK_TOKENS + 1) + 2 * partial_floats(c, n) + (size_t)KV_PAGE_TOKENS * c->head_dim_k;
}

static Tile tile_layout(const Config *c, float *scratch) {
    size_t n = tile_queries(c);
    Tile t = {.q = scratch};
    t.span = partial_at(c, t.q + n * c->head_dim_k, n);
    t.whole = partial_at(c, t.span.acc + partial_floats(c, n), n);
    t.unpacked = t.whole.acc + partial_floats(c, n);
    t.scores = t.unpacked + (size_t)KV_PAGE_TOKENS * c->head_dim_k;
    t.rescale = t.scores + n * BLOCK_TOKENS;
    return t;
}

/* Which queries of a task the tile is for: a part of those that look at the same keys. */
static void choose_heads(const Pass *p, const AttentionTask *task, uint32_t part, Tile *t) {
    t->n_heads = group_size(p->config) / p->head_parts;
    t->kv_head = part / p->head_parts;
    t->head = part * t->n_heads;
    t->n = task->n_rows * t->n_heads;
}

/* Queries of some models are normed head by head before they rotate. */
static void load_queries(const Pass *p, const LayerWeights *l, const AttentionTask *task, uint32_t layer, Tile *t) {
    const Config *c = p->config;

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t r = task->row + i / t->n_heads, head = t->head + i % t->n_heads;
        float *q = t->q + (size_t)i * c->head_dim_k;
        memcpy(q, p->q + ((size_t)r * c->n_heads + head) * c->head_dim_k, c->head_dim_k * sizeof(float));
        attention_norm_head(p, &l->attn_q_norm, q);
        rope_apply(p, layer, r, q);
        p->kernels->scale(q, c->attn_scale, c->head_dim_k);
    }
}

/* ---- a block of pages */

static const uint8_t *task_keys(
    const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t page, const Tile *t) {
    return kv_keys(p, p->rows[task->row].pages[page], layer, t->kv_head);
}

/* Keys of a page, or values, are a piece. A block's keys are read first and then its values; what is read AHEAD pieces
 * after a page's is asked for while that is computed, since memory takes about as long to answer. */
#define AHEAD 2u

static const uint8_t *piece_ahead(
    const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t page, bool values, const Tile *t) {
    uint32_t first = page / BLOCK_PAGES * BLOCK_PAGES, n = MIN(t->end_page - first, BLOCK_PAGES);
    uint32_t piece = page - first + (values ? n : 0) + AHEAD;
    uint32_t then = piece < 2 * n ? first + piece % n : first + piece - n;
    if (p->kv.v_row_bytes == 0 || then >= t->end_page)
        return NULL;
    const uint8_t *keys = task_keys(p, task, layer, then, t);
    return piece >= n && piece < 2 * n ? keys + KV_PAGE_TOKENS * p->kv.k_row_bytes : keys;
}

/* Scores against rows of keys, as latents have them. Halves are multiplied as they lie; rows of bytes become floats
 * first, so that the queries need not become bytes. */
static void row_scores(const Pass *p, const uint8_t *keys, uint32_t n, float *scores, Tile *t) {
    size_t width = p->config->head_dim_k, stride = p->kv.k_row_bytes;
    TensorType type = kv_tensor_type(p->kv.type);

    if (act_is_q8(p->kernels->act[type])) {
        for (uint32_t j = 0; j < n; j++)
            p->kernels->dequantize[type](keys + j * stride, t->unpacked + j * width, width);
        keys = (const uint8_t *)t->unpacked;
        stride = width * sizeof(float);
        type = TENSOR_F32;
    }
    const Matmul m = {
        .traits = quant_traits(type),
        .w = keys,
        .w_stride = stride,
        .x = (const uint8_t *)t->q,
        .x_stride = width * sizeof(float),
        .y = scores,
        .y_stride = BLOCK_TOKENS,
        .n_out = n,
        .n_rows = t->n,
        .k = width,
    };
    p->kernels->matmul_floats[type](&m);
}

/* Scores of every query of the tile against a page's keys, of which there are n yet. */
static void page_scores(
    const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t page, uint32_t n, float *scores, Tile *t) {
    const Config *c = p->config;
    const uint8_t *keys = task_keys(p, task, layer, page, t);
    TensorType type = kv_tensor_type(p->kv.type);
    const KeyScores s = {
        .type = type,
        .keys = keys,
        .q = t->q,
        .q_stride = c->head_dim_k,
        .scores = scores,
        .scores_stride = BLOCK_TOKENS,
        .n_rows = t->n,
        .width = c->head_dim_k,
        .ahead = piece_ahead(p, task, layer, page, false, t),
    };
    if (p->kv.v_row_bytes == 0)
        row_scores(p, keys, n, scores, t);
    else
        p->kernels->key_scores[type](&s);

    for (uint32_t i = 0; c->attn_softcap > 0 && i < t->n; i++)
        for (uint32_t j = 0; j < n; j++) {
            float *score = &scores[(size_t)i * BLOCK_TOKENS + j];
            *score = c->attn_softcap * tanhf(*score / c->attn_softcap);
        }
}

/* Values without rows of their own are the end of the keys. */
static const uint8_t *page_values(const Pass *p, const uint8_t *keys, size_t *ret_stride) {
    const Config *c = p->config;
    bool latent = p->kv.v_row_bytes == 0;
    *ret_stride = latent ? p->kv.k_row_bytes : p->kv.v_row_bytes;
    return keys + (latent ? quant_bytes(kv_tensor_type(p->kv.type), (size_t)c->head_dim_k - c->head_dim_v)
                          : KV_PAGE_TOKENS * p->kv.k_row_bytes);
}

/* What some queries see of a block. */
typedef struct View {
    uint32_t first_query, n_queries;
    uint32_t from, to; /* positions of the block */
} View;

/* The scores of a view become weights, and the values under them are added to the span's. */
static void attend_view(
    const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t block, const View *view, Tile *t) {
    const Config *c = p->config;
    float *scores = t->scores + (size_t)view->first_query * BLOCK_TOKENS;

    for (uint32_t i = 0; i < view->n_queries; i++)
        t->rescale[i] = p->kernels->softmax_block(scores + (size_t)i * BLOCK_TOKENS + view->from, view->to - view->from,
            &t->span.max[view->first_query + i], &t->span.sum[view->first_query + i]);

    for (uint32_t from = view->from, to; from < view->to; from = to) {
        uint32_t page = block * BLOCK_PAGES + from / KV_PAGE_TOKENS;
        to = MIN(view->to, (from / KV_PAGE_TOKENS + 1) * KV_PAGE_TOKENS);
        size_t v_stride;
        const uint8_t *values = page_values(p, task_keys(p, task, layer, page, t), &v_stride);
        const WeightedSum s = {
            .type = kv_tensor_type(p->kv.type),
            .acc = t->span.acc + (size_t)view->first_query * c->head_dim_v,
            .acc_stride = c->head_dim_v,
            .rescale = from == view->from ? t->rescale : NULL,
            .p = scores + from,
            .p_stride = BLOCK_TOKENS,
            .v = values + from % KV_PAGE_TOKENS * v_stride,
            .v_stride = v_stride,
            .n_rows = view->n_queries,
            .n = to - from,
            .width = c->head_dim_v,
            .ahead = piece_ahead(p, task, layer, page, true, t),
        };
        p->kernels->weighted_sum[s.type](&s);
    }
}

/* The first position that a row of a layer looks back to. */
static uint32_t window_start(const Config *c, uint32_t layer, uint32_t position) {
    return layer_is_local(c, layer) && position >= c->window ? position - c->window + 1 : 0;
}

/* One block for all rows of a task. A row sees the positions up to its own, from where its window begins. */
static void attend_block(const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t block, Tile *t) {
    const Config *c = p->config;
    const PassRow *rows = p->rows + task->row;
    uint32_t start = block * BLOCK_TOKENS, oldest = window_start(c, layer, rows[0].position);
    uint32_t n = MIN(rows[task->n_rows - 1].position + 1 - start, BLOCK_TOKENS);

    for (uint32_t at = oldest > start ? (oldest - start) / KV_PAGE_TOKENS * KV_PAGE_TOKENS : 0; at < n;
         at += KV_PAGE_TOKENS)
        page_scores(p, task, layer, (start + at) / KV_PAGE_TOKENS, MIN(n - at, KV_PAGE_TOKENS), t->scores + at, t);

    for (uint32_t r = 0, same; r < task->n_rows; r += same) {
        same = 1;
        uint32_t from = window_start(c, layer, rows[r].position);
        if (rows[r].position < start || from >= start + n)
            continue;
        View view = {.first_query = r * t->n_heads,
            .from = from > start ? from - start : 0,
            .to = MIN(rows[r].position + 1 - start, n)};
        if (view.to == n && !layer_is_local(c, layer)) /* and so do all after it */
            same = task->n_rows - r;
        view.n_queries = same * t->n_heads;
        attend_view(p, task, layer, block, &view, t);
    }
}

/* ---- spans of pages */

static void partial_clear(Partial *a, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) {
        a->max[i] = -INFINITY;
        a->sum[i] = 0;
    }
    memset(a->acc, 0, n * width * sizeof(float));
}

/* What the task's rows see of a span, into t->span. */
static void attend_span(const Pass *p, const AttentionTask *task, uint32_t layer, uint32_t span, Tile *t) {
    const uint32_t blocks = SPAN_PAGES / BLOCK_PAGES;
    uint32_t oldest = window_start(p->config, layer, p->rows[task->row].position) / BLOCK_TOKENS;
    uint32_t position = p->rows[task->row + task->n_rows - 1].position, newest = position / BLOCK_TOKENS;
    uint32_t first = MAX(span * blocks, oldest), last = MIN(span * blocks + blocks - 1, newest);

    t->end_page = MIN((span + 1) * SPAN_PAGES, position / KV_PAGE_TOKENS + 1);
    partial_clear(&t->span, t->n, p->config->head_dim_v);
    for (uint32_t block = first; block <= last; block++)
        attend_block(p, task, layer, block, t);
}

/* t->whole before the first span: nothing, or, where heads have sinks, exp(sink - sink) in the sum. A sink is a score
 * without a value (Xiao et al. 2023, arXiv 2309.17453). */
static void whole_clear(const Config *c, const LayerWeights *l, Tile *t) {
    const float *sinks = (const float *)l->attn_sinks.data;

    partial_clear(&t->whole, t->n, c->head_dim_v);
    for (uint32_t i = 0; sinks && i < t->n; i++) {
        t->whole.max[i] = sinks[t->head + i % t->n_heads];
        t->whole.sum[i] = 1;
    }
}

/* t->whole += a span that came after it. */
static void merge(const Pass *p, const Partial *span, Tile *t) {
    size_t width = p->config->head_dim_v;
    for (uint32_t i = 0; i < t->n; i++) {
        if (span->max[i] == -INFINITY)
            continue;
        float max = MAX(t->whole.max[i], span->max[i]);
        float before = expf(t->whole.max[i] - max), weight = expf(span->max[i] - max);
        const WeightedSum s = {
            .type = TENSOR_F32,
            .acc = t->whole.acc + i * width,
            .acc_stride = width,
            .rescale = &before,
            .p = &weight,
            .p_stride = 1,
            .v = (const uint8_t *)(span->acc + i * width),
            .v_stride = width * sizeof(float),
            .n_rows = 1,
            .n = 1,
            .width = width,
        };
        p->kernels->weighted_sum[s.type](&s);
        t->whole.sum[i] = t->whole.sum[i] * before + span->sum[i] * weight;
        t->whole.max[i] = max;
    }
}

ActFormats attended_formats(const Pass *p, const LayerWeights *l) {
    const Config *c = p->config;
    bool alone = c->head_dim_v % Q8_UNIT == 0; /* a head's bytes, and its words, are its own */
    return c->latent.kv_rank > 0 || !alone ? act_set(ACT_F32) : product_input(p, &l->attn_output);
}

/* Ends t->whole. Floats of a prompt that no product takes would only go to memory. */
static void store_attended(const Pass *p, const LayerWeights *l, const AttentionTask *task, const Tile *t) {
    const Config *c = p->config;
    const ActFormats formats = attended_formats(p, l);
    const size_t width = (size_t)c->n_heads * c->head_dim_v;

    for (uint32_t i = 0; i < t->n; i++) {
        size_t r = task->row + i / t->n_heads, at = (t->head + i % t->n_heads) * (size_t)c->head_dim_v;
        float *out = t->whole.acc + (size_t)i * c->head_dim_v;
        p->kernels->scale(out, 1.0f / t->whole.sum[i], c->head_dim_v);
        if (formats & act_set(ACT_F32))
            memcpy(p->attended.x + r * width + at, out, c->head_dim_v * sizeof(float));
        quantize_part(p, formats, out, p->attended, r, width, at, c->head_dim_v);
    }
}

/* ---- the work dealt out */

size_t attention_partials_floats(const Config *c, uint32_t max_context) {
    return partial_floats(c, c->n_heads) * attention_n_spans(max_context - 1);
}

/* Into how many parts the heads of a group are to be cut, so that n_items become enough for all workers. Every part
 * reads the pages for itself. */
static uint32_t parts_for(const Pass *p, size_t n_items) {
    uint32_t group = group_size(p->config), parts = 1;
    while (n_items * parts < threads_count(p->threads) && group % (parts * 2) == 0 &&
           group / (parts * 2) >= MIN_PART_HEADS)
        parts *= 2;
    return parts;
}

void attention_deal(Pass *p, uint32_t max_context) {
    size_t n_heads = p->config->n_heads, n_kv_heads = p->config->n_kv_heads, n_partials = 0, n_spans = 0;
    for (uint32_t i = 0; i < p->n_tasks; i++) {
        AttentionTask *task = &p->tasks[i];
        task->n_spans = attention_n_spans(p->rows[task->row + task->n_rows - 1].position);
        task->first_partial = n_partials;
        n_partials += n_heads * task->n_rows * task->n_spans;
        n_spans += task->n_spans;
    }
    p->by_span = n_spans > p->n_tasks &&
                 p->n_tasks * n_kv_heads < (size_t)ITEMS_PER_WORKER * threads_count(p->threads) &&
                 n_partials <= n_heads * attention_n_spans(max_context - 1);
    p->head_parts = parts_for(p, (p->by_span ? n_spans : p->n_tasks) * n_kv_heads);
}

/* Where a span of a task leaves what the tile's queries saw. */
static Partial span_partial(const Pass *p, const AttentionTask *task, uint32_t span, const Tile *t) {
    size_t queries = task->first_partial + task->n_rows * ((size_t)t->head * task->n_spans + span * t->n_heads);
    return partial_at(p->config, p->partials + partial_floats(p->config, queries), t->n);
}

/* Every span of every task by itself, whoever comes first; then each task's spans in their order. */
static void attend_by_span(Worker *w, const LayerWeights *l, uint32_t layer, Tile *t) {
    Pass *p = w->pass;
    size_t n_parts = (size_t)p->config->n_kv_heads * p->head_parts, n_items = 0;
    for (uint32_t i = 0; i < p->n_tasks; i++)
        n_items += p->tasks[i].n_spans * n_parts;

    size_t item, end;
    while (threads_next(p->threads, n_items, 1, &item, &end)) {
        const AttentionTask *task = p->tasks;
        for (; item >= task->n_spans * n_parts; task++)
            item -= task->n_spans * n_parts;
        uint32_t span = (uint32_t)item % task->n_spans;
        choose_heads(p, task, (uint32_t)item / task->n_spans, t);
        load_queries(p, l, task, layer, t);
        t->span = span_partial(p, task, span, t);
        attend_span(p, task, layer, span, t);
    }
    threads_barrier(p->threads);

    while (threads_next(p->threads, p->n_tasks * n_parts, 1, &item, &end)) {
        const AttentionTask *task = &p->tasks[item / n_parts];
        choose_heads(p, task, (uint32_t)(item % n_parts), t);
        whole_clear(p->config, l, t);
        for (uint32_t span = 0; span < task->n_spans; span++) {
            Partial seen = span_partial(p, task, span, t);
            merge(p, &seen, t);
        }
        store_attended(p, l, task, t);
    }
    threads_barrier(p->threads);
}

static void attend_by_task(Worker *w, const LayerWeights *l, uint32_t layer, Tile *t) {
    Pass *p = w->pass;
    size_t n_parts = (size_t)p->config->n_kv_heads * p->head_parts;

    /* from the last task on: within a prompt the later ones have more to look at, and long work should start first */
    size_t n = p->n_tasks * n_parts, begin, end;
    while (threads_next(p->threads, n, 1, &begin, &end)) {
        const AttentionTask *task = &p->tasks[(n - 1 - begin) / n_parts];

        choose_heads(p, task, (uint32_t)((n - 1 - begin) % n_parts), t);
        load_queries(p, l, task, layer, t);
        whole_clear(p->config, l, t);
        uint32_t first = window_start(p->config, layer, p->rows[task->row].position) / (SPAN_PAGES * KV_PAGE_TOKENS);
        for (uint32_t span = first; span < task->n_spans; span++) {
            attend_span(p, task, layer, span, t);
            merge(p, &t->span, t);
        }
        store_attended(p, l, task, t);
    }
    threads_barrier(p->threads);
}

void attention_paged(Worker *w, const LayerWeights *l, uint32_t layer) {
    Tile t = tile_layout(w->pass->config, w->scratch);
    (w->pass->by_span ? attend_by_span : attend_by_task)(w, l, layer, &t);
}
