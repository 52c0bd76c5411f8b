/* Dequantisation must be equal to the bit; products within the rounding of a float sum of what they are given, which
 * for quantised ones are the rounded rows, and equal to the bit among themselves however the call is cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "kernels/blocks.h"

/* Of the sum of magnitudes; a product with bytes is one long chain of additions. */
#define ROUNDING    2e-6
#define ROUNDING_Q8 1e-5
#define CANCELLED   100 /* times as much where a block's values may all but cancel against its minimum */
/* Of the largest product of a block whose halves have scales of their own: tiers may round its sum to a unit, which is
 * the larger scale of x times the step between weights. 127 scales make the largest x, 2 steps at least the largest
 * weight. */
#define UNIT (1.5 / 127 / 2)

int check_dequantize(const Kernels *k, const Kernels *oracle, bool quick) {
    int failures = 0;
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        if (!oracle->dequantize[type])
            continue;
        const QuantTraits *traits = quant_traits(type);
        for (size_t blocks = 1; blocks < 40; blocks += quick ? 5 : 1) {
            size_t n = blocks * traits->block_size;
            uint8_t *in = malloc(blocks * traits->block_bytes);
            float *want = malloc(n * sizeof(float)), *got = malloc(n * sizeof(float));
            fill_blocks(type, in, n);
            oracle->dequantize[type](in, want, n);
            k->dequantize[type](in, got, n);
            if (memcmp(want, got, n * sizeof(float)) != 0) {
                printf("%s: dequantize %s of %zu blocks differs\n", k->name, traits->name, blocks);
                failures++;
            }
            free(in);
            free(want);
            free(got);
        }
    }
    return failures;
}

static float *matrix(size_t n) {
    float *x = malloc(n * sizeof(float));
    fill_floats(x, n);
    return x;
}

typedef struct Tolerance {
    double rounding; /* of the largest weight of each 32 elements times the magnitudes of x there, since kernels take
                      * the offset of a block of weights apart from their bytes */
    double unit;     /* of the largest weight times the largest x */
} Tolerance;

/* The weights of output o; in MXFP4, where all of a block may be zeros under any scale, the largest of that scale. */
static float *largest_weights(const Matmul *m, size_t o) {
    float *w = malloc(m->k * sizeof(float));
    uint8_t *blocks = malloc(m->w_stride);
    memcpy(blocks, m->w + o * m->w_stride, m->w_stride);
    if (m->traits == quant_traits(TENSOR_MXFP4))
        for (size_t i = 0; i < m->k / 32; i++)
            memset(((BlockMXFP4 *)blocks)[i].qs, 0x77, sizeof(((BlockMXFP4 *)blocks)[i].qs));
    m->traits->dequantize(blocks, w, m->k);
    free(blocks);
    return w;
}

/* By how much output o of row r may be off. */
static double allowed(const Matmul *m, size_t r, size_t o, Tolerance t) {
    const float *x = (const float *)(m->x + r * m->x_stride);
    float *w = largest_weights(m, o);
    double sum = 0;
    for (size_t i = 0; i < m->k; i += 32) {
        double largest = 0, all = 0, largest_x = 0;
        for (size_t j = i; j < MIN(i + 32, m->k); j++) {
            largest = fmax(largest, fabs(w[j]));
            all += fabs(x[j]);
            largest_x = fmax(largest_x, fabs(x[j]));
        }
        sum += largest * (t.rounding * all + t.unit * largest_x);
    }
    free(w);
    return sum;
}

static int compare(const Kernels *k, const Matmul *got, const Matmul *want, Tolerance t) {
    for (size_t r = 0; r < want->n_rows; r++)
        for (size_t o = 0; o < want->n_out; o++) {
            double error = fabs((double)got->y[r * got->y_stride + o] - want->y[r * want->y_stride + o]);
            if (!(error <= allowed(want, r, o, t) + 1e-30)) {
                printf("%s: matmul %s (%zu x %zu, %zu rows): output %zu of row %zu is off by %g, more than %g\n",
                    k->name, got->traits->name, want->n_out, want->k, want->n_rows, o, r, error,
                    allowed(want, r, o, t));
                return 1;
            }
        }
    return 0;
}

typedef void Product(const Matmul *m);

