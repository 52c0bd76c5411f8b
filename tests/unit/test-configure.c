/* Hyperparameters as files write them: what stands for what is absent, and what is refused, by which words.
 * test-model.c has the ranges of the sizes that every model needs. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/arch.h"
#include "gguf-settings.h"
#include "tiny-vocab.h"

#define LAYERS 4

typedef int (*Configure)(const Gguf *g, const char *arch, Config *c, Error *e);

/* Of a file that says no more than it must, but for the settings. */
static int try(Configure f, const GgufSetting *s, size_t n, Config *c, Error *e) {
    static const GgufSetting needed[] = {
        U32("x.block_count", LAYERS),
        U32("x.context_length", 1024),
        U32("x.embedding_length", 64),
        U32("x.feed_forward_length", 96),
        U32("x.attention.head_count", 4),
        F32("x.attention.layer_norm_rms_epsilon", 0.25),
        F32("x.attention.layer_norm_epsilon", 0.5),
    };
    GgufBuilder b = GGUF_BUILDER;
    builder_set(&b, needed, ELEMENTSOF(needed), s, n);
    builder_set(&b, s, n, NULL, 0);
    for (uint64_t i = 0; i < LAYERS; i++)
        builder_tensor(&b, (const char[]){'a' + (char)i, '\0'}, TENSOR_F32, 8, 0);
    _cleanup_(gguf_freep) Gguf *g = tiny_gguf(&b);
    return f(g, "x", c, e);
}

static Config accept(Configure f, const GgufSetting *s, size_t n) {
    Config c = {};
    Error e = {};
    if (try(f, s, n, &c, &e) < 0)
        fail_msg("refused: %s", e.message);
    return c;
}

static void refuse(Configure f, int code, const char *words, const GgufSetting *s, size_t n) {
    Config c = {};
    Error e = {};
    int r = try(f, s, n, &c, &e);
    if (r != code || e.code != code || !strstr(e.message, words))
        fail_msg("%d \"%s\" is not %d \"%s\"", r, e.message, code, words);
}

#define ACCEPT(f, ...)             accept(f, SETTINGS(__VA_ARGS__))
#define BAD(f, words, ...)         refuse(f, -EBADMSG, words, SETTINGS(__VA_ARGS__))
#define UNSUPPORTED(f, words, ...) refuse(f, -EOPNOTSUPP, words, SETTINGS(__VA_ARGS__))

static void assert_near(double a, double b) {
    if (!(fabs(a - b) <= 1e-6 * fabs(b)))
        fail_msg("%.9g is not %.9g", a, b);
}

/* ------------------------------------------------------------------------------------------------ attention */

static void test_what_is_absent(void **state) {
    Config c = ACCEPT(arch_configure);
    assert_int_equal(c.n_kv_heads, 4);
    assert_int_equal(c.head_dim_k, 16);
    assert_int_equal(c.head_dim_v, 16);
    assert_near(c.attn_scale, 0.25);
    assert_near(c.norm_eps, 0.25);
    assert_true(c.embd_scale == 1 && c.residual_scale == 1 && c.logit_scale == 1);
    assert_int_equal(c.rope.n_dims, 16);
    assert_int_equal(c.rope.original_context, 1024);
    assert_int_equal(c.window, 0);
    assert_false(c.encoder);
}

