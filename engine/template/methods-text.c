/* Methods of strings, one row each. */
#include <string.h>

#include "value.h"

static const Str *string_argument(Run *run, const char *method, Value v) {
    if (v.type != VALUE_STRING)
        run_fail(run, "%s() needs a string, not %s", method, value_type_name(v));
    return v.string;
}

static const Str *optional_string(Run *run, const char *method, Value v) {
    return v.type == VALUE_ABSENT_TYPE || v.type == VALUE_NONE_TYPE ? NULL : string_argument(run, method, v);
}

/* ---- strings: case, ends */

static Value str_method_upper(Run *run, Value self, const Arguments *args) {
    return value_of(str_map_case(run, self.string, char_upper));
}

static Value str_method_lower(Run *run, Value self, const Arguments *args) {
    return value_of(str_map_case(run, self.string, char_lower));
}

static Value str_method_casefold(Run *run, Value self, const Arguments *args) {
    return value_of(str_map_case(run, self.string, char_fold));
}

static Value str_method_capitalize(Run *run, Value self, const Arguments *args) {
    return value_of(str_capitalize(run, self.string));
}

static uint32_t swap_case(uint32_t c) {
    return char_lower(c) != c ? char_lower(c) : char_upper(c);
}

static Value str_method_swapcase(Run *run, Value self, const Arguments *args) {
    return value_of(str_map_case(run, self.string, swap_case));
}

/* A letter after anything that is no letter begins a word. */
static Value str_method_title(Run *run, Value self, const Arguments *args) {
    Builder out = {.run = run};
    const Str *s = self.string;
    bool inside = false;
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        const Str *c = str_slice(run, s, i, i + w);
        builder_add(&out, str_map_case(run, c, inside ? char_lower : char_upper));
        inside = char_is_alpha(utf8_decode(s->data + i, w));
    }
    return value_of(builder_end(&out));
}

static Value strip(Run *run, Value self, const Arguments *args, const char *method, StripSide side) {
    Value characters;
    arguments_bind(run, method, args, (const char *const[]){"chars"}, 1, &characters);
    return value_of(str_strip(run, self.string, optional_string(run, method, characters), side));
}

static Value str_method_strip(Run *run, Value self, const Arguments *args) {
    return strip(run, self, args, "strip", STRIP_BOTH);
}

static Value str_method_lstrip(Run *run, Value self, const Arguments *args) {
    return strip(run, self, args, "lstrip", STRIP_LEFT);
}

static Value str_method_rstrip(Run *run, Value self, const Arguments *args) {
    return strip(run, self, args, "rstrip", STRIP_RIGHT);
}

static bool has_end(const Str *s, const Str *end, bool at_start) {
    return end->size <= s->size && memcmp(s->data + (at_start ? 0 : s->size - end->size), end->data, end->size) == 0;
}

static int64_t bound(Run *run, const char *method, Value v, int64_t size, int64_t when_absent) {
    int64_t at = v.type == VALUE_NONE_TYPE ? when_absent : argument_int(run, method, "a bound", v, when_absent);
    if (at < 0)
        at = at < -size ? 0 : at + size;
    return at;
}

/* What many methods take: something to look for, and perhaps the characters [start, end) where it is to be. The place
 * where that begins in bytes; false: start is behind the end. */
static bool search_range(Run *run, Value self, const Arguments *args, const char *method, Value *ret_what,
    const Str **ret_where, size_t *ret_begin) {
    const Str *s = self.string;
    Value v[3];

    arguments_bind(run, method, args, (const char *const[]){"argument", "start", "end"}, 3, v);
    if (v[0].type == VALUE_ABSENT_TYPE)
        run_fail(run, "%s() takes at least one argument", method);
    *ret_what = v[0];
    *ret_where = s;
    *ret_begin = 0;
    if (v[1].type == VALUE_ABSENT_TYPE)
        return true;
    int64_t size = (int64_t)str_length(s), start = bound(run, method, v[1], size, 0),
            end = MIN(bound(run, method, v[2], size, size), size);
    if (start > end)
        return false;
    *ret_begin = str_offset(s, (size_t)start);
    *ret_where = str_slice(run, s, *ret_begin, str_offset(s, (size_t)end));
    return true;
}

