#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "encoder.h"
#include "tiny-encoder.h"

#define D TINY_ENCODER_EMBD
#define F TINY_ENCODER_FF
#define N TINY_ENCODER_CONTEXT

typedef struct Rig {
    uint8_t *bytes;
    Model *model;
    Encoder *encoder;
    Token tokens[N];
} Rig;

static int load(Rig *r, const TinyEncoderOptions *o, Error *e) {
    GgufBuilder b;
    size_t size;
    Gguf *g = NULL;
    tiny_encoder_build(&b, o);
    *r = (Rig){.bytes = builder_finish(&b, &size)};
    assert_int_equal(gguf_parse(r->bytes, size, true, &g, e), 0);
    return model_new(g, "tiny.gguf", size, &r->model, e);
}

static void rig_init(Rig *r, const TinyEncoderOptions *o, unsigned n_threads) {
    Error e = {};
    if (load(r, o, &e) < 0 || encoder_new(r->model, n_threads, N, &r->encoder, &e) < 0)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < N; i++)
        r->tokens[i] = (Token)(i * i * 7 + 3 * i + 2) % TINY_ENCODER_VOCAB;
}

static void rig_done(Rig *r) {
    encoder_free(r->encoder);
    model_unref(r->model);
    free(r->bytes);
}

/* ------------------------------------------------------------------------------------------------ the reference */

/* As the papers' formulas read, in double, straight from the file's tensors. */
static const float *tensor(const Rig *r, int layer, const char *name) {
    char full[80];
    if (layer < 0)
        snprintf(full, sizeof(full), "%s", name);
    else
        snprintf(full, sizeof(full), "blk.%d.%s", layer, name);
    const GgufTensor *t = gguf_find_tensor(r->model->gguf, full);
    return t ? (const float *)t->data : NULL;
}

static void product(const float *w, const float *bias, const double *x, size_t k, size_t n, double *y) {
    for (size_t o = 0; o < n; o++) {
        y[o] = bias ? bias[o] : 0;
        for (size_t i = 0; i < k; i++)
            y[o] += w[o * k + i] * x[i];
    }
}

static void normalise(double *x, const float *weight, const float *bias) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < D; i++)
        mean += x[i] / D;
    for (size_t i = 0; i < D; i++)
        variance += (x[i] - mean) * (x[i] - mean) / D;
    for (size_t i = 0; i < D; i++)
        x[i] = (x[i] - mean) / sqrt(variance + (double)TINY_ENCODER_EPS) * weight[i] + bias[i];
}

static void rotate(double *row, size_t position) {
    size_t d = D / TINY_ENCODER_HEADS;
    for (size_t h = 0; h < TINY_ENCODER_HEADS; h++)
        for (size_t i = 0; i < d / 2; i++) {
            double angle = (double)position * pow(TINY_ENCODER_BASE, -2.0 * (double)i / (double)d);
            double *a = row + h * d + i, *b = a + d / 2, old = *a;
            *a = old * cos(angle) - *b * sin(angle);
            *b = old * sin(angle) + *b * cos(angle);
        }
}

static void attend(double (*q)[D], double (*k)[D], double (*v)[D], size_t n, double (*out)[D]) {
    size_t d = D / TINY_ENCODER_HEADS;
    for (size_t h = 0; h < TINY_ENCODER_HEADS; h++)
        for (size_t i = 0; i < n; i++) {
            double p[N], sum = 0;
            for (size_t j = 0; j < n; j++) {
                double dot = 0;
                for (size_t x = h * d; x < (h + 1) * d; x++)
                    dot += q[i][x] * k[j][x];
                sum += p[j] = exp(dot / sqrt((double)d));
            }
            for (size_t x = h * d; x < (h + 1) * d; x++) {
                out[i][x] = 0;
                for (size_t j = 0; j < n; j++)
                    out[i][x] += p[j] / sum * v[j][x];
            }
        }
}

