/* One forward() for every decoder: norm, attention, add, norm, ffn, add. Owns the scratch memory and the worker
 * threads; the KV rows live in pages that the caller hands in. Nothing is allocated after forward_new(). */
#pragma once

#include "engine.h"
#include "model.h"

#define KV_PAGE_TOKENS 32u

/* Where things lie in a page: for each layer and in it each head the keys of KV_PAGE_TOKENS positions, then as many
 * rows of values, so that what is read together is one piece. Keys lie as kernels/key-columns.h says; only latents,
 * whose end is the values, as rows. The pool sees only page_bytes. */
typedef struct KvLayout {
    EngineKvType type;
    size_t k_row_bytes; /* of one position and head in one layer */
    size_t v_row_bytes; /* 0: latents */
    size_t head_bytes;
    size_t layer_bytes;
    size_t page_bytes; /* multiple of 64 */
} KvLayout;

/* A run of consecutive positions of one sequence. Its pages exist already and belong to it alone where the run writes.
 */
typedef struct BatchRun {
    const uint32_t *pages; /* borrowed; page i holds positions [i * KV_PAGE_TOKENS, ...) */
    const Token *tokens;   /* borrowed, [n_tokens], checked against the vocabulary by the caller */
    uint32_t n_tokens;
    uint32_t position; /* of tokens[0]: as many are in the pages already */
    uint32_t n_logits; /* of the last rows: 0 inside a prompt, 1 normally, n_tokens for every position */
} BatchRun;

typedef struct ForwardOptions {
    unsigned n_threads;   /* 0: as many as the model can use */
    uint32_t max_rows;    /* tokens of a step, all runs together */
    uint32_t max_logits;  /* logit rows of a step */
    uint32_t max_context; /* longest sequence */
    EngineKvType kv_type;
} ForwardOptions;

typedef struct Forward Forward;

/* -EINVAL: heads that are not whole blocks of the type. */
int kv_layout(const Config *c, EngineKvType type, KvLayout *ret, Error *e);
TensorType kv_tensor_type(EngineKvType type);
int forward_new(const Model *m, const ForwardOptions *o, Forward **ret, Error *e); /* borrows m */
Forward *forward_free(Forward *f);
DEFINE_CLEANUP(Forward *, forward_free)

/* Computes one step. `pool` is the arena of pages of kv_layout().page_bytes each. *ret_logits: [sum of
 * n_logits][n_vocab], in the order of the runs, valid until the next step. Each row's result depends on its own
 * sequence only, never on the other runs, on how the prompt was cut, or on the number of threads: to the bit. */
void forward_step(Forward *f, uint8_t *pool, const BatchRun *runs, size_t n_runs, float **ret_logits);
