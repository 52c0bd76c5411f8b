/* A decoder of a few thousand random weights, made in memory, and a forward pass written as the formulas read, in
 * double, one position after another. */
#pragma once

#include "forward.h"

typedef struct TinyOptions {
    RopeLayout layout;
    TensorType type; /* of the matrices */
    bool biases;
    RopeScaling scaling;
    uint32_t n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim;
} TinyOptions;

#define TINY_OPTIONS_DEFAULT                                                                                           \
    ((TinyOptions){.layout = ROPE_HALVES,                                                                              \
        .type = TENSOR_F32,                                                                                            \
        .n_layers = 2,                                                                                                 \
        .n_embd = 24,                                                                                                  \
        .n_ff = 44,                                                                                                    \
        .n_heads = 4,                                                                                                  \
        .n_kv_heads = 2,                                                                                               \
        .head_dim = 6})
#define TINY_VOCAB 50u

Model *tiny_model_new(const TinyOptions *o);
Model *tiny_model_free(Model *m);
DEFINE_CLEANUP(Model *, tiny_model_free)

/* Logits after every one of n tokens: [n][TINY_VOCAB]. */
void tiny_reference(const Model *m, const Token *tokens, size_t n, double *ret_logits);
