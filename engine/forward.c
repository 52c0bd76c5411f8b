/* One pass of a batch of tokens through the model; see forward.h. The function forward() reads like the architecture:
 * every worker runs it, the layers deal out their work among the workers and meet at barriers. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "layers/cutter.h"

struct Forward {
    const Model *model; /* borrowed */
    ForwardOptions options;
    Pass pass;       /* its arrays lie in `arena` */
    Worker *workers; /* owned, one per thread */
    float *logits;
    uint8_t *arena; /* owned, mapped: pages that a small batch never touches cost nothing */
    size_t arena_bytes;
    ActFormats inputs; /* that products take their rows in */

    /* of the step under way */
    const BatchRun *runs;
    size_t n_runs;
    uint32_t n_logits;
    const Token **tokens; /* [n_rows]: where each row's token stands */
    uint32_t *logit_rows; /* [n_logits], ascending */
};

TensorType kv_tensor_type(EngineKvType type) {
    return type == ENGINE_KV_F16 ? TENSOR_F16 : type == ENGINE_KV_Q8_0 ? TENSOR_Q8_0 : TENSOR_F32;
}

int kv_layout(const Config *c, EngineKvType type, KvLayout *ret, Error *e) {
    TensorType tensor_type = kv_tensor_type(type);
    uint32_t block = quant_traits(tensor_type)->block_size;
    if (c->head_dim_k % block != 0 || c->head_dim_v % block != 0)
        return error_set(e, -EINVAL,
            "rows of the KV cache in q8_0 come in blocks of %u, and this model's heads are %u and %u wide: use f16",
            block, c->head_dim_k, c->head_dim_v);
    KvLayout l = {
        .type = type,
        .k_row_bytes = quant_bytes(tensor_type, c->head_dim_k),
        .v_row_bytes = c->latent.kv_rank ? 0 : quant_bytes(tensor_type, c->head_dim_v),
    };
    l.head_bytes = KV_PAGE_TOKENS * (l.k_row_bytes + l.v_row_bytes);
    l.layer_bytes = c->n_kv_heads * l.head_bytes;
    l.page_bytes = l.layer_bytes * c->n_layers;
    *ret = l;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ memory */

static size_t worker_floats(const Config *c, const ForwardOptions *o) {
    /* results of a range of outputs of two matrices: the wider it is, the fewer times a prompt's rows are read again */
    size_t n = 2 * MAX((size_t)o->max_rows * 4 * LINEAR_UNIT, (size_t)16384);
    n = MAX(n, c->n_embd);
    n = MAX(n, attention_paged_scratch(c));
    n = MAX(n, attention_mla_scratch(c, o->max_rows));
    n = MAX(n, 2 * (size_t)c->experts.n);
    return (n + 15) & ~(size_t)15;
}

static void cut_latent(Forward *f, Cutter *cutter) {
    const Config *c = &f->model->config;
    size_t rows = f->options.max_rows, width = MAX(c->latent.nope + c->rope.n_dims, c->latent.v_dim);
    f->pass.q_low = cut_rows(cutter, rows, c->latent.q_rank);
    f->pass.heads = cut_rows(cutter, rows, c->n_heads * width);
}

static void cut_routing(Forward *f, Cutter *cutter) {
    const Config *c = &f->model->config;
    const ExpertConfig *x = &c->experts;
    size_t rows = f->options.max_rows, slots = rows * x->n_used;
    Routing *t = &f->pass.routing;

    t->scores = cut(cutter, rows * x->n, sizeof(float));
    t->experts = cut(cutter, slots, sizeof(uint32_t));
    t->weights = cut(cutter, slots, sizeof(float));
    t->slots = cut(cutter, slots, sizeof(uint32_t));
    t->rows = cut(cutter, slots, sizeof(uint32_t));
    t->shared_weights = cut(cutter, rows, sizeof(float));
    t->first = cut(cutter, x->n + 1, sizeof(uint32_t));
    t->active = cut(cutter, x->n, sizeof(uint32_t));
    t->x = cut_rows(cutter, slots, c->n_embd);
    t->hidden = cut_rows(cutter, slots, x->n_ff);
    t->y = cut(cutter, slots * c->n_embd, sizeof(float));
}

static size_t cut_arena(Forward *f, uint8_t *base) {
    const Config *c = &f->model->config;
    size_t rows = f->options.max_rows, n_threads = threads_count(f->pass.threads);
    Pass *p = &f->pass;
    Cutter cutter = {.base = base, .formats = f->inputs};

    p->rows = cut(&cutter, rows, sizeof(*p->rows));
    p->tasks = cut(&cutter, rows, sizeof(*p->tasks));
    f->tokens = cut(&cutter, rows, sizeof(*f->tokens));
    f->logit_rows = cut(&cutter, rows, sizeof(*f->logit_rows));
    p->x = cut(&cutter, rows * c->n_embd, sizeof(float));
    p->normed = cut_rows(&cutter, rows, c->n_embd);
    p->q = cut(&cutter, rows * c->n_heads * c->head_dim_k, sizeof(float));
    p->k = cut(&cutter, rows * c->n_kv_heads * c->head_dim_k, sizeof(float));
    p->v = cut(&cutter, rows * c->n_kv_heads * MAX(c->head_dim_k, c->head_dim_v), sizeof(float));
    p->attended = cut_rows(&cutter, rows, (size_t)c->n_heads * c->head_dim_v);
    p->hidden = cut_rows(&cutter, rows, MAX(c->n_ff, c->experts.n_ff_shared));
    if (c->latent.kv_rank)
        cut_latent(f, &cutter);
    if (c->experts.n)
        cut_routing(f, &cutter);
    for (RopeKind kind = 0; kind < ROPE_KINDS; kind++) {
        size_t n_dims = kind == ROPE_LOCAL ? c->rope_local.n_dims : c->rope.n_dims;
        p->rope_cos[kind] = cut(&cutter, rows * n_dims, sizeof(float));
        p->rope_sin[kind] = cut(&cutter, rows * n_dims, sizeof(float));
    }
    f->logits = cut(&cutter, (size_t)f->options.max_logits * c->n_vocab, sizeof(float));
    p->partials = cut(&cutter, attention_partials_floats(c, f->options.max_context), sizeof(float));
    for (size_t i = 0; i < n_threads; i++)
        f->workers[i] = (Worker){.pass = p, .scratch = cut(&cutter, p->worker_floats, sizeof(float))};
    return cutter.used;
}

/* A context longer than the model was first trained for has factors of its own, whatever the length of a prompt. */
static int make_rope_tables(Forward *f) {
    const Config *c = &f->model->config;
    const Weights *w = &f->model->weights;
    const Tensor *freqs = &w->rope_freqs;

    if (w->rope_factors_long.data && w->rope_factors_short.data)
        freqs = f->options.max_context > c->rope.original_context ? &w->rope_factors_long : &w->rope_factors_short;
    int r = rope_table_new(&c->rope, freqs, &f->pass.rope[ROPE_GLOBAL]);
    return r < 0 || c->window == 0 ? r : rope_table_new(&c->rope_local, freqs, &f->pass.rope[ROPE_LOCAL]);
}

int forward_new(const Model *m, const ForwardOptions *o, Forward **ret, Error *e) {
    _cleanup_(forward_freep) Forward *f = calloc(1, sizeof(*f));
    if (!f)
        return error_set(e, -ENOMEM, "out of memory");
    f->model = m;
    f->options = *o;
    f->pass.config = &m->config;
    f->pass.worker_floats = worker_floats(&m->config, o);

    int r = kv_layout(&m->config, o->kv_type, &f->pass.kv, e);
    if (r < 0)
        return r;
    r = kernels_select(&f->pass.kernels, e);
    if (r < 0)
        return r;
    f->inputs = model_inputs(m, f->pass.kernels);
    r = threads_new(o->n_threads > 0 ? o->n_threads : threads_for(m->info->file_bytes), &f->pass.threads, e);
    if (r < 0)
        return r;
    r = make_rope_tables(f);
    if (r < 0)
        return error_set(e, r, "out of memory");
    f->workers = calloc(threads_count(f->pass.threads), sizeof(*f->workers));
    if (!f->workers)
        return error_set(e, -ENOMEM, "out of memory");

    size_t bytes = cut_arena(f, NULL);
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return error_set(
            e, -ENOMEM, "the working memory for steps of %u tokens, %zu MiB, does not fit", o->max_rows, bytes >> 20);
    f->arena = arena;
    f->arena_bytes = bytes;
    cut_arena(f, f->arena);
    *ret = TAKE_PTR(f);
    return 0;
}

Forward *forward_free(Forward *f) {
    if (!f)
        return NULL;

    f->pass.threads = threads_free(f->pass.threads);
    for (RopeKind kind = 0; kind < ROPE_KINDS; kind++)
        rope_table_done(&f->pass.rope[kind]);
    if (f->arena)
        munmap(f->arena, f->arena_bytes);
    free(f->workers);
    free(f);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the step */

/* Looks up the embeddings and the rotations of all rows. */
static void embed(Worker *w, const Forward *f) {
    Pass *p = w->pass;
    const Tensor *t = &f->model->weights.token_embd;
    size_t begin, end;

    while (threads_next(p->threads, p->n_rows, 4, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            p->kernels->dequantize[t->type](t->data + *f->tokens[r] * t->row_bytes, p->x + r * t->ne[0], t->ne[0]);
            if (p->config->embd_scale != 1)
                p->kernels->scale(p->x + r * t->ne[0], p->config->embd_scale, t->ne[0]);
            rope_row(p, (uint32_t)r);
        }
    threads_barrier(p->threads);
}

/* After the last layer's attention only the rows whose logits somebody wants go on; they move to the front. */
static void keep_logit_rows(Worker *w, const LayerWeights *l, const Forward *f) {
    Pass *p = w->pass;
    size_t begin, end;

    while (threads_next(p->threads, 1, 1, &begin, &end)) {
        size_t n_embd = p->config->n_embd, n_attended = (size_t)p->config->n_heads * p->config->head_dim_v;
        const ActFormats formats = attended_formats(p, l);
        for (uint32_t i = 0; i < f->n_logits; i++) {
            size_t r = f->logit_rows[i];
            memmove(p->x + i * n_embd, p->x + r * n_embd, n_embd * sizeof(float));
            rows_copy(
                formats, rows_from(p->attended, i, n_attended), rows_from(p->attended, r, n_attended), n_attended);
        }
        p->n_rows = f->n_logits;
    }
    threads_barrier(p->threads);
}

static void logits(Worker *w, const Forward *f) {
    const Linear job = {&f->model->weights.output, &f->model->weights.output_bias, f->logits, f->model->config.n_vocab};
    linear(w, &job, 1, w->pass->normed);

    const Config *c = w->pass->config;
    if (c->logit_scale == 1 && c->logit_softcap == 0)
        return;
    size_t n = (size_t)f->n_logits * c->n_vocab, begin, end;
    while (threads_next(w->pass->threads, n, 4096, &begin, &end)) {
        w->pass->kernels->scale(f->logits + begin, c->logit_scale, end - begin);
        for (size_t i = begin; c->logit_softcap > 0 && i < end; i++)
            f->logits[i] = c->logit_softcap * tanhf(f->logits[i] / c->logit_softcap);
    }
    threads_barrier(w->pass->threads);
}

static void forward(void *userdata, unsigned i) {
    Forward *f = userdata;
    Worker *w = &f->workers[i];
    const Config *c = &f->model->config;
    const Weights *weights = &f->model->weights;
    bool latent = c->latent.kv_rank > 0;

    embed(w, f);
    for (uint32_t layer = 0; layer < c->n_layers; layer++) {
        const LayerWeights *l = &weights->layers[layer];
        bool last = layer == c->n_layers - 1;

        norm(w, &l->attn_norm, attention_input(w->pass, l));
        (latent ? attention_mla_project : attention_gqa_project)(w, l, layer);
        if (last && f->n_logits == 0)
            return;
        attention_paged(w, l, layer);
        if (last)
            keep_logit_rows(w, l, f);
        (latent ? attention_mla_output : attention_gqa_output)(w, l);

        norm(w, &l->ffn_norm, ffn_input(w->pass, l));
        (layer_has_experts(c, layer) ? ffn_moe : ffn_dense)(w, l);
    }
    norm(w, &weights->output_norm, product_input(w->pass, &weights->output));
    logits(w, f);
}

/* Lists the rows of a step, the tasks of its attention and the rows that end in logits. */
static void lay_out(Forward *f, const BatchRun *runs, size_t n_runs) {
    Pass *p = &f->pass;
    uint32_t task_rows = attention_task_rows(p->config);

    p->n_rows = p->n_tasks = f->n_logits = 0;
    for (const BatchRun *run = runs; run < runs + n_runs; run++)
        for (uint32_t i = 0; i < run->n_tokens; i++) {
            uint32_t row = p->n_rows++;
            p->rows[row] = (PassRow){.pages = run->pages, .position = run->position + i};
            f->tokens[row] = &run->tokens[i];
            if (i % task_rows == 0)
                p->tasks[p->n_tasks++] = (AttentionTask){.row = row};
            p->tasks[p->n_tasks - 1].n_rows++;
            if (run->n_tokens - i <= run->n_logits)
                f->logit_rows[f->n_logits++] = row;
        }
    attention_deal(p, f->options.max_context);
}

void forward_step(Forward *f, uint8_t *pool, const BatchRun *runs, size_t n_runs, float **ret_logits) {
    f->pass.pool = pool;
    lay_out(f, runs, n_runs);
    threads_run(f->pass.threads, forward, f);
    *ret_logits = f->logits;
}
