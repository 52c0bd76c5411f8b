/* A mixture of experts. Rows are sorted by expert, so that an expert's weights are read once for all rows that chose
 * it, and experts that nobody chose are not touched: their pages need not even be in memory.
 *
 * A row's outputs are added in the order of its own choice, so that its result does not depend on who shares its
 * experts. */
#include <math.h>
#include <string.h>

#include "layers/pass.h"

/* ---- choosing */

static void softmax(float *x, uint32_t n) {
    float max = x[0], sum = 0;

    for (uint32_t i = 1; i < n; i++)
        max = fmaxf(max, x[i]);
    for (uint32_t i = 0; i < n; i++)
        sum += x[i] = expf(x[i] - max);
    for (uint32_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void gate(const ExpertConfig *x, float *scores) {
    switch (x->gating) {
    case GATING_SOFTMAX: softmax(scores, x->n); break;
    case GATING_SIGMOID:
        for (uint32_t i = 0; i < x->n; i++)
            scores[i] = 1 / (1 + expf(-scores[i]));
        break;
    case GATING_SOFTMAX_CHOSEN: break; /* when they are */
    }
}

/* A group is as good as its two best experts together. Those of the others cannot be chosen. */
static void drop_groups(const ExpertConfig *x, float *choice, float *group_scores) {
    uint32_t size = x->n / x->n_groups;

    for (uint32_t g = 0; g < x->n_groups; g++) {
        float best = -INFINITY, second = -INFINITY;
        for (uint32_t i = g * size; i < (g + 1) * size; i++)
            if (choice[i] > best) {
                second = best;
                best = choice[i];
            } else
                second = fmaxf(second, choice[i]);
        group_scores[g] = size > 1 ? best + second : best;
    }
    for (uint32_t g = 0; g < x->n_groups; g++) {
        uint32_t better = 0;
        for (uint32_t h = 0; h < x->n_groups; h++)
            better += group_scores[h] > group_scores[g] || (group_scores[h] == group_scores[g] && h < g);
        for (uint32_t i = g * size; better >= x->n_groups_used && i < (g + 1) * size; i++)
            choice[i] = -INFINITY;
    }
}

/* The best experts of a row, and the weights of their outputs. `choice` and `group_scores` are scratch. */
static void choose(const Pass *p, const LayerWeights *l, uint32_t row, float *choice, float *group_scores) {
    const ExpertConfig *x = &p->config->experts;
    float *scores = p->routing.scores + (size_t)row * x->n, *weights = p->routing.weights + (size_t)row * x->n_used,
          sum = 0;
    uint32_t *experts = p->routing.experts + (size_t)row * x->n_used;

    gate(x, scores);
    for (uint32_t i = 0; i < x->n; i++)
        choice[i] = scores[i] + (l->selection_bias.data ? ((const float *)l->selection_bias.data)[i] : 0);
    if (x->n_groups > 1)
        drop_groups(x, choice, group_scores);
    for (uint32_t k = 0; k < x->n_used; k++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < x->n; i++)
            if (choice[i] > choice[best])
                best = i;
        experts[k] = best;
        choice[best] = -INFINITY;
        sum += weights[k] = scores[best];
    }
    if (x->gating == GATING_SOFTMAX_CHOSEN)
        softmax(weights, x->n_used);
    for (uint32_t k = 0; k < x->n_used; k++)
        weights[k] = x->scale * (x->normalise ? weights[k] / fmaxf(sum, 6.103515625e-5f) : weights[k]);
}

static float shared_weight(const Pass *p, const LayerWeights *l, uint32_t row) {
    const float *x = p->normed.x + (size_t)row * p->config->n_embd, *weight = (const float *)l->shared_router.data;
    double sum = 0;

    if (!weight)
        return 1;
    for (uint32_t i = 0; i < p->config->n_embd; i++)
        sum += (double)x[i] * weight[i];
    return 1 / (1 + expf(-(float)sum));
}

/* Counts and places the slots: a counting sort by expert. */
static void place(Pass *p) {
    const ExpertConfig *x = &p->config->experts;
    Routing *t = &p->routing;
    size_t n = (size_t)p->n_rows * x->n_used;

    memset(t->first, 0, (x->n + 1) * sizeof(*t->first));
    for (size_t i = 0; i < n; i++)
        t->first[t->experts[i] + 1]++;
    t->n_active = 0;
    for (uint32_t e = 0; e < x->n; e++) {
        if (t->first[e + 1] > 0)
            t->active[t->n_active++] = e;
        t->first[e + 1] += t->first[e];
    }
    for (size_t i = 0; i < n; i++) {
        t->slots[i] = t->first[t->experts[i]]++;
        t->rows[t->slots[i]] = (uint32_t)(i / x->n_used);
    }
    for (uint32_t e = x->n; e > 0; e--) /* filling moved every start to the next one's */
        t->first[e] = t->first[e - 1];
    t->first[0] = 0;
}

/* An expert's rows side by side. A single one is as well where it stands: see expert_rows(). */
static void gather(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    const ActFormats formats = product_input(p, &l->experts_gate) | product_input(p, &l->experts_up);
    const Routing *t = &p->routing;
    size_t begin, end, used = p->config->experts.n_used, n_embd = p->config->n_embd;

    while (threads_next(p->threads, 1, 1, &begin, &end))
        place(p);
    threads_barrier(p->threads);
    while (threads_next(p->threads, p->n_rows * used, 8, &begin, &end))
        for (size_t i = begin; i < end; i++) {
            uint32_t expert = t->experts[i];
            if (t->first[expert + 1] - t->first[expert] == 1)
                continue;
            rows_copy(formats, rows_from(t->x, t->slots[i], n_embd), rows_from(p->normed, i / used, n_embd), n_embd);
        }
    threads_barrier(p->threads);
}

static void route(Worker *w, const LayerWeights *l) {
    Pass *p = w->pass;
    const ExpertConfig *x = &p->config->experts;
    size_t begin, end;

    const Linear job = {&l->router, &l->router_bias, p->routing.scores, x->n};
    linear(w, &job, 1, p->normed);
    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            choose(p, l, (uint32_t)r, w->scratch, w->scratch + x->n);
            p->routing.shared_weights[r] = shared_weight(p, l, (uint32_t)r);
            if (p->n_rows == 1)
                place(p);
        }
    threads_barrier(p->threads);
    if (p->n_rows > 1)
        gather(w, l);
}

