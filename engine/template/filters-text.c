/* Filters on single values: text, numbers, JSON. */
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
    return value_of(value_str(run, v));
}

static Value filter_escape(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
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
    return value_of(builder_end(&out));
}

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
    const Str *s = value_str(run, v);
    Builder out = {.run = run}, pad = {.run = run};
    if (a[0].type == VALUE_STRING)
        builder_add(&pad, a[0].string);
    else
        for (int64_t i = argument_int(run, "indent", "width", a[0], 4); i > 0; i--)
            builder_add_text(&pad, " ");
    const Str *indent = builder_end(&pad);

    for (size_t from = 0, line = 0;; line++) {
        size_t end = from;
        while (end < s->size && s->data[end] != '\n')
            end++;
        if (line == 0 ? argument_bool(a[1], false) : end > from || argument_bool(a[2], false))
            builder_add(&out, indent);
        builder_add_range(&out, s, from, MIN(end + 1, s->size));
        if (end >= s->size)
            break;
        from = end + 1;
    }
    return value_of(builder_end(&out));
}

static Value filter_format(Run *run, Value v, const Arguments *args) {
    List *l = list_new(run, LIST_TUPLE);
    for (size_t i = 0; i < args->n_positional; i++)
        list_append(run, l, args->positional[i]);
    if (args->n_named == 0)
        return value_of(format_percent(run, value_str(run, v), value_list(l)));
    Dict *d = dict_new(run);
    for (size_t i = 0; i < args->n_named; i++)
        dict_set(run, d, value_of(args->names[i]), args->named[i]);
    return value_of(format_percent(run, value_str(run, v), value_dict(d)));
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
    const Str *s = value_str(run, v),
              *end = a[2].type == VALUE_ABSENT_TYPE ? value_text(run, "...").string : value_str(run, a[2]);
    int64_t length = argument_int(run, "truncate", "length", a[0], 255),
            leeway = argument_int(run, "truncate", "leeway", a[3], 5);
    int64_t room = length - (int64_t)str_length(end);
    if (room < 0)
        run_fail(run, "truncate() needs a length of at least %zu", str_length(end));
    if ((int64_t)str_length(s) <= length + leeway)
        return value_of(s);

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

static Value filter_urlencode(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    Builder out = {.run = run};
    for (size_t i = 0; i < s->size; i++) {
        unsigned char c = (unsigned char)s->data[i];
        if ((c < 0x80 && (char_is_alpha(c) || char_is_digit(c))) || strchr("_.-~/", c))
            builder_add_range(&out, s, i, i + 1);
        else
            builder_printf(&out, "%%%02X", c);
    }
    return value_of(builder_end(&out));
}

/* ---- numbers */

static bool parse_number(Run *run, const Str *s, int base, Value *ret) {
    const Str *t = str_strip(run, s, NULL, STRIP_BOTH);
    char text[64], *end;
    size_t n = 0;
    for (size_t i = 0; i < t->size; i++)
        if (t->data[i] != '_' || i == 0) {
            if (n + 1 >= sizeof(text))
                return false;
            text[n++] = t->data[i];
        }
    text[n] = '\0';
    if (n == 0 || text[0] == '_')
        return false;
    if (base) {
        ret->type = VALUE_INT;
        ret->integer = strtoll(text, &end, base);
        return *end == '\0';
    }
    if (strpbrk(text, "xXpP"))
        return false;
    ret->type = VALUE_FLOAT;
    ret->number = strtod(text, &end);
    return *end == '\0';
}

static Value filter_int(Run *run, Value v, const Arguments *args) {
    Value a[2], number = v;
    arguments_bind(run, "int", args, (const char *const[]){"default", "base"}, 2, a);
    Value otherwise = a[0].type == VALUE_ABSENT_TYPE ? value_int(0) : a[0];
    int64_t base = argument_int(run, "int", "base", a[1], 10);

    if (v.type == VALUE_STRING && base >= 2 && base <= 36 && parse_number(run, v.string, (int)base, &number))
        return number;
    if (v.type == VALUE_STRING && !parse_number(run, v.string, 0, &number))
        return otherwise;
    if (number.type == VALUE_FLOAT)
        return fabs(number.number) < 9.2e18 ? value_int((int64_t)number.number) : otherwise;
    if (number.type == VALUE_BOOL)
        return value_int(number.boolean);
    return number.type == VALUE_INT ? number : otherwise;
}

static Value filter_float(Run *run, Value v, const Arguments *args) {
    Value otherwise, number;
    arguments_bind(run, "float", args, (const char *const[]){"default"}, 1, &otherwise);
    if (value_is_number(v))
        return value_float(value_number(v));
    if (v.type == VALUE_STRING && parse_number(run, v.string, 0, &number))
        return number;
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
        return v;
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
        {"forceescape", filter_escape},
        {"indent", filter_indent},
        {"format", filter_format},
        {"center", filter_center},
        {"truncate", filter_truncate},
        {"wordcount", filter_wordcount},
        {"urlencode", filter_urlencode},
        {"int", filter_int},
        {"float", filter_float},
        {"abs", filter_abs},
        {"round", filter_round},
        {"tojson", filter_tojson},
        {"from_json", filter_from_json},
        {"fromjson", filter_from_json},
        {"striptags", filter_striptags},
        {"attr", filter_attr},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return table[i].filter;
    return NULL;
}