static Value ends(Run *run, Value self, const Arguments *args, const char *method, bool at_start) {
    const Str *s;
    size_t begin;
    Value v;
    bool inside = search_range(run, self, args, method, &v, &s, &begin);
    if (v.type != VALUE_LIST || v.list->kind != LIST_TUPLE)
        return value_bool(has_end(s, string_argument(run, method, v), at_start) && inside);
    for (size_t i = 0; i < v.list->n; i++)
        if (has_end(s, string_argument(run, method, v.list->items[i]), at_start) && inside)
            return value_bool(true);
    return value_bool(false);
}

static Value str_method_startswith(Run *run, Value self, const Arguments *args) {
    return ends(run, self, args, "startswith", true);
}

static Value str_method_endswith(Run *run, Value self, const Arguments *args) {
    return ends(run, self, args, "endswith", false);
}

static Value str_method_removeprefix(Run *run, Value self, const Arguments *args) {
    const Str *s = self.string,
              *prefix = string_argument(run, "removeprefix", method_argument(run, "removeprefix", args));
    return has_end(s, prefix, true) ? value_of(str_slice(run, s, prefix->size, s->size)) : self;
}

static Value str_method_removesuffix(Run *run, Value self, const Arguments *args) {
    const Str *s = self.string,
              *suffix = string_argument(run, "removesuffix", method_argument(run, "removesuffix", args));
    return has_end(s, suffix, false) ? value_of(str_slice(run, s, 0, s->size - suffix->size)) : self;
}

/* ---- strings: finding */

static int64_t find(Run *run, Value self, const Arguments *args, const char *method, bool backward) {
    const Str *s;
    size_t begin;
    Value v;
    bool inside = search_range(run, self, args, method, &v, &s, &begin);
    const Str *needle = string_argument(run, method, v);
    size_t at = backward ? str_rfind(s, needle, s->size) : str_find(s, needle, 0);
    return at == SIZE_MAX || !inside ? -1 : (int64_t)str_length(str_slice(run, self.string, 0, begin + at));
}

static Value str_method_find(Run *run, Value self, const Arguments *args) {
    return value_int(find(run, self, args, "find", false));
}

static Value str_method_rfind(Run *run, Value self, const Arguments *args) {
    return value_int(find(run, self, args, "rfind", true));
}

static Value index_or_fail(Run *run, int64_t at) {
    if (at < 0)
        run_fail(run, "substring not found");
    return value_int(at);
}

static Value str_method_index(Run *run, Value self, const Arguments *args) {
    return index_or_fail(run, find(run, self, args, "index", false));
}

static Value str_method_rindex(Run *run, Value self, const Arguments *args) {
    return index_or_fail(run, find(run, self, args, "rindex", true));
}

static Value str_method_count(Run *run, Value self, const Arguments *args) {
    const Str *s;
    size_t begin;
    Value v;
    bool inside = search_range(run, self, args, "count", &v, &s, &begin);
    const Str *needle = string_argument(run, "count", v);
    int64_t n = 0;
    if (!inside)
        return value_int(0);
    if (needle->size == 0)
        return value_int((int64_t)str_length(s) + 1);
    for (size_t at = 0; (at = str_find(s, needle, at)) != SIZE_MAX; at += needle->size, n++)
        run_step(run, 1);
    return value_int(n);
}

static Value str_method_replace(Run *run, Value self, const Arguments *args) {
    Value v[3];
    arguments_bind(run, "replace", args, (const char *const[]){"old", "new", "count"}, 3, v);
    const Str *old = string_argument(run, "replace", v[0]), *new = string_argument(run, "replace", v[1]);
    int64_t count = argument_int(run, "replace", "count", v[2], -1);
    if (!self.string->markup)
        return value_of(str_replace(run, self.string, old, new, count));
    return value_of(str_marked(run, str_replace(run, self.string, old, str_escape(run, new), count)));
}

/* ---- strings: cutting and joining */