static void test_sizes_written_once_for_each_layer(void **state) {
    Config c = ACCEPT(arch_configure, ARRAY("x.attention.head_count", 4, 8, 8, 8, 8),
        ARRAY("x.attention.head_count_kv", 4, 2, 2, 2, 2), ARRAY("x.feed_forward_length", 4, 32, 32, 32, 32));
    assert_int_equal(c.n_heads, 8);
    assert_int_equal(c.n_kv_heads, 2);
    assert_int_equal(c.n_ff, 32);

    const char *uneven = "layers of different sizes are not supported";
    UNSUPPORTED(arch_configure, uneven, ARRAY("x.attention.head_count", 4, 8, 8, 8, 4));
    UNSUPPORTED(arch_configure, uneven, ARRAY("x.attention.head_count_kv", 4, 2, 1, 2, 2));
    UNSUPPORTED(arch_configure, uneven, ARRAY("x.feed_forward_length", 4, 32, 32, 64, 32));
    BAD(arch_configure, "key x.attention.head_count: has 3 elements, must have 4",
        ARRAY("x.attention.head_count", 3, 8, 8, 8));
    BAD(arch_configure, "key x.feed_forward_length: 0 is not between", ARRAY("x.feed_forward_length", 4, 0, 0, 0, 0));
}

static void test_heads_of_their_own_size(void **state) {
    Config c = ACCEPT(arch_configure, U32("x.attention.key_length", 10), U32("x.attention.value_length", 6),
        U32("x.embedding_length", 63), U32("x.rope.dimension_count", 8));
    assert_int_equal(c.head_dim_k, 10);
    assert_int_equal(c.head_dim_v, 6);
    assert_int_equal(c.rope.n_dims, 8);
    assert_near(c.attn_scale, 1 / sqrt(10));
    c = ACCEPT(arch_configure, U32("x.attention.key_length", 10));
    assert_int_equal(c.head_dim_v, 16);

    BAD(arch_configure, "4 heads do not divide an embedding of 63", U32("x.attention.key_length", 10),
        U32("x.embedding_length", 63));
    BAD(arch_configure, "heads of 16 and 2048 elements; their sizes must be even and at most 1024",
        U32("x.attention.key_length", 16), U32("x.embedding_length", 8192));
    BAD(arch_configure, "heads of 2048 and 16", U32("x.attention.value_length", 16), U32("x.embedding_length", 8192));
    BAD(arch_configure, "heads of 16 and 7", U32("x.attention.value_length", 7));
}

static void test_scale_of_scores(void **state) {
    assert_near(ACCEPT(arch_configure, F32("x.attention.scale", 0.125)).attn_scale, 0.125);
    assert_near(ACCEPT(arch_configure, F32("x.attention.scale", 0)).attn_scale, 0.25);
}

/* ------------------------------------------------------------------------------------------------ RoPE */

#define YARN TEXT("x.rope.scaling.type", "yarn"), F32("x.rope.scaling.factor", 4)

static void test_yarn(void **state) {
    RopeConfig rope = ACCEPT(arch_configure, YARN).rope;
    const double temperature = 1 + 0.1 * log(4);
    assert_true(rope.scaling == ROPE_SCALING_YARN && rope.factor == 4);
    assert_true(rope.ext_factor == 1 && rope.beta_fast == 32 && rope.beta_slow == 1);
    assert_near(rope.attn_factor, temperature);

    rope = ACCEPT(
        arch_configure, YARN, F32("x.rope.scaling.attn_factor", 0.5), F32("x.rope.scaling.yarn_ext_factor", 0.25))
               .rope;
    assert_near(rope.attn_factor, 0.5 * temperature);
    assert_true(rope.ext_factor == 0.25f);
    rope = ACCEPT(arch_configure, YARN, F32("x.rope.scaling.yarn_ext_factor", -1)).rope; /* "not set" */
    assert_true(rope.ext_factor == 1);
    rope = ACCEPT(arch_configure, YARN, F32("x.rope.scaling.yarn_ext_factor", 0)).rope;
    assert_true(rope.ext_factor == 0 && rope.attn_factor == 1);

    BAD(arch_configure, "key x.rope.scaling.yarn_ext_factor: 1.5 is more than 1", YARN,
        F32("x.rope.scaling.yarn_ext_factor", 1.5));
    BAD(arch_configure, "key x.rope.scaling.yarn_beta_fast: 0 is not positive", YARN,
        F32("x.rope.scaling.yarn_beta_fast", 0));
    BAD(arch_configure, "key x.rope.scaling.yarn_beta_slow: -1 is not positive", YARN,
        F32("x.rope.scaling.yarn_beta_slow", -1));
}

