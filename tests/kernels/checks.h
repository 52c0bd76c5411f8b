/* What the checks and the benchmark share: inputs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* A small repeatable generator (xorshift64*). */
uint64_t random_bits(void);
float random_float(void); /* roughly normal, deviation 1 */
void fill_floats(float *x, size_t n);
/* Blocks of any bytes whose values are finite. */
void fill_blocks(TensorType type, void *blocks, size_t n);
/* Sets every byte to `pattern` that leaves the values finite. */
void flatten_blocks(TensorType type, void *blocks, size_t n, uint8_t pattern);

/* Checks one tier against the scalar tier; the number of failures, each of which has been printed. quick: fewer shapes,
 * for an emulator. */
int check_dequantize(const Kernels *k, const Kernels *oracle, bool quick);
int check_matmul(const Kernels *k, const Kernels *oracle, bool quick);
int check_vectors(const Kernels *k, const Kernels *oracle, bool quick);
int check_attention(const Kernels *k, const Kernels *oracle, bool quick);

/* All slots, or the products of one type alone. */
void bench(const Kernels *k, const char *type);