/* The same product one row and a few outputs at a time. */
static int check_cuts(const Kernels *k, Product *product, const Matmul *m) {
    float *y = malloc(m->n_rows * m->n_out * sizeof(float));
    size_t step = 1 + random_bits() % 7;
    for (size_t r = 0; r < m->n_rows; r++)
        for (size_t o = 0; o < m->n_out; o += step) {
            Matmul part = *m;
            part.w += o * m->w_stride;
            part.x += r * m->x_stride;
            part.y = y + r * m->n_out + o;
            part.y_stride = m->n_out;
            part.n_rows = 1;
            part.n_out = MIN(step, m->n_out - o);
            product(&part);
        }
    int differs = 0;
    for (size_t r = 0; r < m->n_rows; r++)
        differs |= memcmp(y + r * m->n_out, m->y + r * m->y_stride, m->n_out * sizeof(float)) != 0;
    if (differs)
        printf("%s: matmul %s (%zu x %zu, %zu rows) depends on how it is cut\n", k->name, m->traits->name, m->n_out,
            m->k, m->n_rows);
    free(y);
    return differs;
}

/* What sums of words start from. */
static int32_t start_words(const int8_t q[16]) {
    int16_t words[2] = {};
    int32_t both;
    for (int i = 0; i < 16; i++)
        words[i / 2 % 2] -= 32 * q[i];
    memcpy(&both, words, sizeof(both));
    return both;
}

/* Checks a block against what it was made of, and leaves in x what it stands for. */
static int check_block(float *x, ActFormat format, const Q8Block *b) {
    double sum = 0, magnitude = 0;
    int bytes[2] = {}, failures = 0;
    for (size_t i = 0; i < Q8_UNIT; i++) {
        float rounded = b->d[i / 16] * b->q[i];
        failures += !(fabsf(x[i] - rounded) <= 0.5001f * b->d[i / 16]) || b->q[i] == -128;
        x[i] = rounded;
        sum += rounded;
        magnitude += fabs(rounded);
        bytes[i / 16] += b->q[i];
    }
    failures += !(fabs(sum - b->sum) <= 1e-6 * magnitude);
    failures += b->total16 != (float)bytes[0] || b->total != (float)(bytes[0] + bytes[1]);
    failures += format == ACT_Q8_32 && memcmp(&b->d[0], &b->d[1], sizeof(b->d[0])) != 0;
    for (int h = 0; h < 2; h++)
        failures += b->start16[h] != Q8_RAISE_BITS - 128 * bytes[h] && b->start16[h] != start_words(b->q + 16 * h);
    return failures + (b->lower != -Q8_RAISE * (format == ACT_Q8_16 ? b->d[0] + b->d[1] : b->d[0]));
}

/* Where the words of a block keep its elements: out[j] is which one q[j] belongs to. */
static void word_order(const Kernels *k, uint8_t out[Q8_UNIT]) {
    float counted[Q8_UNIT];
    Q14Block b;
    for (size_t i = 0; i < Q8_UNIT; i++)
        counted[i] = (float)(i + 1);
    k->quantize[ACT_Q14](counted, (uint8_t *)&b, Q8_UNIT, 0, Q8_UNIT);
    for (size_t j = 0; j < Q8_UNIT; j++)
        out[j] = (uint8_t)(lrintf(b.d * b.q[j]) - 1);
}

/* The like for a block of words, of which the last in a row has n elements only. */
static int check_word_block(float *x, size_t n, const uint8_t order[Q8_UNIT], const Q14Block *b) {
    int failures = 0;
    bool seen[Q8_UNIT] = {};
    for (size_t j = 0; j < Q8_UNIT; j++) {
        const size_t i = order[j] % Q8_UNIT;
        const float rounded = b->d * b->q[j];
        failures += seen[i] || abs(b->q[j]) > Q14_MAX || (i >= n && b->q[j] != 0);
        seen[i] = true;
        if (i >= n)
            continue;
        failures += !(fabsf(x[i] - rounded) <= 0.501f * b->d + Q14_TINY);
        x[i] = rounded;
    }
    return failures;
}

static int check_row(const Kernels *k, ActFormat format, float *x, size_t length, const uint8_t *row) {
    int failures = 0;
    uint8_t order[Q8_UNIT];
    if (format == ACT_Q14)
        word_order(k, order);
    for (size_t i = 0; i * Q8_UNIT < length; i++, x += Q8_UNIT)
        failures += format == ACT_Q14 ? check_word_block(x, MIN(length - i * Q8_UNIT, (size_t)Q8_UNIT), order,
                                            (const Q14Block *)row + i)
                                      : check_block(x, format, (const Q8Block *)row + i);
    return failures;
}

/* Quantises the rows a piece at a time, checks them, and leaves in x what they stand for. */
static uint8_t *quantised_rows(
    const Kernels *k, ActFormat format, float *x, size_t n_rows, size_t length, int *ret_failures) {
    size_t stride = act_row_bytes(format, length);
    uint8_t *rows = aligned_alloc(64, n_rows * stride);
    for (size_t r = 0; r < n_rows; r++) {
        uint8_t *row = rows + r * stride;
        for (size_t at = 0, n; at < length; at += n) {
            n = MIN(Q8_UNIT * (1 + random_bits() % 4), length - at);
            k->quantize[format](x + r * length + at, row, length, at, n);
        }
        *ret_failures += check_row(k, format, x + r * length, length, row);
    }
    if (*ret_failures)
        printf("%s: format %d of %zu elements differs\n", k->name, (int)format, length);
    return rows;
}

