/* The products of q8-tpl.h for few rows of x, where bringing weights from the order of the file into one row a lane is
 * most of the work. Here a lane sums 16 elements of one row, which lie in the file as they are wanted, and what changes
 * lanes are those sums, a sixteenth of the numbers. The integers are the same, and the floats go through the same
 * operations in the same order as there, so the results are equal to the bit.
 *
 * A strip is 256 elements, 8 tiles, of VF_LANES rows. STRIP_WIDTH rows share a vector, 32 bytes each; 8 such units make
 * a strip. A chunk is 16 bytes of a vector, or 4 lanes. Each unit comes as two sets of four vectors, whose lanes are
 * (chunk c, i): set[j] holds bytes 4j..4j+3 of the 16 that the lane is to sum.
 *
 * The VF_LANES rows lie as far apart as they can: see lanes.h. */
#pragma once

#include "lanes.h"
#include "q8-tpl.h"

#define STRIP_UNITS    8
#define STRIP_TILES    8
#define STRIP_MAX_ROWS 4                       /* of x */
#define STRIP_X_MAX    (64u << 10)             /* bytes of x made ready at a time, on the stack */
#define STRIP_CHUNKS   (2 * STRIP_WIDTH)       /* in a vector */
#define STRIP_ROW_MAX  (8 * sizeof(BlockQ8_0)) /* bytes of a strip in one row */

/* Which elements a set's lanes stand for, by unit row w and half h of a tile. */
typedef enum StripOrder {
    STRIP_TILE_PAIRS, /* chunk 2w + h: tile 2i, in the second set 2i + 1 */
    STRIP_HALVES,     /* chunk STRIP_WIDTH * p + w: the first half of tile 2i + p, in the second set the second one */
    STRIP_TILE_FOURS, /* chunk 2w + h: tile i, in the second set 4 + i */
} StripOrder;

/* Always a constant. */
typedef struct StripFormat {
    const Q8Kind *kind; /* Q8_HALVES_OF_W goes with STRIP_TILE_FOURS */
    StripOrder order;
    size_t row_bytes; /* of a strip in one row */
    bool common;      /* met often, so that it is worth longer code */
} StripFormat;

typedef struct StripSets {
    VI a[4], b[4];
} StripSets;

/* A row of x over one strip, in the lanes of the format's sets. */
typedef struct StripX {
    StripSets q;
    VI start_a, start_b;
    VF d[2]; /* of the first and the second halves, in the lanes of strip_scaled(), with Q8_HALVES_OF_X */
    VF lower;
} StripX;

/* The quants of STRIP_WIDTH rows from tile `at` on. */
typedef void StripUnpack(const uint8_t *const rows[STRIP_WIDTH], size_t at, StripSets *ret);
/* The scales and minima of VF_LANES rows; the tiles' quants stay as they are. */
typedef void StripScales(const uint8_t *const rows[VF_LANES], size_t at, size_t n, Q8Tile *tiles);

/* ---- x */

static inline __attribute__((always_inline)) void strip_element(
    const StripFormat f, int set, int c, int i, int *ret_tile, int *ret_half) {
    *ret_tile = f.order == STRIP_TILE_PAIRS ? 2 * i + set
                : f.order == STRIP_HALVES   ? 2 * i + c / STRIP_WIDTH
                                            : 4 * set + i;
    *ret_half = f.order == STRIP_HALVES ? set : c % 2;
}

/* The tile that the lanes (STRIP_WIDTH * p + w, i) of strip_scaled() belong to. */
static inline __attribute__((always_inline)) int strip_tile(const StripFormat f, int p, int i) {
    return f.order == STRIP_TILE_FOURS ? 4 * p + i : 2 * i + p;
}

/* What the sets' bytes are too high by, in tiers whose sums have starts. */
static inline __attribute__((always_inline)) int strip_excess(const StripFormat f) {
    return f.kind->bits == 8 ? 128 : f.kind->offset;
}

/* Of a tile's two sums that are added before they are scaled, only one is raised. */
static inline __attribute__((always_inline)) bool strip_raised(const StripFormat f, int half) {
    return half == 0 || f.kind->scales != Q8_WHOLE;
}

