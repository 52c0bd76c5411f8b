#include <math.h>
#include <string.h>

#include "tiny-model.h"

#define WIDEST 1024 /* of any row */

static uint64_t state;

static float random_weight(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(state >> 40) / 0x1p24 - 0.5);
}

/* Random rows in the wanted format: for quantised ones random bytes under a small scale. */
static Tensor matrix(TensorType type, size_t k, size_t n_out) {
    const QuantTraits *traits = quant_traits(type);
    size_t row_bytes = k / traits->block_size * traits->block_bytes;
    uint8_t *data = malloc(n_out * row_bytes);
    if (type == TENSOR_F32)
        for (size_t i = 0; i < n_out * k; i++)
            ((float *)data)[i] = random_weight() * 2 / sqrtf((float)k) * 2;
    else
        for (size_t i = 0; i < n_out * row_bytes; i++)
            data[i] = i % traits->block_bytes == 0   ? 0
                      : i % traits->block_bytes == 1 ? 0x14
                                                     : (uint8_t)(random_weight() * 255);
    return (Tensor){.data = data, .type = type, .n_dims = 2, .ne = {k, n_out, 1, 1}, .row_bytes = row_bytes};
}

static Tensor vector(size_t n, float around) {
    float *data = malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        data[i] = around + random_weight() * 0.2f;
    return (Tensor){.data = (uint8_t *)data, .type = TENSOR_F32, .n_dims = 1, .ne = {n, 1, 1, 1}, .row_bytes = n * 4};
}

static void fill_layer(LayerWeights *l, const Config *c, const TinyOptions *o) {
    size_t q = (size_t)c->n_heads * c->head_dim_k, k = (size_t)c->n_kv_heads * c->head_dim_k;
    *l = (LayerWeights){
        .attn_norm = vector(c->n_embd, 1),
        .attn_q = matrix(o->type, c->n_embd, q),
        .attn_k = matrix(o->type, c->n_embd, k),
        .attn_v = matrix(o->type, c->n_embd, k),
        .attn_output = matrix(o->type, q, c->n_embd),
        .ffn_norm = vector(c->n_embd, 1),
        .ffn_gate = matrix(o->type, c->n_embd, c->n_ff),
        .ffn_up = matrix(o->type, c->n_embd, c->n_ff),
        .ffn_down = matrix(o->type, c->n_ff, c->n_embd),
    };
    if (o->biases) {
        l->attn_q_bias = vector(q, 0);
        l->attn_k_bias = vector(k, 0);
        l->attn_v_bias = vector(k, 0);
        l->attn_output_bias = vector(c->n_embd, 0);
        l->ffn_gate_bias = vector(c->n_ff, 0);
        l->ffn_up_bias = vector(c->n_ff, 0);
        l->ffn_down_bias = vector(c->n_embd, 0);
    }
}

Model *tiny_model_new(const TinyOptions *o) {
    state = 42;
    Model *m = calloc(1, sizeof(*m));
    m->config = (Config){
        .n_layers = o->n_layers,
        .n_embd = o->n_embd,
        .n_vocab = TINY_VOCAB,
        .n_heads = o->n_heads,
        .n_kv_heads = o->n_kv_heads,
        .head_dim_k = o->head_dim,
        .head_dim_v = o->head_dim,
        .n_ff = o->n_ff,
        .n_ctx_train = 1024,
        .norm_eps = 1e-5f,
        .attn_scale = 1 / sqrtf((float)o->head_dim),
        .embd_scale = 1,
        .residual_scale = 1,
        .logit_scale = 1,
        .rope = {.layout = o->layout,
            .n_dims = o->head_dim,
            .base = 10000,
            .scaling = o->scaling,
            .factor = 4,
            .attn_factor = 1},
    };
    m->weights.token_embd = matrix(o->type, o->n_embd, TINY_VOCAB);
    m->weights.output = matrix(o->type, o->n_embd, TINY_VOCAB);
    m->weights.output_norm = vector(o->n_embd, 1);
    m->weights.layers = calloc(o->n_layers, sizeof(LayerWeights));
    for (uint32_t i = 0; i < o->n_layers; i++)
        fill_layer(&m->weights.layers[i], &m->config, o);
    return m;
}

Model *tiny_model_free(Model *m) {
    if (!m)
        return NULL;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        LayerWeights *l = &m->weights.layers[i];
        const Tensor *all[] = {&l->attn_norm, &l->attn_q, &l->attn_q_bias, &l->attn_k, &l->attn_k_bias, &l->attn_v,
            &l->attn_v_bias, &l->attn_output, &l->attn_output_bias, &l->ffn_norm, &l->ffn_gate, &l->ffn_up,
            &l->ffn_down, &l->ffn_gate_bias, &l->ffn_up_bias, &l->ffn_down_bias};
        for (size_t j = 0; j < ELEMENTSOF(all); j++)
            free((void *)all[j]->data);
    }
    free((void *)m->weights.token_embd.data);
    free((void *)m->weights.output.data);
    free((void *)m->weights.output_norm.data);
    free(m->weights.layers);
    free(m);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the reference */

