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

static void count_ten(const float *x, uint8_t *row, size_t k, size_t begin, size_t n) {
    (void)x, (void)k, (void)begin, (void)n;
    *row += 10;
}

/* All other types take floats. */
static Kernels kernels = {
    .act = {[TENSOR_Q8_0] = ACT_Q8_16, [TENSOR_Q4_K] = ACT_Q8_32, [TENSOR_F16] = ACT_Q14},
    .quantize = {[ACT_Q8_16] = count_call, [ACT_Q8_32] = count_ten, [ACT_Q14] = count_call},
};
static const Pass pass = {.kernels = &kernels};

static void test_every_matrix_gets_what_it_takes(void **state) {
    const ActFormats floats = act_set(ACT_F32), sixteen = act_set(ACT_Q8_16), all = act_set(ACT_Q8_32);
    LayerWeights l = {.attn_q = matrix(TENSOR_Q8_0), .attn_k = matrix(TENSOR_F32), .attn_v = matrix(TENSOR_Q8_0)};
    assert_int_equal(attention_input(&pass, &l), floats | sixteen);
    l.attn_k = matrix(TENSOR_Q4_K);
    assert_int_equal(attention_input(&pass, &l), sixteen | all);
    l.attn_v = matrix(TENSOR_F16);
    assert_int_equal(attention_input(&pass, &l), sixteen | all | act_set(ACT_Q14));
    /* what the network takes is its own affair */
    l.ffn_gate = l.ffn_up = matrix(TENSOR_Q8_0);
    assert_int_equal(ffn_input(&pass, &l), sixteen);
    l.ffn_down = matrix(TENSOR_Q4_K);
    assert_int_equal(ffn_input(&pass, &l), sixteen);
    assert_int_equal(product_input(&pass, &l.ffn_down), all);
}

static void test_every_first_matrix_counts(void **state) {
    static const size_t attention[] = {offsetof(LayerWeights, attn_q), offsetof(LayerWeights, attn_k),
        offsetof(LayerWeights, attn_v), offsetof(LayerWeights, attn_q_a), offsetof(LayerWeights, attn_kv_a)};
    static const size_t ffn[] = {offsetof(LayerWeights, ffn_gate), offsetof(LayerWeights, ffn_up),
        offsetof(LayerWeights, router), offsetof(LayerWeights, experts_gate), offsetof(LayerWeights, experts_up),
        offsetof(LayerWeights, shared_router), offsetof(LayerWeights, shared_gate), offsetof(LayerWeights, shared_up)};
    const Tensor wanted = matrix(TENSOR_Q4_K);
    for (size_t i = 0; i < ELEMENTSOF(attention); i++) {
        LayerWeights l = {};
        memcpy((char *)&l + attention[i], &wanted, sizeof(wanted));
        assert_int_equal(attention_input(&pass, &l), act_set(ACT_Q8_32));
        assert_int_equal(ffn_input(&pass, &l), 0);
    }
    for (size_t i = 0; i < ELEMENTSOF(ffn); i++) {
        LayerWeights l = {};
        memcpy((char *)&l + ffn[i], &wanted, sizeof(wanted));
        assert_int_equal(ffn_input(&pass, &l), act_set(ACT_Q8_32));
        assert_int_equal(attention_input(&pass, &l), 0);
    }
}

/* Rows with one scale for 32 elements serve all that take bytes, so nobody makes the others beside them. */
static void test_rows_are_quantised_as_wanted(void **state) {
    float x[Q8_UNIT] = {};
    uint8_t bytes[sizeof(Q8Block)] = {}, words[sizeof(Q14Block)] = {};
    const Rows rows = {x, bytes, words};
    quantize_row(&pass, act_set(ACT_F32), rows, 0, Q8_UNIT);
    assert_int_equal(bytes[0], 0);
    quantize_row(&pass, act_set(ACT_F32) | act_set(ACT_Q8_16), rows, 0, Q8_UNIT);
    assert_int_equal(bytes[0], 1);
    quantize_row(&pass, act_set(ACT_Q8_32) | act_set(ACT_Q8_16), rows, 0, Q8_UNIT);
    assert_int_equal(bytes[0], 11);
    assert_int_equal(words[0], 0);
    quantize_row(&pass, act_set(ACT_Q14) | act_set(ACT_Q8_16), rows, 0, Q8_UNIT);
    assert_int_equal(bytes[0], 12);
    assert_int_equal(words[0], 1);
}

static void test_a_row_is_copied_as_it_is_wanted(void **state) {
    enum { ROOM = 256 }; /* of which rows of bytes take more than their block */
    float from_x[Q8_UNIT] = {1}, to_x[Q8_UNIT] = {};
    uint8_t from_bytes[ROOM] = {2}, to_bytes[ROOM] = {}, from_words[ROOM] = {3}, to_words[ROOM] = {};
    assert_true(q8_row_bytes(Q8_UNIT) <= ROOM && q14_row_bytes(Q8_UNIT) <= ROOM);
    const Rows from = {from_x, from_bytes, from_words}, to = {to_x, to_bytes, to_words};
    rows_copy(act_set(ACT_Q8_16), to, from, Q8_UNIT);
    assert_int_equal(to_bytes[0], 2);
    assert_true(to_x[0] == 0 && to_words[0] == 0);
    rows_copy(act_set(ACT_Q14), (Rows){.q14 = to_words}, (Rows){.q14 = from_words}, Q8_UNIT);
    assert_int_equal(to_words[0], 3);
    to_bytes[0] = 0;
    rows_copy(act_set(ACT_F32) | act_set(ACT_Q8_32), to, from, Q8_UNIT);
    assert_true(to_x[0] == 1 && to_bytes[0] == 2);
}

static void test_a_model_takes_what_any_matrix_does(void **state) {
    const ActFormats floats = act_set(ACT_F32);
    LayerWeights layers[2] = {};
    Model m = {.config.n_layers = 2, .weights = {.layers = layers, .output = matrix(TENSOR_F32)}};
    assert_int_equal(model_inputs(&m, &kernels), floats);
    layers[1].shared_down = matrix(TENSOR_Q8_0);
    assert_int_equal(model_inputs(&m, &kernels), floats | act_set(ACT_Q8_16));
    layers[0].attn_v = matrix(TENSOR_F16);
    assert_int_equal(model_inputs(&m, &kernels), floats | act_set(ACT_Q8_16) | act_set(ACT_Q14));
    layers[0].attn_v.data = layers[1].shared_down.data = NULL;
    assert_int_equal(model_inputs(&m, &kernels), floats);
    m.weights.output = matrix(TENSOR_Q4_K);
    assert_int_equal(model_inputs(&m, &kernels), act_set(ACT_Q8_32));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_matrix_gets_what_it_takes),
        cmocka_unit_test(test_every_first_matrix_counts),
        cmocka_unit_test(test_rows_are_quantised_as_wanted),
        cmocka_unit_test(test_a_row_is_copied_as_it_is_wanted),
        cmocka_unit_test(test_a_model_takes_what_any_matrix_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
