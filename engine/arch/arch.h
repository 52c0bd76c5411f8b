/* What distinguishes one architecture from another: the tensors that its files hold, and what its hyperparameters mean.
 * A new one is a file with a table and a configure function, and a line in arch.c. */
#pragma once

#include "model.h"

/* A tensor's dimension in terms of Config. */
typedef enum TensorDim {
    DIM_NONE, /* 1 */
    DIM_EMBD,
    DIM_VOCAB, /* at least as many; the rest is padding and not bound */
    DIM_Q,     /* n_heads * head_dim_k */
    DIM_K,     /* n_kv_heads * head_dim_k */
    DIM_V,     /* n_kv_heads * head_dim_v */
    DIM_HEADS, /* n_heads * head_dim_v: all heads' results side by side */
    DIM_FF,
    DIM_ROPE_PAIRS, /* rope.n_dims / 2 */
    DIM_HEAD_K,     /* head_dim_k */
    DIM_QK,         /* rows of a fused tensor: queries and keys, */
    DIM_QKV,        /* and values */
    DIM_FF2,        /* gate and up */
    DIM_EXPERTS,
    DIM_FF_EXPERT,
    DIM_FF_SHARED,
    DIM_N_HEADS,
    DIM_Q_RANK,
    DIM_KV_RANK,
    DIM_KV_A,     /* kv_rank + rope.n_dims */
    DIM_LATENT_Q, /* n_heads * (nope + rope.n_dims) */
    DIM_NOPE,
    DIM_V_DIM,
    DIM_KV_B,       /* n_heads * (nope + v_dim) */
    DIM_LATENT_OUT, /* n_heads * v_dim */
    DIM_CONTEXT,    /* n_ctx_train */
    DIM_TOKEN_TYPES,
} TensorDim;

typedef struct TensorSpec {
    const char *name; /* after "blk.LAYER." if there is one of it in every layer; NULL ends a table */
    size_t slot;      /* where its Tensor lies: bytes into LayerWeights, or into Weights for those outside the layers */
    TensorDim ne[4];  /* ne[1] = DIM_NONE: a vector, which is always F32 */
    TensorDim fused;  /* DIM_NONE, or how many rows the file's tensor has; this slot is a range of them, */
    TensorDim offset; /* which begins here; DIM_NONE: at the first row */
    bool per_layer;
    bool optional;
    bool f32; /* read as floats: no other type will do. So are all vectors */
    enum { LAYERS_ALL, LAYERS_DENSE, LAYERS_EXPERTS, LAYERS_SHARED_EXPERT } layers; /* which layers have it */
} TensorSpec;

#define TENSOR(name_, slot_, ...)                                                                                      \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(Weights, slot_), .ne = { __VA_ARGS__ }                                       \
    }
#define TENSOR_OPTIONAL(name_, slot_, ...)                                                                             \
    { .name = (name_), .slot = offsetof(Weights, slot_), .ne = {__VA_ARGS__}, .optional = true }
#define LAYER_TENSOR(name_, slot_, ...)                                                                                \
    { .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true }
#define LAYER_TENSOR_OPTIONAL(name_, slot_, ...)                                                                       \
    { .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true, .optional = true }

/* Of layers with and without experts. */
#define EXPERT_TENSOR(name_, slot_, ...)                                                                               \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true,                \
        .layers = LAYERS_EXPERTS                                                                                       \
    }
#define EXPERT_TENSOR_OPTIONAL(name_, slot_, ...)                                                                      \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true,                \
        .optional = true, .layers = LAYERS_EXPERTS                                                                     \
    }
#define SHARED_TENSOR(name_, slot_, ...)                                                                               \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true,                \
        .layers = LAYERS_SHARED_EXPERT                                                                                 \
    }
/* A vector of each expert. */
#define EXPERT_VECTORS(name_, slot_, width_)                                                                           \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {(width_), DIM_EXPERTS}, .per_layer = true,      \
        .f32 = true, .layers = LAYERS_EXPERTS                                                                          \
    }
#define DENSE_TENSOR(name_, slot_, ...)                                                                                \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {__VA_ARGS__}, .per_layer = true,                \
        .layers = LAYERS_DENSE                                                                                         \
    }