static void test_which_scaling(void **state) {
    const GgufSetting longrope = TEXT("x.rope.scaling.type", "longrope");
    RopeConfig rope = ACCEPT(arch_configure, longrope, F32("x.rope.scaling.factor", 4)).rope;
    assert_true(rope.scaling == ROPE_SCALING_LINEAR && rope.factor == 4);
    rope = ACCEPT(arch_configure, longrope).rope; /* all in its tensors */
    assert_true(rope.scaling == ROPE_SCALING_NONE && rope.factor == 1);
    rope = ACCEPT(arch_configure, F32("x.rope.scaling.factor", 2), F32("x.rope.scale_linear", 8)).rope;
    assert_true(rope.scaling == ROPE_SCALING_LINEAR && rope.factor == 2); /* the older key is not asked */
    rope = ACCEPT(arch_configure, F32("x.rope.scale_linear", 0)).rope;
    assert_true(rope.scaling == ROPE_SCALING_NONE && rope.factor == 1);

    BAD(arch_configure, "key x.rope.scale_linear: -2 is negative", F32("x.rope.scale_linear", -2));
    BAD(arch_configure, "key x.rope.scaling.type", U32("x.rope.scaling.type", 1));
    const char *const unknown[] = {"", "yar", "yarns", "Linear"};
    for (size_t i = 0; i < ELEMENTSOF(unknown); i++)
        UNSUPPORTED(arch_configure, "(none, linear, yarn and longrope are)", TEXT("x.rope.scaling.type", unknown[i]));
    UNSUPPORTED(arch_configure, "RoPE scaling \"?[31m\"", TEXT("x.rope.scaling.type", "\x1B[31m"));
}

static void test_the_original_context(void **state) {
    const char *key = "x.rope.scaling.original_context_length";
    assert_int_equal(ACCEPT(arch_configure, U32(key, 1u << 30)).rope.original_context, 1u << 30);
    BAD(arch_configure, key, U32(key, 0));
    BAD(arch_configure, key, U32(key, (1u << 30) + 1));
}

/* ------------------------------------------------------------------------------------------------ the window */

/* After what an architecture would say. */
static int configure_window(const Gguf *g, const char *arch, Config *c, Error *e) {
    c->n_layers = LAYERS;
    c->window = 300;
    c->rope_local.base = 7;
    return arch_configure_window(g, arch, 3, c, e);
}

#define PATTERN "x.attention.sliding_window_pattern"

static void test_the_window(void **state) {
    Config c = ACCEPT(configure_window);
    assert_true(c.window == 300 && c.window_period == 3 && c.rope_local.base == 7);
    c = ACCEPT(
        configure_window, U32("x.attention.sliding_window", 8), U32(PATTERN, 2), F32("x.rope.freq_base_swa", 50));
    assert_true(c.window == 8 && c.window_period == 2 && c.rope_local.base == 50);
    c = ACCEPT(configure_window, U32("x.attention.sliding_window", 0));
    assert_false(layer_is_local(&c, 0));

    BAD(configure_window, "key x.attention.sliding_window: 1073741825 is not between",
        U32("x.attention.sliding_window", (1u << 30) + 1));
    BAD(configure_window, PATTERN, TEXT(PATTERN, "2"));
    BAD(configure_window, "key x.rope.freq_base_swa: 1 is not more than 1", F32("x.rope.freq_base_swa", 1));
    BAD(configure_window, "key x.rope.freq_base_swa: -1 is not positive", F32("x.rope.freq_base_swa", -1));
}

