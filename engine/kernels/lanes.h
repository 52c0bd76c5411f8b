/* Rows of weights that share a product, a lane each. Where there are few rows of x, the memory is what limits; then
 * they do not lie side by side but as far apart as they can, and go on to the rows below: that many long stretches of
 * memory, each read from end to end, come faster than one that is read in many places at once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

/* Rows from one of n lanes to the next, so that each lane has as many. */
static inline size_t lanes_step(const Matmul *m, size_t n) {
    return (m->n_out + n - 1) / n;
}

/* Lanes with a row of their own where the first one's is `first`. */
static inline size_t lanes_filled(const Matmul *m, size_t first, size_t step) {
    return (m->n_out - first + step - 1) / step;
}

/* A row, or beyond the edge the last one again: its product is computed and dropped. */
static inline const uint8_t *lane_row(const Matmul *m, size_t row) {
    return m->w + MIN(row, m->n_out - 1) * m->w_stride;
}

/* Rows from these, of which the first is `first`, to those that come next. Below each lane's last row begins another's;
 * then it is the range of rows after this one that will be wanted, by the same worker if it is of the same length. */
static inline size_t lanes_below(const Matmul *m, size_t first, size_t step) {
    return first + 1 == step ? m->n_out - step + 1 : 1;
}
