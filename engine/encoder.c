/* See encoder.h. Reads like the architecture, as forward() does; each block's norm comes behind its sum (post-norm). */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "encoder.h"
#include "layers/cutter.h"

struct Encoder {
    const Model *model; /* borrowed */
    uint32_t max_tokens;
    Pass pass;       /* its arrays lie in `arena` */
    Worker *workers; /* owned, one per thread */
    float *ones;     /* [n_ff]: the gate of an activation that has none */
    uint8_t *arena;  /* owned, mapped: pages that short texts never touch cost nothing */
    size_t arena_bytes;
    const Token *tokens; /* of the run under way */
};

/* ------------------------------------------------------------------------------------------------ memory */

static size_t cut_arena(Encoder *en, uint8_t *base) {
    const Config *c = &en->model->config;
    size_t rows = en->max_tokens;
    Pass *p = &en->pass;
    Cutter cutter = {.base = base, .formats = model_inputs(en->model, p->kernels)};

    p->rows = cut(&cutter, rows, sizeof(*p->rows));
    p->normed = cut_rows(&cutter, rows, c->n_embd);
    p->x = p->normed.x; /* what goes into a block is normed already */
    p->q = cut(&cutter, rows * c->n_heads * c->head_dim_k, sizeof(float));
    p->k = cut(&cutter, rows * c->n_kv_heads * c->head_dim_k, sizeof(float));
    p->v = cut(&cutter, rows * c->n_kv_heads * c->head_dim_v, sizeof(float));
    p->attended = cut_rows(&cutter, rows, (size_t)c->n_heads * c->head_dim_v);
    p->hidden = cut_rows(&cutter, rows, c->n_ff);
    p->rope_cos[ROPE_GLOBAL] = cut(&cutter, rows * c->rope.n_dims, sizeof(float));
    p->rope_sin[ROPE_GLOBAL] = cut(&cutter, rows * c->rope.n_dims, sizeof(float));
    en->ones = cut(&cutter, c->n_ff, sizeof(float));
    for (unsigned i = 0; i < threads_count(p->threads); i++)
        en->workers[i] = (Worker){.pass = p, .scratch = cut(&cutter, p->worker_floats, sizeof(float))};
    return cutter.used;
}

int encoder_new(const Model *m, unsigned n_threads, uint32_t max_tokens, Encoder **ret, Error *e) {
    _cleanup_(encoder_freep) Encoder *en = calloc(1, sizeof(*en));
    if (!en)
        return error_set(e, -ENOMEM, "out of memory");
    en->model = m;
    en->max_tokens = max_tokens;
    en->pass.config = &m->config;
    en->pass.worker_floats = 2 * MAX((size_t)max_tokens * LINEAR_UNIT, (size_t)16384);
    en->pass.worker_floats = MAX(en->pass.worker_floats, (size_t)m->config.n_embd);

    int r = kernels_select(&en->pass.kernels, e);
    if (n_threads == 0)
        n_threads = threads_for(m->info->file_bytes);
    if (r < 0 || (r = threads_new(n_threads, &en->pass.threads, e)) < 0)
        return r;
    en->workers = calloc(threads_count(en->pass.threads), sizeof(*en->workers));
    if (!en->workers)
        return error_set(e, -ENOMEM, "out of memory");
    if (!m->weights.position_embd.data && rope_table_new(&m->config.rope, NULL, &en->pass.rope[ROPE_GLOBAL]) < 0)
        return error_set(e, -ENOMEM, "out of memory");

    size_t bytes = cut_arena(en, NULL);
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return error_set(
            e, -ENOMEM, "the working memory for texts of %u tokens, %zu MiB, does not fit", max_tokens, bytes >> 20);
    en->arena = arena;
    en->arena_bytes = bytes;
    cut_arena(en, en->arena);
    for (uint32_t i = 0; i < m->config.n_ff; i++)
        en->ones[i] = 1;
    *ret = TAKE_PTR(en);
    return 0;
}

