#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gguf-builder.h"
#include "model.h"

#define EMBD    8
#define TOKENS  12
#define LAYERS  2
#define ROWS    TOKENS /* of token_embd */
#define N_HEADS 2
#define FF      16

/* A whole model that one thing is wrong with, or different in. */
typedef struct Variant {
    const char *arch;
    const char *drop_key, *drop_tensor;
    const char *key;    /* replaced or added, by the value that is set */
    uint32_t u32;       /* 0 is a value, too: used when nothing else is */
    float f32;          /* not 0 */
    const char *text;   /* not NULL */
    const char *tensor; /* replaced or added */
    TensorType type;
    uint64_t columns, rows;
    float value; /* of the tensor's first element */
} Variant;

static void add_u32(GgufBuilder *b, const Variant *v, const char *name, uint32_t value) {
    char key[100];
    snprintf(key, sizeof(key), "%s.%s", v->arch, name);
    if ((v->drop_key && strcmp(key, v->drop_key) == 0) || (v->key && strcmp(key, v->key) == 0))
        return;
    builder_u32(b, key, value);
}

static void add_tensor(GgufBuilder *b, const Variant *v, const char *name, uint64_t columns, uint64_t rows) {
    if ((v->drop_tensor && strcmp(name, v->drop_tensor) == 0) || (v->tensor && strcmp(name, v->tensor) == 0))
        return;
    builder_tensor(b, name, TENSOR_F32, columns, rows);
}

static void add_layer(GgufBuilder *b, const Variant *v, uint32_t i) {
    static const struct {
        const char *name;
        uint64_t columns, rows;
        bool qwen2_only;
    } tensors[] = {
        {"attn_norm.weight", EMBD},
        {"attn_q.weight", EMBD, EMBD},
        {"attn_k.weight", EMBD, EMBD / 2},
        {"attn_v.weight", EMBD, EMBD / 2},
        {"attn_q.bias", EMBD, 0, true},
        {"attn_k.bias", EMBD / 2, 0, true},
        {"attn_v.bias", EMBD / 2, 0, true},
        {"attn_output.weight", EMBD, EMBD},
        {"ffn_norm.weight", EMBD},
        {"ffn_gate.weight", EMBD, FF},
        {"ffn_up.weight", EMBD, FF},
        {"ffn_down.weight", FF, EMBD},
    };
    for (size_t t = 0; t < ELEMENTSOF(tensors); t++) {
        char name[64];
        snprintf(name, sizeof(name), "blk.%u.%s", i, tensors[t].name);
        if (!tensors[t].qwen2_only || strcmp(v->arch, "qwen2") == 0)
            add_tensor(b, v, name, tensors[t].columns, tensors[t].rows);
    }
}