static inline __attribute__((always_inline)) void strip_x_set(
    const StripFormat f, const Q8Block *x, int set, VI q[4], VI *ret_start) {
    int8_t bytes[4][VF_LANES * 4] __attribute__((aligned(64)));
    int32_t start[VF_LANES] __attribute__((aligned(64)));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
        for (int c = 0; c < STRIP_CHUNKS; c++) {
            int tile, half;
            strip_element(f, set, c, i, &tile, &half);
            memcpy(&bytes[i][16 * c], x[tile].q + 16 * half, 16);
            start[4 * c + i] = q8_lane_start(x[tile].start16[half], strip_excess(f), strip_raised(f, half));
        }
    VI v[4];
    for (int i = 0; i < 4; i++)
        v[i] = vi_load(bytes[i]);
    vi_transpose4(v, q);
    *ret_start = vi_load(start);
}

static inline __attribute__((always_inline)) void strip_x(const StripFormat f, const Q8Block *x, StripX *ret) {
    strip_x_set(f, x, 0, ret->q.a, &ret->start_a);
    strip_x_set(f, x, 1, ret->q.b, &ret->start_b);
    if (f.kind->scales != Q8_HALVES_OF_X)
        return;
    float d[2][VF_LANES], lower[VF_LANES];
    for (int l = 0; l < VF_LANES; l++) {
        const Q8Block *of = &x[strip_tile(f, l / 4 / STRIP_WIDTH, l % 4)];
        d[0][l] = of->d[0];
        d[1][l] = of->d[1];
        lower[l] = q8_lower_of_x(*f.kind, of);
    }
    ret->lower = vf_load(lower);
    ret->d[0] = vf_load(d[0]);
    ret->d[1] = vf_load(d[1]);
}

/* ---- products of a unit */

/* The sums of a set, over 4 of the `steps` that are added before they are widened. */
static inline __attribute__((always_inline)) Q8Sum strip_sum(
    const StripFormat f, const VI w[4], const VI x[4], VI start, const int steps) {
    Q8Sum sum;
    q8_sum_start(&sum, true, start);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        q8_sum_add(&sum, f.kind->bits, j, steps, w[j], x[j]);
    return sum;
}

/* The sums of whole tiles. Lane (STRIP_WIDTH * p + w, i): strip_tile(p, i) of row w. */
static inline __attribute__((always_inline)) VF strip_whole(const StripFormat f, const StripSets *w, const StripX *x) {
    Q8Sum a = strip_sum(f, w->a, x->q.a, x->start_a, 8), b = strip_sum(f, w->b, x->q.b, x->start_b, 8);
    if (f.order == STRIP_HALVES)
        return q8_sum_both(&a, &b, f.kind->bits);
    Q8Sum first = q8_sum_even_chunks(&a, &b), second = q8_sum_odd_chunks(&a, &b);
    return q8_sum_both(&first, &second, f.kind->bits);
}

/* Those of halves, scaled as x is and added, in the same lanes. */
static inline __attribute__((always_inline)) VF strip_scaled(const StripFormat f, VF a, VF b, const StripX *x) {
    VF first = f.order == STRIP_HALVES ? a : vf_even_chunks(a, b);
    VF second = f.order == STRIP_HALVES ? b : vf_odd_chunks(a, b);
    return vf_fma(x->d[1], second, q8_chain(first, x->d[0], x->lower, q8_takes_lower(*f.kind)));
}

/* sums[0]: of whole tiles, with Q8_HALVES_OF_X scaled. With Q8_HALVES_OF_W: of halves, sums[1] of the second set. */
static inline __attribute__((always_inline)) void strip_multiply(
    const StripFormat f, const StripSets *w, const StripX *x, int unit, VF sums[2][STRIP_UNITS]) {
    if (f.kind->scales == Q8_WHOLE) {
        sums[0][unit] = strip_whole(f, w, x);
        return;
    }
    Q8Sum a = strip_sum(f, w->a, x->q.a, x->start_a, 4), b = strip_sum(f, w->b, x->q.b, x->start_b, 4);
    if (f.kind->scales == Q8_HALVES_OF_W) {
        sums[0][unit] = q8_sum_raised(&a);
        sums[1][unit] = q8_sum_raised(&b);
    } else
        sums[0][unit] = strip_scaled(f, q8_sum_raised(&a), q8_sum_raised(&b), x);
}

/* ---- adding up a strip */

/* Of unit u, the row at w. */
static inline __attribute__((always_inline)) int strip_row(int u, int w) {
    return u / 4 * 4 * STRIP_WIDTH + 4 * w + u % 4;
}

/* Lane (c, i) of unit u to lane u of out[i][0] and out[i][1], the rows beside it in order; they come from the lower and
 * the upper chunks, or from the even and the odd ones. */
