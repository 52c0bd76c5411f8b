/* Rotary embedding against what the papers say of it: frequencies, what stretches them, and rotations by them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "layers/pass.h"

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
        fail_msg("%.9g is not %.9g", a, b);
}

static RopeTable table_new(const RopeConfig *rope, const Tensor *freqs) {
    RopeTable t = {};
    assert_int_equal(rope_table_new(rope, freqs, &t), 0);
    return t;
}

/* What each frequency is divided by; the caller's to compare. */
static void stretches(const RopeConfig *rope, const Tensor *freqs, double *ret) {
    RopeTable t = table_new(rope, freqs);
    for (uint32_t i = 0; i < rope->n_dims / 2; i++)
        ret[i] = pow(rope->base, -2.0 * i / rope->n_dims) / t.frequency[i];
    rope_table_done(&t);
    assert_null(t.frequency);
}

/* ------------------------------------------------------------------------------------------------ frequencies */

static void test_frequencies_fall_geometrically(void **state) {
    const RopeConfig rope = {.n_dims = 8, .base = 10000, .factor = 4, .attn_factor = 1.5f};
    RopeTable t = table_new(&rope, NULL);
    for (uint32_t i = 0; i < 4; i++)
        assert_near(t.frequency[i], pow(0.1, i), 1e-12); /* a factor without scaling is none */
    assert_true(t.magnitude == 1.5f);
    rope_table_done(&t);

    const RopeConfig none = {.n_dims = 0, .base = 10000, .attn_factor = 1}; /* a model without positions */
    t = table_new(&none, NULL);
    rope_table_done(&t);
    rope_table_done(&t);
}

static void test_linear_scaling_stretches_all_alike(void **state) {
    const RopeConfig rope = {.n_dims = 8, .base = 10000, .scaling = ROPE_SCALING_LINEAR, .factor = 4};
    double by[4];
    stretches(&rope, NULL, by);
    for (uint32_t i = 0; i < 4; i++)
        assert_near(by[i], 4, 1e-12);
}

static void test_factors_of_the_file(void **state) {
    const float factors[] = {1, 2, 8, 0.5f};
    uint8_t anywhere[sizeof(factors) + 1]; /* a file aligns nothing for us */
    memcpy(anywhere + 1, factors, sizeof(factors));
    const Tensor freqs = {.data = anywhere + 1, .type = TENSOR_F32, .n_dims = 1, .ne = {4, 1, 1, 1}}, absent = {};
    RopeConfig rope = {.n_dims = 8, .base = 500000, .factor = 4};
    double by[4];

    stretches(&rope, &freqs, by);
    for (uint32_t i = 0; i < 4; i++)
        assert_near(by[i], factors[i], 1e-12);
    rope.scaling = ROPE_SCALING_LINEAR;
    stretches(&rope, &freqs, by);
    for (uint32_t i = 0; i < 4; i++)
        assert_near(by[i], 4 * factors[i], 1e-12);
    stretches(&rope, &absent, by);
    assert_near(by[2], 4, 1e-12);
}

static const RopeConfig llama2_yarn = {
    .n_dims = 128,
    .base = 10000,
    .scaling = ROPE_SCALING_YARN,
    .factor = 8,
    .attn_factor = 1,
    .original_context = 4096,
    .ext_factor = 1,
    .beta_fast = 32,
    .beta_slow = 1,
};

/* What turns often within the original context stays, what does not even turn once is stretched in full. */
static void test_yarn_stretches_the_slow(void **state) {
    double by[64];
    stretches(&llama2_yarn, NULL, by);
    for (uint32_t i = 0; i < 64; i++) {
        double turns = 4096 * pow(10000, -(double)i / 64) / (2 * M_PI);
        if (turns > 32)
            assert_near(by[i], 1, 1e-9);
        else if (turns < 1)
            assert_near(by[i], 8, 1e-9);
        assert_true(i == 0 || by[i] >= by[i - 1] - 1e-9);
    }
    /* the dimensions of the paper's equations lie at 20.9 and 45.03: the ramp goes from pair 20 to 46 */
    assert_near(by[20], 1, 1e-9);
    assert_true(by[21] > 1.001 && by[45] < 7.9);
    assert_near(by[46], 8, 1e-9);
    assert_near(1 / by[33], (1 + 1 / 8.0) / 2, 1e-9); /* half way up, half of each frequency */
}

static void test_yarn_in_part(void **state) {
    RopeConfig rope = llama2_yarn;
    double by[64];
    rope.ext_factor = 0.5f;
    stretches(&rope, NULL, by);
    assert_near(1 / by[0], (1 + 1 / 8.0) / 2, 1e-9);
    assert_near(by[63], 8, 1e-9);
    rope.ext_factor = 0; /* nothing but interpolation */
    stretches(&rope, NULL, by);
    assert_near(by[0], 8, 1e-9);
}

/* As the paper's own code does it: the ramp begins at the first pair, if not later, and ends at the last dimension. */
static void test_yarn_cuts_its_ramp(void **state) {
    RopeConfig rope = llama2_yarn;
    double by[64];
    rope.original_context = 128; /* the first pair makes no 32 turns either */
    stretches(&rope, NULL, by);
    assert_near(by[0], 1, 1e-9);
    rope.original_context = 1; /* nothing turns: there is no ramp */
    stretches(&rope, NULL, by);
    assert_near(by[1], 8, 1e-9);
    rope = llama2_yarn;
    rope.beta_slow = 1e-30f;
    stretches(&rope, NULL, by);
    assert_near(1 / by[63], 1 - (63 - 20) / (127.0 - 20) * 7 / 8, 1e-9);
}