/* All sixteen lists: each is taken as it stands, or refused. */
static void test_lists_of_layers_with_a_window(void **state) {
    unsigned n_taken = 0;
    for (uint32_t bits = 0; bits < 1u << LAYERS; bits++) {
        const GgufSetting list = BOOLS(PATTERN, LAYERS, bits & 1, bits & 2, bits & 4, bits & 8);
        Config c = {};
        Error e = {};
        int r = try(configure_window, SETTINGS(list), &c, &e);
        n_taken += r >= 0;
        for (uint32_t i = 0; i < LAYERS && r >= 0; i++)
            assert_int_equal(layer_is_local(&c, i), bits >> i & 1);
        if (r < 0)
            UNSUPPORTED(configure_window, "an irregular pattern of layers", list);
    }
    assert_int_equal(n_taken, 5); /* all, none, every second, the third alone, the last alone */
    ACCEPT(configure_window, ARRAY(PATTERN, LAYERS, 1, 0, 1, 0));
    BAD(configure_window, "has 3 elements, must have 4", ARRAY(PATTERN, 3, 1, 0, 1));
}

/* ------------------------------------------------------------------------------------------------ experts */

static int configure_experts(const Gguf *g, const char *arch, Config *c, Error *e) {
    c->n_ff = 96;
    return arch_configure_experts(g, arch, c, e);
}

#define EXPERTS(n, used) U32("x.expert_count", n), U32("x.expert_used_count", used)
#define GROUPS(n, used)  U32("x.expert_group_count", n), U32("x.expert_group_used_count", used)

static void test_experts(void **state) {
    ExpertConfig x = ACCEPT(configure_experts, EXPERTS(8, 3)).experts;
    assert_true(x.n == 8 && x.n_used == 3 && x.n_ff == 32 && x.scale == 1 && x.n_groups == 1 && x.n_groups_used == 1);
    x = ACCEPT(
        configure_experts, EXPERTS(2, 2), U32("x.expert_feed_forward_length", 7), F32("x.expert_weights_scale", 2.5))
            .experts;
    assert_true(x.n_ff == 7 && x.scale == 2.5f);

    BAD(configure_experts, "key x.expert_used_count is missing", U32("x.expert_count", 8));
    BAD(configure_experts, "key x.expert_count is missing", U32("x.expert_used_count", 8));
    BAD(configure_experts, "key x.expert_count: 1025 is not between", EXPERTS(1025, 1));
    BAD(configure_experts, "key x.expert_used_count: 65 is not between", EXPERTS(1024, 65));
    BAD(configure_experts, "key x.expert_used_count: 0 is not between", EXPERTS(8, 0));
    BAD(configure_experts, "key x.expert_used_count: 9 of 8 experts", EXPERTS(8, 9));
    BAD(configure_experts, "key x.expert_weights_scale: -1 is negative", EXPERTS(8, 2),
        F32("x.expert_weights_scale", -1));
}

static void test_groups_of_experts(void **state) {
    ExpertConfig x = ACCEPT(configure_experts, EXPERTS(8, 4), GROUPS(4, 2)).experts;
    assert_true(x.n_groups == 4 && x.n_groups_used == 2);
    for (uint32_t none = 0; none < 2; none++) { /* whatever is used of them */
        x = ACCEPT(configure_experts, EXPERTS(8, 4), GROUPS(none, 5)).experts;
        assert_true(x.n_groups == 1 && x.n_groups_used == 1);
    }

    BAD(configure_experts, "x: 4 experts of 8 cannot be chosen from 1 of 4 groups", EXPERTS(8, 4), GROUPS(4, 1));
    BAD(configure_experts, "cannot be chosen from", EXPERTS(8, 1), GROUPS(3, 1));
    BAD(configure_experts, "key x.expert_group_count: 9 is not between 1 and 8", EXPERTS(8, 1), GROUPS(9, 1));
    BAD(configure_experts, "key x.expert_group_used_count: 5 is not between 1 and 4", EXPERTS(8, 1), GROUPS(4, 5));
    BAD(configure_experts, "key x.expert_group_used_count: 0 is not between", EXPERTS(8, 1), GROUPS(4, 0));
}