static inline __attribute__((always_inline)) void strip_turn(
    const VF in[STRIP_UNITS], const bool alternate, VF out[4][2]) {
    VF low[4], high[4];
    vf_transpose4(in, low);
    vf_transpose4(in + 4, high);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out[i][0] = alternate ? vf_even_chunks(low[i], high[i]) : vf_low_chunks(low[i], high[i]);
        out[i][1] = alternate ? vf_odd_chunks(low[i], high[i]) : vf_high_chunks(low[i], high[i]);
    }
}

/* The word in every lane. */
static inline VF strip_word_scale(VI words) {
    return vf_from_int(vi_sar32(words, 16));
}

/* What q8_scale() is given of tile b. `turned` has a tile's sums, or those of a half of it, in the order in which
 * strip_turn() leaves them. */
static inline __attribute__((always_inline)) VF strip_products(
    const StripFormat f, VF turned[2][4][2], const Q8Tile *tile, int b) {
    if (f.kind->scales == Q8_HALVES_OF_W) {
        const VF *sums = turned[b / 4][b % 4];
        if (q8_word_scales(*f.kind)) { /* exact but for the last operation, as in q8_word_products() */
            VF first = vf_mul(strip_word_scale(tile->words[0]), sums[0]);
            return vf_mul(tile->scale[0], vf_fma(strip_word_scale(tile->words[1]), sums[1], first));
        }
        return vf_fma(tile->scale[1], sums[1], q8_chain(sums[0], tile->scale[0], q8_lower_of(*f.kind, tile), false));
    }
    VF sum = f.order == STRIP_TILE_FOURS ? turned[0][b % 4][b / 4] : turned[0][b / 2][b % 2];
    if (f.kind->scales == Q8_HALVES_OF_X)
        return sum;
    return q8_chain(sum, tile->scale[0], q8_lower_of(*f.kind, tile), false);
}

/* acc plus the first n_tiles of the strip. */
static inline __attribute__((always_inline)) VF strip_add(
    const StripFormat f, const VF sums[2][STRIP_UNITS], const Q8Tile *tiles, const Q8Block *x, size_t n_tiles, VF acc) {
    const bool halves = f.kind->scales == Q8_HALVES_OF_W;
    VF turned[2][4][2];
    strip_turn(sums[0], halves, turned[0]);
    if (halves)
        strip_turn(sums[1], halves, turned[1]);
#pragma GCC unroll 8
    for (size_t b = 0; b < STRIP_TILES; b++) {
        if (b >= n_tiles)
            break;
        acc = q8_scale(*f.kind, &tiles[b], &x[b], strip_products(f, turned, &tiles[b], (int)b), acc);
    }
    return acc;
}

/* ---- the product */

/* None of rows shorter than one. */
static inline size_t n_strips_of(const Matmul *m) {
    size_t n_tiles = m->k / Q8_UNIT;
    return n_tiles < STRIP_TILES ? 0 : (n_tiles + STRIP_TILES - 1) / STRIP_TILES;
}

/* Strip s's tiles: fewer than a strip's at the end of rows that are no whole number of them. What follows them there,
 * the row below, is computed and dropped: where a row's strips are not evenly spaced, fetching ahead works a quarter
 * worse. */
static inline size_t strip_n_tiles(const Matmul *m, size_t s) {
    return MIN(m->k / Q8_UNIT - s * STRIP_TILES, (size_t)STRIP_TILES);
}

/* Whether the scales lie behind the quants. Then the line they end in is fetched even if little of it belongs to the
 * strip. */
static inline __attribute__((always_inline)) bool strip_scales_behind(const StripFormat f) {
    return f.order == STRIP_TILE_FOURS;
}

/* Whether scales are unpacked after the quants are multiplied. Those of Q8_0, which lie far apart, and of Q4_K, which
 * are few, come better first; the rarer formats whose sets are in the same order do as they do. */
static inline __attribute__((always_inline)) bool strip_scales_last(const StripFormat f) {
    return f.order != STRIP_TILE_PAIRS;
}

/* Unit u of a strip for `n_rows` rows of x, theirs x_step apart; `rows_known`: it is a constant, 1 or 2. What lies
 * `ahead` bytes further on is fetched. */
