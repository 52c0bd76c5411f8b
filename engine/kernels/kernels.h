/* The operations that a forward pass is made of, one function pointer each. The table is filled from the plain scalar
 * functions upward by every tier of instructions that the CPU has.
 *
 * The promise behind every slot: what comes out for one row depends on that row alone, never on the other rows of the
 * call, on how the call was cut into ranges, or on the thread. So each output is summed in one fixed order, whatever
 * the shape of the call; tiers may differ from each other in that order, the calls of one tier never.
 *
 * That is why the matrix products are our own and not OpenBLAS's: a BLAS picks its blocking, and with it the order of
 * summation, by the shape, so that a prompt read in one chunk and in two, or a token decoded alone and in company,
 * would differ in their last bits. tests/kernels compares the two for speed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"
#include "quants.h"

/* What a product takes its rows of x as. Quantised weights meet x rounded to 8 bits in blocks with a scale each, so
 * that the products are of integers. Where weights come in blocks of 32, it is usual to round x in such blocks too;
 * those of 16 have three quarters of their error. Where weights come in super-blocks, x is usually rounded in blocks of
 * 256; those of 32 have half of their error, and cost a sixth less than those of 16. Products that take the one take
 * the other too.
 *
 * Halves and bfloats meet x rounded to 14 bits, and are rounded so themselves by the product, 128 elements with a
 * scale: their error together is about half of what rounding x to halves gives, as is usual, and integers multiply
 * twice as fast as floats. */
typedef enum ActFormat {
    ACT_F32,
    ACT_Q8_16, /* Q8Block[k / Q8_UNIT] */
    ACT_Q8_32, /* the same, both scales of a block being one */
    ACT_Q14,   /* Q14Block[k / Q8_UNIT], the last of which may lack elements */
    ACT_FORMAT_COUNT,
} ActFormat;

static inline bool act_is_q8(ActFormat format) {
    return format == ACT_Q8_16 || format == ACT_Q8_32;
}

#define Q8_UNIT 32u /* k, and every range of a row that is quantised at a time, are multiples of this */

/* The float whose bits, as an integer, any sum of products of a block can be added to, up or down, and the bits are
 * those of the float that is more or less by that sum: 1.5 * 2^23. So sums that start from it need not be converted. */
#define Q8_RAISE      12582912.0f
#define Q8_RAISE_BITS 0x4B400000

/* One cache line holds all that a product needs of 32 elements. */
typedef struct Q8Block {
    int8_t q[Q8_UNIT]; /* x[i] = d[i / 16] * q[i]; never -128 */
    float d[2];        /* so few bits of it are used that Q8_RAISE times d is exact */
    float lower;       /* -Q8_RAISE times d[0], or in ACT_Q8_16 times the sum of both, for a sum of each half */
    float sum;         /* of x */
    float total;       /* of q */
    float total16;     /* of its first half */
    /* Where the product with a half starts from that keeps its weights 128 too high, as instructions do that multiply
     * unsigned by signed bytes: -128 times the sum of q; raised. In tiers whose sums are words it is two words: -32
     * times the sum of every other pair of q. */
    int32_t start16[2];
} Q8Block;

/* Words so small that the sum over a block of weights as small fits an integer of 32 bits. */
#define Q14_MAX  8191.0f
#define Q14_TINY 1e-30f /* largest magnitudes below that count as zeros: their inverse might overflow */

typedef struct Q14Block {
    int16_t q[Q8_UNIT]; /* x[i] = d * q[..]: of every two vectors the lanes in turn, as wide as a tier's are */
    float d;
} Q14Block;

/* Bytes of a row of k elements: an odd number of lines, so that several rows do not meet in one set of a cache. */
static inline size_t q8_row_bytes(size_t k) {
    return ((k + Q8_UNIT - 1) / Q8_UNIT | 1) * sizeof(Q8Block);
}

static inline size_t q14_row_bytes(size_t k) {
    return (((k + Q8_UNIT - 1) / Q8_UNIT * sizeof(Q14Block) + 63) / 64 | 1) * 64;
}

/* In any format. */
static inline size_t act_row_bytes(ActFormat format, size_t k) {
    return format == ACT_F32 ? k * sizeof(float) : format == ACT_Q14 ? q14_row_bytes(k) : q8_row_bytes(k);
}

/* y[r][o] = sum over i < k of w[o][i] * x[r][i], for o < n_out and r < n_rows. */
typedef struct Matmul {
    const QuantTraits *traits; /* of the weights */
    const uint8_t *w;          /* [n_out] rows of k elements, w_stride bytes apart; any alignment */
    size_t w_stride;
    const uint8_t *x; /* [n_rows], x_stride bytes apart, aligned to floats */
    size_t x_stride;
    float *y; /* [n_rows], y_stride floats apart */
    size_t y_stride;
    size_t n_out, n_rows, k; /* k: whole blocks */
} Matmul;

