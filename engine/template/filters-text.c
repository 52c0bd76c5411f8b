/* Filters on single values: text, numbers, JSON. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

static Value filter_string(Run *run, Value v, const Arguments *args) {
    return value_of(value_str(run, v));
}

static Value filter_upper(Run *run, Value v, const Arguments *args) {
    return value_of(str_map_case(run, value_str(run, v), char_upper));
}

static Value filter_lower(Run *run, Value v, const Arguments *args) {
    return value_of(str_map_case(run, value_str(run, v), char_lower));
}

static Value filter_capitalize(Run *run, Value v, const Arguments *args) {
    return value_of(str_capitalize(run, value_str(run, v)));
}

/* Words begin after white space, hyphens and opening brackets (unlike str.title()). */
static Value filter_title(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    Builder out = {.run = run};
    bool inside = false;
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w);
        builder_add(&out, str_map_case(run, str_slice(run, s, i, i + w), inside ? char_lower : char_upper));
        inside = !(char_is_space(c) || (c < 0x80 && strchr("-({[<", (int)c)));
    }
    return value_of(builder_end(&out));
}

static Value filter_trim(Run *run, Value v, const Arguments *args) {
    Value characters;
    arguments_bind(run, "trim", args, (const char *const[]){"chars"}, 1, &characters);
    bool given = characters.type != VALUE_ABSENT_TYPE && characters.type != VALUE_NONE_TYPE;
    return value_of(str_strip(run, value_str(run, v), given ? value_str(run, characters) : NULL, STRIP_BOTH));
}

static Value filter_replace(Run *run, Value v, const Arguments *args) {
    Value a[3];
    arguments_bind(run, "replace", args, (const char *const[]){"old", "new", "count"}, 3, a);
    if (a[1].type == VALUE_ABSENT_TYPE)
        run_fail(run, "replace() needs the old and the new text");
    int64_t count = a[2].type == VALUE_NONE_TYPE ? -1 : argument_int(run, "replace", "count", a[2], -1);
    return value_of(str_replace(run, value_str(run, v), value_str(run, a[0]), value_str(run, a[1]), count));
}

static Value filter_default(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "default", args, (const char *const[]){"default_value", "boolean"}, 2, a);
    if (v.type == VALUE_UNDEFINED || (argument_bool(a[1], false) && !value_true(v)))
        return a[0].type == VALUE_ABSENT_TYPE ? value_text(run, "") : a[0];
    return v;
}

static Value filter_safe(Run *run, Value v, const Arguments *args) {
    return value_of(str_marked(run, value_str(run, v)));
}

static Value filter_escape(Run *run, Value v, const Arguments *args) {
    return value_of(str_escape(run, value_str(run, v)));
}

static Value filter_forceescape(Run *run, Value v, const Arguments *args) {
    Str plain = *value_str(run, v);
    plain.markup = false;
    return value_of(str_escape(run, &plain));
}

static Value filter_format(Run *run, Value v, const Arguments *args) {
    List *l = list_new(run, LIST_TUPLE);
    for (size_t i = 0; i < args->n_positional; i++)
        list_append(run, l, args->positional[i]);
    if (args->n_named == 0)
        return value_of(format_percent(run, value_str(run, v), value_list(l)));
    if (l->n > 0)
        run_fail(run, "can't handle positional and keyword arguments at the same time");
    Dict *d = dict_new(run);
    for (size_t i = 0; i < args->n_named; i++)
        dict_set(run, d, value_of(args->names[i]), args->named[i]);
    return value_of(format_percent(run, value_str(run, v), value_dict(d)));
}

/* ---- numbers */

/* Digits with single underscores between them, as Python's int() and float() take them; without the underscores. */
static bool without_underscores(const Str *t, char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < t->size; i++) {
        if (t->data[i] == '_') {
            if (i == 0 || i + 1 == t->size || !isalnum((unsigned char)t->data[i - 1]) ||
                !isalnum((unsigned char)t->data[i + 1]))
                return false;
            continue;
        }
        if (n + 1 >= size || t->data[i] == '\0')
            return false;
        text[n++] = t->data[i];
    }
    text[n] = '\0';
    return n > 0;
}

