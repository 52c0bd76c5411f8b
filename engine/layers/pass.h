/* What the layers of one step share, and the layers themselves. Each function below runs on every worker at once and
 * ends with a barrier: what it leaves in the Pass is complete when it returns. Rows of activations are floats, one
 * after another, pass->n_rows of them. */
#pragma once

#include "forward.h"
#include "kernels/kernels.h"
#include "threads.h"

/* One token of the step. */
typedef struct PassRow {
    const uint32_t *pages; /* borrowed from the BatchRun */
    uint32_t position;
} PassRow;

/* Consecutive rows of one run that walk through the pages together, so that a page is unpacked once for all of them. */
typedef struct AttentionTask {
    uint32_t row;
    uint32_t n_rows;
    uint32_t n_spans;     /* of positions, up to its last row's */
    size_t first_partial; /* of its queries' among pass->partials */
} AttentionTask;

/* Attention goes through the past in spans of so many pages. */
#define SPAN_PAGES 16u

static inline uint32_t attention_n_spans(uint32_t last_position) {
    return last_position / (SPAN_PAGES * KV_PAGE_TOKENS) + 1;
}

/* Rows of activations as floats and, for the products that take it, the same in bytes and in words, which quantize()
 * brings up to date. NULL: no weights of this model want them. */
typedef struct Rows {
    float *x;
    uint8_t *q8;  /* ACT_Q8_16 or ACT_Q8_32, as the weights want it that come next */
    uint8_t *q14; /* ACT_Q14 */
} Rows;

/* A set: what several matrices want the rows in that they share. */
typedef unsigned ActFormats;

static inline ActFormats act_set(ActFormat format) {
    return 1u << format;
}

/* Layers with a window may rotate otherwise than those that see everything. */
typedef enum RopeKind {
    ROPE_GLOBAL,
    ROPE_LOCAL,
    ROPE_KINDS,
} RopeKind;

typedef struct RopeTable {
    double *frequency; /* owned, [n_dims / 2], radians per position */
    float magnitude;   /* cos and sin are multiplied by it: YaRN's attention factor */
} RopeTable;

/* Which experts a step's rows go through. A slot is one row at one of its experts; slots of the same expert are
 * neighbours. */
typedef struct Routing {
    float *scores;         /* [n]: of every expert */
    uint32_t *experts;     /* [n_used]: chosen, best first */
    float *weights;        /* [n_used] */
    uint32_t *slots;       /* [n_used]: where each of them stands below */
    uint32_t *rows;        /* [slots] once: whose it is */
    float *shared_weights; /* [1]: of the shared expert */
    uint32_t *first;       /* [n + 1] once: each expert's first slot */
    uint32_t *active;      /* [n] once: experts with any row */
    uint32_t n_active;
    Rows x;      /* [slots][n_embd] */
    Rows hidden; /* [slots][n_ff] */
    float *y;    /* [slots][n_embd] */
} Routing;

/* Shapes in the comments: n_rows is the first dimension everywhere. All arrays are owned by Forward. */
typedef struct Pass {
    const Config *config;
    const Kernels *kernels;
    Threads *threads;
    RopeTable rope[ROPE_KINDS];
    KvLayout kv;
    uint8_t *pool; /* borrowed, the arena of pages */

    PassRow *rows;
    uint32_t n_rows;
    AttentionTask *tasks;
    uint32_t n_tasks;
    bool by_span;        /* attention deals out spans rather than tasks */
    uint32_t head_parts; /* into which the heads that share keys are cut */
    float *partials;     /* what each span leaves of each query */

    float *x;      /* [n_embd]: the residual stream */
    Rows normed;   /* [n_embd] */
    float *q;      /* [n_heads][head_dim_k] */
    float *k;      /* [n_kv_heads][head_dim_k] */
    float *v;      /* [n_kv_heads][head_dim_v] */
    Rows attended; /* [n_heads][head_dim_v] */
    Rows hidden;   /* [n_ff], or of the shared expert */
    Rows q_low;    /* [q_rank]: latent attention's queries in their bottleneck */
    Rows heads;    /* [n_heads][nope + rope], later [n_heads][v_dim] */
    Routing routing;
    float *rope_cos[ROPE_KINDS], *rope_sin[ROPE_KINDS]; /* [rope.n_dims], as kernels.h wants them */
    size_t worker_floats;
} Pass;

typedef struct Worker {
    Pass *pass;
    float *scratch; /* [pass->worker_floats], this worker's own */
} Worker;

/* A product with a weight matrix and what becomes of it. */
typedef struct Linear {
    const Tensor *weight; /* [n_out][k] */
    const Tensor *bias;   /* f32[n_out]; data NULL: none */
    float *y;             /* [n_out] a row */
    size_t y_stride;
    bool accumulate; /* y += instead of y = */
} Linear;

/* What the products of a model take their rows in. */
ActFormats model_inputs(const Model *m, const Kernels *k);
/* What all the matrices take that a layer's attention, or its feed-forward network, begins with, or one matrix. */
ActFormats attention_input(const Pass *p, const LayerWeights *l);
ActFormats ffn_input(const Pass *p, const LayerWeights *l);
ActFormats product_input(const Pass *p, const Tensor *weight);
/* Brings the bytes and words of rows of k elements up to date, as far as they are wanted: a phase of its own, or row by
 * row as the floats are made, or in parts of whole Q8_UNITs, up to the end of the row, from n floats elsewhere. */
