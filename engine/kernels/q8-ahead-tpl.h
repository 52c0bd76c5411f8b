/* What is fetched from memory while tiles are multiplied: the weights that will be unpacked a while later. */
#pragma once

#include <stdbool.h>

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

/* How a chunk of every row is fetched while one is multiplied: parts of rows, spread over the steps of the product, a
 * tile times a few rows of x each. */
typedef struct Q8Pace {
    size_t parts; /* of a row */
    size_t part;  /* bytes */
    ptrdiff_t all_parts, steps;
} Q8Pace;

/* A few lines of one row after some of the tiles: a core waits for no more than so many at once, and with more it does
 * nothing else meanwhile. */
typedef struct Q8Ahead {
    const uint8_t *next; /* part of a row */
    size_t left;         /* parts of this row */
    ptrdiff_t wait;      /* until it is fetched, of which a step takes off pace.all_parts */
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
    const size_t wanted = (n_lines + Q8_LINES - 1) / Q8_LINES;
    const size_t parts = steps < 2 * n_rows ? 1 : MIN(wanted, steps / n_rows);
    return (Q8Pace){
        .parts = parts,
        .part = ((n_lines + parts - 1) / parts + 1) / 2 * 128,
        .all_parts = (ptrdiff_t)(n_rows * parts),
        .steps = (ptrdiff_t)steps,
    };
}

static inline __attribute__((always_inline)) void q8_fetch_row(Q8Ahead *a) {
    if (a->row == a->end) {
        a->wait = PTRDIFF_MAX; /* nothing is left */
        return;
    }
    a->next = *a->row++ + a->offset;
    a->left = a->pace.parts;
}

/* To be called at every step of a product. Few rows of x have fewer steps than there are parts, so that several may be
 * due at one; more would pay for the loop, and the short chunks in which they have too few steps are not worth it. */
static inline __attribute__((always_inline)) void q8_fetch(Q8Ahead *a, const bool few) {
    a->wait -= a->pace.all_parts;
    while (a->wait <= 0) {
        a->wait += a->pace.steps;
        const uint8_t *end = a->next + a->pace.part;
        do {
            prefetch_line(a->next);
            prefetch_line(a->next + 64);
            a->next += 128;
        } while (a->next != end);
        if (--a->left == 0)
            q8_fetch_row(a);
        if (!few)
            break;
    }
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
    q8_fetch_row(&a);
    return a;
}
