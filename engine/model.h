/* A loaded model: hyperparameters, tensors bound to their slots, tokenizer. Immutable after model_load().
 *
 * Behaviour follows what is bound (a QKV bias, a Q/K norm), not the architecture's name. An architecture is a table of
 * tensors and a configure function in arch/. */
#pragma once

#include "engine.h"
#include "gguf.h"
#include "kernels/quants.h"
#include "template/template.h"
#include "tokenizer/tokenizer.h"

/* A bound matrix or vector: ne[1] rows of ne[0] elements. data == NULL: this model has none. A row range of a fused
 * tensor is a Tensor of its own (a view). */
typedef struct Tensor {
    const uint8_t *data; /* borrowed from a mapping */
    TensorType type;
    uint32_t n_dims;
    uint64_t ne[4];
    size_t row_bytes;
} Tensor;

typedef enum RopeLayout {
    ROPE_INTERLEAVED, /* pairs (2i, 2i+1): llama as converted to GGUF */
    ROPE_HALVES,      /* pairs (i, i + n/2): qwen2 and most others ("NEOX") */
} RopeLayout;

typedef enum RopeScaling {
    ROPE_SCALING_NONE,
    ROPE_SCALING_LINEAR,
    ROPE_SCALING_YARN,
} RopeScaling;

typedef struct RopeConfig {
    RopeLayout layout;
    uint32_t n_dims; /* of each head that rotate */
    float base;
    RopeScaling scaling;
    float factor;                           /* context is stretched by this */
    float attn_factor;                      /* cos and sin are multiplied by this: 1, or YaRN's temperature in full */
    uint32_t original_context;              /* YaRN (Peng et al. 2023, arXiv 2309.00071) */
    float ext_factor, beta_fast, beta_slow; /* YaRN; ext_factor 0..1 blends interpolation and extrapolation */
} RopeConfig;

typedef enum Activation {
    ACTIVATION_SILU,
    ACTIVATION_GELU,           /* by its tanh approximation */
    ACTIVATION_SWIGLU_CLAMPED, /* gpt-oss: see ffn_activate() */
} Activation;

/* How an encoder's rows become one vector; values as GGUF numbers them. */
typedef enum Pooling {
    POOLING_MEAN = 1,
    POOLING_CLS = 2, /* the first row */
} Pooling;

/* What makes the router's outputs weights. */
typedef enum Gating {
    GATING_SOFTMAX,
    GATING_SIGMOID,        /* DeepSeek V3 */
    GATING_SOFTMAX_CHOSEN, /* over those that were chosen, by the bare outputs: gpt-oss */
} Gating;

/* Mixture of experts (Shazeer et al. 2017, arXiv 1701.06538): each token goes through a few of many small networks. */
typedef struct ExpertConfig {
    uint32_t n;              /* 0: none, every layer is dense */
    uint32_t n_used;         /* by each token */
    uint32_t n_ff;           /* width of each */
    uint32_t n_ff_shared;    /* of the one that every token goes through besides; 0: none */
    uint32_t n_dense_layers; /* the first layers have none */
    Gating gating;
    bool normalise;                   /* the chosen ones' weights are made to add up to 1 */
    float scale;                      /* and multiplied by this */
    uint32_t n_groups, n_groups_used; /* experts are chosen from the best groups only; 1: no groups */
} ExpertConfig;

/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): a row of the cache is one latent vector and one rotated
 * key for all heads, [rope | latent], of which the latent is also the value. kv_rank 0: ordinary attention. n_kv_heads,
 * head_dim_k and head_dim_v speak of the cache. */
typedef struct LatentConfig {
    uint32_t q_rank; /* queries pass through so narrow a bottleneck; 0: they don't */
    uint32_t kv_rank;
    uint32_t nope;  /* of each head's query: what does not rotate */
    uint32_t v_dim; /* of each head's value */
} LatentConfig;

