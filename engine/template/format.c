/* Values as text: str(), repr(), "%" and "{}" formatting, as Python writes them. */
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
    return true;
}

static void repr_string(Builder *out, const Str *s) {
    char quote = memchr(s->data, '\'', s->size) && !memchr(s->data, '"', s->size) ? '"' : '\'';

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
        int64_t from = l->n ? l->items[0].integer : 0, step = l->n > 1 ? l->items[1].integer - from : 1;
        builder_printf(out, step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)from,
            (long long)(from + (int64_t)l->n * step), (long long)step);
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

/* ---- one field: text in a width */

typedef struct Spec {
    char align; /* '<' '>' '^' '=' */
    uint32_t fill;
    char sign;
    bool alternate, comma;
    int width, precision; /* precision -1: none */
    char type;
} Spec;

static void add_fill(Builder *out, uint32_t fill, int n) {
    char text[4];
    size_t size = utf8_encode(fill, text);
    while (n-- > 0)
        builder_add_bytes(out, text, size, true);
}

static void add_padded(Builder *out, const Str *s, const Spec *spec) {
    int missing = spec->width - (int)MIN(str_length(s), (size_t)INT32_MAX);
    int left = spec->align == '^' ? missing / 2 : spec->align == '<' ? 0 : missing;
    size_t sign = spec->align == '=' && s->size > 0 && strchr("+- ", *s->data) ? 1 : 0;

    builder_add_range(out, s, 0, sign);
    add_fill(out, spec->fill, missing > 0 ? left : 0);
    builder_add_range(out, s, sign, s->size);
    add_fill(out, spec->fill, missing > 0 ? missing - left : 0);
}

