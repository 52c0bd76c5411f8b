/* Filters that lay text out for a reader or for HTML. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/* Markup goes, white space closes up. */
static Value filter_striptags(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    Builder text = {.run = run}, out = {.run = run};
    for (size_t i = 0; i < s->size;) {
        const char *close = s->data[i] == '<' ? memchr(s->data + i, '>', s->size - i) : NULL;
        size_t next = close ? (size_t)(close - s->data) + 1 : i + 1;
        if (!close)
            builder_add_range(&text, s, i, next);
        i = next;
    }
    Value words = value_of(builder_end(&text));
    const List *l = method_find(words, value_text(run, "split").string)(run, words, &(Arguments){}).list;
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            builder_add_text(&out, " ");
        builder_add(&out, l->items[i].string);
    }
    return value_of(builder_end(&out));
}

static Value filter_indent(Run *run, Value v, const Arguments *args) {
    Value a[3];
    arguments_bind(run, "indent", args, (const char *const[]){"width", "first", "blank"}, 3, a);
    Builder out = {.run = run}, pad = {.run = run};
    if (a[0].type == VALUE_STRING)
        builder_add(&pad, a[0].string);
    else
        for (int64_t i = argument_int(run, "indent", "width", a[0], 4); i > 0; i--)
            builder_add_text(&pad, " ");
    const Str *indent = builder_end(&pad);

    if (v.type != VALUE_STRING)
        run_fail(run, "indent() needs a string, not %s", value_type_name(v));
    /* a line break more, so that text that ends in one has an empty last line */
    bool blank = argument_bool(a[2], false);
    const List *lines = str_lines(run, eval_add(run, v, value_text(run, "\n")).string, false);
    for (size_t i = 0; i < lines->n; i++) {
        if (i > 0)
            builder_add_text(&out, "\n");
        if (i == 0 ? argument_bool(a[1], false) : blank || lines->items[i].string->size > 0)
            builder_add(&out, indent);
        builder_add(&out, lines->items[i].string);
    }
    return value_of(builder_end(&out));
}

static Value filter_center(Run *run, Value v, const Arguments *args) {
    Value width;
    arguments_bind(run, "center", args, (const char *const[]){"width"}, 1, &width);
    Value text = value_of(value_str(run, v)), n = value_int(argument_int(run, "center", "width", width, 80));
    return method_find(text, value_text(run, "center").string)(
        run, text, &(Arguments){.positional = &n, .n_positional = 1});
}

static Value filter_truncate(Run *run, Value v, const Arguments *args) {
    Value a[4];
    arguments_bind(run, "truncate", args, (const char *const[]){"length", "killwords", "end", "leeway"}, 4, a);
    const Str *end = a[2].type == VALUE_ABSENT_TYPE ? value_text(run, "...").string : value_str(run, a[2]);
    int64_t length = argument_int(run, "truncate", "length", a[0], 255),
            leeway = argument_int(run, "truncate", "leeway", a[3], 5);
    int64_t room = length - (int64_t)str_length(end);
    if (room < 0)
        run_fail(run, "truncate() needs a length of at least %zu", str_length(end));
    if ((int64_t)value_length(run, v) <= length + leeway)
        return v;
    if (v.type != VALUE_STRING)
        run_fail(run, "truncate() cannot shorten a %s", value_type_name(v));

    const Str *s = v.string;
    size_t cut = str_offset(s, (size_t)room);
    if (!argument_bool(a[1], false)) {
        size_t space = cut;
        while (space > 0 && s->data[space - 1] != ' ')
            space--;
        cut = space > 0 ? space - 1 : cut;
    }
    Builder out = {.run = run};
    builder_add_range(&out, s, 0, cut);
    builder_add(&out, end);
    return value_of(builder_end(&out));
}

static Value filter_wordcount(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w);
        bool word = char_is_alpha(c) || char_is_digit(c) || c == '_';
        n += word && !inside;
        inside = word;
    }
    return value_int(n);
}

static void url_quote(Builder *out, const Str *s, bool form) {
    for (size_t i = 0; i < s->size; i++) {
        unsigned char c = (unsigned char)s->data[i];
        if ((c < 0x80 && (char_is_alpha(c) || char_is_digit(c))) || (c && strchr(form ? "_.-~" : "_.-~/", c)))
            builder_add_range(out, s, i, i + 1);
        else if (form && c == ' ')
            builder_add_text(out, "+");
        else
            builder_printf(out, "%%%02X", c);
    }
}