void quantize(Worker *w, ActFormats formats, Rows in, size_t n_rows, size_t k);
void quantize_part(
    const Pass *p, ActFormats formats, const float *x, Rows to, size_t row, size_t k, size_t begin, size_t n);
void quantize_row(const Pass *p, ActFormats formats, Rows in, size_t row, size_t k);
/* The rows from `first` on, of k elements each. */
Rows rows_from(Rows in, size_t first, size_t k);
/* One row of k elements, in the formats that it is up to date in; the two may be the same. */
void rows_copy(ActFormats formats, Rows to, Rows from, size_t k);
/* Outputs [begin, end) of in[n_rows][k] times the weights, bias added, to y[n_rows][end - begin]. One worker alone. */
void linear_range(const Pass *p, const Tensor *weight, const Tensor *bias, Rows in, uint32_t n_rows, size_t begin,
    size_t end, float *y, size_t y_stride);
/* Several products of the same rows, bytes and words up to date, in one phase. */
void linear(Worker *w, const Linear *jobs, size_t n_jobs, Rows in);
/* Grain of threads_next_near() over n_out outputs, of weights like these, for n_rows rows, in whole LINEAR_UNITs;
 * worker scratch has room for twice as many. */
Grain linear_grain(const Pass *p, const Tensor *weight, size_t n_out);
#define LINEAR_UNIT Q8_UNIT /* so that the bytes or words of a range's outputs can be made with them */

/* normed = norm(x) * weight, in the formats that are wanted and in no other */
void norm(Worker *w, const Tensor *weight, ActFormats formats);

/* x = (x - its mean) / its deviation * weight + bias; x is `normed` too */
void layer_norm(Worker *w, const Tensor *weight, const Tensor *bias, ActFormats formats);

int rope_table_new(const RopeConfig *rope, const Tensor *freqs, RopeTable *ret);
void rope_table_done(RopeTable *t);
/* The rotations of one row's position. One worker alone. */
void rope_row(const Pass *p, uint32_t row);
/* Rotates one head of a layer in place. */
void rope_apply(const Pass *p, uint32_t layer, uint32_t row, float *head);

/* Queries, and keys and values of all rows, these to their pages. */
void attention_gqa_project(Worker *w, const LayerWeights *l, uint32_t layer);
void attention_gqa_output(Worker *w, const LayerWeights *l);
/* x += output(attention of every row over all rows), without pages: the rows are one sequence. Worker scratch holds
 * LINEAR_UNIT floats for each row. */
void attention_full(Worker *w, const LayerWeights *l);
/* Leaves each row's attention over everything up to itself in `attended`, as attended_formats() says. */
void attention_paged(Worker *w, const LayerWeights *l, uint32_t layer);
/* What the matrix takes that comes next, or floats if that cannot be made head by head. */
ActFormats attended_formats(const Pass *p, const LayerWeights *l);
/* Floats of worker scratch that it needs. */
size_t attention_paged_scratch(const Config *c);
/* Query rows that one task takes. */
uint32_t attention_task_rows(const Config *c);
/* Completes a step's tasks, and decides how they are dealt out. */
void attention_deal(Pass *p, uint32_t max_context);
/* Of pass->partials: one row at the end of the longest sequence. */
size_t attention_partials_floats(const Config *c, uint32_t max_context);

/* The same as attention_gqa_* for latent attention, whose queries look at the cache as one head. */
void attention_mla_project(Worker *w, const LayerWeights *l, uint32_t layer);
void attention_mla_output(Worker *w, const LayerWeights *l);
size_t attention_mla_scratch(const Config *c, uint32_t max_rows);
/* Norms a head of keys or queries, where the model does that. */
void attention_norm_head(const Pass *p, const Tensor *weight, float *head);
/* Where a head's keys lie in a page; the values follow. */
uint8_t *kv_keys(const Pass *p, uint32_t page, uint32_t layer, uint32_t kv_head);
/* Writes p->k and p->v of a row to its page, keys normed and rotated. One worker alone. */
void attention_store_row(const Pass *p, const LayerWeights *l, uint32_t row, uint32_t layer);

/* x += scale * norm(weight * input): how every block of a layer ends. post_norm->data NULL: no norm. */
void residual(Worker *w, const Tensor *weight, const Tensor *bias, const Tensor *post_norm, Rows input);

/* x += down(activation(gate(normed)) * up(normed)) */
void ffn_dense(Worker *w, const LayerWeights *l);
/* hidden = activation(gate(in)) * up(in) as the matrix wants it that comes next, and in nothing else. */
typedef struct GateUp {
    const Tensor *gate, *gate_bias, *up, *up_bias; /* biases may be NULL */
    Rows in;
    uint32_t n_rows;
    Rows hidden;
    ActFormats formats; /* of hidden */
} GateUp;

GateUp ffn_dense_gate_up(const Pass *p, const LayerWeights *l);
void ffn_gate_up(Worker *w, const GateUp *g);
/* Elements [begin, end) of it, whole LINEAR_UNITs, two of which for each row fit the worker's scratch. One worker
 * alone. */
void ffn_gate_up_range(Worker *w, const GateUp *g, size_t begin, size_t end);
/* y = activation(y) * x for n floats; x may change */
void ffn_activate(const Pass *p, float *y, float *x, size_t n);
/* x += the weighted outputs of each row's experts and of the shared one */
void ffn_moe(Worker *w, const LayerWeights *l);