static void split_space(Run *run, const Str *s, int64_t limit, List *out) {
    for (;;) {
        s = str_strip(run, s, NULL, STRIP_LEFT);
        if (s->size == 0)
            return;
        size_t end = 0, w;
        while (end < s->size &&
               (w = utf8_width(s->data + end, s->size - end), !char_is_space(utf8_decode(s->data + end, w))))
            end += w;
        if (limit == 0) {
            list_append(run, out, value_of(s));
            return;
        }
        limit -= limit > 0;
        list_append(run, out, value_of(str_slice(run, s, 0, end)));
        s = str_slice(run, s, end, s->size);
    }
}

static void reverse_list(List *l) {
    for (size_t i = 0; i + 1 < l->n - i; i++) {
        Value v = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = v;
    }
}

/* From the right, on white space: only a limit makes it differ from split_space(). */
static void rsplit_space(Run *run, const Str *s, int64_t limit, List *out) {
    for (;; limit--) {
        s = str_strip(run, s, NULL, STRIP_RIGHT);
        if (s->size == 0)
            break;
        if (limit == 0) {
            list_append(run, out, value_of(s));
            break;
        }
        size_t word = 0;
        for (size_t i = 0, w; i < s->size; i += w) {
            w = utf8_width(s->data + i, s->size - i);
            if (char_is_space(utf8_decode(s->data + i, w)))
                word = i + w;
        }
        list_append(run, out, value_of(str_slice(run, s, word, s->size)));
        s = str_slice(run, s, 0, word);
    }
    if (out->n > 1)
        reverse_list(out);
}

static void split_on(Run *run, const Str *s, const Str *separator, int64_t limit, List *out) {
    size_t from = 0, at;
    for (; limit != 0 && (at = str_find(s, separator, from)) != SIZE_MAX; limit -= limit > 0) {
        list_append(run, out, value_of(str_slice(run, s, from, at)));
        from = at + separator->size;
    }
    list_append(run, out, value_of(str_slice(run, s, from, s->size)));
}

static void rsplit_on(Run *run, const Str *s, const Str *separator, int64_t limit, List *out) {
    size_t to = s->size, at;
    for (; limit != 0 && (at = str_rfind(s, separator, to)) != SIZE_MAX; limit -= limit > 0) {
        list_append(run, out, value_of(str_slice(run, s, at + separator->size, to)));
        to = at;
    }
    list_append(run, out, value_of(str_slice(run, s, 0, to)));
    if (out->n > 1)
        reverse_list(out);
}

static Value split(Run *run, Value self, const Arguments *args, const char *method, bool right) {
    Value v[2];
    arguments_bind(run, method, args, (const char *const[]){"sep", "maxsplit"}, 2, v);
    const Str *separator = optional_string(run, method, v[0]);
    int64_t limit = argument_int(run, method, "maxsplit", v[1], -1);
    if (separator && separator->size == 0)
        run_fail(run, "empty separator");

    List *out = list_new(run, LIST_LIST);
    if (separator)
        (right ? rsplit_on : split_on)(run, self.string, separator, limit, out);
    else
        (right && limit >= 0 ? rsplit_space : split_space)(run, self.string, limit, out);
    return value_list(out);
}

static Value str_method_split(Run *run, Value self, const Arguments *args) {
    return split(run, self, args, "split", false);
}

static Value str_method_rsplit(Run *run, Value self, const Arguments *args) {
    return split(run, self, args, "rsplit", true);
}

static Value partition(Run *run, Value self, const Arguments *args, const char *method, bool right) {
    const Str *s = self.string, *separator = string_argument(run, method, method_argument(run, method, args));
    if (separator->size == 0)
        run_fail(run, "empty separator");
    size_t at = right ? str_rfind(s, separator, s->size) : str_find(s, separator, 0);
    List *out = list_new(run, LIST_TUPLE);
    bool found = at != SIZE_MAX;
    size_t from = found ? at : right ? 0 : s->size, to = found ? at + separator->size : right ? 0 : s->size;
    list_append(run, out, value_of(str_slice(run, s, 0, from)));
    list_append(run, out, value_of(str_slice(run, s, from, to)));
    list_append(run, out, value_of(str_slice(run, s, to, s->size)));
    return value_list(out);
}