static void add_vocabulary(GgufBuilder *b, const Variant *v) {
    static const char *const tokens[TOKENS] = {"<unk>", "<s>", "</s>", "<0x0A>", "<0x41>", "\xE2\x96\x81", "a", "b",
        "ab",
        "\xE2\x96\x81"
        "a",
        "\xE2\x96\x81"
        "ab",
        "c"};
    static const uint32_t types[TOKENS] = {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1};
    if (v->drop_key && strcmp(v->drop_key, "tokenizer.ggml.tokens") == 0)
        return;
    builder_string(b, "tokenizer.ggml.model", "llama");
    builder_strings(b, "tokenizer.ggml.tokens", tokens, TOKENS);
    builder_array(b, "tokenizer.ggml.scores", GGUF_F32, TOKENS);
    for (uint32_t i = 0; i < TOKENS; i++)
        blob_f32(&b->keys, -(float)i);
    builder_array(b, "tokenizer.ggml.token_type", GGUF_I32, TOKENS);
    for (uint32_t i = 0; i < TOKENS; i++)
        blob_u32(&b->keys, types[i]);
    builder_u32(b, "tokenizer.ggml.bos_token_id", 1);
    builder_u32(b, "tokenizer.ggml.eos_token_id", 2);
    builder_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

static void build(GgufBuilder *b, const Variant *v) {
    if (!v->drop_key || strcmp(v->drop_key, "general.architecture") != 0)
        builder_string(b, "general.architecture", v->arch);
    add_u32(b, v, "block_count", LAYERS);
    add_u32(b, v, "context_length", 64);
    add_u32(b, v, "embedding_length", EMBD);
    add_u32(b, v, "feed_forward_length", FF);
    add_u32(b, v, "attention.head_count", N_HEADS);
    add_u32(b, v, "attention.head_count_kv", 1);
    char eps[64];
    snprintf(eps, sizeof(eps), "%s.attention.layer_norm_rms_epsilon", v->arch);
    if ((!v->drop_key || strcmp(v->drop_key, eps) != 0) && (!v->key || strcmp(v->key, eps) != 0))
        builder_f32(b, eps, 1e-5f);
    if (v->key && v->text)
        builder_string(b, v->key, v->text);
    else if (v->key && v->f32 != 0)
        builder_f32(b, v->key, v->f32);
    else if (v->key)
        builder_u32(b, v->key, v->u32);
    add_vocabulary(b, v);

    add_tensor(b, v, "token_embd.weight", EMBD, ROWS);
    add_tensor(b, v, "output_norm.weight", EMBD, 0);
    for (uint32_t i = 0; i < LAYERS; i++)
        add_layer(b, v, i);
    if (v->tensor)
        memcpy(builder_tensor(b, v->tensor, v->type, v->columns, v->rows), &v->value, v->value != 0 ? 4 : 0);
}

static uint8_t *file; /* of the last try */

static int try(GgufBuilder *b, Model **ret, Error *e) {
    Gguf *g = NULL;
    size_t size;
    free(file);
    file = builder_finish(b, &size);
    int r = gguf_parse(file, size, true, &g, e);
    return r < 0 ? r : model_new(g, "/models/tiny.gguf", size, ret, e);
}

static Model *accept(const Variant *v) {
    GgufBuilder b = GGUF_BUILDER;
    Model *m = NULL;
    Error e = {};
    build(&b, v);
    if (try(&b, &m, &e) < 0)
        fail_msg("refused: %s", e.message);
    return m;
}

static void refuse(const Variant *v, int code, const char *words) {
    GgufBuilder b = GGUF_BUILDER;
    Model *m = NULL;
    Error e = {};
    build(&b, v);
    int r = try(&b, &m, &e);
    if (r != code || !strstr(e.message, words))
        fail_msg("%d \"%s\" is not %d \"%s\"", r, e.message, code, words);
    assert_null(m);
}

#define LLAMA(...) (&(const Variant){.arch = "llama", __VA_ARGS__})
#define QWEN2(...) (&(const Variant){.arch = "qwen2", __VA_ARGS__})

/* ------------------------------------------------------------------------------------------------ good models */

static void test_binds_llama(void **state) {
    _cleanup_(model_unrefp) Model *m = accept(LLAMA());
    const Config *c = &m->config;
    assert_int_equal(c->n_layers, LAYERS);
    assert_int_equal(c->n_embd, EMBD);
    assert_int_equal(c->n_vocab, TOKENS);
    assert_int_equal(c->n_heads, 2);
    assert_int_equal(c->n_kv_heads, 1);
    assert_int_equal(c->head_dim_k, 4);
    assert_int_equal(c->head_dim_v, 4);
    assert_int_equal(c->n_ff, FF);
    assert_int_equal(c->n_ctx_train, 64);
    assert_true(c->norm_eps == 1e-5f);
    assert_true(c->attn_scale == 0.5f);
    assert_int_equal(c->rope.layout, ROPE_INTERLEAVED);
    assert_int_equal(c->rope.n_dims, 4);
    assert_true(c->rope.base == 10000.0f);
    assert_int_equal(c->rope.scaling, ROPE_SCALING_NONE);
    assert_true(c->rope.attn_factor == 1.0f);

    const Tensor *down = &m->weights.layers[1].ffn_down;
    assert_ptr_equal(down->data, gguf_find_tensor(m->gguf, "blk.1.ffn_down.weight")->data);
    assert_int_equal(down->ne[0], FF);
    assert_int_equal(down->ne[1], EMBD);
    assert_int_equal(down->row_bytes, FF * 4);
    assert_null(m->weights.layers[0].attn_q_bias.data);
    assert_null(m->weights.rope_freqs.data);
    /* no output.weight: tied */
    assert_ptr_equal(m->weights.output.data, m->weights.token_embd.data);
    assert_int_equal(m->weights.output.ne[1], TOKENS);
}

static void test_binds_qwen2(void **state) {
    _cleanup_(model_unrefp) Model *m = accept(QWEN2());
    assert_int_equal(m->config.rope.layout, ROPE_HALVES);
    assert_int_equal(m->weights.layers[1].attn_k_bias.ne[0], 4);
    assert_non_null(m->weights.layers[1].attn_v_bias.data);
}

static void test_binds_what_is_optional(void **state) {
    Model *m = accept(LLAMA(.tensor = "output.weight", .type = TENSOR_F16, .columns = EMBD, .rows = TOKENS));
    assert_int_equal(m->weights.output.type, TENSOR_F16);
    assert_int_equal(m->weights.output.row_bytes, EMBD * 2);
    model_unref(m);

    m = accept(LLAMA(.tensor = "blk.1.attn_q.bias", .columns = EMBD));
    assert_null(m->weights.layers[0].attn_q_bias.data);
    assert_non_null(m->weights.layers[1].attn_q_bias.data);
    model_unref(m);
}

/* Rows without a token get no logit, so nobody can draw them. */
static void test_cuts_a_padded_vocabulary(void **state) {
    Model *m = accept(LLAMA(.tensor = "token_embd.weight", .columns = EMBD, .rows = 64));
    assert_int_equal(m->config.n_vocab, TOKENS);
    assert_int_equal(m->weights.token_embd.ne[1], TOKENS);
    assert_int_equal(m->weights.output.ne[1], TOKENS);
    model_unref(m);

    refuse(LLAMA(.tensor = "token_embd.weight", .columns = EMBD, .rows = TOKENS - 1), -EBADMSG,
        "tensor token_embd.weight: has the shape [8, 11], must be [8, 12]");
}

static void test_counts_references(void **state) {
    Model *m = accept(LLAMA());
    assert_ptr_equal(model_ref(m), m);
    assert_null(model_unref(m));
    assert_string_equal(model_info(m)->architecture, "llama");
    assert_false(model_failed(m));
    model_unref(m);
    assert_null(model_unref(NULL));
}

static void test_reads_rope_scaling(void **state) {
    Model *m = accept(LLAMA(.key = "llama.rope.scaling.factor", .f32 = 4));
    assert_int_equal(m->config.rope.scaling, ROPE_SCALING_LINEAR);
    assert_true(m->config.rope.factor == 4.0f);
    model_unref(m);

    m = accept(LLAMA(.key = "llama.rope.scale_linear", .f32 = 2)); /* as it was called before */
    assert_int_equal(m->config.rope.scaling, ROPE_SCALING_LINEAR);
    assert_true(m->config.rope.factor == 2.0f);
    model_unref(m);

    m = accept(LLAMA(.key = "llama.rope.scaling.factor", .f32 = 1));
    assert_int_equal(m->config.rope.scaling, ROPE_SCALING_NONE);
    model_unref(m);

    GgufBuilder b = GGUF_BUILDER;
    build(&b, QWEN2());
    builder_string(&b, "qwen2.rope.scaling.type", "yarn");
    builder_f32(&b, "qwen2.rope.scaling.factor", 4);
    builder_u32(&b, "qwen2.rope.scaling.original_context_length", 32);
    builder_f32(&b, "qwen2.rope.scaling.yarn_beta_fast", 16);
    Error e = {};
    m = NULL;
    assert_int_equal(try(&b, &m, &e), 0);
    const RopeConfig *rope = &m->config.rope;
    assert_int_equal(rope->scaling, ROPE_SCALING_YARN);
    assert_int_equal(rope->original_context, 32);
    assert_true(rope->factor == 4.0f && rope->beta_fast == 16.0f && rope->beta_slow == 1.0f && rope->ext_factor == 1);
    assert_true(fabsf(rope->attn_factor - 1.1386294f) < 1e-6f); /* 1 + 0.1 ln 4 */
    model_unref(m);

    build(&b, QWEN2());
    builder_string(&b, "qwen2.rope.scaling.type", "none");
    builder_f32(&b, "qwen2.rope.scaling.factor", 4);
    assert_int_equal(try(&b, &m, &e), 0);
    assert_int_equal(m->config.rope.scaling, ROPE_SCALING_NONE);
    model_unref(m);
}

static void test_reads_other_head_sizes(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    Model *m = NULL;
    Error e = {};
    const Variant v = {.arch = "llama", .key = "llama.attention.key_length", .u32 = 8};
    build(&b, &v);
    assert_int_equal(try(&b, &m, &e), -EBADMSG);
    assert_string_equal(e.message, "tensor blk.0.attn_q.weight: has the shape [8, 8], must be [8, 16]");
}

/* ------------------------------------------------------------------------------------------------ refusals */

static void test_refuses_unknown_architectures(void **state) {
    refuse(&(Variant){.arch = "mamba"}, -EOPNOTSUPP,
        "models of the architecture \"mamba\" are not supported; supported are: bert, deepseek2, gemma2, gemma3, "
        "gpt-oss, granite, granitemoe, llama, nomic-bert, phi3, qwen2, qwen2moe, qwen3, qwen3moe");
    refuse(LLAMA(.drop_key = "general.architecture"), -EBADMSG, "key general.architecture is missing");
    refuse(LLAMA(.key = "llama.expert_count", .u32 = 8), -EBADMSG, "key llama.expert_used_count is missing");
}

static void test_refuses_bad_hyperparameters(void **state) {
    static const struct {
        const char *key;
        uint32_t u32;
        float f32;
        const char *words;
    } bad[] = {
        {"llama.block_count", 0, 0, "key llama.block_count: 0 is not between"},
        {"llama.block_count", 1000000000, 0, "key llama.block_count: 1000000000 is not between"},
        {"llama.block_count", 1000, 0, "key llama.block_count: 1000 layers, but the file has only 20 tensors"},
        {"llama.block_count", 3, 0, "tensor blk.2.attn_norm.weight is missing"},
        {"llama.block_count", 1, 0, "tensor blk.1.attn_norm.weight does not belong to a llama model of 1 layers"},
        {"llama.embedding_length", 0, 0, "key llama.embedding_length"},
        {"llama.embedding_length", UINT32_MAX, 0, "key llama.embedding_length"},
        {"llama.embedding_length", 9, 0, "key llama.attention.head_count: 2 heads do not divide an embedding of 9"},
        {"llama.embedding_length", 6, 0, "heads of 3 and 3 elements; their sizes must be even"},
        {"llama.embedding_length", 16, 0, "tensor token_embd.weight: has the shape [8, 12], must be [16, 12]"},
        {"llama.context_length", 0, 0, "key llama.context_length"},
        {"llama.context_length", UINT32_MAX, 0, "key llama.context_length"},
        {"llama.feed_forward_length", 0, 0, "key llama.feed_forward_length"},
        {"llama.feed_forward_length", 8, 0, "ffn_gate.weight: has the shape [8, 16], must be [8, 8]"},
        {"llama.attention.head_count", 0, 0, "key llama.attention.head_count: 0"},
        {"llama.attention.head_count", 3, 0, "3 heads do not divide"},
        {"llama.attention.head_count", 8, 0, "heads of 1 and 1 elements"},
        {"llama.attention.head_count", 1000000, 0, "key llama.attention.head_count: 1000000"},
        {"llama.attention.head_count_kv", 0, 0, "key llama.attention.head_count_kv: 0"},
        {"llama.attention.head_count_kv", 3, 0, "key llama.attention.head_count_kv: 3 does not divide the 2 heads"},
        {"llama.attention.head_count_kv", 2, 0, "attn_k.weight: has the shape [8, 4], must be [8, 8]"},
        {"llama.attention.key_length", 3, 0, "heads of 3 and 4 elements"},
        {"llama.attention.key_length", 0, 0, "key llama.attention.key_length"},
        {"llama.attention.value_length", 1 << 20, 0, "key llama.attention.value_length"},
        {"llama.attention.scale", 0, -1, "key llama.attention.scale: -1 is negative"},
        {"llama.attention.layer_norm_rms_epsilon", 0, NAN, "key llama.attention.layer_norm_rms_epsilon: nan"},
        {"llama.attention.layer_norm_rms_epsilon", 0, -1e-5f, "is not positive"},
        {"llama.attention.layer_norm_rms_epsilon", 0, 0, "is not positive"},
        {"llama.rope.dimension_count", 3, 0, "key llama.rope.dimension_count: 3 is odd"},
        {"llama.rope.dimension_count", 6, 0, "key llama.rope.dimension_count: 6 is not between 1 and 4"},
        {"llama.rope.dimension_count", 0, 0, "key llama.rope.dimension_count"},
        {"llama.rope.freq_base", 0, 0, "key llama.rope.freq_base: 0 is not positive"},
        {"llama.rope.freq_base", 0, 1, "key llama.rope.freq_base: 1 is not more than 1"},
        {"llama.rope.freq_base", 0, INFINITY, "key llama.rope.freq_base: inf"},
        {"llama.rope.scaling.factor", 0, -2, "key llama.rope.scaling.factor: -2 is negative"},
        {"llama.rope.scaling.attn_factor", 0, -2, "key llama.rope.scaling.attn_factor"},
    };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        refuse(LLAMA(.key = bad[i].key, .u32 = bad[i].u32, .f32 = bad[i].f32), -EBADMSG, bad[i].words);
    refuse(LLAMA(.key = "llama.block_count", .text = "2"), -EBADMSG, "key llama.block_count: has type string");
    refuse(LLAMA(.key = "llama.rope.scaling.type", .text = "spiral"), -EOPNOTSUPP, "RoPE scaling \"spiral\"");
}

static void test_refuses_missing_keys(void **state) {
    static const char *const keys[] = {"llama.block_count", "llama.context_length", "llama.embedding_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon",
        "tokenizer.ggml.tokens"};
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        char words[100];
        snprintf(words, sizeof(words), "key %s is missing", keys[i]);
        refuse(LLAMA(.drop_key = keys[i]), -EBADMSG, words);
    }
    refuse(LLAMA(.drop_key = "llama.attention.head_count_kv"), -EBADMSG, "must be [8, 8]"); /* as many as heads */
}