/* ---- computing */

static Tensor expert_matrix(const Tensor *all, uint32_t expert) {
    Tensor t = *all;
    t.n_dims = 2;
    t.ne[2] = 1;
    t.data += expert * t.ne[1] * t.row_bytes;
    return t;
}

static Tensor expert_bias(const Tensor *all, uint32_t expert) {
    Tensor t = *all;
    if (t.data)
        t.data += expert * t.row_bytes;
    return t;
}

static Rows expert_rows(const Pass *p, uint32_t expert) {
    const Routing *t = &p->routing;
    size_t first = t->first[expert], n_embd = p->config->n_embd;
    bool single = t->first[expert + 1] - first == 1;
    return single ? rows_from(p->normed, t->rows[first], n_embd) : rows_from(t->x, first, n_embd);
}

/* Outputs [begin, end) of one expert for its rows, or of the shared one for all. */
typedef void (*ExpertRange)(Worker *w, const LayerWeights *l, uint32_t expert, size_t begin, size_t end);
typedef void (*SharedRange)(Worker *w, const LayerWeights *l, size_t begin, size_t end);

/* Deals out n_out outputs of every active expert's matrix, and n_shared of the shared one's. Every matrix begins at a
 * whole LINEAR_UNIT. Of several matrices the ranges may be the smaller. */
static void each_expert(Worker *w, const LayerWeights *l, const Tensor *experts, size_t n_out, size_t n_shared,
    ExpertRange range, SharedRange shared_range) {
    Pass *p = w->pass;
    size_t stride = (n_out + LINEAR_UNIT - 1) / LINEAR_UNIT * LINEAR_UNIT, n = p->routing.n_active * stride;
    size_t begin, end;
    const Grain grain = linear_grain(p, experts, (n + n_shared) / 2);

    while (threads_next_near(p->threads, n + n_shared, grain, &begin, &end)) {
        while (begin < MIN(end, n)) {
            size_t i = begin / stride, first = begin - i * stride, stop = MIN(end, (i + 1) * stride);
            if (first < n_out)
                range(w, l, p->routing.active[i], first, MIN(stop - i * stride, n_out));
            begin = stop;
        }
        if (begin < end)
            shared_range(w, l, begin - n, end - n);
    }
    threads_barrier(p->threads);
}