typedef struct Config {
    uint32_t n_layers;
    uint32_t n_layers_unused; /* that the file has after them: they guess further tokens */
    uint32_t n_embd;
    uint32_t n_vocab; /* of the tokenizer; a file's padding rows beyond it are not bound */
    uint32_t n_heads;
    uint32_t n_kv_heads; /* divides n_heads */
    uint32_t head_dim_k; /* of queries and keys */
    uint32_t head_dim_v;
    uint32_t n_ff;
    uint32_t n_ctx_train;
    float norm_eps;
    float attn_scale; /* 1/sqrt(head_dim_k) unless the file says otherwise */
    RopeConfig rope;
    Activation activation;
    ExpertConfig experts;
    LatentConfig latent;
    float embd_scale;     /* embeddings are multiplied by this */
    float residual_scale; /* what a layer adds is multiplied by this */
    float logit_scale;    /* logits are multiplied by this */
    float attn_softcap;   /* scores become cap * tanh(score / cap); 0: they stay (Gemma 2) */
    float logit_softcap;  /* likewise */
    /* Some layers look back only so far (sliding window); of every window_period layers the last sees everything;
     * period 0: none does. */
    uint32_t window; /* positions, its own included; 0: every layer sees everything */
    uint32_t window_period;
    RopeConfig rope_local; /* of the layers with a window */
    bool encoder;          /* every position sees every other, and what comes out is an embedding: see encoder.h */
    Pooling pooling;
    uint32_t n_token_types;
} Config;

typedef struct LayerWeights {
    Tensor attn_norm;
    Tensor attn_q, attn_q_bias;
    Tensor attn_k, attn_k_bias;
    Tensor attn_v, attn_v_bias;
    Tensor attn_q_norm, attn_k_norm; /* f32[head_dim_k], of every head before it rotates */
    Tensor attn_sinks;               /* f32[n_heads]: each head's score of a position that is not there (gpt-oss) */
    Tensor attn_output, attn_output_bias;
    Tensor attn_post_norm, ffn_post_norm;           /* of what the layer adds; in an encoder of the sum */
    Tensor attn_post_norm_bias, ffn_post_norm_bias; /* encoders only, whose norms are LayerNorms */
    Tensor ffn_norm;
    Tensor ffn_gate, ffn_up, ffn_down;
    Tensor ffn_gate_bias, ffn_up_bias, ffn_down_bias;
    Tensor router, router_bias;                    /* [n_embd][experts] */
    Tensor selection_bias;                         /* f32[experts]: takes part in the choice, not in the weights */
    Tensor experts_gate, experts_up, experts_down; /* one matrix after the other */
    Tensor experts_gate_bias, experts_up_bias, experts_down_bias; /* f32[experts][n_ff], f32[experts][n_embd] */
    Tensor shared_gate, shared_up, shared_down;
    Tensor shared_router;                     /* f32[n_embd]: a sigmoid of its own for the shared expert (Qwen2) */
    Tensor attn_q_a, attn_q_a_norm, attn_q_b; /* latent attention: queries through their bottleneck */
    Tensor attn_kv_a, attn_kv_a_norm;         /* [n_embd] to [latent | rope] */
    Tensor attn_k_b,
        attn_v_b;     /* per head: [nope] to [latent], [latent] to [v_dim]; or both in one, as older files have it: */
    Tensor attn_kv_b; /* rows of [latent]: per head nope, then v_dim */
} LayerWeights;

typedef struct Weights {
    Tensor token_embd;
    Tensor token_types, position_embd;            /* added to token_embd by encoders; positions may be absent */
    Tensor token_embd_norm, token_embd_norm_bias; /* of that sum */
    Tensor output_norm;
    Tensor output; /* token_embd again where the file ties them */
    Tensor output_bias;
    Tensor rope_freqs; /* positive f32[rope.n_dims / 2], divides each frequency (Llama 3.1) */
    Tensor rope_factors_long,
        rope_factors_short; /* likewise, for contexts beyond rope.original_context and within (Phi 3) */
    LayerWeights *layers;   /* owned, [n_layers] */
} Weights;

static inline bool layer_has_experts(const Config *c, uint32_t layer) {
    return c->experts.n > 0 && layer >= c->experts.n_dense_layers;
}

static inline bool layer_is_local(const Config *c, uint32_t layer) {
    return c->window > 0 && (c->window_period == 0 || (layer + 1) % c->window_period != 0);
}

struct Model {
    unsigned n_ref;         /* atomic */
    struct ModelFile *file; /* owned; NULL: model_new() */
    Gguf *gguf;             /* owned, borrows from file */
    ModelInfo *info;        /* owned */
    Config config;
    Weights weights;
    Tokenizer *tokenizer;    /* owned */
    Template *chat_template; /* owned; NULL if the file has none */
    EngineSyntax syntax;     /* of answers, by the template */
};

/* The model in a parsed file, without the mappings that model_load() adds (a test may have the file in memory).
 * Takes *g, also when it fails. */
int model_new(Gguf *g, const char *path, uint64_t file_bytes, Model **ret, Error *e);

int model_info_new(const Gguf *g, const char *path, uint64_t file_bytes, ModelInfo **ret, Error *e);

/* True once a page of the file could not be read (truncated under us, disk error): results since then are worthless. */
bool model_failed(const Model *m);