/* ne[1] rows of a tensor that holds several slots' rows, one after the other. */
#define LAYER_TENSOR_FUSED(name_, slot_, k_, rows_, offset_, all_)                                                     \
    {                                                                                                                  \
        .name = (name_), .slot = offsetof(LayerWeights, slot_), .ne = {(k_), (rows_)}, .fused = (all_),                \
        .offset = (offset_), .per_layer = true                                                                         \
    }

typedef struct Architecture {
    const char *name;                 /* general.architecture, and the prefix of its keys */
    const TensorSpec *const *tensors; /* tables, NULL-terminated */
    /* of the keys that change what a model computes, those in refuse.c that it heeds; NULL-terminated, may be NULL */
    const char *const *keys;
    int (*configure)(const Gguf *g, Config *c, Error *e);
    int (*check)(const Config *c, const Weights *w, Error *e); /* what tables cannot say; may be NULL */
} Architecture;

extern const Architecture arch_bert, arch_nomic_bert, arch_deepseek2, arch_gemma2, arch_gemma3, arch_gpt_oss,
    arch_granite, arch_granite_moe, arch_llama, arch_phi3, arch_qwen2, arch_qwen2moe, arch_qwen3, arch_qwen3moe;

/* Tables that several architectures share. */
extern const TensorSpec arch_tensors_decoder[];   /* embedding, output */
extern const TensorSpec arch_tensors_attention[]; /* norm and projections, no biases */
extern const TensorSpec arch_tensors_encoder[];   /* embeddings with their norm, the norm behind every block */
extern const TensorSpec arch_tensors_qk_norm[];   /* of every head */
extern const TensorSpec arch_tensors_ffn[];       /* norm, gate, up, down of the dense layers */
extern const TensorSpec arch_tensors_llama[];   /* biases that Llama lacks and its descendants may have, RoPE factors */
extern const TensorSpec arch_tensors_experts[]; /* router, gate, up, down of the others */
extern const TensorSpec arch_tensors_shared[];  /* gate, up, down of the shared expert, if the file has one */

/* -EOPNOTSUPP names the architecture and lists those we have. */
int arch_find(GgufString name, const Architecture **ret, Error *e);

/* Reads and checks what every decoder has: sizes, attention heads, RoPE with its scaling. n_vocab is left alone, the
 * RoPE layout is the architecture's to set. */
int arch_configure(const Gguf *g, const char *arch, Config *c, Error *e);

/* The same for encoders: their norm's epsilon, how they pool, how many types of token they know. */
int arch_configure_encoder(const Gguf *g, const char *arch, Config *c, Error *e);

/* {arch}.{name}: a finite number, a bool, a size between 1 and max; the value stays when the key is absent, 0 is
 * returned then.
 */
int arch_read_number(const Gguf *g, const char *arch, const char *name, float *v, Error *e);
/* The same for a factor, of which 0 says that there is none. */
int arch_read_scale(const Gguf *g, const char *arch, const char *name, float *v, Error *e);
int arch_read_bool(const Gguf *g, const char *arch, const char *name, bool *v, Error *e);
int arch_read_size(const Gguf *g, const char *arch, const char *name, uint32_t max, uint32_t *v, Error *e);

/* What the Gemmas share: norms after each block; GELU, scaled embeddings. layers_27b: how many layers the one model has
 * that scales its queries otherwise. */
extern const TensorSpec arch_tensors_gemma[];
int arch_configure_gemma(const Gguf *g, const char *arch, uint32_t layers_27b, Config *c, Error *e);

/* The sliding window, if the file or *c has one. period: what the file may say otherwise, see Config. rope_local is the
 * caller's to fill before; the file may have another base for it. */
int arch_configure_window(const Gguf *g, const char *arch, uint32_t period, Config *c, Error *e);

/* Reads how many experts there are, how many are used and from how many groups, how wide they are, and the factor of
 * their weights. */
int arch_configure_experts(const Gguf *g, const char *arch, Config *c, Error *e);

/* Refuses a file with keys that would change its results and that the architecture does not heed. */
int arch_refuse_keys(const Gguf *g, const Architecture *a, const Config *c, Error *e);

/* Fills the slots of *w, whose layers are allocated and zero. Every tensor of the file must have a slot, every slot
 * that is not optional a tensor of the right shape and of a type that we can compute with. */
int arch_bind(const Gguf *g, const Architecture *a, const Config *c, Weights *w, Error *e);