Encoder *encoder_free(Encoder *en) {
    if (!en)
        return NULL;
    threads_free(en->pass.threads);
    rope_table_done(&en->pass.rope[ROPE_GLOBAL]);
    if (en->arena)
        munmap(en->arena, en->arena_bytes);
    free(en->workers);
    free(en);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the pass */

static void add_row(const Pass *p, const Tensor *t, size_t row, float *scratch, float *x) {
    p->kernels->dequantize[t->type](t->data + row * t->row_bytes, scratch, t->ne[0]);
    p->kernels->add(x, scratch, t->ne[0]);
}

/* All tokens are of type 0: there is no second sentence. */
static void embed(Worker *w, const Encoder *en) {
    Pass *p = w->pass;
    const Weights *weights = &en->model->weights;
    size_t n = p->config->n_embd, begin, end;

    while (threads_next(p->threads, p->n_rows, 4, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            memset(p->x + r * n, 0, n * sizeof(float));
            add_row(p, &weights->token_embd, en->tokens[r], w->scratch, p->x + r * n);
            add_row(p, &weights->token_types, 0, w->scratch, p->x + r * n);
            if (weights->position_embd.data)
                add_row(p, &weights->position_embd, r, w->scratch, p->x + r * n);
            rope_row(p, (uint32_t)r);
        }
    threads_barrier(p->threads);
    layer_norm(w, &weights->token_embd_norm, &weights->token_embd_norm_bias, attention_input(p, &weights->layers[0]));
}

/* hidden = activation(up(x)), bytes included */
static void ungated(Worker *w, const Encoder *en, const LayerWeights *l) {
    Pass *p = w->pass;
    size_t n_ff = p->config->n_ff, begin, end;

    const Linear up = {&l->ffn_up, &l->ffn_up_bias, p->hidden.x, n_ff};
    linear(w, &up, 1, p->normed);
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            ffn_activate(p, p->hidden.x + r * n_ff, en->ones, n_ff);
            quantize_row(p, product_input(p, &l->ffn_down), p->hidden, r, n_ff);
        }
    threads_barrier(p->threads);
}

/* x += down(hidden) */
static void ffn(Worker *w, const Encoder *en, const LayerWeights *l) {
    static const Tensor none;
    Pass *p = w->pass;

    if (l->ffn_gate.data) {
        const GateUp g = ffn_dense_gate_up(p, l);
        ffn_gate_up(w, &g);
    } else
        ungated(w, en, l);
    residual(w, &l->ffn_down, &l->ffn_down_bias, &none, p->hidden);
}

static void encode(void *userdata, unsigned i) {
    Encoder *en = userdata;
    Worker *w = &en->workers[i];

    embed(w, en);
    for (uint32_t layer = 0; layer < en->model->config.n_layers; layer++) {
        const LayerWeights *l = &en->model->weights.layers[layer];
        attention_full(w, l);
        layer_norm(w, &l->attn_post_norm, &l->attn_post_norm_bias, ffn_input(w->pass, l));
        ffn(w, en, l);
        bool last = layer == en->model->config.n_layers - 1; /* whose rows go into no product */
        layer_norm(
            w, &l->ffn_post_norm, &l->ffn_post_norm_bias, last ? act_set(ACT_F32) : attention_input(w->pass, l + 1));
    }
}

/* ------------------------------------------------------------------------------------------------ the vector */

static int pool(const Encoder *en, float *ret, Error *e) {
    const Pass *p = &en->pass;
    size_t n = p->config->n_embd, n_rows = p->config->pooling == POOLING_CLS ? 1 : p->n_rows;
    double squares = 0;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t r = 0; r < n_rows; r++)
            sum += p->x[r * n + i];
        ret[i] = (float)(sum / (double)n_rows);
        squares += (double)ret[i] * ret[i];
    }
    if (!isfinite(squares))
        return error_set(e, -EBADMSG, "the model gave no usable embedding (it is not finite); its file may be damaged");
    for (size_t i = 0; squares > 0 && i < n; i++)
        ret[i] = (float)(ret[i] / sqrt(squares));
    return 0;
}

int encoder_run(Encoder *en, const Token *tokens, uint32_t n, float *ret, Error *e) {
    en->tokens = tokens;
    en->pass.n_rows = n;
    for (uint32_t i = 0; i < n; i++)
        en->pass.rows[i] = (PassRow){.position = i};
    threads_run(en->pass.threads, encode, en);
    return pool(en, ret, e);
}
