/* The formats weights come in: ids as GGUF writes them, block shapes, names. How to compute with them is kernels.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum TensorType {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q8_1 = 9,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_Q8_K = 15,
    TENSOR_IQ2_XXS = 16,
    TENSOR_IQ2_XS = 17,
    TENSOR_IQ3_XXS = 18,
    TENSOR_IQ1_S = 19,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ3_S = 21,
    TENSOR_IQ2_S = 22,
    TENSOR_IQ4_XS = 23,
    TENSOR_I8 = 24,
    TENSOR_I16 = 25,
    TENSOR_I32 = 26,
    TENSOR_I64 = 27,
    TENSOR_F64 = 28,
    TENSOR_IQ1_M = 29,
    TENSOR_BF16 = 30,
    TENSOR_TQ1_0 = 34,
    TENSOR_TQ2_0 = 35,
    TENSOR_MXFP4 = 39,
    TENSOR_TYPE_COUNT = 40,
} TensorType;

typedef struct QuantTraits {
    const char *name;    /* NULL: no such type */
    uint32_t block_size; /* elements */
    uint32_t block_bytes;
    /* Exact float32 values of n elements (a multiple of block_size); the reference for every kernel. NULL: a format we
     * know the size of but cannot compute with; the model is refused at load by the type's name. */
    void (*dequantize)(const void *blocks, float *out, size_t n);
} QuantTraits;

/* NULL for ids outside the table or holes in it. */
const QuantTraits *quant_traits(uint32_t type);

/* Bytes of n elements, whole blocks. */
static inline size_t quant_bytes(uint32_t type, size_t n) {
    const QuantTraits *t = quant_traits(type);
    return n / t->block_size * t->block_bytes;
}

/* n floats, whole blocks, to the nearest blocks of Q8_0: d is the greatest magnitude / 127. */
void quantize_q8_0(const float *x, void *blocks, size_t n);
