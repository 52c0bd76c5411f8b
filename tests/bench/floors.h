/* What the machine can do at best, measured with plain loops on the given number of threads. */
#pragma once

/* Bytes a second read from a buffer far larger than the last-level cache. */
double floor_read_bandwidth(unsigned n_threads);
/* Operations a second (two for a multiply-add) of a loop that lives in registers, with the widest vectors that the
 * kernels use. */
double floor_fma_rate(unsigned n_threads);
