/* What the rows that several matrices share are quantised to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "layers/pass.h"

static const uint8_t somewhere[1];

static Tensor matrix(TensorType type) {
    return (Tensor){.data = somewhere, .type = type};
}

static void count_call(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    (void)x, (void)k, (void)begin, (void)n;
    (*row)++;
}

/* All other types take floats. */
static Kernels kernels = {
    .act = {[TENSOR_Q8_0] = ACT_Q8_16, [TENSOR_Q4_K] = ACT_Q8_32},
    .quantize = {[ACT_Q8_16] = count_call, [ACT_Q8_32] = count_call},
};
static const Pass pass = {.kernels = &kernels};

static void test_one_scale_for_32_serves_everybody(void **state) {
    LayerWeights l = {.attn_q = matrix(TENSOR_Q8_0), .attn_k = matrix(TENSOR_F32), .attn_v = matrix(TENSOR_Q8_0)};
    assert_int_equal(attention_input(&pass, &l), ACT_Q8_16);
    l.attn_k = matrix(TENSOR_Q4_K);
    assert_int_equal(attention_input(&pass, &l), ACT_Q8_32);
    /* what the network takes is its own affair */
    l.ffn_gate = l.ffn_up = matrix(TENSOR_Q8_0);
    assert_int_equal(ffn_input(&pass, &l), ACT_Q8_16);
    l.ffn_down = matrix(TENSOR_Q4_K);
    assert_int_equal(ffn_input(&pass, &l), ACT_Q8_16);
    assert_int_equal(product_input(&pass, &l.ffn_down), ACT_Q8_32);
}

static void test_every_first_matrix_counts(void **state) {
    static const size_t attention[] = {offsetof(LayerWeights, attn_q), offsetof(LayerWeights, attn_k),
        offsetof(LayerWeights, attn_v), offsetof(LayerWeights, attn_q_a), offsetof(LayerWeights, attn_kv_a)};
    static const size_t ffn[] = {offsetof(LayerWeights, ffn_gate), offsetof(LayerWeights, ffn_up),
        offsetof(LayerWeights, router), offsetof(LayerWeights, experts_gate), offsetof(LayerWeights, experts_up),
        offsetof(LayerWeights, shared_gate), offsetof(LayerWeights, shared_up)};
    const Tensor wanted = matrix(TENSOR_Q4_K);
    for (size_t i = 0; i < ELEMENTSOF(attention); i++) {
        LayerWeights l = {};
        memcpy((char *)&l + attention[i], &wanted, sizeof(wanted));
        assert_int_equal(attention_input(&pass, &l), ACT_Q8_32);
        assert_int_equal(ffn_input(&pass, &l), ACT_F32);
    }
    for (size_t i = 0; i < ELEMENTSOF(ffn); i++) {
        LayerWeights l = {};
        memcpy((char *)&l + ffn[i], &wanted, sizeof(wanted));
        assert_int_equal(ffn_input(&pass, &l), ACT_Q8_32);
        assert_int_equal(attention_input(&pass, &l), ACT_F32);
    }
}

static void test_floats_alone_need_no_bytes(void **state) {
    float x[Q8_UNIT] = {};
    uint8_t calls[sizeof(Q8Block)] = {};
    const Rows rows = {x, calls};
    LayerWeights l = {.attn_q = matrix(TENSOR_F32)};
    assert_int_equal(attention_input(&pass, &l), ACT_F32);
    quantize_row(&pass, ACT_F32, rows, 0, Q8_UNIT);
    assert_int_equal(calls[0], 0);
    quantize_row(&pass, ACT_Q8_16, rows, 0, Q8_UNIT);
    assert_int_equal(calls[0], 1);
}

static void test_a_model_wants_bytes_if_any_matrix_does(void **state) {
    LayerWeights layers[2] = {};
    Model m = {.config.n_layers = 2, .weights = {.layers = layers, .output = matrix(TENSOR_F32)}};
    assert_false(model_wants_q8(&m, &kernels));
    layers[1].shared_down = matrix(TENSOR_Q8_0);
    assert_true(model_wants_q8(&m, &kernels));
    layers[1].shared_down.data = NULL;
    assert_false(model_wants_q8(&m, &kernels));
    m.weights.output = matrix(TENSOR_Q4_K);
    assert_true(model_wants_q8(&m, &kernels));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_scale_for_32_serves_everybody),
        cmocka_unit_test(test_every_first_matrix_counts),
        cmocka_unit_test(test_floats_alone_need_no_bytes),
        cmocka_unit_test(test_a_model_wants_bytes_if_any_matrix_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
