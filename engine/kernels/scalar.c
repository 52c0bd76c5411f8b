/* Every operation as its formula reads: the oracle that the other tiers are tested against, and what runs where none of
 * them can. Sums are kept in double, so that the oracle's own rounding does not hide a kernel's error. */
#include <math.h>

#include "blocks.h"
#include "kernels.h"
#include "key-columns.h"

#define CHUNK 256 /* elements dequantised at a time: a multiple of every block size */

static void matmul(const Matmul *m) {
    float w[CHUNK];

    for (size_t r = 0; r < m->n_rows; r++)
        for (size_t o = 0; o < m->n_out; o++) {
            const uint8_t *row = m->w + o * m->w_stride;
            const float *x = (const float *)(m->x + r * m->x_stride);
            double sum = 0;
            for (size_t i = 0; i < m->k; i += CHUNK) {
                size_t n = MIN(m->k - i, (size_t)CHUNK);
                m->traits->dequantize(row + i / m->traits->block_size * m->traits->block_bytes, w, n);
                for (size_t j = 0; j < n; j++)
                    sum += (double)w[j] * x[i + j];
            }
            m->y[r * m->y_stride + o] = (float)sum;
        }
}

static void to_half(const float *x, uint16_t *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = float_to_half(x[i]);
}

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(float *y, float factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] *= factor;
}

/* Hendrycks and Gimpel 2016, arXiv 1606.08415 */
static void gelu_mul(float *y, const float *x, size_t n) {
    const float root = 0.79788456080286535588f; /* sqrt(2 / pi) */
    for (size_t i = 0; i < n; i++)
        y[i] = 0.5f * y[i] * (1.0f + tanhf(root * y[i] * (1.0f + 0.044715f * y[i] * y[i]))) * x[i];
}

static void silu_mul(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = y[i] / (1.0f + expf(-y[i])) * x[i];
}

static void rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    float factor = (float)(1.0 / sqrt(sum / (double)n + eps));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor * weight[i];
}

static void rope_interleaved(float *x, const float *cos, const float *sin, size_t n_dims) {
    for (size_t i = 0; i < n_dims; i += 2) {
        float a = x[i], b = x[i + 1];
        x[i] = a * cos[i] + b * sin[i];
        x[i + 1] = b * cos[i + 1] + a * sin[i + 1];
    }
}

static void rope_halves(float *x, const float *cos, const float *sin, size_t n_dims) {
    size_t half = n_dims / 2;
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cos[i] + b * sin[i];
        x[i + half] = b * cos[i + half] + a * sin[i + half];
    }
}

static float softmax_block(float *scores, size_t n, float *max, float *sum) {
    float new_max = *max;
    for (size_t i = 0; i < n; i++)
        new_max = fmaxf(new_max, scores[i]);

    double block_sum = 0;
    for (size_t i = 0; i < n; i++) {
        scores[i] = expf(scores[i] - new_max);
        block_sum += scores[i];
    }
    float rescale = expf(*max - new_max);
    *sum = *sum * rescale + (float)block_sum;
    *max = new_max;
    return rescale;
}

static void key_scores(const KeyScores *s) {
    for (size_t r = 0; r < s->n_rows; r++)
        for (size_t j = 0; j < KEY_COLUMNS; j++) {
            double sum = 0;
            for (size_t i = 0; i < s->width; i++)
                sum += (double)s->q[r * s->q_stride + i] * key_at(s->type, s->keys, i, j);
            s->scores[r * s->scores_stride + j] = (float)sum;
        }
}

static void weighted_sum(const WeightedSum *s) {
    const QuantTraits *t = quant_traits(s->type);
    float v[CHUNK];

    for (size_t r = 0; r < s->n_rows; r++)
        for (size_t d = 0; d < s->width; d += CHUNK) {
            size_t n = MIN(s->width - d, (size_t)CHUNK);
            float *acc = s->acc + r * s->acc_stride + d;
            double sums[CHUNK];
            for (size_t i = 0; i < n; i++)
                sums[i] = (double)acc[i] * (s->rescale ? s->rescale[r] : 1);
            for (size_t j = 0; j < s->n; j++) {
                t->dequantize(s->v + j * s->v_stride + d / t->block_size * t->block_bytes, v, n);
                for (size_t i = 0; i < n; i++)
                    sums[i] += (double)s->p[r * s->p_stride + j] * v[i];
            }
            for (size_t i = 0; i < n; i++)
                acc[i] = (float)sums[i];
        }
}

void kernels_fill_scalar(Kernels *k) {
    *k = (Kernels){
        .to_half = to_half,
        .add = add,
        .scale = scale,
        .silu_mul = silu_mul,
        .gelu_mul = gelu_mul,
        .rms_norm = rms_norm,
        .rope_interleaved = rope_interleaved,
        .rope_halves = rope_halves,
        .softmax_block = softmax_block,
        .matmul_floats = {[TENSOR_F32] = matmul, [TENSOR_F16] = matmul, [TENSOR_BF16] = matmul},
        .key_scores = {[TENSOR_F32] = key_scores, [TENSOR_F16] = key_scores, [TENSOR_Q8_0] = key_scores},
        .weighted_sum = {[TENSOR_F32] = weighted_sum, [TENSOR_F16] = weighted_sum, [TENSOR_Q8_0] = weighted_sum},
    };
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        const QuantTraits *traits = quant_traits(type);
        if (traits && traits->dequantize) {
            k->dequantize[type] = traits->dequantize;
            k->matmul[type] = matmul;
        }
    }
}
