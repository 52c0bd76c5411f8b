/* What BERT's normalisation asks of a code point. (Pre-tokenizers get their classes from PCRE2.) */
#pragma once

#include "macros.h"

typedef enum UnicodeClass {
    UNICODE_OTHER,
    UNICODE_SPACE,       /* White_Space */
    UNICODE_PUNCTUATION, /* P */
    UNICODE_MARK,        /* M */
    UNICODE_CONTROL,     /* C, but for what is not assigned yet */
} UnicodeClass;

UnicodeClass unicode_class(uint32_t c);
/* The first code point of the canonical decomposition, mostly a letter without its accents. */
uint32_t unicode_base(uint32_t c);
uint32_t unicode_lower(uint32_t c);
