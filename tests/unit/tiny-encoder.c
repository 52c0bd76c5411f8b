#include <math.h>
#include <stdio.h>

#include "tiny-encoder.h"

static uint64_t state;

static float random_weight(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(state >> 40) / 0x1p24 - 0.5);
}

static void matrix(GgufBuilder *b, const char *name, size_t columns, size_t rows) {
    float *data = (float *)builder_tensor(b, name, TENSOR_F32, columns, rows);
    for (size_t i = 0; i < columns * rows; i++)
        data[i] = random_weight() * 4 / sqrtf((float)columns);
}

static void vector(GgufBuilder *b, const char *name, size_t n, float around) {
    float *data = (float *)builder_tensor(b, name, TENSOR_F32, n, 0);
    for (size_t i = 0; i < n; i++)
        data[i] = around + random_weight();
}

static const char *in_layer(char buffer[static 80], uint32_t layer, const char *name) {
    snprintf(buffer, 80, "blk.%u.%s", layer, name);
    return buffer;
}

static void layer(GgufBuilder *b, uint32_t i, bool nomic) {
    char n[80];
    size_t embd = TINY_ENCODER_EMBD, ff = TINY_ENCODER_FF;

    if (nomic) {
        matrix(b, in_layer(n, i, "attn_qkv.weight"), embd, 3 * embd);
        matrix(b, in_layer(n, i, "ffn_gate.weight"), embd, ff);
    } else {
        static const char *const parts[] = {"attn_q", "attn_k", "attn_v", "attn_output"};
        for (size_t p = 0; p < 4; p++) {
            char name[40];
            snprintf(name, sizeof(name), "%s.bias", parts[p]);
            vector(b, in_layer(n, i, name), embd, 0);
            snprintf(name, sizeof(name), "%s.weight", parts[p]);
            if (p < 3)
                matrix(b, in_layer(n, i, name), embd, embd);
        }
        vector(b, in_layer(n, i, "ffn_up.bias"), ff, 0);
        vector(b, in_layer(n, i, "ffn_down.bias"), embd, 0);
    }
    matrix(b, in_layer(n, i, "attn_output.weight"), embd, embd);
    matrix(b, in_layer(n, i, "ffn_up.weight"), embd, ff);
    matrix(b, in_layer(n, i, "ffn_down.weight"), ff, embd);
    vector(b, in_layer(n, i, "attn_output_norm.weight"), embd, 1);
    vector(b, in_layer(n, i, "attn_output_norm.bias"), embd, 0);
    vector(b, in_layer(n, i, "layer_output_norm.weight"), embd, 1);
    vector(b, in_layer(n, i, "layer_output_norm.bias"), embd, 0);
}

static void keys(GgufBuilder *b, const TinyEncoderOptions *o) {
    static const char *const tokens[TINY_ENCODER_VOCAB] = {
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁the", "▁cat", "▁dog", "▁sat", "▁ran", "▁a", "s", "▁on", "▁mat", "▁."};
    const char *arch = o->nomic ? "nomic-bert" : "bert";
    char n[80];
#define ARCH_KEY(name) (snprintf(n, sizeof(n), "%s." name, arch), n)

    builder_string(b, "general.architecture", arch);
    builder_string(b, "general.name", "Tiny encoder");
    builder_u32(b, ARCH_KEY("block_count"), TINY_ENCODER_LAYERS);
    builder_u32(b, ARCH_KEY("embedding_length"), TINY_ENCODER_EMBD);
    builder_u32(b, ARCH_KEY("feed_forward_length"), TINY_ENCODER_FF);
    builder_u32(b, ARCH_KEY("attention.head_count"), TINY_ENCODER_HEADS);
    builder_u32(b, ARCH_KEY("context_length"), TINY_ENCODER_CONTEXT);
    builder_f32(b, ARCH_KEY("attention.layer_norm_epsilon"), TINY_ENCODER_EPS);
    builder_bool(b, ARCH_KEY("attention.causal"), o->causal);
    if (o->nomic)
        builder_f32(b, ARCH_KEY("rope.freq_base"), TINY_ENCODER_BASE);
    if (o->pooling > 0)
        builder_u32(b, ARCH_KEY("pooling_type"), o->pooling);
#undef ARCH_KEY
    builder_string(b, "tokenizer.ggml.model", "bert");
    builder_strings(b, "tokenizer.ggml.tokens", tokens, TINY_ENCODER_VOCAB);
    builder_u32(b, "tokenizer.ggml.token_type_count", 2);
    builder_u32(b, "tokenizer.ggml.unknown_token_id", 1);
    builder_u32(b, "tokenizer.ggml.bos_token_id", 2);
    builder_u32(b, "tokenizer.ggml.seperator_token_id", 3);
}

void tiny_encoder_build(GgufBuilder *b, const TinyEncoderOptions *o) {
    state = 7;
    *b = GGUF_BUILDER;
    keys(b, o);
    matrix(b, "token_embd.weight", TINY_ENCODER_EMBD, TINY_ENCODER_VOCAB);
    matrix(b, "token_types.weight", TINY_ENCODER_EMBD, 2);
    if (!o->nomic)
        matrix(b, "position_embd.weight", TINY_ENCODER_EMBD, TINY_ENCODER_CONTEXT);
    vector(b, "token_embd_norm.weight", TINY_ENCODER_EMBD, 1);
    vector(b, "token_embd_norm.bias", TINY_ENCODER_EMBD, 0);
    for (uint32_t i = 0; i < TINY_ENCODER_LAYERS; i++)
        layer(b, i, o->nomic);
}