static int64_t whole_of(Run *run, Value v, char type) {
    if (v.type == VALUE_FLOAT) {
        if (!(fabs(v.number) < 9.2e18))
            run_fail(run, "cannot convert float to integer");
        return (int64_t)v.number;
    }
    if (!value_is_number(v))
        run_fail(run, "%%%c format: a number is required, not %s", type, value_type_name(v));
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

/* Puts a comma between groups of three digits before the point. */
static void group_digits(char *text, size_t size) {
    size_t from = strspn(text, "+- "), n = strspn(text + from, "0123456789");
    for (size_t i = n; i > 3; i -= 3) {
        size_t at = from + i - 3, length = strlen(text);
        if (length + 2 > size)
            return;
        memmove(text + at + 1, text + at, length - at + 1);
        text[at] = ',';
    }
}

static const Str *format_number(Run *run, Value v, const Spec *spec) {
    char text[400], format[16];
    char type = spec->type == 'i' || spec->type == 'u' ? 'd' : spec->type;
    const char *flags = spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";

    if (type == 'd' || type == 'x' || type == 'X' || type == 'o') {
        snprintf(format, sizeof(format), "%%%s%sll%c", flags, spec->alternate ? "#" : "", type);
        snprintf(text, sizeof(text), format, (long long)whole_of(run, v, type));
    } else {
        if (!value_is_number(v))
            run_fail(run, "must be real number, not %s", value_type_name(v));
        bool percent = type == '%';
        snprintf(format, sizeof(format), "%%%s.*%c", flags, percent ? 'f' : type);
        snprintf(text, sizeof(text), format, MIN(spec->precision < 0 ? 6 : spec->precision, 60),
            value_number(v) * (percent ? 100 : 1));
        if (percent)
            strcat(text, "%");
    }
    if (spec->comma)
        group_digits(text, sizeof(text));
    return value_text(run, text).string;
}

static const Str *cut(Run *run, const Str *s, int precision) {
    return precision < 0 ? s : str_slice(run, s, 0, str_offset(s, (size_t)precision));
}

static int number_at(const char **p, const char *end) {
    int n = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
        n = MIN(10 * n + (**p - '0'), (int)RUN_MAX_MEMORY); /* more than fits: fails when it is used */
    return n;
}

/* ---- "%" */

static Value next_argument(Run *run, Value args, size_t *next) {
    bool tuple = args.type == VALUE_LIST && args.list->kind == LIST_TUPLE;
    if (*next >= (tuple ? args.list->n : 1))
        run_fail(run, "not enough arguments for format string");
    return tuple ? args.list->items[(*next)++] : ((*next)++, args);
}

/* The letter that ends a field and what it asks for. */
static void percent_field(Builder *out, Spec spec, Value v) {
    Run *run = out->run;
    bool left = spec.align == '<';

    switch (spec.type) {
    case 's':
    case 'r':
    case 'a':
        spec.fill = ' ';
        add_padded(out, cut(run, spec.type == 's' ? value_str(run, v) : value_repr(run, v), spec.precision), &spec);
        return;
    case 'c':
        spec.fill = ' ';
        if (v.type == VALUE_STRING && str_length(v.string) == 1) {
            add_padded(out, v.string, &spec);
            return;
        }
        char text[4];
        add_padded(out,
            value_string(run, text, utf8_encode((uint32_t)whole_of(run, v, 'c') % 0x110000, text), true).string, &spec);
        return;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (left)
            spec.fill = ' ';
        add_padded(out, format_number(run, v, &spec), &spec);
        return;
    default: run_fail(run, "unsupported format character '%c'", spec.type);
    }
}

const Str *format_percent(Run *run, const Str *format, Value args) {
    Builder out = {.run = run};
    size_t next = 0;
    bool keyed = false;

    for (const char *p = format->data, *end = p + format->size; p < end;) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        builder_add_range(
            &out, format, (size_t)(p - format->data), percent ? (size_t)(percent - format->data) : format->size);
        if (!percent)
            break;
        p = percent + 1;
        Value v = VALUE_ABSENT;
        if (p < end && *p == '(') {
            const char *close = memchr(p, ')', (size_t)(end - p));
            if (!close || args.type != VALUE_DICT)
                run_fail(run, "format requires a mapping");
            v = value_item(run, args, value_string(run, p + 1, (size_t)(close - p - 1), true));
            keyed = true;
            p = close + 1;
        }
        Spec spec = {.align = '>', .fill = ' ', .precision = -1};
        for (; p < end && strchr("-+ 0#", *p); p++) {
            spec.align = *p == '-' ? '<' : *p == '0' && spec.align != '<' ? '=' : spec.align;
            spec.fill = *p == '0' ? '0' : spec.fill;
            spec.sign = *p == '+' || *p == ' ' ? *p : spec.sign;
            spec.alternate |= *p == '#';
        }
        spec.width = number_at(&p, end);
        if (p < end && *p == '.') {
            p++;
            spec.precision = number_at(&p, end);
        }
        if (p >= end)
            run_fail(run, "incomplete format");
        spec.type = *p++;
        if (spec.type == '%')
            builder_add_text(&out, "%");
        else
            percent_field(&out, spec, v.type == VALUE_ABSENT_TYPE ? next_argument(run, args, &next) : v);
    }
    if (!keyed && args.type != VALUE_DICT &&
        next < (args.type == VALUE_LIST && args.list->kind == LIST_TUPLE ? args.list->n : 1))
        run_fail(run, "not all arguments converted during string formatting");
    return builder_end(&out);
}

/* ---- "{}" */

static Spec parse_spec(Run *run, const Str *s) {
    Spec spec = {.fill = ' ', .precision = -1};
    const char *p = s->data, *end = p + s->size;

    size_t w = p < end ? utf8_width(p, (size_t)(end - p)) : 0;
    if (p + w < end && memchr("<>^=", p[w], 4)) {
        spec.fill = utf8_decode(p, w);
        p += w;
        spec.align = *p++;
    } else if (p < end && memchr("<>^=", *p, 4))
        spec.align = *p++;
    if (p < end && memchr("+- ", *p, 3))
        spec.sign = *p++;
    if (p < end && *p == '#') {
        spec.alternate = true;
        p++;
    }
    if (p < end && *p == '0' && !spec.align) {
        spec.fill = '0';
        spec.align = '=';
    }
    spec.width = number_at(&p, end);
    if (p < end && *p == ',') {
        spec.comma = true;
        p++;
    }
    if (p < end && *p == '.') {
        p++;
        spec.precision = number_at(&p, end);
    }
    if (p < end)
        spec.type = *p++;
    if (p < end || (spec.type && !strchr("sdxXoeEfFgG%", spec.type)))
        run_fail(run, "Invalid format specifier '%s'", s->data);
    return spec;
}

