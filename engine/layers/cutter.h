/* Cuts the arrays of a Pass out of one piece of memory. Its owner goes through the same cuts twice: first with base
 * NULL, to learn how much there must be. */
#pragma once

#include "layers/pass.h"

typedef struct Cutter {
    uint8_t *base;      /* NULL: only measure */
    size_t used;        /* bytes */
    ActFormats formats; /* that rows are wanted in: model_inputs() */
} Cutter;

static inline void *cut(Cutter *c, size_t n, size_t size) {
    uint8_t *p = c->base ? c->base + c->used : NULL;
    c->used += (n * size + 63) & ~(size_t)63;
    return p;
}

/* Rows in floats and, where wanted, in bytes and in words. */
static inline Rows cut_rows(Cutter *c, size_t n, size_t width) {
    Rows r = {.x = cut(c, n * width, sizeof(float))};
    if (c->formats & (act_set(ACT_Q8_16) | act_set(ACT_Q8_32)))
        r.q8 = cut(c, n, q8_row_bytes(width));
    if (c->formats & act_set(ACT_Q14))
        r.q14 = cut(c, n, q14_row_bytes(width));
    return r;
}
