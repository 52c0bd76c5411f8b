/* Rotary position embedding (Su et al. 2021, arXiv 2104.09864), with the stretchings of the context that models were
 * trained with: per-frequency factors from the file (Llama 3.1, longrope), linear (position / factor), and YaRN (Peng
 * et al. 2023, arXiv 2309.00071: low frequencies are interpolated, high ones left, a ramp between).
 *
 * Angles are computed in double: position * frequency in float is off by a hundredth of a radian at position 100,000.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "layers/pass.h"

/* The dimension whose wavelength makes n_rotations over the original context. */
static double yarn_dimension(const RopeConfig *rope, double n_rotations) {
    return rope->n_dims * log(rope->original_context / (n_rotations * 2 * M_PI)) / (2 * log(rope->base));
}

/* How far pair i is left as it is: 1 below `low` (fast), 0 above `high` (slow). */
static double yarn_ramp(double low, double high, double i) {
    double y = (i - low) / fmax(0.001, high - low);
    return 1 - fmin(1, fmax(0, y));
}

int rope_table_new(const RopeConfig *rope, const Tensor *freqs, RopeTable *ret) {
    uint32_t n = rope->n_dims / 2;
    _cleanup_(freep) double *frequency = calloc(n + 1, sizeof(*frequency));
    if (!frequency)
        return -ENOMEM;

    bool yarn = rope->scaling == ROPE_SCALING_YARN && rope->ext_factor != 0;
    double stretch = rope->scaling == ROPE_SCALING_NONE ? 1 : rope->factor, low = 0, high = 0;
    if (yarn) {
        low = fmax(0, floor(yarn_dimension(rope, rope->beta_fast)));
        high = fmin(rope->n_dims - 1, ceil(yarn_dimension(rope, rope->beta_slow)));
    }
    for (uint32_t i = 0; i < n; i++) {
        float divisor = 1;
        if (freqs && freqs->data)
            memcpy(&divisor, freqs->data + i * sizeof(float), sizeof(float));
        double plain = pow(rope->base, -2.0 * i / rope->n_dims) / divisor;
        double keep = yarn ? yarn_ramp(low, high, i) * rope->ext_factor : 0;
        frequency[i] = plain / stretch * (1 - keep) + plain * keep;
    }
    *ret = (RopeTable){
        .frequency = TAKE_PTR(frequency),
        .magnitude = rope->attn_factor,
    };
    return 0;
}

void rope_table_done(RopeTable *t) {
    free(TAKE_PTR(t->frequency));
}

static const RopeConfig *config_of(const Pass *p, RopeKind kind) {
    return kind == ROPE_LOCAL ? &p->config->rope_local : &p->config->rope;
}

static void fill_row(const Pass *p, uint32_t row, RopeKind kind) {
    const RopeConfig *rope = config_of(p, kind);
    const RopeTable *table = &p->rope[kind];
    uint32_t n = rope->n_dims / 2;
    float *cos_row = p->rope_cos[kind] + (size_t)row * rope->n_dims;
    float *sin_row = p->rope_sin[kind] + (size_t)row * rope->n_dims;

    for (uint32_t i = 0; i < n; i++) {
        double angle = p->rows[row].position * table->frequency[i];
        float c = (float)(cos(angle) * table->magnitude), s = (float)(sin(angle) * table->magnitude);
        uint32_t first = rope->layout == ROPE_INTERLEAVED ? 2 * i : i;
        uint32_t second = rope->layout == ROPE_INTERLEAVED ? 2 * i + 1 : i + n;
        cos_row[first] = cos_row[second] = c;
        sin_row[first] = -s;
        sin_row[second] = s;
    }
}

void rope_row(const Pass *p, uint32_t row) {
    for (RopeKind kind = 0; kind < ROPE_KINDS; kind++)
        if (p->rope[kind].frequency)
            fill_row(p, row, kind);
}

void rope_apply(const Pass *p, uint32_t layer, uint32_t row, float *head) {
    RopeKind kind = layer_is_local(p->config, layer) ? ROPE_LOCAL : ROPE_GLOBAL;
    const RopeConfig *rope = config_of(p, kind);
    const float *c = p->rope_cos[kind] + (size_t)row * rope->n_dims,
                *s = p->rope_sin[kind] + (size_t)row * rope->n_dims;
    if (rope->layout == ROPE_INTERLEAVED)
        p->kernels->rope_interleaved(head, c, s, rope->n_dims);
    else
        p->kernels->rope_halves(head, c, s, rope->n_dims);
}