static bool parse_whole(Run *run, const Str *s, int64_t base, Value *ret) {
    char text[64], *end;
    if (!without_underscores(str_strip(run, s, NULL, STRIP_BOTH), text, sizeof(text)))
        return false;
    char *digits = text + (*text == '-' || *text == '+');
    int prefix = *digits != '0'            ? 0
                 : strchr("xX", digits[1]) ? 16
                 : strchr("oO", digits[1]) ? 8
                 : strchr("bB", digits[1]) ? 2
                                           : 0;
    if (digits[1] == '\0')
        prefix = 0;
    if (base == 0 && !prefix && *digits == '0' && strspn(digits, "0") != strlen(digits))
        return false;
    if (prefix && (base == 0 || base == prefix)) {
        memmove(digits, digits + 2, strlen(digits + 2) + 1);
        base = prefix;
    }
    if (!isalnum((unsigned char)*digits) || (prefix && digits[1] != '\0' && strchr("xX", digits[1])))
        return false;
    errno = 0;
    ret->type = VALUE_INT;
    ret->integer = strtoll(text, &end, base ? (int)base : 10);
    return *end == '\0' && errno == 0;
}

static bool parse_real(Run *run, const Str *s, double *ret) {
    char text[400], *end;
    if (!without_underscores(str_strip(run, s, NULL, STRIP_BOTH), text, sizeof(text)) || strpbrk(text, "xXpP("))
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

static Value int_of(Run *run, double number, Value otherwise) {
    if (!isfinite(number))
        return otherwise;
    if (fabs(number) >= 0x1p63)
        run_fail(run, "integer overflow");
    return value_int((int64_t)number);
}

static Value filter_int(Run *run, Value v, const Arguments *args) {
    Value a[2], number = v;
    arguments_bind(run, "int", args, (const char *const[]){"default", "base"}, 2, a);
    Value otherwise = a[0].type == VALUE_ABSENT_TYPE ? value_int(0) : a[0];
    int64_t base = argument_int(run, "int", "base", a[1], 10);

    if (v.type == VALUE_UNDEFINED)
        eval_add(run, v, v); /* fails, saying what is undefined */
    if (v.type == VALUE_STRING && base != 1 && base >= 0 && base <= 36 && parse_whole(run, v.string, base, &number))
        return number;
    if (v.type == VALUE_STRING) {
        double real;
        if (!parse_real(run, v.string, &real))
            return otherwise;
        number = value_float(real);
    }
    if (number.type == VALUE_FLOAT)
        return int_of(run, number.number, otherwise);
    if (number.type == VALUE_BOOL)
        return value_int(number.boolean);
    return number.type == VALUE_INT ? number : otherwise;
}

static Value filter_float(Run *run, Value v, const Arguments *args) {
    Value otherwise;
    double number;
    arguments_bind(run, "float", args, (const char *const[]){"default"}, 1, &otherwise);
    if (v.type == VALUE_UNDEFINED)
        eval_add(run, v, v); /* fails, saying what is undefined */
    if (value_is_number(v))
        return value_float(value_number(v));
    if (v.type == VALUE_STRING && parse_real(run, v.string, &number))
        return value_float(number);
    return otherwise.type == VALUE_ABSENT_TYPE ? value_float(0) : otherwise;
}

static Value number_argument(Run *run, const char *filter, Value v) {
    if (!value_is_number(v))
        run_fail(run, "%s: a number is required, not %s", filter, value_type_name(v));
    return v;
}

static Value filter_abs(Run *run, Value v, const Arguments *args) {
    number_argument(run, "abs", v);
    if (v.type == VALUE_FLOAT)
        return value_float(fabs(v.number));
    int64_t i = v.type == VALUE_BOOL ? v.boolean : v.integer;
    if (i == INT64_MIN)
        run_fail(run, "integer overflow");
    return value_int(i < 0 ? -i : i);
}

/* Decimal rounding, half to even of the exact binary value, as Python's round(): printf does just that. */
static double round_common(double f, int64_t precision) {
    char text[400];
    if (precision >= 0) {
        snprintf(text, sizeof(text), "%.*f", (int)MIN(precision, (int64_t)60), f);
        return strtod(text, NULL);
    }
    double scale = pow(10, (double)-precision);
    return nearbyint(f / scale) * scale;
}

static Value filter_round(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "round", args, (const char *const[]){"precision", "method"}, 2, a);
    int64_t precision = argument_int(run, "round", "precision", a[0], 0);
    double f = value_number(number_argument(run, "round", v));
    if (a[1].type == VALUE_STRING && (str_is(a[1].string, "ceil") || str_is(a[1].string, "floor"))) {
        double scale = pow(10, (double)precision);
        return value_float((str_is(a[1].string, "ceil") ? ceil(f * scale) : floor(f * scale)) / scale);
    }
    if (a[1].type != VALUE_ABSENT_TYPE && !(a[1].type == VALUE_STRING && str_is(a[1].string, "common")))
        run_fail(run, "method must be common, ceil or floor");
    if (v.type != VALUE_FLOAT && precision >= 0)
        return value_int(v.type == VALUE_BOOL ? v.boolean : v.integer);
    return v.type == VALUE_FLOAT ? value_float(round_common(f, precision))
                                 : value_int((int64_t)round_common(f, precision));
}