static inline __attribute__((always_inline)) void strip_unit(const StripFormat f, StripUnpack *unpack,
    const uint8_t *const rows[VF_LANES], size_t at, size_t ahead, const bool rows_known, const size_t n_rows,
    const StripX *x, size_t x_step, int u, VF sums[STRIP_MAX_ROWS][2][STRIP_UNITS]) {
    StripSets w;
    const uint8_t *unit[STRIP_WIDTH];
#pragma GCC unroll 2
    for (int i = 0; i < STRIP_WIDTH; i++) {
        unit[i] = rows[strip_row(u, i)];
#pragma GCC unroll 8
        for (size_t line = 0; line < f.row_bytes; line += 64)
            prefetch_line_at(unit[i], ahead + line);
        if (strip_scales_behind(f))
            prefetch_line_at(unit[i], ahead + f.row_bytes - 1);
    }
    unpack(unit, at, &w);
    if (rows_known) {
        strip_multiply(f, &w, x, u, sums[0]);
        if (n_rows == 2)
            strip_multiply(f, &w, &x[x_step], u, sums[1]);
        return;
    }
#pragma GCC unroll 1
    for (size_t r = 0; r < n_rows; r++)
        strip_multiply(f, &w, &x[r * x_step], u, sums[r]);
}

/* A strip. For one or two rows of x each unit has instructions of its own, in common formats: processors watch the
 * addresses that an instruction loads from, and here that is one stretch of memory. Of instructions that go from one
 * stretch to the next they make out steps that lead nowhere, or not, depending on where the code happens to lie. With
 * more rows the code would be too long to be worth it. */
static inline __attribute__((always_inline)) void strip_sums(const StripFormat f, StripUnpack *unpack,
    const uint8_t *const rows[VF_LANES], size_t at, size_t ahead, const bool rows_known, const size_t n_rows,
    const StripX *x, size_t x_step, VF sums[STRIP_MAX_ROWS][2][STRIP_UNITS]) {
    if (rows_known && f.common) {
#pragma GCC unroll 8
        for (int u = 0; u < STRIP_UNITS; u++)
            strip_unit(f, unpack, rows, at, ahead, rows_known, n_rows, x, x_step, u, sums);
        return;
    }
#pragma GCC unroll 1
    for (int u = 0; u < STRIP_UNITS; u++)
        strip_unit(f, unpack, rows, at, ahead, rows_known, n_rows, x, x_step, u, sums);
}

/* From the start of the rows to what will be wanted STRIPS_AHEAD() strips after the s-th, further on in them or in
 * those below. */
static inline __attribute__((always_inline)) size_t strip_ahead(
    const StripFormat f, const Matmul *m, size_t out, size_t s) {
    size_t n_strips = n_strips_of(m), next = s + STRIPS_AHEAD(f.row_bytes), row = 0;
    for (; next >= n_strips; next -= n_strips)
        row += lanes_below(m, out + row, lanes_step(m, VF_LANES));
    return row * m->w_stride + next * f.row_bytes;
}

/* Nothing may be read beyond the last row: what it has of its last strip moves to where a whole one has room. */
static inline void strip_move_end(const StripFormat f, const uint8_t *rows[VF_LANES], size_t last, size_t at,
    size_t n_tiles, uint8_t end[STRIP_ROW_MAX]) {
    const size_t tile_bytes = f.row_bytes / STRIP_TILES;
    memset(end, 0, f.row_bytes);
    memcpy(end, rows[last] + at * tile_bytes, n_tiles * tile_bytes);
    for (size_t i = last; i < VF_LANES; i++) /* a number, since C has no pointers to before an array */
        rows[i] = (const uint8_t *)((uintptr_t)end - at * tile_bytes);
}

/* The outputs of the out-th row of every lane, over n strips from the first on, for which x is ready; `known`: how
 * many rows of x there are, or 0. */
static inline __attribute__((always_inline)) void strip_outputs(const StripFormat f, StripUnpack *unpack,
    StripScales *scales, const Matmul *m, const size_t known, size_t out, size_t first, size_t n, const StripX *x) {
    const uint8_t *rows[VF_LANES];
    VF acc[STRIP_MAX_ROWS];
    const size_t n_rows = known ? known : m->n_rows;
    const size_t step = lanes_step(m, VF_LANES), n_lanes = lanes_filled(m, out, step);
    const size_t last = (m->n_out - 1 - out + step - 1) / step; /* the first lane with the last row, if any has it */
    for (size_t i = 0; i < VF_LANES; i++)
        rows[i] = lane_row(m, out + i * step);
#pragma GCC unroll 1
    for (size_t r = 0; r < n_rows; r++)
        acc[r] = first == 0 ? vf_zero() : load_apart(m->y + r * m->y_stride + out, step, n_lanes);

    for (size_t s = 0; s < n; s++) {
        size_t at = (first + s) * STRIP_TILES, n_tiles = strip_n_tiles(m, first + s);
        uint8_t end[STRIP_ROW_MAX];
        Q8Tile tiles[STRIP_TILES];
        VF sums[STRIP_MAX_ROWS][2][STRIP_UNITS];
        if (n_tiles < STRIP_TILES && last < VF_LANES)
            strip_move_end(f, rows, last, at, n_tiles, end);
        if (!strip_scales_last(f))
            scales(rows, at, STRIP_TILES, tiles);
        strip_sums(f, unpack, rows, at, strip_ahead(f, m, out, first + s), known > 0, n_rows, &x[s], n, sums);
        if (strip_scales_last(f))
            scales(rows, at, STRIP_TILES, tiles);
#pragma GCC unroll 1
        for (size_t r = 0; r < n_rows; r++)
            acc[r] = strip_add(f, sums[r], tiles, (const Q8Block *)(m->x + r * m->x_stride) + at, n_tiles, acc[r]);
    }
#pragma GCC unroll 1
    for (size_t r = 0; r < n_rows; r++)
        store_apart(m->y + r * m->y_stride + out, step, n_lanes, acc[r]);
}