/* Positions whose keys lie together; see key-columns.h. */
#define KEY_COLUMNS 32u

/* scores[r][j] = q[r] times the key of position j, for all KEY_COLUMNS of them: where a position has no key yet, its
 * score is anything. */
typedef struct KeyScores {
    TensorType type; /* of the keys */
    const uint8_t *keys;
    const float *q; /* [n_rows][width] */
    size_t q_stride;
    float *scores;
    size_t scores_stride;
    size_t n_rows, width; /* width: whole blocks */
    const uint8_t *ahead; /* as many bytes as the keys, that will be wanted soon; NULL: nothing */
} KeyScores;

/* The values of one page under a set of attention weights, added to what the pages before gave. */
typedef struct WeightedSum {
    TensorType type; /* of the values */
    float *acc;      /* [n_rows][width]: acc = acc * rescale[r] + sum over j < n of p[r][j] * v[j] */
    size_t acc_stride;
    const float *rescale; /* [n_rows]; NULL: all 1 */
    const float *p;       /* [n_rows][n] */
    size_t p_stride;
    const uint8_t *v; /* [n] rows of width elements, v_stride bytes apart */
    size_t v_stride;
    size_t n_rows, n, width; /* width: whole blocks */
    const uint8_t *ahead;    /* as v, that will be wanted soon; NULL: nothing */
} WeightedSum;

typedef struct Kernels {
    const char *name;

    /* Exact values of n elements, whole blocks: the same bits in every tier. NULL where the traits have none. */
    void (*dequantize[TENSOR_TYPE_COUNT])(const void *blocks, float *out, size_t n);
    void (*matmul[TENSOR_TYPE_COUNT])(const Matmul *m);
    ActFormat act[TENSOR_TYPE_COUNT]; /* that matmul wants x in */
    /* Of F32, F16 and BF16 with x as ACT_F32, whatever matmul wants. */
    void (*matmul_floats[TENSOR_TYPE_COUNT])(const Matmul *m);
    /* Elements [begin, begin + n) of x to their places in a row of bytes or words. NULL of floats; of what no
     * product of the tier takes it may be. */
    void (*quantize[ACT_FORMAT_COUNT])(const float *x, uint8_t *row, size_t k, size_t begin, size_t n);

    void (*to_half)(const float *x, uint16_t *out, size_t n); /* nearest, ties to even */
    void (*add)(float *y, const float *x, size_t n);          /* y += x */
    void (*scale)(float *y, float factor, size_t n);          /* y *= factor */
    void (*silu_mul)(float *y, const float *x, size_t n);     /* y = y / (1 + exp(-y)) * x */
    void (*gelu_mul)(float *y, const float *x, size_t n);     /* y = gelu(y) * x, gelu by its tanh approximation */
    /* y = x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019); y may be x */
    void (*rms_norm)(float *y, const float *x, const float *weight, size_t n, float eps);
    /* Rotates the first n_dims of a head in place: x[i] = x[i] * cos[i] + x[partner of i] * sin[i], where sin carries
     * the sign. Partners: i ^ 1, or i +- n_dims / 2. */
    void (*rope_interleaved)(float *x, const float *cos, const float *sin, size_t n_dims);
    void (*rope_halves)(float *x, const float *cos, const float *sin, size_t n_dims);
    /* One step of a softmax over scores that come in blocks (Milakov and Gimelshein 2018): raises *max over this block,
     * turns the scores into exp(score - *max), brings *sum up to date, and returns exp(old max - new max), by which
     * whatever was weighted before must be multiplied. Start with *max = -INFINITY, *sum = 0. n >= 1. */
    float (*softmax_block)(float *scores, size_t n, float *max, float *sum);
    /* Of the types that cached rows have: F32, F16, Q8_0. */
    void (*key_scores[TENSOR_TYPE_COUNT])(const KeyScores *s);
    void (*weighted_sum[TENSOR_TYPE_COUNT])(const WeightedSum *s);
} Kernels;

/* The table for this CPU, cut off above the tier that the environment variable INFERD_KERNELS_MAX names (for tests and
 * bug reports). -EINVAL if it names none. Any thread. */
int kernels_select(const Kernels **ret, Error *e);
/* Tier by tier, scalar first, for the tests: NULL if the CPU lacks it. */
#define KERNELS_MAX_TIERS 8
size_t kernels_n_tiers(void);
const Kernels *kernels_tier(size_t i);
const char *kernels_tier_name(size_t i);

/* What a tier's file exports: overwrites the slots that it does better than the tier below. */
void kernels_fill_scalar(Kernels *k);
void kernels_fill_avx2(Kernels *k);
void kernels_fill_avxvnni(Kernels *k);
void kernels_fill_avx512(Kernels *k);
void kernels_fill_avx512vnni(Kernels *k);
void kernels_fill_neon(Kernels *k);
void kernels_fill_neon_dotprod(Kernels *k);