static double gelu(double x) {
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static void feed_forward(const Rig *r, int l, double *x) {
    double up[F], gate[F], y[D];
    product(tensor(r, l, "ffn_up.weight"), tensor(r, l, "ffn_up.bias"), x, D, F, up);
    if (tensor(r, l, "ffn_gate.weight")) {
        product(tensor(r, l, "ffn_gate.weight"), NULL, x, D, F, gate);
        for (size_t i = 0; i < F; i++)
            up[i] *= gate[i] / (1 + exp(-gate[i]));
    } else
        for (size_t i = 0; i < F; i++)
            up[i] = gelu(up[i]);
    product(tensor(r, l, "ffn_down.weight"), tensor(r, l, "ffn_down.bias"), up, F, D, y);
    for (size_t i = 0; i < D; i++)
        x[i] += y[i];
}

static void project(const Rig *r, int l, size_t n, double (*x)[D], double (*q)[D], double (*k)[D], double (*v)[D]) {
    const float *fused = tensor(r, l, "attn_qkv.weight");
    for (size_t i = 0; i < n; i++) {
        if (fused) {
            product(fused, NULL, x[i], D, D, q[i]);
            product(fused + D * D, NULL, x[i], D, D, k[i]);
            product(fused + 2 * D * D, NULL, x[i], D, D, v[i]);
            rotate(q[i], i);
            rotate(k[i], i);
            continue;
        }
        product(tensor(r, l, "attn_q.weight"), tensor(r, l, "attn_q.bias"), x[i], D, D, q[i]);
        product(tensor(r, l, "attn_k.weight"), tensor(r, l, "attn_k.bias"), x[i], D, D, k[i]);
        product(tensor(r, l, "attn_v.weight"), tensor(r, l, "attn_v.bias"), x[i], D, D, v[i]);
    }
}

static void reference(const Rig *r, size_t n, bool first_only, double *ret) {
    static double x[N][D], q[N][D], k[N][D], v[N][D], attended[N][D];
    const float *positions = tensor(r, -1, "position_embd.weight");

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < D; j++)
            x[i][j] = (double)tensor(r, -1, "token_embd.weight")[r->tokens[i] * D + j] +
                      tensor(r, -1, "token_types.weight")[j] + (positions ? positions[i * D + j] : 0);
        normalise(x[i], tensor(r, -1, "token_embd_norm.weight"), tensor(r, -1, "token_embd_norm.bias"));
    }
    for (int l = 0; l < (int)TINY_ENCODER_LAYERS; l++) {
        project(r, l, n, x, q, k, v);
        attend(q, k, v, n, attended);
        for (size_t i = 0; i < n; i++) {
            double y[D];
            product(tensor(r, l, "attn_output.weight"), tensor(r, l, "attn_output.bias"), attended[i], D, D, y);
            for (size_t j = 0; j < D; j++)
                x[i][j] += y[j];
            normalise(x[i], tensor(r, l, "attn_output_norm.weight"), tensor(r, l, "attn_output_norm.bias"));
            feed_forward(r, l, x[i]);
            normalise(x[i], tensor(r, l, "layer_output_norm.weight"), tensor(r, l, "layer_output_norm.bias"));
        }
    }
    double length = 0;
    for (size_t j = 0; j < D; j++) {
        ret[j] = 0;
        for (size_t i = 0; i < (first_only ? 1 : n); i++)
            ret[j] += x[i][j];
        length += ret[j] * ret[j];
    }
    for (size_t j = 0; j < D; j++)
        ret[j] /= sqrt(length);
}

/* ------------------------------------------------------------------------------------------------ the tests */

static void check(const TinyEncoderOptions *o) {
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 33, N};
    Rig r;
    Error e = {};
    rig_init(&r, o, 2);
    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        float got[D];
        double want[D], length = 0;
        assert_int_equal(encoder_run(r.encoder, r.tokens, sizes[i], got, &e), 0);
        reference(&r, sizes[i], o->pooling == 2, want);
        for (size_t j = 0; j < D; j++) {
            length += (double)got[j] * got[j];
            if (!(fabs(got[j] - want[j]) < 1e-5))
                fail_msg("%u tokens, element %zu: %g instead of %g", sizes[i], j, (double)got[j], want[j]);
        }
        assert_true(fabs(length - 1) < 1e-6);
    }
    rig_done(&r);
}

static void test_bert_computes_what_the_formulas_say(void **state) {
    check(&(TinyEncoderOptions){.pooling = 1});
    check(&(TinyEncoderOptions){.pooling = 2});
    check(&(TinyEncoderOptions){});
}

static void test_nomic_computes_what_the_formulas_say(void **state) {
    check(&(TinyEncoderOptions){.nomic = true, .pooling = 1});
    check(&(TinyEncoderOptions){.nomic = true, .pooling = 2});
}

static void test_neither_threads_nor_what_came_before_matter(void **state) {
    for (int nomic = 0; nomic < 2; nomic++) {
        float first[D], got[D];
        for (unsigned threads = 1; threads <= 3; threads++) {
            Rig r;
            Error e = {};
            rig_init(&r, &(TinyEncoderOptions){.nomic = nomic, .pooling = 1}, threads);
            assert_int_equal(encoder_run(r.encoder, r.tokens, 37, threads == 1 ? first : got, &e), 0);
            if (threads > 1)
                assert_memory_equal(first, got, sizeof(first));
            assert_int_equal(encoder_run(r.encoder, r.tokens + 3, 60, got, &e), 0);
            assert_memory_not_equal(first, got, sizeof(first));
            assert_int_equal(encoder_run(r.encoder, r.tokens, 37, got, &e), 0);
            assert_memory_equal(first, got, sizeof(first));
            rig_done(&r);
        }
    }
}

