/* Values as JSON text, as Python's json.dumps writes it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

typedef struct Style {
    const Str *indent; /* NULL: on one line */
    const Str *item_separator, *key_separator;
    bool ascii, sort_keys;
} Style;

static void dump_string(Builder *out, const Str *s, bool ascii) {
    static const char escaped[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";

    builder_add_text(out, "\"");
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w);
        const char *hit = c ? memchr(escaped, (int)(c & 0xFF), sizeof(escaped) - 1) : NULL;
        if (c < 0x80 && hit)
            builder_printf(out, "\\%c", letters[hit - escaped]);
        else if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000))
            builder_printf(out, "\\u%04x", c);
        else if (ascii && c >= 0x10000)
            builder_printf(out, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
        else
            builder_add_range(out, s, i, i + w);
    }
    builder_add_text(out, "\"");
}

static void dump(Builder *out, Value v, const Style *style, unsigned level);

static void new_line(Builder *out, const Style *style, unsigned level) {
    if (!style->indent)
        return;
    builder_add_text(out, "\n");
    for (unsigned i = 0; i < level; i++)
        builder_add(out, style->indent);
}

static void separate(Builder *out, const Style *style, unsigned level, size_t i) {
    if (i > 0)
        builder_add(out, style->item_separator);
    new_line(out, style, level);
}

static void dump_list(Builder *out, const List *l, const Style *style, unsigned level) {
    builder_add_text(out, "[");
    for (size_t i = 0; i < l->n; i++) {
        separate(out, style, level + 1, i);
        dump(out, l->items[i], style, level + 1);
    }
    if (l->n > 0)
        new_line(out, style, level);
    builder_add_text(out, "]");
}

static void dump_key(Builder *out, Value key, const Style *style) {
    switch (key.type) {
    case VALUE_STRING: dump_string(out, key.string, style->ascii); return;
    case VALUE_NONE_TYPE: dump_string(out, value_text(out->run, "null").string, false); return;
    case VALUE_BOOL: dump_string(out, value_text(out->run, key.boolean ? "true" : "false").string, false); return;
    case VALUE_INT:
    case VALUE_FLOAT: dump_string(out, value_str(out->run, key), false); return;
    default: run_fail(out->run, "keys must be str, int, float, bool or None, not %s", value_type_name(key));
    }
}

/* The order of the entries: as they are, or by key. */
static const size_t *entry_order(Run *run, const Dict *d, bool sort) {
    size_t *order = run_alloc(run, d->n * sizeof(*order) + 1);
    for (size_t i = 0; i < d->n; i++) {
        size_t at = i;
        while (sort && at > 0 && value_compare(run, d->entries[i].key, d->entries[order[at - 1]].key, "<") < 0) {
            order[at] = order[at - 1];
            run_step(run, 1);
            at--;
        }
        order[at] = i;
    }
    return order;
}

static void dump_dict(Builder *out, const Dict *d, const Style *style, unsigned level) {
    const size_t *order = entry_order(out->run, d, style->sort_keys);

    builder_add_text(out, "{");
    for (size_t i = 0; i < d->n; i++) {
        separate(out, style, level + 1, i);
        dump_key(out, d->entries[order[i]].key, style);
        builder_add(out, style->key_separator);
        dump(out, d->entries[order[i]].value, style, level + 1);
    }
    if (d->n > 0)
        new_line(out, style, level);
    builder_add_text(out, "}");
}

static void dump_float(Builder *out, double f) {
    char text[40];
    format_float(f, text);
    builder_add_text(out, isnan(f) ? "NaN" : isinf(f) ? (f < 0 ? "-Infinity" : "Infinity") : text);
}

static void dump(Builder *out, Value v, const Style *style, unsigned level) {
    run_enter(out->run);
    switch (v.type) {
    case VALUE_NONE_TYPE: builder_add_text(out, "null"); break;
    case VALUE_BOOL: builder_add_text(out, v.boolean ? "true" : "false"); break;
    case VALUE_INT: builder_printf(out, "%lld", (long long)v.integer); break;
    case VALUE_FLOAT: dump_float(out, v.number); break;
    case VALUE_STRING: dump_string(out, v.string, style->ascii); break;
    default:
        if (v.type == VALUE_LIST && (v.list->kind == LIST_LIST || v.list->kind == LIST_TUPLE))
            dump_list(out, v.list, style, level);
        else if (v.type == VALUE_DICT && !v.dict->is_namespace)
            dump_dict(out, v.dict, style, level);
        else
            run_fail(out->run, "Object of type %s is not JSON serializable", value_type_name(v));
    }
    run_leave(out->run);
}

void json_dump(Builder *out, Value v, const Str *indent, const Str *item_separator, const Str *key_separator,
    bool ascii, bool sort_keys) {
    Style style = {.indent = indent,
        .item_separator = item_separator,
        .key_separator = key_separator,
        .ascii = ascii,
        .sort_keys = sort_keys};
    dump(out, v, &style, 0);
}