typedef void StripOutputs(const Matmul *m, size_t out, size_t first, size_t n, const StripX *x);
typedef void StripRow(const Q8Block *x, StripX *ret);

/* Strip s of a row of x; beyond its end it is 0. */
static inline void strip_ready(const Matmul *m, const uint8_t *row, size_t s, StripRow *ready, StripX *ret) {
    const Q8Block *x = (const Q8Block *)row + s * STRIP_TILES;
    size_t n_tiles = strip_n_tiles(m, s);
    Q8Block end[STRIP_TILES] = {};
    if (n_tiles == STRIP_TILES) {
        ready(x, ret);
        return;
    }
    memcpy(end, x, n_tiles * sizeof(*x));
    ready(end, ret);
}

/* With more rows of x, tiles share what is unpacked among more of them than strips do; with fewer, strips keep up
 * better with the memory, of which weights of 8 bits are the most. Where scales stay integers, tiles are better from
 * two rows on. */
static inline __attribute__((always_inline)) size_t strip_rows_max(const Q8Kind kind) {
    return q8_word_scales(kind) ? 1 : kind.bits == 8 ? STRIP_MAX_ROWS : STRIP_MAX_ROWS - 1;
}

/* The product for few rows of x, at least a strip long; false if it is not such a one. */
static inline bool q8_strips(const Matmul *m, size_t rows_max, StripRow *ready, StripOutputs *outputs) {
    StripX x[STRIP_X_MAX / sizeof(StripX)];
    const size_t n_strips = n_strips_of(m);
    if (n_strips == 0 || m->n_rows < 1 || m->n_rows > rows_max)
        return false;

    const size_t depth = ELEMENTSOF(x) / m->n_rows;
    for (size_t first = 0; first < n_strips; first += depth) {
        size_t n = MIN(depth, n_strips - first);
        for (size_t r = 0; r < m->n_rows; r++)
            for (size_t s = 0; s < n; s++)
                strip_ready(m, m->x + r * m->x_stride, first + s, ready, &x[r * n + s]);
        for (size_t out = 0; out < lanes_step(m, VF_LANES); out++)
            outputs(m, out, first, n, x);
    }
    return true;
}

#define STRIP_OUTPUTS(format, name, known)                                                                             \
    static void strip_##name##_##format(const Matmul *m, size_t out, size_t first, size_t n, const StripX *x) {        \
        strip_outputs(strip_format_##format, strip_unpack_##format, q8_scales_##format, m, known, out, first, n, x);   \
    }

/* The functions of one format; the arguments after the kind are its StripFormat. */
#define Q8_STRIPS(format, kind, ...)                                                                                   \
    static const StripFormat strip_format_##format = {&kind##_kind, __VA_ARGS__};                                      \
    static void strip_x_##format(const Q8Block *x, StripX *ret) {                                                      \
        strip_x(strip_format_##format, x, ret);                                                                        \
    }                                                                                                                  \
    STRIP_OUTPUTS(format, one, 1)                                                                                      \
    STRIP_OUTPUTS(format, two, 2)                                                                                      \
    STRIP_OUTPUTS(format, few, 0)                                                                                      \
    static bool q8_strips_##format(const Matmul *m) {                                                                  \
        const size_t max = strip_rows_max(kind##_kind);                                                                \
        const bool two = m->n_rows == 2 && strip_format_##format.common;                                               \
        StripOutputs *outputs = two ? strip_two_##format : strip_few_##format;                                         \
        if (max == 1 || m->n_rows == 1)                                                                                \
            outputs = strip_one_##format;                                                                              \
        return q8_strips(m, max, strip_x_##format, outputs);                                                           \
    }