/* Whatever a file says, the frequencies are numbers between the stretched and the bare ones. */
static void test_yarn_of_odd_files(void **state) {
    static const struct {
        uint32_t context;
        float fast, slow;
    } rows[] = {{1, 32, 1}, {1u << 30, 32, 1}, {4096, 1, 32}, {4096, 1, 1}, {4096, 1e30f, 1e-30f}};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        RopeConfig rope = llama2_yarn;
        double by[64];
        rope.original_context = rows[i].context;
        rope.beta_fast = rows[i].fast;
        rope.beta_slow = rows[i].slow;
        stretches(&rope, NULL, by);
        for (uint32_t j = 0; j < 64; j++)
            assert_true(by[j] >= 1 - 1e-9 && by[j] <= 8 + 1e-9);
    }
}

/* ------------------------------------------------------------------------------------------------ rotations */

#define HEAD 8
#define ROWS 2

typedef struct Fixture {
    Config config;
    PassRow rows[ROWS];
    float cos[ROPE_KINDS][ROWS * HEAD], sin[ROPE_KINDS][ROWS * HEAD];
    Pass pass;
} Fixture;

/* Every second layer has a window, whose heads turn faster and less of them. */
static void fixture_init(Fixture *f, RopeLayout layout, bool window) {
    *f = (Fixture){.config = {.n_layers = 2,
                       .window = window ? 4 : 0,
                       .window_period = 2,
                       .rope = {.layout = layout, .n_dims = 6, .base = 1000, .attn_factor = 1},
                       .rope_local = {.layout = layout, .n_dims = 4, .base = 100, .attn_factor = 1}}};
    f->pass = (Pass){.config = &f->config, .kernels = kernels_tier(0), .rows = f->rows};
    f->pass.rope[ROPE_GLOBAL] = table_new(&f->config.rope, NULL);
    f->pass.rope_cos[ROPE_GLOBAL] = f->cos[ROPE_GLOBAL];
    f->pass.rope_sin[ROPE_GLOBAL] = f->sin[ROPE_GLOBAL];
    if (!window)
        return;
    f->pass.rope[ROPE_LOCAL] = table_new(&f->config.rope_local, NULL);
    f->pass.rope_cos[ROPE_LOCAL] = f->cos[ROPE_LOCAL];
    f->pass.rope_sin[ROPE_LOCAL] = f->sin[ROPE_LOCAL];
}

static void fixture_done(Fixture *f) {
    rope_table_done(&f->pass.rope[ROPE_GLOBAL]);
    rope_table_done(&f->pass.rope[ROPE_LOCAL]);
}

static void fill_rows(Fixture *f, uint32_t first, uint32_t second) {
    f->rows[0].position = first;
    f->rows[1].position = second;
    for (uint32_t row = 0; row < ROWS; row++)
        rope_row(&f->pass, row);
}

/* One head through rope_apply() against the rotation as it is written down. */
static void expect_rotated(const Fixture *f, uint32_t layer, uint32_t row, const RopeConfig *rope, double magnitude) {
    float head[HEAD];
    for (uint32_t i = 0; i < HEAD; i++)
        head[i] = (float)i + 1;
    rope_apply(&f->pass, layer, row, head);

    uint32_t n = rope->n_dims / 2;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = rope->layout == ROPE_INTERLEAVED ? 2 * i : i;
        uint32_t b = rope->layout == ROPE_INTERLEAVED ? 2 * i + 1 : i + n;
        double angle = f->rows[row].position * pow(rope->base, -(double)i / n);
        double c = cos(angle) * magnitude, s = sin(angle) * magnitude;
        assert_near(head[a], (a + 1) * c - (b + 1) * s, 2e-6);
        assert_near(head[b], (a + 1) * s + (b + 1) * c, 2e-6);
    }
    for (uint32_t i = rope->n_dims; i < HEAD; i++) /* the rest has no position */
        assert_true(head[i] == (float)i + 1);
}

static void test_rotates_by_the_rows_position(void **state) {
    for (RopeLayout layout = ROPE_INTERLEAVED; layout <= ROPE_HALVES; layout++) {
        Fixture f;
        fixture_init(&f, layout, false);
        fill_rows(&f, 0, 3);
        expect_rotated(&f, 0, 0, &f.config.rope, 1);
        expect_rotated(&f, 1, 1, &f.config.rope, 1);
        fill_rows(&f, 1000003, 100000); /* an angle in float would be off by hundredths here */
        expect_rotated(&f, 0, 0, &f.config.rope, 1);
        expect_rotated(&f, 0, 1, &f.config.rope, 1);
        f.pass.rope[ROPE_GLOBAL].magnitude = 1.25f;
        fill_rows(&f, 5, 6);
        expect_rotated(&f, 0, 1, &f.config.rope, 1.25);
        fixture_done(&f);
    }
}

static void test_layers_with_a_window_rotate_their_own_way(void **state) {
    Fixture f;
    fixture_init(&f, ROPE_HALVES, true);
    fill_rows(&f, 2, 7);
    for (uint32_t row = 0; row < ROWS; row++) {
        expect_rotated(&f, 0, row, &f.config.rope_local, 1);
        expect_rotated(&f, 1, row, &f.config.rope, 1);
    }
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies_fall_geometrically),
        cmocka_unit_test(test_linear_scaling_stretches_all_alike),
        cmocka_unit_test(test_factors_of_the_file),
        cmocka_unit_test(test_yarn_stretches_the_slow),
        cmocka_unit_test(test_yarn_in_part),
        cmocka_unit_test(test_yarn_cuts_its_ramp),
        cmocka_unit_test(test_yarn_of_odd_files),
        cmocka_unit_test(test_rotates_by_the_rows_position),
        cmocka_unit_test(test_layers_with_a_window_rotate_their_own_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
