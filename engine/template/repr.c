/* Values as text: str() and repr(), as Python writes them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

void format_float(double f, char out[40]) {
    if (isnan(f) || isinf(f)) {
        strcpy(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }

    char digits[40];
    int precision = 1;
    do
        snprintf(digits, sizeof(digits), "%.*e", precision - 1, f);
    while (precision++ < 17 && strtod(digits, NULL) != f);

    /* digits is d.ddde±xx: decide between fixed and scientific as repr() does */
    char *e = strchr(digits, 'e');
    int exponent = atoi(e + 1);
    int n_digits = (int)(e - digits) - (digits[0] == '-') - (strchr(digits, '.') != NULL);
    if (exponent < -4 || exponent >= 16)
        snprintf(out, 40, "%.*se%c%02d", (int)(e - digits), digits, exponent < 0 ? '-' : '+', abs(exponent));
    else
        snprintf(out, 40, "%.*f", MAX(1, n_digits - 1 - exponent), f);
}

static bool is_printable(uint32_t c) {
    static const struct {
        uint32_t from, to;
    } hidden[] = {{0x00, 0x1F}, {0x7F, 0xA0}, {0xAD, 0xAD}, {0x61C, 0x61C}, {0x1680, 0x1680}, {0x180E, 0x180E},
        {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000}, {0xD800, 0xF8FF}, {0xFEFF, 0xFEFF},
        {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0x10FFFF}};

    for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
        if (c >= hidden[i].from && c <= hidden[i].to)
            return false;
    return char_is_assigned(c);
}

static void repr_string(Builder *out, const Str *s) {
    char quote = memchr(s->data, '\'', s->size) && !memchr(s->data, '"', s->size) ? '"' : '\'';

    if (s->markup)
        builder_add_text(out, "Markup(");
    builder_add_bytes(out, &quote, 1, true);
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w);
        if (c == (uint32_t)quote || c == '\\')
            builder_printf(out, "\\%c", (char)c);
        else if (c == '\n' || c == '\t' || c == '\r')
            builder_add_text(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        else if (is_printable(c) && !(w == 1 && c >= 0x80))
            builder_add_range(out, s, i, i + w);
        else
            builder_printf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    builder_add_bytes(out, &quote, 1, true);
    if (s->markup)
        builder_add_text(out, ")");
}

static void repr(Builder *out, Value v);

static void repr_list(Builder *out, const List *l) {
    static const char *const open[] = {"[", "(", "", "", "dict_keys([", "dict_values([", "dict_items(["},
                             *const close[] = {"]", ")", "", "", "])", "])", "])"};

    if (l->kind == LIST_GENERATOR) {
        builder_add_text(out, "<generator object>");
        return;
    }
    if (l->kind == LIST_RANGE) {
        builder_printf(out, l->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)l->start,
            (long long)l->stop, (long long)l->step);
        return;
    }
    builder_add_text(out, open[l->kind]);
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            builder_add_text(out, ", ");
        repr(out, l->items[i]);
    }
    if (l->kind == LIST_TUPLE && l->n == 1)
        builder_add_text(out, ",");
    builder_add_text(out, close[l->kind]);
}

static void repr_dict(Builder *out, const Dict *d) {
    builder_add_text(out, d->is_namespace ? "<Namespace {" : "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i > 0)
            builder_add_text(out, ", ");
        repr(out, d->entries[i].key);
        builder_add_text(out, ": ");
        repr(out, d->entries[i].value);
    }
    builder_add_text(out, d->is_namespace ? "}>" : "}");
}

static void repr(Builder *out, Value v) {
    char text[40];

    run_enter(out->run);
    switch (v.type) {
    case VALUE_ABSENT_TYPE:
    case VALUE_UNDEFINED: builder_add_text(out, "Undefined"); break;
    case VALUE_NONE_TYPE: builder_add_text(out, "None"); break;
    case VALUE_BOOL: builder_add_text(out, v.boolean ? "True" : "False"); break;
    case VALUE_INT: builder_printf(out, "%lld", (long long)v.integer); break;
    case VALUE_FLOAT:
        format_float(v.number, text);
        builder_add_text(out, text);
        break;
    case VALUE_STRING: repr_string(out, v.string); break;
    case VALUE_LIST: repr_list(out, v.list); break;
    case VALUE_DICT: repr_dict(out, v.dict); break;
    case VALUE_CALLABLE:
        if (v.callable->macro && v.callable->macro->kind == NODE_CALL_BLOCK)
            builder_add_text(out, "<Macro anonymous>");
        else
            builder_printf(out, v.callable->macro ? "<Macro '%s'>" : "<function %s>", v.callable->name);
        break;
    case VALUE_LOOP: builder_printf(out, "<LoopContext %zu/%zu>", v.loop->index + 1, v.loop->items->n); break;
    }
    run_leave(out->run);
}

const Str *value_repr(Run *run, Value v) {
    Builder out = {.run = run};
    repr(&out, v);
    return builder_end(&out);
}

const Str *value_str(Run *run, Value v) {
    if (v.type == VALUE_STRING)
        return v.string;
    if (v.type == VALUE_UNDEFINED || v.type == VALUE_ABSENT_TYPE) {
        Builder nothing = {.run = run};
        return builder_end(&nothing);
    }
    return value_repr(run, v);
}
