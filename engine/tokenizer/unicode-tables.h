/* Ranges of code points, sorted; see unicode.h. */
#pragma once

#include "unicode.h"

typedef struct UnicodeClassRange {
    uint32_t first, last;
    UnicodeClass class;
} UnicodeClassRange;
extern const UnicodeClassRange unicode_classes[];
extern const size_t n_unicode_classes;

typedef struct UnicodeBaseRange {
    uint32_t first, last;
    uint32_t base; /* of all of them */
} UnicodeBaseRange;
extern const UnicodeBaseRange unicode_bases[];
extern const size_t n_unicode_bases;

typedef struct UnicodeLowerRange {
    uint32_t first, last;
    uint32_t lower; /* of the first; it rises with the code point */
    uint32_t step;  /* 2: every other one is meant */
} UnicodeLowerRange;
extern const UnicodeLowerRange unicode_lowers[];
extern const size_t n_unicode_lowers;