/* Random, or the values that come closest to an overflow of small integers; by how much more the result may be off. */
static double fill_inputs(TensorType type, uint8_t *w, size_t n_w, float *x, size_t n_x) {
    static const uint8_t patterns[] = {0x00, 0xFF, 0x80, 0x7F};
    fill_blocks(type, w, n_w);
    switch (random_bits() % 8) {
    case 0: x[random_bits() % n_x] = 1e6f; break;
    case 1: x[random_bits() % n_x] = 0; break;
    case 2:
        for (size_t i = 0; i < n_x; i++)
            x[i] = 0;
        break;
    case 3:
    case 4:
        flatten_blocks(type, w, n_w, patterns[random_bits() % ELEMENTSOF(patterns)]);
        float value = random_float();
        for (size_t i = 0; i < n_x; i++)
            x[i] = value;
        return CANCELLED;
    default: break;
    }
    return 1;
}

/* Whether the halves of 32 elements have scales of their own, those of x or those of the weights. */
static bool has_halves(const Kernels *k, TensorType type) {
    static const TensorType types[] = {
        TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q6_K, TENSOR_IQ2_XS, TENSOR_IQ2_S, TENSOR_IQ1_M};
    bool of_w = false;
    for (size_t i = 0; i < ELEMENTSOF(types); i++)
        of_w |= types[i] == type;
    return k->act[type] == ACT_Q8_16 || (of_w && k->act[type] == ACT_Q8_32);
}

/* Weights as a product with words rounds them, in groups of 128. */
static float *rounded_weights(const QuantTraits *traits, const uint8_t *w, size_t n_out, size_t length) {
    float *rounded = malloc(n_out * length * sizeof(float));
    traits->dequantize(w, rounded, n_out * length);
    for (size_t o = 0; o < n_out; o++)
        for (size_t at = 0; at < length; at += 128) {
            float *group = rounded + o * length + at, largest = Q14_TINY;
            const size_t n = MIN(length - at, (size_t)128);
            for (size_t i = 0; i < n; i++)
                largest = fmaxf(largest, fabsf(group[i]));
            for (size_t i = 0; i < n; i++)
                group[i] = (float)(rint((double)group[i] * (Q14_MAX / largest)) * (largest * (1 / Q14_MAX)));
        }
    return rounded;
}

/* With x as the tier wants it, or as floats. */
static int check_product(const Kernels *k, const Kernels *oracle, TensorType type, ActFormat act, size_t n_out,
    size_t n_rows, size_t length) {
    const QuantTraits *traits = quant_traits(type);
    size_t row_bytes = length / traits->block_size * traits->block_bytes, gap = 3;
    uint8_t *w = malloc(n_out * row_bytes), *rows = NULL;
    Product *product = act == k->act[type] ? k->matmul[type] : k->matmul_floats[type];
    float *rounded = NULL, *x = matrix(n_rows * length), *want = malloc(n_out * n_rows * sizeof(float));
    float *y = matrix(n_rows * (n_out + gap)), *untouched = malloc(n_rows * (n_out + gap) * sizeof(float));
    memcpy(untouched, y, n_rows * (n_out + gap) * sizeof(float));
    double slack = fill_inputs(type, w, n_out * length, x, n_rows * length);

    int failures = 0;
    if (act != ACT_F32)
        rows = quantised_rows(k, act, x, n_rows, length, &failures);
    Matmul m = {.traits = traits,
        .w = w,
        .w_stride = row_bytes,
        .x = (const uint8_t *)x,
        .x_stride = length * sizeof(float),
        .y = want,
        .y_stride = n_out,
        .n_out = n_out,
        .n_rows = n_rows,
        .k = length};
    Matmul mine = m;
    if (act == ACT_Q14) {
        rounded = rounded_weights(traits, w, n_out, length);
        m.traits = quant_traits(TENSOR_F32);
        m.w = (const uint8_t *)rounded;
        m.w_stride = length * sizeof(float);
    }
    oracle->matmul[rounded ? TENSOR_F32 : type](&m);
    if (rows) {
        mine.x = rows;
        mine.x_stride = act_row_bytes(act, length);
    }
    mine.y = y;
    mine.y_stride = n_out + gap;
    product(&mine);

    Tolerance t = {.rounding = slack * (rows ? ROUNDING_Q8 : ROUNDING), .unit = has_halves(k, type) ? UNIT : 0};
    failures += compare(k, &mine, &m, t) + check_cuts(k, product, &mine);
    for (size_t r = 0; r < n_rows; r++)
        if (memcmp(y + r * (n_out + gap) + n_out, untouched + r * (n_out + gap) + n_out, gap * sizeof(float)) != 0) {
            printf("%s: matmul %s writes beyond its outputs\n", k->name, traits->name);
            failures++;
        }
    free(w);
    free(x);
    free(rows);
    free(rounded);
    free(want);
    free(y);
    free(untouched);
    return failures;
}

