/* What is fetched from memory while tiles are multiplied: the weights that will be unpacked a while later. */
#pragma once

#include "kernels.h"

#define Q8_AHEAD 16u /* tiles between what is fetched and what is unpacked */
#define Q8_LINES 4u  /* fetched at a time, if a row's can be split into as many or fewer */

/* The rows of weights that share tiles, a lane each: see q8_lanes(). */
typedef struct Q8Lanes {
    size_t first, step, n; /* the first lane's row, rows from lane to lane, and lanes with a row of their own */
    size_t below;          /* rows from these to those that come next */
    size_t groups;         /* of VF_LANES lanes */
    const uint8_t *rows[Q8_GROUPS * VF_LANES]; /* beyond the edge the last one again: computed and dropped */
} Q8Lanes;

/* A row goes by in chunks of `depth` tiles, of which the last one may have fewer. */
typedef struct Q8Chunks {
    size_t depth, n;
    size_t bytes; /* of a whole one, or of a shorter row */
} Q8Chunks;

/* How a chunk of every row is fetched while one is multiplied. */
typedef struct Q8Pace {
    size_t at_once; /* rows: more than the product has steps */
    size_t parts;   /* of each other row */
    size_t part;    /* bytes */
    size_t period;  /* tiles between two parts */
} Q8Pace;

/* A few lines of one row after some of the tiles: a core waits for no more than so many at once, and with more it does
 * nothing else meanwhile. */
typedef struct Q8Ahead {
    const uint8_t *next; /* part of a row */
    size_t left;         /* parts of this row */
    size_t wait;         /* tiles until it is fetched; SIZE_MAX once all are */
    size_t offset;       /* of the chunk in every row */
    Q8Pace pace;
    const uint8_t *const *row, *const *end; /* the next row, and behind the last */
} Q8Ahead;

static inline Q8Chunks q8_chunks(const Matmul *m, size_t n_tiles, size_t depth) {
    return (Q8Chunks){
        .depth = depth,
        .n = (n_tiles + depth - 1) / depth,
        .bytes = MIN(depth, n_tiles) * Q8_UNIT / m->traits->block_size * m->traits->block_bytes,
    };
}

/* For a product of n tiles with n_rows rows of weights. */
static inline Q8Pace q8_pace(const Matmul *m, const Q8Chunks *c, size_t n_rows, size_t n) {
    const size_t passes = (m->n_rows + Q8_ROWS - 1) / Q8_ROWS, steps = passes * n;
    const size_t n_lines = (c->bytes + 63) / 64;
    Q8Pace p = {.at_once = n_rows > steps ? n_rows - steps : 0};
    n_rows -= p.at_once;
    p.parts = MIN((n_lines + Q8_LINES - 1) / Q8_LINES, steps / n_rows);
    p.part = ((n_lines + p.parts - 1) / p.parts + 1) / 2 * 128;
    p.period = steps / (n_rows * p.parts);
    return p;
}

static inline __attribute__((always_inline)) void q8_fetch_row(Q8Ahead *a) {
    if (a->row == a->end) {
        a->wait = SIZE_MAX;
        return;
    }
    a->next = *a->row++ + a->offset;
    a->left = a->pace.parts;
}

/* To be called once for every tile of a product. */
static inline __attribute__((always_inline)) void q8_fetch(Q8Ahead *a) {
    if (--a->wait > 0)
        return;
    a->wait = a->pace.period;
    const uint8_t *end = a->next + a->pace.part;
    do {
        prefetch_line(a->next);
        prefetch_line(a->next + 64);
        a->next += 128;
    } while (a->next != end);
    if (--a->left == 0)
        q8_fetch_row(a);
}

/* During chunk i: the one that will be unpacked about Q8_AHEAD tiles later, further on in these rows or at the
 * beginning of the next ones, as a range of rows that another worker might have had before begins cold. */
static inline Q8Ahead q8_ahead(const Matmul *m, const Q8Lanes *l, const Q8Chunks *c, const Q8Pace *pace, size_t i) {
    size_t next = i + MAX(Q8_AHEAD / c->depth, 1u);
    const size_t n_rows = l->groups * VF_LANES; /* in the last turn maybe fewer than the pace is for */
    Q8Ahead a = {.wait = 1, .pace = *pace, .row = l->rows, .end = l->rows + n_rows};
    if (next >= c->n)
        a.offset = l->below * m->w_stride;
    while (next >= c->n)
        next -= c->n;
    a.offset += next * c->bytes;
    for (size_t r = 0; r < MIN(pace->at_once, n_rows); r++, a.row++)
        prefetch_range(*a.row + a.offset, c->bytes);
    q8_fetch_row(&a);
    return a;
}