/* ---- JSON */

static const Str *separator(Run *run, Value v, size_t i, const char *otherwise) {
    if (v.type == VALUE_ABSENT_TYPE || v.type == VALUE_NONE_TYPE)
        return value_text(run, otherwise).string;
    const List *l = value_iterate(run, v);
    if (l->n != 2 || l->items[i].type != VALUE_STRING)
        run_fail(run, "tojson(): separators must be two strings");
    return l->items[i].string;
}

static Value filter_tojson(Run *run, Value v, const Arguments *args) {
    Value a[4];
    arguments_bind(
        run, "tojson", args, (const char *const[]){"ensure_ascii", "indent", "separators", "sort_keys"}, 4, a);
    const Str *indent = NULL;
    if (a[1].type == VALUE_STRING)
        indent = a[1].string;
    else if (a[1].type != VALUE_ABSENT_TYPE && a[1].type != VALUE_NONE_TYPE) {
        Builder pad = {.run = run};
        for (int64_t i = argument_int(run, "tojson", "indent", a[1], 0); i > 0; i--)
            builder_add_text(&pad, " ");
        indent = builder_end(&pad);
    }
    Builder out = {.run = run};
    json_dump(&out, v, indent, separator(run, a[2], 0, indent ? "," : ", "), separator(run, a[2], 1, ": "),
        argument_bool(a[0], false), argument_bool(a[3], false));
    return value_of(builder_end(&out));
}

static Value filter_attr(Run *run, Value v, const Arguments *args) {
    Value name;
    arguments_bind(run, "attr", args, (const char *const[]){"name"}, 1, &name);
    if (name.type != VALUE_STRING)
        run_fail(run, "attr() needs a name");
    if (v.type != VALUE_DICT || v.dict->is_namespace)
        return value_attribute(run, v, name.string);
    Builtin method = method_find(v, name.string); /* attributes only, never items */
    return method ? value_callable(run, name.string->data, method, v) : value_undefined(name.string->data);
}

FilterFunction filter_find_text(const char *name, size_t size) {
    static const struct {
        const char *name;
        FilterFunction filter;
    } table[] = {
        {"string", filter_string},
        {"upper", filter_upper},
        {"lower", filter_lower},
        {"capitalize", filter_capitalize},
        {"title", filter_title},
        {"trim", filter_trim},
        {"replace", filter_replace},
        {"default", filter_default},
        {"d", filter_default},
        {"safe", filter_safe},
        {"escape", filter_escape},
        {"e", filter_escape},
        {"forceescape", filter_forceescape},
        {"format", filter_format},
        {"int", filter_int},
        {"float", filter_float},
        {"abs", filter_abs},
        {"round", filter_round},
        {"tojson", filter_tojson},
        {"from_json", filter_from_json},
        {"fromjson", filter_from_json},
        {"attr", filter_attr},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return table[i].filter;
    return NULL;
}