/* With what the tier wants of x, and with floats, which halves take too. */
static int check_shape(
    const Kernels *k, const Kernels *oracle, TensorType type, size_t n_out, size_t n_rows, size_t length) {
    int failures = check_product(k, oracle, type, k->act[type], n_out, n_rows, length);
    if (k->act[type] == ACT_Q14)
        failures += check_product(k, oracle, type, ACT_F32, n_out, n_rows, length);
    return failures;
}

/* What is no number spoils every product with its block of words, and no other's. */
static int check_poisoned_words(const Kernels *k) {
    static const float values[] = {NAN, INFINITY, -INFINITY};
    const uint16_t ones[2 * Q8_UNIT] = {[0 ... 2 * Q8_UNIT - 1] = 0x3C00};
    int failures = 0;
    for (size_t i = 0; k->act[TENSOR_F16] == ACT_Q14 && i < ELEMENTSOF(values); i++) {
        float x[2 * Q8_UNIT], y[2];
        Q14Block blocks[2];
        fill_floats(x, ELEMENTSOF(x));
        x[random_bits() % Q8_UNIT] = values[i];
        k->quantize[ACT_Q14](x, (uint8_t *)blocks, ELEMENTSOF(x), 0, ELEMENTSOF(x));
        for (int b = 0; b < 2; b++)
            k->matmul[TENSOR_F16](&(Matmul){.traits = quant_traits(TENSOR_F16),
                .w = (const uint8_t *)ones,
                .w_stride = sizeof(ones),
                .x = (const uint8_t *)&blocks[b],
                .x_stride = sizeof(blocks),
                .y = &y[b],
                .y_stride = 1,
                .n_out = 1,
                .n_rows = 1,
                .k = Q8_UNIT});
        failures += isfinite(y[0]) || !isfinite(y[1]);
    }
    if (failures)
        printf("%s: rows of words hide %d values that are no numbers\n", k->name, failures);
    return failures;
}

/* A value that no sum could be taken of makes its block's scale a NaN, and no other's. */
static int check_poison(const Kernels *k) {
    static const float values[] = {NAN, INFINITY, -INFINITY, 1e34f};
    int failures = 0;
    for (int format = ACT_Q8_16; format <= ACT_Q8_32 && k->quantize[format]; format++)
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
            float x[2 * Q8_UNIT];
            Q8Block blocks[2];
            fill_floats(x, ELEMENTSOF(x));
            x[random_bits() % 16] = values[i];
            k->quantize[format](x, (uint8_t *)blocks, ELEMENTSOF(x), 0, ELEMENTSOF(x));
            failures += !isnan(blocks[0].d[0]) || !isnan(blocks[0].sum) || !isfinite(blocks[1].d[0] + blocks[1].sum);
        }
    if (failures)
        printf("%s: rows of bytes hide %d values that are no numbers\n", k->name, failures);
    return failures;
}

#define LONG 16416

int check_matmul(const Kernels *k, const Kernels *oracle, bool quick) {
    static const size_t outs[] = {1, 3, 8, 13, 37}, lengths[] = {1, 8, 172, 512, 1537};
    static const size_t rows[] = {1, 2, 3, 7, 8, 16, 43}; /* up to 8 are few; all tiers unpack 43 rows of halves */
    int failures = check_poison(k) + check_poisoned_words(k);
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++) {
        if (!oracle->matmul[type])
            continue;
        size_t block = quant_traits(type)->block_size;
        for (size_t i = 0; i < ELEMENTSOF(lengths); i++)
            for (size_t j = 0; j < ELEMENTSOF(outs); j++)
                for (size_t l = 0; l < ELEMENTSOF(rows); l++) {
                    if (quick && (i + j + l) % 5 != 0) /* every value of each once */
                        continue;
                    size_t length = (lengths[i] + block - 1) / block * block;
                    failures += check_shape(k, oracle, type, outs[j], rows[l], length);
                }
        /* so long that a few rows of x are taken a stretch at a time, while one alone is not */
        for (size_t n = 3; n <= 4; n++)
            failures += check_shape(k, oracle, type, 19, n, (LONG + block - 1) / block * block);
        /* more rows than pass by a tile of weights at a time */
        failures += check_shape(k, oracle, type, 19, 270, (8 + block - 1) / block * block);
    }
    return failures;
}