/* ------------------------------------------------------------------------------------------------ encoders */

static void test_encoders(void **state) {
    Config c = ACCEPT(arch_configure_encoder);
    assert_true(c.encoder && c.pooling == POOLING_MEAN && c.n_token_types == 2);
    assert_near(c.norm_eps, 0.5); /* by another key than decoders */
    c = ACCEPT(arch_configure_encoder, U32("x.pooling_type", 2), U32("tokenizer.ggml.token_type_count", 1));
    assert_true(c.pooling == POOLING_CLS && c.n_token_types == 1);

    BAD(arch_configure_encoder, "key x.attention.layer_norm_epsilon is missing",
        WITHOUT("x.attention.layer_norm_epsilon"));
    for (uint32_t type = 0; type < 5; type++)
        if (type != POOLING_MEAN && type != POOLING_CLS)
            UNSUPPORTED(arch_configure_encoder, "key x.pooling_type: pooling of type", U32("x.pooling_type", type));
    BAD(arch_configure_encoder, "key tokenizer.ggml.token_type_count: 0 is not between 1 and 1024",
        U32("tokenizer.ggml.token_type_count", 0));
    BAD(arch_configure_encoder, "key tokenizer.ggml.token_type_count: 1025",
        U32("tokenizer.ggml.token_type_count", 1025));
}

static void test_who_sees_what_follows(void **state) {
    const char *key = "x.attention.causal";
    ACCEPT(arch_configure, BOOL(key, true));
    ACCEPT(arch_configure_encoder, BOOL(key, false));
    UNSUPPORTED(arch_configure, "key x.attention.causal: a decoder whose positions see what follows", BOOL(key, false));
    UNSUPPORTED(arch_configure_encoder, "an encoder whose positions do not see each other", BOOL(key, true));
    BAD(arch_configure, key, U32(key, 1));
}

/* ------------------------------------------------------------------------------------------------ single keys */

static int read_keys(const Gguf *g, const char *arch, Config *c, Error *e) {
    c->logit_scale = 3;
    c->embd_scale = 3;
    c->n_embd = 3;
    c->encoder = true;
    int r = arch_read_number(g, arch, "number", &c->logit_scale, e);
    r = r < 0 ? r : arch_read_scale(g, arch, "scale", &c->embd_scale, e);
    r = r < 0 ? r : arch_read_size(g, arch, "size", 5, &c->n_embd, e);
    return r < 0 ? r : arch_read_bool(g, arch, "bool", &c->encoder, e);
}

static void test_single_keys(void **state) {
    Config c = ACCEPT(read_keys);
    assert_true(c.logit_scale == 3 && c.embd_scale == 3 && c.n_embd == 3 && c.encoder);
    c = ACCEPT(read_keys, F32("x.number", -2), F32("x.scale", 0), U32("x.size", 5), BOOL("x.bool", false));
    assert_true(c.logit_scale == -2 && c.embd_scale == 3 && c.n_embd == 5 && !c.encoder);
    BAD(read_keys, "key x.number", F32("x.number", NAN));
    BAD(read_keys, "key x.scale: -2 is negative", F32("x.scale", -2));
    BAD(read_keys, "key x.size: 6 is not between 1 and 5", U32("x.size", 6));
    BAD(read_keys, "key x.bool", TEXT("x.bool", "true"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_absent),
        cmocka_unit_test(test_sizes_written_once_for_each_layer),
        cmocka_unit_test(test_heads_of_their_own_size),
        cmocka_unit_test(test_scale_of_scores),
        cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_which_scaling),
        cmocka_unit_test(test_the_original_context),
        cmocka_unit_test(test_the_window),
        cmocka_unit_test(test_lists_of_layers_with_a_window),
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_groups_of_experts),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_who_sees_what_follows),
        cmocka_unit_test(test_single_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
