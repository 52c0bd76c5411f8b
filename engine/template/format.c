/* "%" and "{}" formatting, as Python does it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/* ---- one field: text in a width */

typedef struct Spec {
    char align; /* '<' '>' '^' '=', or 0: what the type is used to */
    uint32_t fill;
    char sign;
    bool alternate;
    char grouping;        /* ',' '_' or 0 */
    int width, precision; /* precision -1: none */
    char type;
} Spec;

#define NUMBER_MAX_PRECISION 60
#define NUMBER_MAX_SIZE      600 /* the largest double with all its digits and commas, and then the precision */

/* Sign, prefix (0x) and digits; padding with '=' goes between the two parts. */
typedef struct Number {
    char lead[4], digits[NUMBER_MAX_SIZE];
} Number;

static void add_fill(Builder *out, uint32_t fill, int n) {
    char text[4];
    size_t size = utf8_encode(fill, text);
    while (n-- > 0)
        builder_add_bytes(out, text, size, true);
}

static void add_padded(Builder *out, const char *lead, const Str *s, const Spec *spec) {
    int missing = spec->width - (int)MIN(strlen(lead) + str_length(s), (size_t)INT32_MAX);
    int left = spec->align == '^' ? missing / 2 : spec->align == '<' ? 0 : missing;

    if (spec->align == '=')
        builder_add_text(out, lead);
    add_fill(out, spec->fill, missing > 0 ? left : 0);
    if (spec->align != '=')
        builder_add_text(out, lead);
    builder_add(out, s);
    add_fill(out, spec->fill, missing > 0 ? missing - left : 0);
}

static void add_number(Builder *out, const Number *n, const Spec *spec) {
    add_padded(out, n->lead, value_text(out->run, n->digits).string, spec);
}

static bool insert(char text[NUMBER_MAX_SIZE], size_t at, char c) {
    size_t length = strlen(text);
    if (length + 3 > NUMBER_MAX_SIZE) /* a percent sign may follow */
        return false;
    memmove(text + at + 1, text + at, length - at + 1);
    text[at] = c;
    return true;
}

/* Puts separators between groups of digits before the point. Zeros that fill the field are digits like the others; a
 * field never begins with a separator, it is rather one wider. */
static void group_digits(Number *n, const Spec *spec, size_t group) {
    char *text = n->digits;
    size_t digits = strspn(text, group == 3 ? "0123456789" : "0123456789abcdefABCDEF"), others = strlen(text) - digits;
    int room = spec->fill == '0' && spec->align == '=' ? spec->width - (int)strlen(n->lead) : 0;

    if (digits == 0) /* inf, nan */
        return;
    others += spec->type == '%';
    while ((int)(others + digits + (digits - 1) / group) < room && insert(text, 0, '0'))
        digits++;
    for (size_t i = digits; i > group; i -= group)
        if (!insert(text, i - group, spec->grouping))
            return;
}

static void set_lead(Number *n, const Spec *spec, bool negative, const char *prefix) {
    char sign = negative ? '-' : spec->sign == '+' || spec->sign == ' ' ? spec->sign : '\0';
    snprintf(n->lead, sizeof(n->lead), "%.1s%s", sign ? &sign : "", prefix);
}

static void whole_number(Number *n, int64_t value, const Spec *spec) {
    char type = spec->type == 'x' || spec->type == 'X' || spec->type == 'o' || spec->type == 'b' ? spec->type : 'd';
    unsigned base = type == 'd' ? 10 : type == 'o' ? 8 : type == 'b' ? 2 : 16;
    const char *letters = type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char reversed[NUMBER_MAX_PRECISION + 8], prefix[3] = {'0', type};
    int size = 0;

    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        reversed[size++] = letters[left % base];
    while ((left /= base) > 0);
    while (size < MIN(spec->precision, NUMBER_MAX_PRECISION))
        reversed[size++] = '0';
    for (int i = 0; i < size; i++)
        n->digits[i] = reversed[size - 1 - i];
    n->digits[size] = '\0';
    set_lead(n, spec, value < 0, spec->alternate && type != 'd' ? prefix : "");
    if (spec->grouping)
        group_digits(n, spec, type == 'd' ? 3 : 4);
}

