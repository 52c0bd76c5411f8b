/* What can stand after `is`, one row each. */
#include <math.h>
#include <string.h>

#include "value.h"

static Value one_argument(Run *run, const char *test, const Arguments *args) {
    Value v;
    arguments_bind(run, test, args, (const char *const[]){"other"}, 1, &v);
    if (v.type == VALUE_ABSENT_TYPE)
        run_fail(run, "the test '%s' needs an argument", test);
    return v;
}

static bool divides(Run *run, const char *test, Value v, Value by) {
    if (!value_is_number(v) || !value_is_number(by))
        run_fail(run, "the test '%s' needs a number, not %s", test, value_type_name(value_is_number(v) ? by : v));
    if (value_number(by) == 0)
        run_fail(run, "integer division or modulo by zero");
    if (v.type == VALUE_FLOAT || by.type == VALUE_FLOAT)
        return fmod(value_number(v), value_number(by)) == 0;
    int64_t divisor = by.type == VALUE_BOOL ? 1 : by.integer;
    return divisor == -1 || (v.type == VALUE_BOOL ? v.boolean : v.integer) % divisor == 0;
}

static bool test_defined(Run *run, Value v, const Arguments *args) {
    return v.type != VALUE_UNDEFINED;
}

static bool test_undefined(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_UNDEFINED;
}

static bool test_none(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_NONE_TYPE;
}

static bool test_true(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_BOOL && v.boolean;
}

static bool test_false(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_BOOL && !v.boolean;
}

static bool test_boolean(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_BOOL;
}

static bool test_integer(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_INT;
}

static bool test_float(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_FLOAT;
}

static bool test_number(Run *run, Value v, const Arguments *args) {
    return value_is_number(v);
}

static bool test_string(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_STRING;
}

static bool test_mapping(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_DICT && !v.dict->is_namespace;
}

static bool test_iterable(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_STRING || v.type == VALUE_LIST || v.type == VALUE_UNDEFINED || v.type == VALUE_LOOP ||
           test_mapping(run, v, args);
}

static bool test_sequence(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_STRING || v.type == VALUE_UNDEFINED || test_mapping(run, v, args) ||
           (v.type == VALUE_LIST && v.list->kind <= LIST_RANGE && v.list->kind != LIST_GENERATOR);
}

static bool test_callable(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_CALLABLE || v.type == VALUE_UNDEFINED || (v.type == VALUE_LOOP && v.loop->recursive);
}

static bool test_escaped(Run *run, Value v, const Arguments *args) {
    return v.type == VALUE_STRING && v.string->markup;
}

static bool test_lower(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    return str_equal(s, str_map_case(run, s, char_lower)) && !str_equal(s, str_map_case(run, s, char_upper));
}

static bool test_upper(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    return str_equal(s, str_map_case(run, s, char_upper)) && !str_equal(s, str_map_case(run, s, char_lower));
}

static bool test_even(Run *run, Value v, const Arguments *args) {
    return divides(run, "even", v, value_int(2));
}

static bool test_odd(Run *run, Value v, const Arguments *args) {
    /* v % 2 == 1: of a fraction neither odd nor even holds */
    if (v.type == VALUE_FLOAT && v.number != floor(v.number))
        return false;
    return !divides(run, "odd", v, value_int(2));
}

static bool test_divisibleby(Run *run, Value v, const Arguments *args) {
    return divides(run, "divisibleby", v, one_argument(run, "divisibleby", args));
}

static bool test_eq(Run *run, Value v, const Arguments *args) {
    return value_equal(run, v, one_argument(run, "eq", args));
}

static bool test_ne(Run *run, Value v, const Arguments *args) {
    return !value_equal(run, v, one_argument(run, "ne", args));
}

static bool test_lt(Run *run, Value v, const Arguments *args) {
    return value_compare(run, v, one_argument(run, "lt", args), "<") < 0;
}

static bool test_le(Run *run, Value v, const Arguments *args) {
    return value_compare(run, v, one_argument(run, "le", args), "<=") <= 0;
}

static bool test_gt(Run *run, Value v, const Arguments *args) {
    return value_compare(run, v, one_argument(run, "gt", args), ">") > 0;
}

static bool test_ge(Run *run, Value v, const Arguments *args) {
    return value_compare(run, v, one_argument(run, "ge", args), ">=") >= 0;
}

static bool test_in(Run *run, Value v, const Arguments *args) {
    return value_contains(run, one_argument(run, "in", args), v);
}

/* Identity: the same object for what has one, the same type and value for what Python keeps once. */
static bool test_sameas(Run *run, Value v, const Arguments *args) {
    Value other = one_argument(run, "sameas", args);
    if (v.type != other.type)
        return false;
    if (v.type == VALUE_LIST || v.type == VALUE_DICT)
        return v.list == other.list;
    return value_equal(run, v, other);
}

static bool test_filter(Run *run, Value v, const Arguments *args) {
    value_require_hashable(run, v);
    return v.type == VALUE_STRING && filter_find(v.string->data, v.string->size) != NULL;
}

static bool test_test(Run *run, Value v, const Arguments *args) {
    value_require_hashable(run, v);
    return v.type == VALUE_STRING && test_find(v.string->data, v.string->size) != NULL;
}

TestFunction test_find(const char *name, size_t size) {
    static const struct {
        const char *name;
        TestFunction test;
    } table[] = {
        {"defined", test_defined},
        {"undefined", test_undefined},
        {"none", test_none},
        {"true", test_true},
        {"false", test_false},
        {"boolean", test_boolean},
        {"integer", test_integer},
        {"float", test_float},
        {"number", test_number},
        {"string", test_string},
        {"mapping", test_mapping},
        {"iterable", test_iterable},
        {"sequence", test_sequence},
        {"callable", test_callable},
        {"escaped", test_escaped},
        {"lower", test_lower},
        {"upper", test_upper},
        {"even", test_even},
        {"odd", test_odd},
        {"divisibleby", test_divisibleby},
        {"eq", test_eq},
        {"equalto", test_eq},
        {"==", test_eq},
        {"ne", test_ne},
        {"!=", test_ne},
        {"lt", test_lt},
        {"lessthan", test_lt},
        {"<", test_lt},
        {"le", test_le},
        {"<=", test_le},
        {"gt", test_gt},
        {"greaterthan", test_gt},
        {">", test_gt},
        {"ge", test_ge},
        {">=", test_ge},
        {"in", test_in},
        {"sameas", test_sameas},
        {"filter", test_filter},
        {"test", test_test},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return table[i].test;
    return NULL;
}