static void test_refuses_missing_and_unknown_tensors(void **state) {
    refuse(LLAMA(.drop_tensor = "token_embd.weight"), -EBADMSG, "tensor token_embd.weight is missing");
    refuse(LLAMA(.drop_tensor = "output_norm.weight"), -EBADMSG, "tensor output_norm.weight is missing");
    refuse(LLAMA(.drop_tensor = "blk.1.ffn_up.weight"), -EBADMSG, "tensor blk.1.ffn_up.weight is missing");
    refuse(QWEN2(.drop_tensor = "blk.0.attn_k.bias"), -EBADMSG, "tensor blk.0.attn_k.bias is missing");
    refuse(LLAMA(.tensor = "blk.0.attn_q_norm.weight", .columns = 4), -EBADMSG,
        "tensor blk.0.attn_q_norm.weight does not belong to a llama model");
    refuse(LLAMA(.tensor = "blk.2.attn_norm.weight", .columns = EMBD), -EBADMSG, "tensor blk.2.attn_norm.weight");
}

static void test_refuses_bad_tensors(void **state) {
    refuse(LLAMA(.tensor = "output_norm.weight", .columns = EMBD + 1), -EBADMSG,
        "tensor output_norm.weight: has the shape [9], must be [8]");
    refuse(LLAMA(.tensor = "output_norm.weight", .columns = EMBD, .rows = 2), -EBADMSG, "has the shape [8, 2]");
    refuse(LLAMA(.tensor = "blk.0.attn_q.weight", .type = TENSOR_I32, .columns = EMBD, .rows = EMBD), -EOPNOTSUPP,
        "tensor blk.0.attn_q.weight: weights of type I32 are not supported");
    refuse(LLAMA(.tensor = "output_norm.weight", .type = TENSOR_F16, .columns = EMBD), -EOPNOTSUPP,
        "tensor output_norm.weight: a vector of type F16 is not supported, must be F32");
    refuse(LLAMA(.tensor = "rope_freqs.weight", .columns = 2), -EBADMSG, "tensor rope_freqs.weight: factor 0 is 0");
    refuse(LLAMA(.tensor = "rope_freqs.weight", .columns = 2, .value = NAN), -EBADMSG, "factor 0 is nan");
    refuse(LLAMA(.tensor = "rope_freqs.weight", .columns = 2, .value = 1), -EBADMSG, "factor 1 is 0");
    refuse(LLAMA(.tensor = "rope_freqs.weight", .columns = 4, .value = 1), -EBADMSG, "must be [2]");
}

