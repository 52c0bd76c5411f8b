/* AVX-512 F, BW, VL and DQ: the templates instantiated. */
#include "kernels.h"
#include "simd-avx512.h"

/* a register tile of bytes: rows of x times groups of outputs */
#define Q8_ROWS   4
#define Q8_GROUPS 2
/* tiles of weights unpacked at a time: for many rows of x, and for few */
#define Q8_DEPTH     16
#define Q8_FEW_DEPTH 16
/* many rows of x: those of the next register tile are fetched */
#define Q8_FETCHES_X true
/* signed weights of 8 bits go through tiles as words, so many at a time: q8-words-tpl.h */
#define Q8_WORDS
#define Q8_WORD_DEPTH 8

#include "float-table-tpl.h"

#include "q8-dot-narrow.h"
#include "q8-table-tpl.h"

void kernels_fill_avx512(Kernels *k) {
    float_fill(k);
    q8_fill(k);
}