static void gate_up_range(Worker *w, const LayerWeights *l, uint32_t expert, size_t begin, size_t end) {
    const Pass *p = w->pass;
    const Routing *t = &p->routing;
    uint32_t first = t->first[expert];
    Tensor gate = expert_matrix(&l->experts_gate, expert), up = expert_matrix(&l->experts_up, expert);
    Tensor gate_bias = expert_bias(&l->experts_gate_bias, expert), up_bias = expert_bias(&l->experts_up_bias, expert);
    const GateUp g = {
        .gate = &gate,
        .gate_bias = &gate_bias,
        .up = &up,
        .up_bias = &up_bias,
        .in = expert_rows(p, expert),
        .n_rows = t->first[expert + 1] - first,
        .hidden = rows_from(t->hidden, first, p->config->experts.n_ff),
        .formats = product_input(p, &l->experts_down),
    };
    ffn_gate_up_range(w, &g, begin, end);
}

static void shared_gate_up_range(Worker *w, const LayerWeights *l, size_t begin, size_t end) {
    const Pass *p = w->pass;
    const GateUp g = {
        .gate = &l->shared_gate,
        .up = &l->shared_up,
        .in = p->normed,
        .n_rows = p->n_rows,
        .hidden = p->hidden,
        .formats = product_input(p, &l->shared_down),
    };
    ffn_gate_up_range(w, &g, begin, end);
}

static void down_range(Worker *w, const LayerWeights *l, uint32_t expert, size_t begin, size_t end) {
    const Pass *p = w->pass;
    const Routing *t = &p->routing;
    size_t n_ff = p->config->experts.n_ff, n_embd = p->config->n_embd;
    uint32_t first = t->first[expert], n_rows = t->first[expert + 1] - first;
    Tensor down = expert_matrix(&l->experts_down, expert), bias = expert_bias(&l->experts_down_bias, expert);

    linear_range(
        p, &down, &bias, rows_from(t->hidden, first, n_ff), n_rows, begin, end, t->y + first * n_embd + begin, n_embd);
}

/* To `normed`, whose rows have been read by now. */
static void shared_down_range(Worker *w, const LayerWeights *l, size_t begin, size_t end) {
    const Pass *p = w->pass;
    linear_range(p, &l->shared_down, NULL, p->hidden, p->n_rows, begin, end, p->normed.x + begin, p->config->n_embd);
}

static void combine(Worker *w, bool shared) {
    Pass *p = w->pass;
    size_t begin, end, used = p->config->experts.n_used, n = p->config->n_embd;
    float scale = p->config->residual_scale;

    while (threads_next(p->threads, p->n_rows, 1, &begin, &end))
        for (size_t r = begin; r < end; r++) {
            float *x = p->x + r * n;
            for (size_t i = r * used; i < (r + 1) * used; i++) {
                float *y = p->routing.y + p->routing.slots[i] * n;
                p->kernels->scale(y, scale * p->routing.weights[i], n);
                p->kernels->add(x, y, n);
            }
            if (shared) {
                p->kernels->scale(p->normed.x + r * n, scale * p->routing.shared_weights[r], n);
                p->kernels->add(x, p->normed.x + r * n, n);
            }
        }
    threads_barrier(p->threads);
}

void ffn_moe(Worker *w, const LayerWeights *l) {
    const Config *c = w->pass->config;
    bool shared = c->experts.n_ff_shared > 0;

    route(w, l);
    each_expert(w, l, &l->experts_gate, c->experts.n_ff, c->experts.n_ff_shared, gate_up_range, shared_gate_up_range);
    each_expert(w, l, &l->experts_down, c->n_embd, shared ? c->n_embd : 0, down_range, shared_down_range);
    combine(w, shared);
}
