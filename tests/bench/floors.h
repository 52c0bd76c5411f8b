/* What this machine can do at most: the floors that results are measured against. */
#pragma once

/* Bytes a second that n threads read together from a buffer larger than the caches: the best of a few tries. */
double floor_read_bandwidth(unsigned n_threads);

/* Operations a second (a multiply-add is two) that n threads reach from registers alone, with the instructions of a
 * tier of kernels: of floats, and of bytes summed to 32 bits. */
double floor_fma_rate(unsigned n_threads, const char *tier);
double floor_int8_rate(unsigned n_threads, const char *tier);