/* ------------------------------------------------------------------------------------------------ files and info */

static char path[] = "/tmp/test-model-XXXXXX";

static void test_loads_files(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    build(&b, LLAMA());
    builder_write(&b, path);
    Model *m = NULL;
    Error e = {};
    assert_int_equal(model_load(path, &m, &e), 0);
    assert_string_equal(model_info(m)->path, path);
    assert_false(model_failed(m));
    model_unref(m);

    assert_int_equal(truncate(path, 2000), 0);
    m = NULL;
    assert_int_equal(model_load(path, &m, &e), -EBADMSG);
    assert_int_equal(model_load("/nonexistent/model.gguf", &m, &e), -ENOENT);
    assert_int_equal(model_load("/", &m, &e), -EINVAL);
    assert_null(m);
}

static void test_tells_about_a_file(void **state) {
    GgufBuilder b = GGUF_BUILDER;
    build(&b, &(Variant){.arch = "mamba"}); /* need not be supported */
    builder_string(&b, "general.name", "T\xC3\xADny \xF0\x9F\x98\x80 \xFF\xED\xA0\x80 \xC0\xAF \xE2\x82");
    builder_string(&b, "general.license", "mit");
    builder_u32(&b, "general.file_type", 15);
    builder_write(&b, path);
    _cleanup_(model_info_freep) ModelInfo *info = NULL;
    Error e = {};
    assert_int_equal(model_info_read(path, &info, &e), 0);
    assert_string_equal(info->name, "T\xC3\xADny \xF0\x9F\x98\x80 \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD "
                                    "\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD");
    assert_string_equal(info->architecture, "mamba");
    assert_string_equal(info->quantisation, "Q4_K_M");
    assert_string_equal(info->license, "mit");
    assert_null(info->author);
    assert_true(info->temperature == -1);
    assert_int_equal(info->context_size, 64);
    assert_int_equal(info->embedding_size, EMBD);
    assert_int_equal(info->n_layers, LAYERS);
    assert_int_equal(info->n_vocab, TOKENS);
    assert_int_equal(info->n_parameters, 12 * 8 + 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 3 * 128));
    assert_true(info->file_bytes > info->n_parameters * 4);
}