/* Without a type a number of the precision's digits stays a float to look at: 12.0, or 1.2e+01 where there is no digit
 * left for the point. */
static void show_float(char digits[NUMBER_MAX_SIZE], double magnitude, int precision) {
    if (strlen(digits) != (size_t)precision) {
        strcat(digits, ".0");
        return;
    }
    snprintf(digits, NUMBER_MAX_SIZE, "%.*e", precision - 1, magnitude);
    char *exponent = strchr(digits, 'e'), *end = exponent;
    while (precision > 1 && end[-1] == '0')
        end--;
    end -= end[-1] == '.';
    memmove(end, exponent, strlen(exponent) + 1);
}

static void real_number(Number *n, double value, const Spec *spec) {
    char format[16], type = spec->type == '%' ? 'f' : spec->type == 'n' ? 'g' : spec->type;
    double magnitude = fabs(value) * (spec->type == '%' ? 100 : 1);
    int precision = MIN(spec->precision < 0 ? 6 : spec->precision, NUMBER_MAX_PRECISION);

    if (!type && spec->precision < 0)
        format_float(magnitude, n->digits);
    else {
        snprintf(format, sizeof(format), "%%%s.*%c", spec->alternate ? "#" : "", type ? type : 'g');
        snprintf(n->digits, sizeof(n->digits), format, precision, magnitude);
        if (!type && isfinite(magnitude) && !strpbrk(n->digits, ".e"))
            show_float(n->digits, magnitude, MAX(precision, 1));
    }
    set_lead(n, spec, signbit(value) && !isnan(value), "");
    if (spec->grouping)
        group_digits(n, spec, 3);
    if (spec->type == '%')
        strcat(n->digits, "%");
}