/* Text, or the fields of a form: a dictionary or pairs. */
static Value filter_urlencode(Run *run, Value v, const Arguments *args) {
    Builder out = {.run = run};
    if (v.type != VALUE_DICT && v.type != VALUE_LIST) {
        url_quote(&out, value_str(run, v), false);
        return value_of(builder_end(&out));
    }
    Value pairs = v.type == VALUE_DICT ? filter_find("items", 5)(run, v, args) : v;
    const List *l = value_iterate(run, pairs);
    for (size_t i = 0; i < l->n; i++) {
        const List *pair = value_iterate(run, l->items[i]);
        if (pair->n != 2)
            run_fail(run, "urlencode() needs pairs");
        if (i > 0)
            builder_add_text(&out, "&");
        url_quote(&out, value_str(run, pair->items[0]), true);
        builder_add_text(&out, "=");
        url_quote(&out, value_str(run, pair->items[1]), true);
    }
    return value_of(builder_end(&out));
}
/* ---- wrapping */

static bool is_letter(const List *text, size_t i) {
    const Str *c = i < text->n ? text->items[i].string : NULL;
    return c && (char_is_alpha(utf8_decode(c->data, c->size)) || str_is(c, "_"));
}

static bool is_blank(const List *text, size_t i) {
    return i < text->n && strspn(text->items[i].string->data, "\t\n\v\f\r ") > 0;
}

/* The end of the piece of a line that begins at `from` and is not divided: white space, or a word, or a part of one
 * with its hyphen. */
static size_t chunk_end(const List *text, size_t from, bool on_hyphens) {
    bool blank = is_blank(text, from);
    for (size_t i = from + 1;; i++) {
        if (i >= text->n || is_blank(text, i) != blank)
            return MIN(i, text->n);
        if (blank || !on_hyphens || i < from + 3 || !str_is(text->items[i - 1].string, "-"))
            continue;
        bool before = is_letter(text, i - 2) && is_letter(text, i - 3),
             after = is_letter(text, i) &&
                     (is_letter(text, i + 1) ||
                         (i + 1 < text->n && str_is(text->items[i + 1].string, "-") && is_letter(text, i + 2)));
        if (before && after)
            return i;
    }
}

typedef struct Wrap {
    size_t width;
    bool break_words, on_hyphens;
    const Str *between;
} Wrap;

/* How much of a word longer than a line goes into the `room` that is left. */
static size_t broken_word(const List *text, size_t from, size_t to, size_t room, const Wrap *wrap) {
    if (!wrap->break_words)
        return 0;
    for (size_t i = from + room; wrap->on_hyphens && i > from + 1; i--)
        if (i <= to && str_is(text->items[i - 1].string, "-"))
            return i - from;
    return MIN(room, to - from);
}

/* One line of the input; *first: no line was written yet. */
static void wrap_line(Builder *out, const Str *line, const Wrap *wrap, bool *first) {
    const List *text = value_iterate(out->run, value_of(line));
    bool wrote = false;

    for (size_t at = 0; at < text->n;) {
        if (wrote && is_blank(text, at))
            at = chunk_end(text, at, wrap->on_hyphens);
        size_t begin = at, last = at, end = at;
        while (at < text->n && (end = chunk_end(text, at, wrap->on_hyphens)) - begin <= wrap->width) {
            last = at;
            at = end;
        }
        bool drops_blank = true;
        if (at < text->n && end - at > wrap->width) {
            size_t room = wrap->width - (at - begin), part = broken_word(text, at, end, room, wrap);
            if (part == 0 && at == begin)
                part = end - at;
            last = part > 0 ? at : last;
            at += part;
            /* Python breaks a word even if nothing of it fits, and then takes that nothing for the line's end */
            drops_blank = part > 0 || !wrap->break_words;
        }
        size_t to = at > begin && drops_blank && is_blank(text, last) ? last : at;
        if (to == begin)
            continue;
        if (!*first)
            builder_add(out, wrap->between);
        for (size_t i = begin; i < to; i++)
            builder_add(out, text->items[i].string);
        wrote = true;
        *first = false;
    }
    if (!wrote && !*first)
        builder_add(out, wrap->between);
    *first = false;
}