static void test_recommended_temperature(void **state) {
    Model *m = accept(LLAMA(.key = "general.sampling.temp", .f32 = 0.25f));
    assert_true(model_info(m)->temperature == 0.25f);
    model_unref(m);
    refuse(LLAMA(.key = "general.sampling.temp", .f32 = -2), -EBADMSG, "key general.sampling.temp: -2");
}

static void test_names_what_the_file_does_not(void **state) {
    _cleanup_(model_unrefp) Model *m =
        accept(LLAMA(.tensor = "output.weight", .type = TENSOR_BF16, .columns = EMBD, .rows = 200));
    assert_string_equal(model_info(m)->name, "tiny");
    assert_string_equal(model_info(m)->quantisation, "BF16"); /* the type most weights have */
}

static int setup(void **state) {
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
    free(file);
    return unlink(path);
}

/* What a file of another architecture would mean by them must not be passed over in silence. */
static void test_refuses_keys_that_nobody_heeds(void **state) {
    refuse(LLAMA(.key = "llama.attn_logit_softcapping", .f32 = 50), -EOPNOTSUPP,
        "key llama.attn_logit_softcapping: not supported in llama models");
    refuse(LLAMA(.key = "llama.residual_scale", .f32 = 0.5f), -EOPNOTSUPP, "key llama.residual_scale");
    refuse(LLAMA(.key = "llama.use_parallel_residual", .u32 = 1), -EOPNOTSUPP, "key llama.use_parallel_residual");
    refuse(LLAMA(.key = "llama.hidden_activation", .text = "relu"), -EOPNOTSUPP, "key llama.hidden_activation");
    refuse(LLAMA(.key = "llama.rope.dimension_count_swa", .u32 = 2), -EOPNOTSUPP, "key llama.rope.dimension_count_swa");
    refuse(
        QWEN2(.key = "qwen2.attention.sliding_window", .u32 = 63), -EOPNOTSUPP, "key qwen2.attention.sliding_window");

    /* where they change nothing, they may be there */
    static const Variant neutral[] = {
        {.arch = "llama", .key = "llama.attn_logit_softcapping"},
        {.arch = "llama", .key = "llama.residual_scale", .f32 = 1},
        {.arch = "llama", .key = "llama.attention.scale"},
        {.arch = "llama", .key = "llama.rope.dimension_count_swa", .u32 = 4},
        {.arch = "qwen2", .key = "qwen2.attention.sliding_window", .u32 = 64},
    };
    for (size_t i = 0; i < ELEMENTSOF(neutral); i++)
        model_unref(accept(&neutral[i]));
}

