/* Cuts the arrays of a Pass out of one piece of memory. Its owner goes through the same cuts twice: first with base
 * NULL, to learn how much there must be. */
#pragma once

#include "layers/pass.h"

typedef struct Cutter {
    uint8_t *base; /* NULL: only measure */
    size_t used;   /* bytes */
    bool q8;       /* some product of the model takes its rows in bytes: model_wants_q8() */
} Cutter;

static inline void *cut(Cutter *c, size_t n, size_t size) {
    uint8_t *p = c->base ? c->base + c->used : NULL;
    c->used += (n * size + 63) & ~(size_t)63;
    return p;
}

/* Rows in floats and, where wanted, in bytes. */
static inline Rows cut_rows(Cutter *c, size_t n, size_t width) {
    Rows r = {.x = cut(c, n * width, sizeof(float))};
    if (c->q8)
        r.q8 = cut(c, n, q8_row_bytes(width));
    return r;
}