static Value filter_wordwrap(Run *run, Value v, const Arguments *args) {
    Value a[4];
    arguments_bind(run, "wordwrap", args,
        (const char *const[]){"width", "break_long_words", "wrapstring", "break_on_hyphens"}, 4, a);
    int64_t width = argument_int(run, "wordwrap", "width", a[0], 79);
    Wrap wrap = {.width = (size_t)width,
        .break_words = argument_bool(a[1], true),
        .on_hyphens = argument_bool(a[3], true),
        .between = a[2].type == VALUE_STRING ? a[2].string : value_text(run, "\n").string};
    if (v.type != VALUE_STRING)
        run_fail(run, "wordwrap() needs a string, not %s", value_type_name(v));
    const List *lines = str_lines(run, v.string, false);
    if (width <= 0 && lines->n > 0)
        run_fail(run, "invalid width %lld (must be > 0)", (long long)width);
    Builder out = {.run = run};
    bool first = true;
    for (size_t i = 0; i < lines->n; i++)
        wrap_line(&out, lines->items[i].string, &wrap, &first);
    return value_of(builder_end(&out));
}

/* ---- sizes, attributes */

static Value filter_filesizeformat(Run *run, Value v, const Arguments *args) {
    Value binary;
    arguments_bind(run, "filesizeformat", args, (const char *const[]){"binary"}, 1, &binary);
    Arguments none_otherwise = {.positional = (Value[]){VALUE_NONE}, .n_positional = 1};
    Value bytes = filter_find("float", 5)(run, v, &none_otherwise);
    if (bytes.type != VALUE_FLOAT)
        run_fail(run, "filesizeformat() needs a number, not %s", value_str(run, v)->data);
    double base = argument_bool(binary, false) ? 1024 : 1000, unit = base, size = bytes.number;
    static const char letters[] = "kMGTPEZY";
    char text[80];

    if (size == 1 || size < base) {
        snprintf(text, sizeof(text), size == 1 ? "1 Byte" : "%.0f Bytes", trunc(size));
        return value_text(run, text);
    }
    size_t i = 0;
    while (i + 1 < sizeof(letters) - 1 && !(size < unit * base)) { /* what is no number is large */
        unit *= base;
        i++;
    }
    char letter = base == 1024 && i == 0 ? 'K' : letters[i];
    snprintf(text, sizeof(text), "%.1f %c%sB", size / unit, letter, base == 1024 ? "i" : "");
    return value_text(run, text);
}

static Value filter_xmlattr(Run *run, Value v, const Arguments *args) {
    Value autospace;
    arguments_bind(run, "xmlattr", args, (const char *const[]){"autospace"}, 1, &autospace);
    if (v.type == VALUE_UNDEFINED)
        value_fail_undefined(run, v);
    const List *pairs = value_iterate(run, filter_find("items", 5)(run, v, &(Arguments){}));
    Builder out = {.run = run};
    for (size_t i = 0; i < pairs->n; i++) {
        const Value *pair = pairs->items[i].list->items;
        if (pair[0].type != VALUE_STRING)
            run_fail(run, "xmlattr() needs strings as names, not %s", value_type_name(pair[0]));
        const Str *key = pair[0].string;
        if (pair[1].type == VALUE_NONE_TYPE || pair[1].type == VALUE_UNDEFINED)
            continue;
        if (strcspn(key->data, " \t\n\r\f/>=") != key->size)
            run_fail(run, "Invalid character in attribute name: '%s'", key->data);
        if (out.size > 0 || argument_bool(autospace, true))
            builder_add_text(&out, " ");
        builder_add(&out, str_escape(run, key));
        builder_add_text(&out, "=\"");
        builder_add(&out, str_escape(run, value_str(run, pair[1])));
        builder_add_text(&out, "\"");
    }
    return value_of(builder_end(&out));
}

FilterFunction filter_find_layout(const char *name, size_t size) {
    static const struct {
        const char *name;
        FilterFunction filter;
    } table[] = {
        {"striptags", filter_striptags},
        {"indent", filter_indent},
        {"center", filter_center},
        {"truncate", filter_truncate},
        {"wordcount", filter_wordcount},
        {"wordwrap", filter_wordwrap},
        {"filesizeformat", filter_filesizeformat},
        {"urlencode", filter_urlencode},
        {"xmlattr", filter_xmlattr},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return table[i].filter;
    return NULL;
}