/* y = W x + b */
static void product(const Tensor *w, const Tensor *bias, const double *x, double *y) {
    float *row = malloc(w->ne[0] * sizeof(float));
    for (size_t o = 0; o < w->ne[1]; o++) {
        quant_traits(w->type)->dequantize(w->data + o * w->row_bytes, row, w->ne[0]);
        y[o] = bias && bias->data ? ((const float *)bias->data)[o] : 0;
        for (size_t i = 0; i < w->ne[0]; i++)
            y[o] += row[i] * x[i];
    }
    free(row);
}

static void normalise(const Tensor *weight, const double *x, double eps, double *y) {
    double sum = 0;
    size_t n = weight->ne[0];
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / sqrt(sum / (double)n + eps) * ((const float *)weight->data)[i];
}

static void rotate(const RopeConfig *rope, double *head, double position) {
    uint32_t n = rope->n_dims;
    for (uint32_t i = 0; i < n / 2; i++) {
        double angle = position * pow(rope->base, -2.0 * i / n);
        if (rope->scaling == ROPE_SCALING_LINEAR)
            angle /= rope->factor;
        uint32_t a = rope->layout == ROPE_INTERLEAVED ? 2 * i : i;
        uint32_t b = rope->layout == ROPE_INTERLEAVED ? 2 * i + 1 : i + n / 2;
        double xa = head[a], xb = head[b];
        head[a] = xa * cos(angle) - xb * sin(angle);
        head[b] = xa * sin(angle) + xb * cos(angle);
    }
}

/* Attention of the last of n positions; k and v are [n][n_kv_heads * head_dim]. */
static void attend(const Config *c, const double *q, const double *k, const double *v, size_t n, double *out) {
    size_t width = (size_t)c->n_kv_heads * c->head_dim_k, d = c->head_dim_k;
    double *p = malloc(n * sizeof(double));
    for (size_t h = 0; h < c->n_heads; h++) {
        size_t kv = h / (c->n_heads / c->n_kv_heads);
        double sum = 0;
        for (size_t j = 0; j < n; j++) {
            double score = 0;
            for (size_t i = 0; i < d; i++)
                score += q[h * d + i] * k[j * width + kv * d + i];
            sum += p[j] = exp(score * c->attn_scale);
        }
        for (size_t i = 0; i < d; i++) {
            out[h * d + i] = 0;
            for (size_t j = 0; j < n; j++)
                out[h * d + i] += p[j] / sum * v[j * width + kv * d + i];
        }
    }
    free(p);
}

static void feed_forward(const Config *c, const LayerWeights *l, double *x) {
    double normed[WIDEST], gate[WIDEST], up[WIDEST], down[WIDEST];
    normalise(&l->ffn_norm, x, c->norm_eps, normed);
    product(&l->ffn_gate, &l->ffn_gate_bias, normed, gate);
    product(&l->ffn_up, &l->ffn_up_bias, normed, up);
    for (size_t i = 0; i < c->n_ff; i++)
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    product(&l->ffn_down, &l->ffn_down_bias, gate, down);
    for (size_t i = 0; i < c->n_embd; i++)
        x[i] += down[i];
}

static void one_layer(const Config *c, const LayerWeights *l, size_t position, double *k, double *v, double *x) {
    size_t n_kv = (size_t)c->n_kv_heads * c->head_dim_k;
    double normed[WIDEST], q[WIDEST], attended[WIDEST], out[WIDEST];
    normalise(&l->attn_norm, x, c->norm_eps, normed);
    product(&l->attn_q, &l->attn_q_bias, normed, q);
    product(&l->attn_k, &l->attn_k_bias, normed, k + position * n_kv);
    product(&l->attn_v, &l->attn_v_bias, normed, v + position * n_kv);
    for (size_t h = 0; h < c->n_heads; h++)
        rotate(&c->rope, q + h * c->head_dim_k, (double)position);
    for (size_t h = 0; h < c->n_kv_heads; h++)
        rotate(&c->rope, k + position * n_kv + h * c->head_dim_k, (double)position);
    attend(c, q, k, v, position + 1, attended);
    product(&l->attn_output, &l->attn_output_bias, attended, out);
    for (size_t i = 0; i < c->n_embd; i++)
        x[i] += out[i];
    feed_forward(c, l, x);
}

void tiny_reference(const Model *m, const Token *tokens, size_t n, double *ret_logits) {
    const Config *c = &m->config;
    size_t n_kv = (size_t)c->n_kv_heads * c->head_dim_k * n;
    double *kv = calloc(2 * n_kv * c->n_layers, sizeof(double)), x[WIDEST], normed[WIDEST];
    float row[WIDEST];

    for (size_t position = 0; position < n; position++) {
        const Tensor *e = &m->weights.token_embd;
        quant_traits(e->type)->dequantize(e->data + tokens[position] * e->row_bytes, row, c->n_embd);
        for (size_t i = 0; i < c->n_embd; i++)
            x[i] = row[i];
        for (uint32_t layer = 0; layer < c->n_layers; layer++) {
            double *k = kv + 2 * layer * n_kv;
            one_layer(c, &m->weights.layers[layer], position, k, k + n_kv, x);
        }
        normalise(&m->weights.output_norm, x, c->norm_eps, normed);
        product(&m->weights.output, NULL, normed, ret_logits + position * c->n_vocab);
    }
    free(kv);
}