static int64_t whole_of(Value v) {
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

static const Str *one_character(Run *run, Value v) {
    char text[4];
    int64_t c = whole_of(v);
    if (c < 0 || c > 0x10FFFF)
        run_fail(run, "%%c arg not in range(0x110000)");
    return value_string(run, text, utf8_encode((uint32_t)c, text), true).string;
}

static const Str *cut(Run *run, const Str *s, int precision) {
    return precision < 0 ? s : str_slice(run, s, 0, str_offset(s, (size_t)precision));
}

/* repr() with what is not ASCII escaped */
static const Str *ascii_repr(Run *run, Value v) {
    const Str *s = value_repr(run, v);
    Builder out = {.run = run};
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        uint32_t c = utf8_decode(s->data + i, w);
        if (c < 0x80)
            builder_add_range(&out, s, i, i + w);
        else
            builder_printf(&out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    return builder_end(&out);
}

static int number_at(const char **p, const char *end) {
    int n = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
        n = MIN(10 * n + (**p - '0'), (int)RUN_MAX_MEMORY); /* more than fits: fails when it is used */
    return n;
}

/* ---- "%" */

typedef struct PercentArguments {
    Value value;
    size_t next;
} PercentArguments;

static size_t percent_count(Value args) {
    return args.type == VALUE_LIST && args.list->kind == LIST_TUPLE ? args.list->n : 1;
}

static Value next_argument(Run *run, PercentArguments *args) {
    if (args->next >= percent_count(args->value))
        run_fail(run, "not enough arguments for format string");
    bool tuple = args->value.type == VALUE_LIST && args->value.list->kind == LIST_TUPLE;
    size_t i = args->next++;
    return tuple ? args->value.list->items[i] : args->value;
}

static void percent_number(Builder *out, Spec spec, Value v) {
    bool real = strchr("eEfFgG", spec.type), hexadecimal = strchr("xXo", spec.type);
    Number n = {};

    if (!value_is_number(v) || (hexadecimal && v.type == VALUE_FLOAT))
        run_fail(out->run, "%%%c format: %s is required, not %s", spec.type,
            hexadecimal ? "an integer" : "a real number", value_type_name(v));
    if (real)
        real_number(&n, value_number(v), &spec);
    else if (v.type == VALUE_FLOAT && !(fabs(v.number) < 9.2e18))
        run_fail(out->run, "cannot convert float to integer");
    else
        whole_number(&n, v.type == VALUE_FLOAT ? (int64_t)v.number : whole_of(v), &spec);
    if (spec.align == '<')
        spec.fill = ' ';
    add_number(out, &n, &spec);
}

/* The letter that ends a field and what it asks for. */
static void percent_field(Builder *out, Spec spec, Value v) {
    Run *run = out->run;

    if (strchr("diuxXoeEfFgG", spec.type)) {
        percent_number(out, spec, v);
        return;
    }
    spec.fill = ' ';
    spec.align = spec.align == '<' ? '<' : '>';
    switch (spec.type) {
    case 's': add_padded(out, "", cut(run, value_str(run, v), spec.precision), &spec); return;
    case 'r': add_padded(out, "", cut(run, value_repr(run, v), spec.precision), &spec); return;
    case 'a': add_padded(out, "", cut(run, ascii_repr(run, v), spec.precision), &spec); return;
    case 'c':
        if (v.type == VALUE_STRING ? str_length(v.string) != 1 : v.type != VALUE_INT && v.type != VALUE_BOOL)
            run_fail(run, "%%c requires int or char");
        add_padded(out, "", v.type == VALUE_STRING ? v.string : one_character(run, v), &spec);
        return;
    default: run_fail(run, "unsupported format character '%c'", spec.type);
    }
}

/* A number in the format, or * for one from the arguments. */
static int percent_size(Run *run, const char **p, const char *end, PercentArguments *args) {
    if (*p >= end || **p != '*')
        return number_at(p, end);
    ++*p;
    Value v = next_argument(run, args);
    if (v.type != VALUE_INT && v.type != VALUE_BOOL)
        run_fail(run, "* wants int");
    int64_t n = whole_of(v), most = RUN_MAX_MEMORY;
    return (int)(n > most ? most : n < -most ? -most : n);
}

/* What stands between the percent sign (and key) and the letter, which becomes the type. */
static Spec percent_spec(Run *run, const char **at, const char *end, PercentArguments *args) {
    Spec spec = {.align = '>', .fill = ' ', .precision = -1};
    const char *p = *at;

    for (; p < end && memchr("-+ 0#", *p, 5); p++) {
        spec.align = *p == '-' ? '<' : *p == '0' && spec.align != '<' ? '=' : spec.align;
        spec.fill = *p == '0' ? '0' : spec.fill;
        spec.sign = *p == '+' || (*p == ' ' && spec.sign != '+') ? *p : spec.sign;
        spec.alternate |= *p == '#';
    }
    spec.width = percent_size(run, &p, end, args);
    if (spec.width < 0) {
        spec.align = '<';
        spec.width = -spec.width;
    }
    if (p < end && *p == '.') {
        p++;
        spec.precision = MAX(percent_size(run, &p, end, args), 0);
    }
    if (p < end && memchr("hlL", *p, 3))
        p++;
    if (p >= end)
        run_fail(run, "incomplete format");
    spec.type = *p++;
    *at = p;
    return spec;
}

static Value percent_key(Run *run, const char **at, const char *end, Value args) {
    const char *close = memchr(*at, ')', (size_t)(end - *at));
    Value found, key = value_string(run, *at + 1, close ? (size_t)(close - *at - 1) : 0, true);
    if (!close || args.type != VALUE_DICT)
        run_fail(run, "format requires a mapping");
    if (!dict_get(run, args.dict, key, &found))
        run_fail(run, "the format's arguments lack '%s'", key.string->data);
    *at = close + 1;
    return found;
}

const Str *format_percent(Run *run, const Str *format, Value value) {
    PercentArguments args = {.value = value};
    Builder out = {.run = run};

    for (const char *p = format->data, *end = p + format->size; p < end;) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        builder_add_range(
            &out, format, (size_t)(p - format->data), percent ? (size_t)(percent - format->data) : format->size);
        if (!percent)
            break;
        p = percent + 1;
        Value v = p < end && *p == '(' ? percent_key(run, &p, end, value) : VALUE_ABSENT;
        Spec spec = percent_spec(run, &p, end, &args);
        if (spec.type == '%') {
            builder_add_text(&out, "%");
            continue;
        }
        if (v.type == VALUE_ABSENT_TYPE)
            v = next_argument(run, &args);
        if (format->markup && spec.type == 's')
            v = value_of(str_escape(run, value_str(run, v)));
        percent_field(&out, spec, v);
    }
    /* of a mapping, and Python takes a list for one, nothing need be used */
    bool mapping = value.type == VALUE_DICT || value.type == VALUE_UNDEFINED ||
                   (value.type == VALUE_LIST && (value.list->kind == LIST_LIST || value.list->kind == LIST_RANGE));
    if (!mapping && args.next < percent_count(value))
        run_fail(run, "not all arguments converted during string formatting");
    return format->markup ? str_marked(run, builder_end(&out)) : builder_end(&out);
}

/* ---- "{}" */

static Spec parse_spec(Run *run, const Str *s) {
    Spec spec = {.fill = ' ', .precision = -1};
    const char *p = s->data, *end = p + s->size;
    bool filled = false;

    size_t w = p < end ? utf8_width(p, (size_t)(end - p)) : 0;
    if (p + w < end && memchr("<>^=", p[w], 4)) {
        spec.fill = utf8_decode(p, w);
        filled = true;
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
    bool zero = p < end && *p == '0' && !filled;
    spec.width = number_at(&p, end);
    if (zero) {
        spec.fill = '0';
        spec.align = spec.align ? spec.align : '0'; /* '=' for numbers */
    }
    if (p < end && (*p == ',' || *p == '_'))
        spec.grouping = *p++;
    if (p < end && *p == '.') {
        p++;
        if (p >= end || *p < '0' || *p > '9')
            run_fail(run, "Format specifier missing precision");
        spec.precision = number_at(&p, end);
    }
    if (p < end)
        spec.type = *p++;
    if (p < end || (spec.type && !strchr("sdxXobceEfFgGn%", spec.type)))
        run_fail(run, "Invalid format specifier '%s'", s->data);
    return spec;
}

static void braces_number(Builder *out, Value v, Spec spec) {
    bool real = v.type == VALUE_FLOAT || (spec.type && strchr("eEfFgG%", spec.type));
    Number n = {};

    if (spec.type == 's' || (v.type == VALUE_FLOAT && spec.type && strchr("dxXobc", spec.type)))
        run_fail(out->run, "Unknown format code '%c' for object of type '%s'", spec.type, value_type_name(v));
    if (!real && spec.precision >= 0)
        run_fail(out->run, "Precision not allowed in integer format specifier");
    if (spec.grouping && spec.type && strchr(spec.grouping == ',' ? "cnxXob" : "cn", spec.type))
        run_fail(out->run, "Cannot specify '%c' with '%c'.", spec.grouping, spec.type);
    if (spec.type == 'c' && (spec.sign || spec.alternate))
        run_fail(out->run, "Neither a sign nor # is allowed with 'c'");
    spec.align = !spec.align ? '>' : spec.align == '0' ? '=' : spec.align;
    if (spec.type == 'c') {
        add_padded(out, "", one_character(out->run, v), &spec);
        return;
    }
    if (real)
        real_number(&n, value_number(v), &spec);
    else
        whole_number(&n, whole_of(v), &spec);
    add_number(out, &n, &spec);
}

static void braces_value(Builder *out, Value v, const Str *spec_text) {
    Run *run = out->run;

    if (spec_text->size == 0) {
        builder_add(out, value_str(run, v));
        return;
    }
    Spec spec = parse_spec(run, spec_text);
    if (value_is_number(v)) {
        braces_number(out, v, spec);
        return;
    }
    if (v.type != VALUE_STRING)
        run_fail(run, "unsupported format string passed to %s.__format__", value_type_name(v));
    if ((spec.type && spec.type != 's') || spec.align == '=' || spec.sign || spec.alternate || spec.grouping)
        run_fail(run, "Unknown format code '%c' for object of type 'str'", spec.type ? spec.type : '=');
    spec.align = !spec.align || spec.align == '0' ? '<' : spec.align;
    add_padded(out, "", cut(run, v.string, spec.precision), &spec);
}

typedef struct BracesArguments {
    const Arguments *args;
    size_t next;
    bool numbered, counted; /* {0} or {} was seen: they do not mix */
} BracesArguments;

static Value braces_argument(Run *run, const Str *name, BracesArguments *a) {
    if (name->size > 0 && strspn(name->data, "0123456789") != name->size) {
        for (size_t i = 0; i < a->args->n_named; i++)
            if (str_equal(a->args->names[i], name))
                return a->args->named[i];
        run_fail(run, "format() lacks the argument '%s'", name->data);
    }
    *(name->size ? &a->numbered : &a->counted) = true;
    if (a->numbered && a->counted)
        run_fail(run, "cannot switch between manual field specification and automatic field numbering");
    size_t i = name->size ? (size_t)strtoull(name->data, NULL, 10) : a->next++;
    if (i >= a->args->n_positional)
        run_fail(run, "Replacement index %zu out of range for positional args tuple", i);
    return a->args->positional[i];
}

/* "name.attribute[key]" or an index, or nothing for the next one */
static Value braces_field(Run *run, const Str *field, BracesArguments *args) {
    size_t n = strcspn(field->data, ".[");
    Value v = braces_argument(run, str_slice(run, field, 0, MIN(n, field->size)), args);

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

/* The place of the brace that closes the one at `open`; those of fields inside the specifier come in pairs. */
static size_t closing_brace(Run *run, const Str *s, size_t open) {
    unsigned depth = 0;
    for (size_t i = open; i < s->size; i++) {
        depth += s->data[i] == '{';
        if (s->data[i] == '}' && --depth == 0)
            return i;
    }
    run_fail(run, "expected '}' before end of string");
}

static const Str *format_text(Run *run, const Str *format, BracesArguments *args, unsigned level);

static void add_braces(Builder *out, const Str *inside, BracesArguments *args, bool escape, unsigned level) {
    Run *run = out->run;
    size_t colon = strcspn(inside->data, ":"), bang = strcspn(inside->data, "!:");
    Value v = braces_field(run, str_slice(run, inside, 0, MIN(bang, inside->size)), args);

    if (bang < colon) {
        char conversion = bang + 1 < inside->size ? inside->data[bang + 1] : '\0';
        if (!conversion || !strchr("rsa", conversion) || MIN(colon, inside->size) != bang + 2)
            run_fail(run, "Unknown conversion specifier '%s'", inside->data + bang);
        v = value_of(conversion == 'r'   ? value_repr(run, v)
                     : conversion == 'a' ? ascii_repr(run, v)
                                         : value_str(run, v));
    }
    const Str *spec = str_slice(run, inside, MIN(colon + 1, inside->size), inside->size);
    if (memchr(spec->data, '{', spec->size))
        spec = format_text(run, spec, args, level + 1);
    if (escape && spec->size == 0)
        v = value_of(str_escape(run, value_str(run, v)));
    braces_value(out, v, spec);
}

static const Str *format_text(Run *run, const Str *format, BracesArguments *args, unsigned level) {
    Builder out = {.run = run};

    if (level > 1)
        run_fail(run, "Max string recursion exceeded");
    for (size_t i = 0; i < format->size;) {
        char c = format->data[i];
        if (level == 0 && (c == '{' || c == '}') && i + 1 < format->size && format->data[i + 1] == c) {
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
        size_t close = closing_brace(run, format, i);
        add_braces(&out, str_slice(run, format, i + 1, close), args, format->markup, level);
        i = close + 1;
    }
    return format->markup ? str_marked(run, builder_end(&out)) : builder_end(&out);
}

const Str *format_braces(Run *run, const Str *format, const Arguments *args) {
    BracesArguments a = {.args = args};
    return format_text(run, format, &a, 0);
}
