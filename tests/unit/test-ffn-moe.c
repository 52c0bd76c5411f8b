/* A mixture of experts of which most never leave the disk: the file is sparse, hundreds of megabytes long, and what has
 * been mapped of it after loading and after generating is counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gguf-builder.h"
#include "model.h"

#define N_LAYERS  2
#define N_EMBD    256
#define N_HEADS   4
#define N_FF      1024 /* of an expert */
#define N_EXPERTS 128
#define N_USED    2
#define N_PROMPT  4
#define N_TOKENS  8 /* generated */

#define MATRIX_BYTES ((uint64_t)N_EMBD * N_FF * 2) /* F16 */
#define EXPERT_BYTES (3 * MATRIX_BYTES)
#define ALL_EXPERTS  (EXPERT_BYTES * N_EXPERTS * N_LAYERS)
/* If every token chose two experts that no other one chose. */
#define MOST_USED (EXPERT_BYTES * N_USED * (N_PROMPT + N_TOKENS) * N_LAYERS)

static char path[] = "/tmp/test-ffn-moe-XXXXXX";

/* ------------------------------------------------------------------------------------------------ the model */

static float random_weight(void) {
    static uint64_t state = 7;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(state >> 40) / 0x1p24 - 0.5);
}

static void dense(GgufBuilder *b, const char *name, uint64_t columns, uint64_t rows, float around) {
    float *data = (float *)builder_tensor(b, name, TENSOR_F32, columns, rows);
    for (uint64_t i = 0; i < columns * MAX(rows, 1u); i++)
        data[i] = around + random_weight();
}

static const char *in_layer(char buffer[static 64], uint32_t layer, const char *name) {
    snprintf(buffer, 64, "blk.%u.%s.weight", layer, name);
    return buffer;
}

static void add_keys(GgufBuilder *b) {
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a", "b", "c", "d"};
    static const uint32_t types[] = {2, 3, 3, 1, 1, 1, 1, 1};
    builder_string(b, "general.architecture", "qwen3moe");
    builder_u32(b, "qwen3moe.block_count", N_LAYERS);
    builder_u32(b, "qwen3moe.context_length", 64);
    builder_u32(b, "qwen3moe.embedding_length", N_EMBD);
    builder_u32(b, "qwen3moe.feed_forward_length", N_FF);
    builder_u32(b, "qwen3moe.expert_feed_forward_length", N_FF);
    builder_u32(b, "qwen3moe.expert_count", N_EXPERTS);
    builder_u32(b, "qwen3moe.expert_used_count", N_USED);
    builder_u32(b, "qwen3moe.attention.head_count", N_HEADS);
    builder_u32(b, "qwen3moe.attention.head_count_kv", N_HEADS);
    builder_f32(b, "qwen3moe.attention.layer_norm_rms_epsilon", 1e-5f);
    builder_string(b, "tokenizer.ggml.model", "llama");
    builder_strings(b, "tokenizer.ggml.tokens", tokens, ELEMENTSOF(tokens));
    builder_array(b, "tokenizer.ggml.scores", GGUF_F32, ELEMENTSOF(tokens));
    for (uint32_t i = 0; i < ELEMENTSOF(tokens); i++)
        blob_f32(&b->keys, -(float)i);
    builder_array(b, "tokenizer.ggml.token_type", GGUF_I32, ELEMENTSOF(tokens));
    for (uint32_t i = 0; i < ELEMENTSOF(tokens); i++)
        blob_u32(&b->keys, types[i]);
    builder_u32(b, "tokenizer.ggml.eos_token_id", 2);
}