static void test_the_tokenizer_frames_a_text(void **state) {
    Rig r;
    Error e = {};
    rig_init(&r, &(TinyEncoderOptions){}, 1);
    TokenArray tokens = {};
    assert_int_equal(model_tokenize(r.model, &(TextSpan){"The cats", 8, false}, 1, true, &tokens, &e), 0);
    static const Token want[] = {2, 4, 5, 10, 3};
    assert_int_equal(tokens.n, ELEMENTSOF(want));
    assert_memory_equal(tokens.items, want, sizeof(want));
    token_array_done(&tokens);
    rig_done(&r);
}

static void test_refuses_what_it_cannot_do(void **state) {
    Rig r;
    Error e = {};
    assert_int_equal(load(&r, &(TinyEncoderOptions){.pooling = 4}, &e), -EOPNOTSUPP);
    assert_non_null(strstr(e.message, "bert.pooling_type"));
    free(r.bytes);
    assert_int_equal(load(&r, &(TinyEncoderOptions){.nomic = true, .causal = true}, &e), -EOPNOTSUPP);
    assert_non_null(strstr(e.message, "nomic-bert.attention.causal"));
    free(r.bytes);
}

static void test_reports_numbers_that_are_not_finite(void **state) {
    Rig r;
    Error e = {};
    float got[D];
    rig_init(&r, &(TinyEncoderOptions){}, 1);
    *(float *)tensor(&r, 1, "attn_output.bias") = NAN;
    assert_int_equal(encoder_run(r.encoder, r.tokens, 5, got, &e), -EBADMSG);
    rig_done(&r);
}

/* ------------------------------------------------------------------------------------------------ the engine */

static EngineEvent *wait_for_end(Engine *en) {
    EngineEvent *ev;
    while (!(ev = engine_take_events(en)))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return ev;
}

static void wake(void *userdata) {
}

static void test_the_engine_embeds_and_does_nothing_else(void **state) {
    Rig r;
    Error e = {};
    Engine *en;
    uint64_t id;
    float want[D];
    rig_init(&r, &(TinyEncoderOptions){}, 1);
    assert_true(model_info(r.model)->encoder);
    assert_int_equal(encoder_run(r.encoder, r.tokens, N, want, &e), 0);
    assert_int_equal(engine_new(r.model, &(EngineOptions){.n_threads = 2, .wake = wake}, &en, &e), 0);

    EngineRequest q = {.embed = true, .prompt = r.tokens, .n_prompt = N, .top_logprobs = -1};
    q.sampler = SAMPLER_OPTIONS_DEFAULT;
    q.max_tokens = ENGINE_UNLIMITED;
    assert_int_equal(engine_submit(en, &q, &id, &e), 0);
    EngineEvent *ev = wait_for_end(en);
    assert_int_equal(ev->type, ENGINE_EVENT_FINISHED);
    assert_int_equal(ev->finish, ENGINE_FINISH_STOP);
    assert_int_equal(ev->usage.prompt_tokens, N);
    assert_int_equal(ev->usage.completion_tokens, 0);
    assert_int_equal(ev->n_embedding, D);
    assert_memory_equal(ev->embedding, want, sizeof(want));
    assert_null(engine_event_free(ev));

    Token longer[N + 3] = {};
    q.prompt = longer;
    q.n_prompt = N + 3;
    assert_int_equal(engine_submit(en, &q, &id, &e), -EMSGSIZE);
    assert_non_null(strstr(e.message, "3 more"));
    q.embed = false;
    q.n_prompt = 1;
    assert_int_equal(engine_submit(en, &q, &id, &e), -EOPNOTSUPP);
    assert_non_null(strstr(e.message, "embeddings"));
    engine_free(en);
    rig_done(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bert_computes_what_the_formulas_say),
        cmocka_unit_test(test_nomic_computes_what_the_formulas_say),
        cmocka_unit_test(test_neither_threads_nor_what_came_before_matter),
        cmocka_unit_test(test_the_tokenizer_frames_a_text),
        cmocka_unit_test(test_refuses_what_it_cannot_do),
        cmocka_unit_test(test_reports_numbers_that_are_not_finite),
        cmocka_unit_test(test_the_engine_embeds_and_does_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
