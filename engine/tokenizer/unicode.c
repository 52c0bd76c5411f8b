/* Binary searches in generated tables; see unicode.h. */
#include "unicode-tables.h"

/* The last row whose first code point is not above c; every row begins with `first` and `last`. */
#define SEARCH(table, n, c)                                                                                            \
    ({                                                                                                                 \
        size_t _low = 0, _high = (n);                                                                                  \
        while (_low < _high) {                                                                                         \
            size_t _middle = (_low + _high) / 2;                                                                       \
            if ((table)[_middle].first <= (c))                                                                         \
                _low = _middle + 1;                                                                                    \
            else                                                                                                       \
                _high = _middle;                                                                                       \
        }                                                                                                              \
        _low > 0 && (table)[_low - 1].last >= (c) ? &(table)[_low - 1] : NULL;                                         \
    })

UnicodeClass unicode_class(uint32_t c) {
    if ((c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
        (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000)
        return UNICODE_SPACE;
    const UnicodeClassRange *r = SEARCH(unicode_classes, n_unicode_classes, c);
    return r ? r->class : UNICODE_OTHER;
}

uint32_t unicode_base(uint32_t c) {
    if (c < 0xC0)
        return c;
    if (c >= 0xAC00 && c <= 0xD7A3) /* Hangul: the syllable's first consonant */
        return 0x1100 + (c - 0xAC00) / 588;
    const UnicodeBaseRange *r = SEARCH(unicode_bases, n_unicode_bases, c);
    return r ? r->base : c;
}

uint32_t unicode_lower(uint32_t c) {
    const UnicodeLowerRange *r = SEARCH(unicode_lowers, n_unicode_lowers, c);
    return r && (c - r->first) % r->step == 0 ? r->lower + (c - r->first) : c;
}