/* Writes the file; the experts lie behind everything else, where the file has a hole. */
static void write_model(void) {
    GgufBuilder b = GGUF_BUILDER;
    char n[64];
    add_keys(&b);
    dense(&b, "token_embd.weight", N_EMBD, 8, 0);
    dense(&b, "output_norm.weight", N_EMBD, 0, 1);
    for (uint32_t i = 0; i < N_LAYERS; i++) {
        static const char *const square[] = {"attn_q", "attn_k", "attn_v", "attn_output"};
        dense(&b, in_layer(n, i, "attn_norm"), N_EMBD, 0, 1);
        for (size_t j = 0; j < ELEMENTSOF(square); j++)
            dense(&b, in_layer(n, i, square[j]), N_EMBD, N_EMBD, 0);
        dense(&b, in_layer(n, i, "attn_q_norm"), N_EMBD / N_HEADS, 0, 1);
        dense(&b, in_layer(n, i, "attn_k_norm"), N_EMBD / N_HEADS, 0, 1);
        dense(&b, in_layer(n, i, "ffn_norm"), N_EMBD, 0, 1);
        dense(&b, in_layer(n, i, "ffn_gate_inp"), N_EMBD, N_EXPERTS, 0);
    }

    uint64_t offset = (b.data.n + 0xFFFFF) & ~0xFFFFFull;
    for (uint32_t i = 0; i < N_LAYERS; i++) {
        static const char *const parts[] = {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"};
        for (size_t j = 0; j < ELEMENTSOF(parts); j++) {
            const uint64_t ne[] = {j < 2 ? N_EMBD : N_FF, j < 2 ? N_FF : N_EMBD, N_EXPERTS};
            builder_tensor_raw(&b, in_layer(n, i, parts[j]), 3, ne, TENSOR_F16, offset);
            offset += MATRIX_BYTES * N_EXPERTS;
        }
    }
    builder_write(&b, path);
    assert_int_equal(truncate(path, (off_t)(offset + (1 << 20))), 0); /* and the header, which is shorter */
}

/* ------------------------------------------------------------------------------------------------ counting */

/* Bytes in memory of the mapping that `address` lies in. */
static uint64_t resident(const void *address) {
    char line[512];
    bool inside = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        unsigned long begin, end, kib;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = (uintptr_t)address >= begin && (uintptr_t)address < end;
        else if (inside && sscanf(line, "Rss: %lu kB", &kib) == 1) {
            fclose(f);
            return (uint64_t)kib * 1024;
        }
    }
    fail_msg("no mapping there");
    return 0;
}

static void generate(Model *m) {
    static const Token prompt[N_PROMPT] = {4, 5, 6, 7};
    const LogitBias never_ends = {2, -100};
    EngineRequest r = {
        .prompt = prompt,
        .n_prompt = N_PROMPT,
        .max_tokens = N_TOKENS,
        .sampler = SAMPLER_OPTIONS_DEFAULT,
        .top_logprobs = -1,
        .reasoning_budget = ENGINE_UNLIMITED,
    };
    r.sampler.logit_bias = &never_ends;
    r.sampler.n_logit_bias = 1;
    Error e = {};
    Engine *en = NULL;
    uint64_t id;
    if (engine_new(m, &(EngineOptions){.n_threads = 1}, &en, &e) < 0 || engine_submit(en, &r, &id, &e) < 0)
        fail_msg("%s", e.message);
    for (bool done = false; !done; usleep(1000))
        for (EngineEvent *ev = engine_take_events(en); ev; ev = engine_event_free(ev))
            if (ev->type == ENGINE_EVENT_FINISHED) {
                done = true;
                assert_int_equal(ev->finish, ENGINE_FINISH_LENGTH);
                assert_int_equal(ev->usage.completion_tokens, N_TOKENS);
            }
    engine_free(en);
}

static void test_only_the_experts_used_are_touched(void **state) {
    _cleanup_(model_unrefp) Model *m = NULL;
    Error e = {};
    write_model();
    if (model_load(path, &m, &e) < 0)
        fail_msg("%s", e.message);
    const uint8_t *experts = m->weights.layers[0].experts_gate.data;
    assert_true(model_info(m)->file_bytes > ALL_EXPERTS);
    assert_in_range(resident(experts), 1, ALL_EXPERTS / 16); /* metadata, and what the kernel maps around it */

    generate(m);
    assert_in_range(resident(experts), EXPERT_BYTES * N_USED * N_LAYERS, ALL_EXPERTS / 8 + MOST_USED);
    assert_true(ALL_EXPERTS / 8 + MOST_USED < ALL_EXPERTS / 3);
}

static int setup(void **state) {
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_experts_used_are_touched),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