static void test_reads_the_window(void **state) {
    _cleanup_(model_unrefp) Model *m = accept(LLAMA(.key = "llama.attention.sliding_window", .u32 = 8));
    assert_int_equal(m->config.window, 8);
    assert_true(layer_is_local(&m->config, 0) && layer_is_local(&m->config, LAYERS - 1));
    assert_int_equal(m->config.rope_local.n_dims, 4);

    _cleanup_(model_unrefp) Model *none = accept(LLAMA(.key = "llama.attention.sliding_window"));
    assert_false(layer_is_local(&none->config, 0));
    refuse(LLAMA(.key = "llama.attention.sliding_window", .u32 = UINT32_MAX), -EBADMSG,
        "key llama.attention.sliding_window: 4294967295 is not between");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binds_llama),
        cmocka_unit_test(test_binds_qwen2),
        cmocka_unit_test(test_binds_what_is_optional),
        cmocka_unit_test(test_cuts_a_padded_vocabulary),
        cmocka_unit_test(test_counts_references),
        cmocka_unit_test(test_reads_rope_scaling),
        cmocka_unit_test(test_reads_other_head_sizes),
        cmocka_unit_test(test_refuses_unknown_architectures),
        cmocka_unit_test(test_refuses_bad_hyperparameters),
        cmocka_unit_test(test_refuses_keys_that_nobody_heeds),
        cmocka_unit_test(test_reads_the_window),
        cmocka_unit_test(test_refuses_missing_keys),
        cmocka_unit_test(test_refuses_missing_and_unknown_tensors),
        cmocka_unit_test(test_refuses_bad_tensors),
        cmocka_unit_test(test_loads_files),
        cmocka_unit_test(test_tells_about_a_file),
        cmocka_unit_test(test_recommended_temperature),
        cmocka_unit_test(test_names_what_the_file_does_not),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
