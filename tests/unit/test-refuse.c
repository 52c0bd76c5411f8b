/* Keys that an architecture does not heed: refused where they would change what a model computes, and only there. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "gguf-settings.h"
#include "tiny-vocab.h"

static int try(const char *const *heeded, const GgufSetting *s, size_t n, Error *e) {
    const Architecture x = {.name = "x", .keys = heeded};
    const Config c = {.head_dim_k = 16, .head_dim_v = 8, .rope.n_dims = 4, .n_ctx_train = 1024};
    GgufBuilder b = GGUF_BUILDER;
    builder_set(&b, s, n, NULL, 0);
    _cleanup_(gguf_freep) Gguf *g = tiny_gguf(&b);
    return arch_refuse_keys(g, &x, &c, e);
}

static void accept(const char *const *heeded, const GgufSetting *s, size_t n) {
    Error e = {};
    if (try(heeded, s, n, &e) != 0)
        fail_msg("refused: %s", e.message);
}

static void refuse(int code, const char *words, const GgufSetting *s, size_t n) {
    Error e = {};
    int r = try(NULL, s, n, &e);
    if (r != code || e.code != code || !strstr(e.message, words))
        fail_msg("%d \"%s\" is not %d \"%s\"", r, e.message, code, words);
}

/* Refused under its own name. */
static void unsupported(GgufSetting s) {
    char words[200];
    snprintf(words, sizeof(words), "key %s: not supported in x models", s.key);
    refuse(-EOPNOTSUPP, words, SETTINGS(s));
}

/* What models are known to write, and the value by which each of them says that it does without. */
static void test_every_key(void **state) {
    static const struct {
        const char *key;
        float neutral;
    } rows[] = {
        {"x.attention.clamp_kqv", 0},
        {"x.attention.indexer.top_k", 0},
        {"x.attention.max_alibi_bias", 0},
        {"x.attention.output_scale", 1},
        {"x.attention.relative_buckets_count", 0},
        {"x.attention.shared_kv_layers", 0},
        {"x.attention.temperature_scale", 0},
        {"x.attention.value_scale", 1},
        {"x.attn_logit_softcapping", 0},
        {"x.embedding_scale", 1},
        {"x.expert_gating_func", 1}, /* softmax */
        {"x.experts_per_group", 0},
        {"x.final_logit_softcapping", 0},
        {"x.full_attention_interval", 1},
        {"x.hidden_activation", 0},
        {"x.interleave_moe_layer_step", 1},
        {"x.logit_scale", 1},
        {"x.moe_every_n_layers", 0},
        {"x.num_loops", 1},
        {"x.residual_scale", 1},
        {"x.rope.scaling.alpha", 0},
        {"x.rope.scaling.yarn_attn_factor", 1},
        {"x.rope.scaling.yarn_log_multiplier", 0},
        {"x.router_logit_softcapping", 0},
        {"x.swiglu_clamp_exp", 0},
        {"x.swiglu_clamp_shexp", 0},
        {"x.swin_norm", 0},
        {"x.use_parallel_residual", 0},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *key = rows[i].key, *const heeded[] = {key + 2, NULL};
        accept(NULL, SETTINGS(F32(key, 0)));
        accept(NULL, SETTINGS(F32(key, rows[i].neutral)));
        unsupported((GgufSetting)F32(key, rows[i].neutral == 1 ? 0.5 : 1));
        unsupported((GgufSetting)U32(key, 7));
        accept(heeded, SETTINGS(U32(key, 7)));
    }
}

/* A key that one architecture heeds is refused in a model of another: none is spelled in two ways. */
static void test_what_others_heed(void **state) {
    static const Architecture *const all[] = {&arch_bert, &arch_nomic_bert, &arch_deepseek2, &arch_gemma2, &arch_gemma3,
        &arch_gpt_oss, &arch_granite, &arch_granite_moe, &arch_llama, &arch_phi3, &arch_qwen2, &arch_qwen2moe,
        &arch_qwen3, &arch_qwen3moe};
    unsigned n = 0;
    for (size_t i = 0; i < ELEMENTSOF(all); i++)
        for (const char *const *k = all[i]->keys; k && *k; k++, n++) {
            char key[128];
            snprintf(key, sizeof(key), "x.%s", *k);
            unsupported((GgufSetting)U32(key, 7));
            accept(all[i]->keys, SETTINGS(U32(key, 7)));
        }
    assert_true(n > 0);
}

static void test_values_of_other_types(void **state) {
    accept(NULL, SETTINGS(BOOL("x.swin_norm", false), BOOL("x.full_attention_interval", true)));
    unsupported((GgufSetting)BOOL("x.swin_norm", true));
    /* text and lists are never nothing */
    unsupported((GgufSetting)TEXT("x.hidden_activation", ""));
    unsupported((GgufSetting)ARRAY("x.swin_norm", 0, 0));
    refuse(-EBADMSG, "key x.logit_scale", SETTINGS(F32("x.logit_scale", NAN)));
}

static void test_keys_of_others(void **state) {
    accept(
        NULL, SETTINGS(F32("y.logit_scale", 2), F32("logit_scale", 2), F32("x.logit_scales", 2), F32("x.unknown", 2)));
    accept(NULL, SETTINGS());
    /* heeding one says nothing of the next */
    const char *const heeded[] = {"attention.output_scale", NULL};
    Error e = {};
    assert_int_equal(
        try(heeded, SETTINGS(F32("x.attention.output_scale", 2), F32("x.attention.value_scale", 2)), &e), -EOPNOTSUPP);
    assert_string_equal(e.message, "key x.attention.value_scale: not supported in x models");
}

static void test_sizes_of_layers_with_a_window(void **state) {
    accept(NULL, SETTINGS(U32("x.attention.key_length_swa", 16), U32("x.attention.value_length_swa", 8),
                     U32("x.rope.dimension_count_swa", 4)));
    unsupported((GgufSetting)U32("x.attention.key_length_swa", 8));
    unsupported((GgufSetting)U32("x.attention.value_length_swa", 16));
    unsupported((GgufSetting)U32("x.rope.dimension_count_swa", 2));
    refuse(-EBADMSG, "key x.rope.dimension_count_swa", SETTINGS(TEXT("x.rope.dimension_count_swa", "4")));
}

/* One that reaches over the whole context is none. */
static void test_windows(void **state) {
    const char *key = "x.attention.sliding_window", *const heeded[] = {key + 2, NULL};
    accept(NULL, SETTINGS(U32(key, 0)));
    accept(NULL, SETTINGS(U32(key, 1024)));
    unsupported((GgufSetting)U32(key, 1023));
    accept(heeded, SETTINGS(U32(key, 1023)));
    refuse(-EBADMSG, key, SETTINGS(F32(key, 0.5)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_what_others_heed),
        cmocka_unit_test(test_values_of_other_types),
        cmocka_unit_test(test_keys_of_others),
        cmocka_unit_test(test_sizes_of_layers_with_a_window),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