static Value str_method_partition(Run *run, Value self, const Arguments *args) {
    return partition(run, self, args, "partition", false);
}

static Value str_method_rpartition(Run *run, Value self, const Arguments *args) {
    return partition(run, self, args, "rpartition", true);
}

static Value str_method_splitlines(Run *run, Value self, const Arguments *args) {
    Value keep;
    arguments_bind(run, "splitlines", args, (const char *const[]){"keepends"}, 1, &keep);
    return value_list(str_lines(run, self.string, argument_bool(keep, false)));
}

static Value str_method_join(Run *run, Value self, const Arguments *args) {
    const List *l = value_iterate(run, method_argument(run, "join", args));
    Builder out = {.run = run};
    for (size_t i = 0; i < l->n; i++) {
        if (l->items[i].type != VALUE_STRING)
            run_fail(run, "sequence item %zu: expected str instance, %s found", i, value_type_name(l->items[i]));
        if (i > 0)
            builder_add(&out, self.string);
        builder_add(&out, self.string->markup ? str_escape(run, l->items[i].string) : l->items[i].string);
    }
    return value_of(self.string->markup ? str_marked(run, builder_end(&out)) : builder_end(&out));
}

static Value str_method_format(Run *run, Value self, const Arguments *args) {
    return value_of(format_braces(run, self.string, args));
}

/* ---- strings: filling up */

static Value fill_up(Run *run, Value self, const Arguments *args, const char *method, int side) {
    Value v[2];
    arguments_bind(run, method, args, (const char *const[]){"width", "fillchar"}, 2, v);
    int64_t width = argument_int(run, method, "width", v[0], 0), missing = width - (int64_t)str_length(self.string);
    const Str *with = optional_string(run, method, v[1]);
    if (with && str_length(with) != 1)
        run_fail(run, "The fill character must be exactly one character long");
    if (missing <= 0)
        return self;
    if (!with)
        with = value_text(run, " ").string;

    /* Python's center() puts the odd one to the left when the width is odd */
    int64_t left = side == 0 ? missing / 2 + (missing & width & 1) : side < 0 ? missing : 0;
    Builder out = {.run = run};
    for (int64_t i = 0; i < left; i++)
        builder_add(&out, with);
    builder_add(&out, self.string);
    for (int64_t i = left; i < missing; i++)
        builder_add(&out, with);
    return value_of(builder_end(&out));
}

static Value str_method_center(Run *run, Value self, const Arguments *args) {
    return fill_up(run, self, args, "center", 0);
}

static Value str_method_ljust(Run *run, Value self, const Arguments *args) {
    return fill_up(run, self, args, "ljust", 1);
}

static Value str_method_rjust(Run *run, Value self, const Arguments *args) {
    return fill_up(run, self, args, "rjust", -1);
}

static Value str_method_zfill(Run *run, Value self, const Arguments *args) {
    const Str *s = self.string;
    int64_t missing =
        argument_int(run, "zfill", "width", method_argument(run, "zfill", args), 0) - (int64_t)str_length(s);
    size_t sign = s->size > 0 && (*s->data == '-' || *s->data == '+');
    Builder out = {.run = run};
    builder_add_range(&out, s, 0, sign);
    for (int64_t i = 0; i < missing; i++)
        builder_add_text(&out, "0");
    builder_add_range(&out, s, sign, s->size);
    return value_of(builder_end(&out));
}

/* ---- strings: what they are made of */

static bool is_alnum(uint32_t c) {
    return char_is_alpha(c) || char_is_digit(c);
}

static bool all_characters(const Str *s, bool (*is)(uint32_t)) {
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        if (!is(utf8_decode(s->data + i, w)))
            return false;
    }
    return s->size > 0;
}

static Value str_method_isdigit(Run *run, Value self, const Arguments *args) {
    return value_bool(all_characters(self.string, char_is_digit));
}

