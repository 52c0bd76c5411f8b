/* Strings whose bytes remember where they come from, and the few pieces of Unicode that templates need. */
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

#include "value.h"

/* ---- building */

static void reserve(Builder *b, size_t more) {
    if (b->allocated - b->size > more)
        return;
    size_t want = MAX(2 * b->allocated, b->size + more + 64);
    char *data = run_alloc(b->run, want);
    if (b->size)
        memcpy(data, b->data, b->size);
    b->data = data;
    if (b->trust) {
        uint8_t *trust = run_alloc(b->run, want);
        memcpy(trust, b->trust, b->size);
        b->trust = trust;
    }
    b->allocated = want;
}

static void set_origin(Builder *b, size_t size, bool trusted) {
    if (b->size == 0)
        b->trusted = trusted;
    if (!b->trust && b->trusted != trusted) {
        b->trust = run_alloc(b->run, b->allocated);
        memset(b->trust, b->trusted, b->size);
    }
    if (b->trust)
        memset(b->trust + b->size, trusted, size);
}

void builder_add_bytes(Builder *b, const char *data, size_t size, bool trusted) {
    if (size == 0)
        return;
    run_step(b->run, 1 + size / 64);
    reserve(b, size);
    set_origin(b, size, trusted);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void builder_add_range(Builder *b, const Str *s, size_t from, size_t to) {
    for (size_t end; from < to; from = end) {
        for (end = s->trust ? from + 1 : to; end < to && s->trust[end] == s->trust[from]; end++)
            ;
        builder_add_bytes(b, s->data + from, end - from, s->trust ? s->trust[from] : s->trusted);
    }
}

void builder_add(Builder *b, const Str *s) {
    builder_add_range(b, s, 0, s->size);
}

void builder_add_text(Builder *b, const char *text) {
    builder_add_bytes(b, text, strlen(text), true);
}

void builder_printf(Builder *b, const char *format, ...) {
    char text[512];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    builder_add_bytes(b, text, MIN((size_t)n, sizeof(text) - 1), true);
}

const Str *builder_end(Builder *b) {
    Str *s = run_alloc(b->run, sizeof(Str));
    reserve(b, 1);
    b->data[b->size] = '\0';
    *s = (Str){.data = b->data, .size = b->size, .trust = b->trust, .trusted = b->size == 0 || b->trusted};
    return s;
}

/* ---- asking */

bool str_all_trusted(const Str *s) {
    return s->trust ? !memchr(s->trust, 0, s->size) : s->trusted;
}

bool str_is(const Str *s, const char *text) {
    return strlen(text) == s->size && memcmp(s->data, text, s->size) == 0;
}

bool str_equal(const Str *a, const Str *b) {
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

size_t str_find(const Str *s, const Str *needle, size_t from) {
    if (from > s->size)
        return SIZE_MAX;
    if (needle->size == 0)
        return from;
    const char *p = memmem(s->data + from, s->size - from, needle->data, needle->size);
    return p ? (size_t)(p - s->data) : SIZE_MAX;
}

size_t str_rfind(const Str *s, const Str *needle, size_t before) {
    if (needle->size > before)
        return SIZE_MAX;
    for (size_t i = before - needle->size + 1; i-- > 0;)
        if (memcmp(s->data + i, needle->data, needle->size) == 0)
            return i;
    return SIZE_MAX;
}

const Str *str_slice(Run *run, const Str *s, size_t from, size_t to) {
    Str *out = run_alloc(run, sizeof(Str));
    char *data = run_alloc(run, to - from + 1);
    memcpy(data, s->data + from, to - from);
    *out = (Str){.data = data,
        .size = to - from,
        .trust = s->trust ? s->trust + from : NULL,
        .trusted = s->trusted,
        .markup = s->markup};
    return out;
}

const Str *str_marked(Run *run, const Str *s) {
    Str *out = run_alloc(run, sizeof(Str));
    *out = *s;
    out->markup = true;
    return out;
}

const Str *str_escape(Run *run, const Str *s) {
    if (s->markup)
        return s;
    Builder out = {.run = run};
    for (size_t i = 0; i < s->size; i++)
        switch (s->data[i]) {
        case '&': builder_add_text(&out, "&amp;"); break;
        case '<': builder_add_text(&out, "&lt;"); break;
        case '>': builder_add_text(&out, "&gt;"); break;
        case '"': builder_add_text(&out, "&#34;"); break;
        case '\'': builder_add_text(&out, "&#39;"); break;
        default: builder_add_range(&out, s, i, i + 1);
        }
    return str_marked(run, builder_end(&out));
}

/* ---- characters */

size_t utf8_width(const char *p, size_t left) {
    unsigned char c = (unsigned char)*p;
    size_t width = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (c >= 0xF8 || width > left)
        return 1;
    for (size_t i = 1; i < width; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80)
            return 1;
    return width;
}

uint32_t utf8_decode(const char *p, size_t width) {
    const unsigned char *u = (const unsigned char *)p;
    switch (width) {
    case 2: return (u[0] & 0x1Fu) << 6 | (u[1] & 0x3Fu);
    case 3: return (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
    case 4: return (u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu);
    default: return u[0];
    }
}

size_t utf8_encode(uint32_t c, char out[4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t width = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = width; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[width] | c);
    return width;
}

size_t str_length(const Str *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->size; i += utf8_width(s->data + i, s->size - i))
        n++;
    return n;
}

size_t str_offset(const Str *s, size_t character) {
    size_t i = 0;
    while (character-- > 0 && i < s->size)
        i += utf8_width(s->data + i, s->size - i);
    return i;
}

static locale_t unicode_locale;

static void make_locale(void) {
    unicode_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* The C library's own tables, whatever locale the process runs in; NULL (then ASCII only) where C.UTF-8 is not
 * installed. */
static locale_t unicode(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return unicode_locale;
}

uint32_t char_upper(uint32_t c) {
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    return unicode() ? (uint32_t)towupper_l((wint_t)c, unicode()) : c;
}

uint32_t char_lower(uint32_t c) {
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return unicode() ? (uint32_t)towlower_l((wint_t)c, unicode()) : c;
}

uint32_t char_fold(uint32_t c) {
    return c == 0x17F ? 's' : c == 0x3C2 ? 0x3C3 : char_lower(c); /* long s, final sigma */
}

bool char_is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool char_is_alpha(uint32_t c) {
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return unicode() && iswalpha_l((wint_t)c, unicode());
}

/* Whether Unicode knows the character, as far as the C library does. */
bool char_is_assigned(uint32_t c) {
    return c < 0x80 || !unicode() || iswprint_l((wint_t)c, unicode()) || iswcntrl_l((wint_t)c, unicode());
}

bool char_is_digit(uint32_t c) {
    return c >= '0' && c <= '9';
}

/* ---- operations that keep origins */

static bool in_set(const Str *characters, const char *p, size_t width) {
    if (!characters)
        return char_is_space(utf8_decode(p, width));
    for (size_t i = 0; i < characters->size;) {
        size_t w = utf8_width(characters->data + i, characters->size - i);
        if (w == width && memcmp(characters->data + i, p, w) == 0)
            return true;
        i += w;
    }
    return false;
}

const Str *str_strip(Run *run, const Str *s, const Str *characters, StripSide side) {
    size_t from = 0, to = s->size;

    run_step(run, 1 + s->size / 64);
    while ((side & STRIP_LEFT) && from < to) {
        size_t w = utf8_width(s->data + from, to - from);
        if (!in_set(characters, s->data + from, w))
            break;
        from += w;
    }
    while ((side & STRIP_RIGHT) && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s->data[at] & 0xC0) == 0x80 && to - at < 4)
            at--;
        if (utf8_width(s->data + at, to - at) != to - at)
            at = to - 1; /* a stray continuation byte */
        if (!in_set(characters, s->data + at, to - at))
            break;
        to = at;
    }
    return from == 0 && to == s->size ? s : str_slice(run, s, from, to);
}

const Str *str_replace(Run *run, const Str *s, const Str *from, const Str *to, int64_t count) {
    Builder out = {.run = run};
    size_t at = 0;

    if (from->size == 0) { /* Python: between all characters */
        for (size_t w = 0; at <= s->size && count != 0; count -= count > 0) {
            builder_add(&out, to);
            w = at < s->size ? utf8_width(s->data + at, s->size - at) : 1;
            builder_add_range(&out, s, at, MIN(at + w, s->size));
            at += w;
        }
        builder_add_range(&out, s, MIN(at, s->size), s->size);
        return builder_end(&out);
    }
    for (size_t hit; count != 0 && (hit = str_find(s, from, at)) != SIZE_MAX; count -= count > 0) {
        builder_add_range(&out, s, at, hit);
        builder_add(&out, to);
        at = hit + from->size;
        run_step(run, 1);
    }
    builder_add_range(&out, s, at, s->size);
    return builder_end(&out);
}

const Str *str_map_case(Run *run, const Str *s, uint32_t (*map)(uint32_t)) {
    Builder out = {.run = run};
    for (size_t i = 0, w; i < s->size; i += w) {
        char text[4];
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w), m = map(c);
        if (map == char_upper && c == 0xDF)
            builder_add_bytes(&out, "SS", 2, s->trust ? s->trust[i] : s->trusted);
        else if (map == char_fold && m == 0xDF)
            builder_add_bytes(&out, "ss", 2, s->trust ? s->trust[i] : s->trusted);
        else if (m == c)
            builder_add_range(&out, s, i, i + w);
        else
            builder_add_bytes(&out, text, utf8_encode(m, text), s->trust ? s->trust[i] : s->trusted);
    }
    return s->markup ? str_marked(run, builder_end(&out)) : builder_end(&out);
}

const Str *str_capitalize(Run *run, const Str *s) {
    size_t first = str_offset(s, 1);
    Builder out = {.run = run};
    builder_add(&out, str_map_case(run, str_slice(run, s, 0, first), char_upper));
    builder_add(&out, str_map_case(run, str_slice(run, s, first, s->size), char_lower));
    return builder_end(&out);
}

static bool ends_line(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

List *str_lines(Run *run, const Str *s, bool keep_ends) {
    List *out = list_new(run, LIST_LIST);
    for (size_t from = 0, end, next; from < s->size; from = next) {
        size_t w = 0;
        for (end = from; end < s->size; end += w) {
            w = utf8_width(s->data + end, s->size - end);
            if (ends_line(utf8_decode(s->data + end, w)))
                break;
        }
        next = end < s->size ? end + w : end;
        if (next < s->size && s->data[end] == '\r' && s->data[next] == '\n')
            next++;
        list_append(run, out, value_of(str_slice(run, s, from, keep_ends ? next : end)));
    }
    return out;
}