static void braces_value(Builder *out, Value v, const Str *spec_text) {
    Run *run = out->run;
    Spec spec = parse_spec(run, spec_text);
    const Str *text;

    if (value_is_number(v) && v.type != VALUE_BOOL &&
        (spec.type ? spec.type != 's' : spec.comma || spec.precision >= 0)) {
        if (!spec.type)
            spec.type = v.type == VALUE_FLOAT ? 'g' : 'd';
        text = format_number(run, v, &spec);
    } else
        text = cut(run, value_str(run, v), value_is_number(v) ? -1 : spec.precision);
    if (!spec.align)
        spec.align = value_is_number(v) ? '>' : '<';
    add_padded(out, text, &spec);
}

/* "name.attribute[key]" or an index, or nothing for the next one */
static Value braces_field(Run *run, const Str *field, const Arguments *args, size_t *next) {
    size_t n = strcspn(field->data, ".[");
    const Str *first = str_slice(run, field, 0, MIN(n, field->size));
    Value v = VALUE_ABSENT;

    if (first->size == 0 || strspn(first->data, "0123456789") == first->size) {
        size_t i = first->size ? (size_t)strtoull(first->data, NULL, 10) : (*next)++;
        if (i >= args->n_positional)
            run_fail(run, "Replacement index %zu out of range for positional args tuple", i);
        v = args->positional[i];
    } else {
        for (size_t i = 0; i < args->n_named; i++)
            if (str_equal(args->names[i], first))
                v = args->named[i];
        if (v.type == VALUE_ABSENT_TYPE)
            run_fail(run, "format() lacks the argument '%s'", first->data);
    }
    while (n < field->size) {
        bool item = field->data[n] == '[';
        size_t end = n + 1 + strcspn(field->data + n + 1, item ? "]" : ".[");
        const Str *name = str_slice(run, field, n + 1, MIN(end, field->size));
        bool number = name->size > 0 && strspn(name->data, "0123456789") == name->size;
        v = item && number ? value_item(run, v, value_int(strtoll(name->data, NULL, 10)))
            : item         ? value_item(run, v, value_of(name))
                           : value_attribute(run, v, name);
        n = end + item;
    }
    return v;
}

const Str *format_braces(Run *run, const Str *format, const Arguments *args) {
    Builder out = {.run = run};
    size_t next = 0;

    for (size_t i = 0; i < format->size;) {
        char c = format->data[i];
        if ((c == '{' || c == '}') && i + 1 < format->size && format->data[i + 1] == c) {
            builder_add_range(&out, format, i, i + 1);
            i += 2;
            continue;
        }
        if (c == '}')
            run_fail(run, "Single '}' encountered in format string");
        if (c != '{') {
            size_t end = i + strcspn(format->data + i, "{}");
            end = end > i ? MIN(end, format->size) : i + 1;
            builder_add_range(&out, format, i, end);
            i = end;
            continue;
        }
        const char *close = memchr(format->data + i, '}', format->size - i);
        if (!close)
            run_fail(run, "expected '}' before end of string");
        const Str *inside = str_slice(run, format, i + 1, (size_t)(close - format->data));
        size_t colon = strcspn(inside->data, ":"), bang = strcspn(inside->data, "!:");
        Value v = braces_field(run, str_slice(run, inside, 0, MIN(bang, inside->size)), args, &next);
        if (bang < colon && bang + 1 < inside->size && inside->data[bang + 1] == 'r')
            v = value_of(value_repr(run, v));
        braces_value(&out, v, str_slice(run, inside, MIN(colon + 1, inside->size), inside->size));
        i = (size_t)(close - format->data) + 1;
    }
    return builder_end(&out);
}