static Value str_method_isalpha(Run *run, Value self, const Arguments *args) {
    return value_bool(all_characters(self.string, char_is_alpha));
}

static Value str_method_isalnum(Run *run, Value self, const Arguments *args) {
    return value_bool(all_characters(self.string, is_alnum));
}

static Value str_method_isspace(Run *run, Value self, const Arguments *args) {
    return value_bool(all_characters(self.string, char_is_space));
}

static bool is_ascii(uint32_t c) {
    return c < 0x80;
}

static Value str_method_isascii(Run *run, Value self, const Arguments *args) {
    return value_bool(self.string->size == 0 || all_characters(self.string, is_ascii));
}

static Value str_method_istitle(Run *run, Value self, const Arguments *args) {
    return value_bool(str_equal(self.string, str_method_title(run, self, args).string) &&
                      !(str_equal(self.string, str_map_case(run, self.string, char_lower)) &&
                          str_equal(self.string, str_map_case(run, self.string, char_upper))));
}

static Value str_method_expandtabs(Run *run, Value self, const Arguments *args) {
    Value size;
    arguments_bind(run, "expandtabs", args, (const char *const[]){"tabsize"}, 1, &size);
    int64_t stop = argument_int(run, "expandtabs", "tabsize", size, 8), column = 0;
    const Str *s = self.string;
    Builder out = {.run = run};
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        if (s->data[i] != '\t') {
            builder_add_range(&out, s, i, i + w);
            column = s->data[i] == '\n' || s->data[i] == '\r' ? 0 : column + 1;
            continue;
        }
        for (int64_t n = stop > 0 ? stop - column % stop : 0; n > 0; n--, column++)
            builder_add_text(&out, " ");
    }
    return value_of(builder_end(&out));
}

static Value has_case(Run *run, Value self, uint32_t (*map)(uint32_t), uint32_t (*other)(uint32_t)) {
    const Str *s = self.string;
    return value_bool(str_equal(s, str_map_case(run, s, map)) && !str_equal(s, str_map_case(run, s, other)));
}

static Value str_method_isupper(Run *run, Value self, const Arguments *args) {
    return has_case(run, self, char_upper, char_lower);
}

static Value str_method_islower(Run *run, Value self, const Arguments *args) {
    return has_case(run, self, char_lower, char_upper);
}

Builtin method_find_text(const Str *name) {
    static const Method methods[] = {
        {"upper", str_method_upper},
        {"lower", str_method_lower},
        {"casefold", str_method_casefold},
        {"capitalize", str_method_capitalize},
        {"title", str_method_title},
        {"swapcase", str_method_swapcase},
        {"strip", str_method_strip},
        {"lstrip", str_method_lstrip},
        {"rstrip", str_method_rstrip},
        {"startswith", str_method_startswith},
        {"endswith", str_method_endswith},
        {"removeprefix", str_method_removeprefix},
        {"removesuffix", str_method_removesuffix},
        {"find", str_method_find},
        {"rfind", str_method_rfind},
        {"index", str_method_index},
        {"rindex", str_method_rindex},
        {"count", str_method_count},
        {"replace", str_method_replace},
        {"split", str_method_split},
        {"rsplit", str_method_rsplit},
        {"partition", str_method_partition},
        {"rpartition", str_method_rpartition},
        {"splitlines", str_method_splitlines},
        {"join", str_method_join},
        {"format", str_method_format},
        {"center", str_method_center},
        {"ljust", str_method_ljust},
        {"rjust", str_method_rjust},
        {"zfill", str_method_zfill},
        {"isdigit", str_method_isdigit},
        {"isdecimal", str_method_isdigit},
        {"isnumeric", str_method_isdigit},
        {"isalpha", str_method_isalpha},
        {"isalnum", str_method_isalnum},
        {"isspace", str_method_isspace},
        {"isupper", str_method_isupper},
        {"islower", str_method_islower},
        {"isascii", str_method_isascii},
        {"istitle", str_method_istitle},
        {"expandtabs", str_method_expandtabs},
    };
    return method_lookup(methods, ELEMENTSOF(methods), name);
}
