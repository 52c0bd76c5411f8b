/* Filters on sequences and dictionaries. */
#include <string.h>

#include "value.h"

static Value absent_or(Value v, Value otherwise) {
    return v.type == VALUE_ABSENT_TYPE ? otherwise : v;
}

static bool given(Value v) {
    return v.type != VALUE_ABSENT_TYPE && v.type != VALUE_NONE_TYPE;
}

/* An element, or what its attribute path names. */
static Value part(Run *run, Value v, Value attribute) {
    return given(attribute) ? value_attribute_path(run, v, attribute) : v;
}

static List *copy(Run *run, const List *from, ListKind kind) {
    List *l = list_new(run, kind);
    for (size_t i = 0; i < from->n; i++)
        list_append(run, l, from->items[i]);
    return l;
}

static Value filter_length(Run *run, Value v, const Arguments *args) {
    return value_int((int64_t)value_length(run, v));
}

static Value filter_list(Run *run, Value v, const Arguments *args) {
    return value_list(copy(run, value_iterate(run, v), LIST_LIST));
}

static Value filter_first(Run *run, Value v, const Arguments *args) {
    const List *l = value_iterate(run, v);
    return l->n > 0 ? l->items[0] : value_undefined("first of an empty sequence");
}

static Value filter_last(Run *run, Value v, const Arguments *args) {
    if (v.type == VALUE_LIST && v.list->kind == LIST_GENERATOR)
        run_fail(run, "'generator' object is not reversible");
    const List *l = value_iterate(run, v);
    return l->n > 0 ? l->items[l->n - 1] : value_undefined("last of an empty sequence");
}

static Value filter_join(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "join", args, (const char *const[]){"d", "attribute"}, 2, a);
    const Str *between = a[0].type == VALUE_ABSENT_TYPE ? NULL : value_str(run, a[0]);
    const List *l = value_iterate(run, v);
    Builder out = {.run = run};
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0 && between)
            builder_add(&out, between);
        builder_add(&out, value_str(run, part(run, l->items[i], a[1])));
    }
    return value_of(builder_end(&out));
}

static Value filter_reverse(Run *run, Value v, const Arguments *args) {
    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR);
    Builder text = {.run = run};
    for (size_t i = l->n; i-- > 0;)
        if (v.type == VALUE_STRING)
            builder_add(&text, l->items[i].string);
        else
            list_append(run, out, l->items[i]);
    return v.type == VALUE_STRING ? value_of(builder_end(&text)) : value_list(out);
}

static Value filter_items(Run *run, Value v, const Arguments *args) {
    List *l = list_new(run, LIST_GENERATOR);
    if (v.type == VALUE_UNDEFINED)
        return value_list(l);
    if (v.type != VALUE_DICT || v.dict->is_namespace)
        run_fail(run, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < v.dict->n; i++) {
        List *pair = list_new(run, LIST_TUPLE);
        list_append(run, pair, v.dict->entries[i].key);
        list_append(run, pair, v.dict->entries[i].value);
        list_append(run, l, value_list(pair));
    }
    return value_list(l);
}

/* ---- order */

/* Text compares without regard to case unless asked to. */
static Value sort_key(Run *run, Value v, bool case_sensitive) {
    return v.type == VALUE_STRING && !case_sensitive ? value_of(str_map_case(run, v.string, char_lower)) : v;
}

/* Stable merge sort of items by keys, both of n elements; ascending or descending. */
static void sort_by(Run *run, Value *items, Value *keys, size_t n, bool reverse) {
    Value *from_items = items, *from_keys = keys;
    Value *to_items = run_alloc(run, n * sizeof(Value) + 1), *to_keys = run_alloc(run, n * sizeof(Value) + 1);

    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t a = start, b = MIN(start + width, n), a_end = b, b_end = MIN(start + 2 * width, n);
            for (size_t out = start; out < b_end; out++) {
                int c = a < a_end && b < b_end ? value_compare(run, from_keys[b], from_keys[a], "<") : 0;
                bool second = a >= a_end || (b < b_end && (reverse ? c > 0 : c < 0));
                size_t from = second ? b++ : a++;
                run_step(run, 1);
                to_items[out] = from_items[from];
                to_keys[out] = from_keys[from];
            }
        }
        Value *swap = from_items;
        from_items = to_items;
        to_items = swap;
        swap = from_keys;
        from_keys = to_keys;
        to_keys = swap;
    }
    if (from_items != items && n > 0)
        memcpy(items, from_items, n * sizeof(Value));
}

/* "a,b.c": the attributes make a list, even a single one. (Of lists only parts that are not equal are compared, so that
 * what has no order, such as none, may be in them.) */
static Value sort_attributes(Run *run, Value v, Value attribute, bool case_sensitive) {
    if (!given(attribute))
        return sort_key(run, v, case_sensitive);

    List *key = list_new(run, LIST_LIST);
    if (attribute.type != VALUE_STRING) {
        list_append(run, key, sort_key(run, value_item(run, v, attribute), case_sensitive));
        return value_list(key);
    }
    const Str *s = attribute.string;
    for (size_t from = 0, to; from <= s->size; from = to + 1) {
        to = from + strcspn(s->data + from, ",");
        Value path = value_of(str_slice(run, s, from, to));
        list_append(run, key, sort_key(run, value_attribute_path(run, v, path), case_sensitive));
    }
    return value_list(key);
}

static Value filter_sort(Run *run, Value v, const Arguments *args) {
    Value a[3];
    arguments_bind(run, "sort", args, (const char *const[]){"reverse", "case_sensitive", "attribute"}, 3, a);
    List *l = copy(run, value_iterate(run, v), LIST_LIST), *keys = list_new(run, LIST_LIST);
    for (size_t i = 0; i < l->n; i++)
        list_append(run, keys, sort_attributes(run, l->items[i], a[2], argument_bool(a[1], false)));
    sort_by(run, l->items, keys->items, l->n, argument_bool(a[0], false));
    return value_list(l);
}

static Value filter_dictsort(Run *run, Value v, const Arguments *args) {
    Value a[3];
    arguments_bind(run, "dictsort", args, (const char *const[]){"case_sensitive", "by", "reverse"}, 3, a);
    if (v.type != VALUE_DICT)
        run_fail(run, "dictsort() needs a mapping, not %s", value_type_name(v));
    bool by_value = a[1].type == VALUE_STRING && str_is(a[1].string, "value");
    if (!by_value && a[1].type != VALUE_ABSENT_TYPE && !(a[1].type == VALUE_STRING && str_is(a[1].string, "key")))
        run_fail(run, "You can only sort by either \"key\" or \"value\"");
    List *l = list_new(run, LIST_LIST), *keys = list_new(run, LIST_LIST);
    for (size_t i = 0; i < v.dict->n; i++) {
        List *pair = list_new(run, LIST_TUPLE);
        list_append(run, pair, v.dict->entries[i].key);
        list_append(run, pair, v.dict->entries[i].value);
        list_append(run, l, value_list(pair));
        list_append(run, keys, sort_key(run, pair->items[by_value], argument_bool(a[0], false)));
    }
    sort_by(run, l->items, keys->items, l->n, argument_bool(a[2], false));
    return value_list(l);
}

static Value extreme(Run *run, Value v, const Arguments *args, const char *name, bool largest) {
    Value a[2];
    arguments_bind(run, name, args, (const char *const[]){"case_sensitive", "attribute"}, 2, a);
    const List *l = value_iterate(run, v);
    Value best = value_undefined("extreme of an empty sequence"), best_key = best;
    for (size_t i = 0; i < l->n; i++) {
        Value key = sort_key(run, part(run, l->items[i], a[1]), argument_bool(a[0], false));
        int c = i == 0 ? 0 : value_compare(run, key, best_key, largest ? ">" : "<");
        if (i == 0 || (largest ? c > 0 : c < 0)) {
            best = l->items[i];
            best_key = key;
        }
    }
    return best;
}

static Value filter_max(Run *run, Value v, const Arguments *args) {
    return extreme(run, v, args, "max", true);
}

static Value filter_min(Run *run, Value v, const Arguments *args) {
    return extreme(run, v, args, "min", false);
}

static Value filter_sum(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "sum", args, (const char *const[]){"attribute", "start"}, 2, a);
    Value total = absent_or(a[1], value_int(0));
    const List *l = value_iterate(run, v);
    if (total.type == VALUE_STRING)
        run_fail(run, "sum() can't sum strings");
    for (size_t i = 0; i < l->n; i++)
        total = eval_add(run, total, part(run, l->items[i], a[0]));
    return total;
}

/* ---- groups */

static Value filter_unique(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "unique", args, (const char *const[]){"case_sensitive", "attribute"}, 2, a);
    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR), *seen = list_new(run, LIST_LIST);
    for (size_t i = 0; i < l->n; i++) {
        Value key = sort_key(run, part(run, l->items[i], a[1]), argument_bool(a[0], false));
        value_require_hashable(run, key);
        if (value_contains(run, value_list(seen), key))
            continue;
        list_append(run, seen, key);
        list_append(run, out, l->items[i]);
    }
    return value_list(out);
}

static Value filter_groupby(Run *run, Value v, const Arguments *args) {
    Value a[3];
    arguments_bind(run, "groupby", args, (const char *const[]){"attribute", "default", "case_sensitive"}, 3, a);
    List *l = copy(run, value_iterate(run, v), LIST_LIST), *keys = list_new(run, LIST_LIST),
         *out = list_new(run, LIST_LIST);
    for (size_t i = 0; i < l->n; i++) {
        Value key = part(run, l->items[i], a[0]);
        if (key.type == VALUE_UNDEFINED && given(a[1]))
            key = a[1];
        list_append(run, keys, sort_key(run, key, argument_bool(a[2], false)));
    }
    sort_by(run, l->items, keys->items, l->n, false);

    List *group = NULL;
    Value last = VALUE_ABSENT;
    for (size_t i = 0; i < l->n; i++) {
        Value key = part(run, l->items[i], a[0]);
        if (key.type == VALUE_UNDEFINED && given(a[1]))
            key = a[1];
        Value folded = sort_key(run, key, argument_bool(a[2], false));
        if (!group || !value_equal(run, folded, last)) {
            List *row = list_new(run, LIST_TUPLE);
            row->is_group = true;
            group = list_new(run, LIST_LIST);
            list_append(run, row, key);
            list_append(run, row, value_list(group));
            list_append(run, out, value_list(row));
            last = folded;
        }
        list_append(run, group, l->items[i]);
    }
    return value_list(out);
}

static int64_t count_argument(Run *run, const char *filter, Value v) {
    if (v.type == VALUE_ABSENT_TYPE)
        run_fail(run, "%s() needs a number", filter);
    return argument_int(run, filter, "its first argument", v, 0);
}

static Value filter_batch(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "batch", args, (const char *const[]){"linecount", "fill_with"}, 2, a);
    int64_t size = count_argument(run, "batch", a[0]);
    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR), *row = list_new(run, LIST_LIST);
    for (size_t i = 0; i < l->n; i++) {
        if ((int64_t)row->n == size) { /* with a size of 0 once, before the first */
            list_append(run, out, value_list(row));
            row = list_new(run, LIST_LIST);
        }
        list_append(run, row, l->items[i]);
    }
    while (row->n > 0 && given(a[1]) && (int64_t)row->n < size)
        list_append(run, row, a[1]);
    if (row->n > 0)
        list_append(run, out, value_list(row));
    return value_list(out);
}

static Value filter_slice(Run *run, Value v, const Arguments *args) {
    Value a[2];
    arguments_bind(run, "slice", args, (const char *const[]){"slices", "fill_with"}, 2, a);
    int64_t wanted = count_argument(run, "slice", a[0]);
    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR);
    size_t n = wanted > 0 ? (size_t)wanted : 0, at = 0;
    if (wanted == 0)
        run_fail(run, "slice() cannot make no columns");
    for (size_t i = 0; i < n; i++) {
        List *column = list_new(run, LIST_LIST);
        bool longer = i < l->n % n;
        for (size_t j = 0; j < l->n / n + longer; j++)
            list_append(run, column, l->items[at++]);
        if (given(a[1]) && !longer)
            list_append(run, column, a[1]);
        list_append(run, out, value_list(column));
    }
    return value_list(out);
}

/* ---- map, select, reject */

/* What is left of a call's arguments after its first. */
static Arguments rest(const Arguments *args, size_t n) {
    Arguments r = *args;
    n = MIN(n, r.n_positional);
    r.positional += n;
    r.n_positional -= n;
    return r;
}

static const Str *name_of(Run *run, const char *filter, const Arguments *args, size_t i) {
    if (args->positional[i].type != VALUE_STRING)
        run_fail(run, "%s() needs the name of a filter or test", filter);
    return args->positional[i].string;
}

static Value filter_map(Run *run, Value v, const Arguments *args) {
    Value attribute = VALUE_ABSENT, otherwise = VALUE_ABSENT;
    FilterFunction filter = NULL;
    Arguments more = rest(args, 1);

    if (!value_true(v))
        return value_list(list_new(run, LIST_GENERATOR));
    if (args->n_positional == 0) {
        Value a[2];
        arguments_bind(run, "map", args, (const char *const[]){"attribute", "default"}, 2, a);
        attribute = a[0];
        otherwise = a[1];
        if (attribute.type == VALUE_ABSENT_TYPE)
            run_fail(run, "map requires a filter argument");
    } else {
        const Str *name = name_of(run, "map", args, 0);
        filter = filter_find(name->data, name->size);
        if (!filter)
            run_fail(run, "No filter named '%s'.", name->data);
    }

    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR);
    for (size_t i = 0; i < l->n; i++) {
        run_enter(run);
        Value x = filter ? filter(run, l->items[i], &more) : value_attribute_path(run, l->items[i], attribute);
        run_leave(run);
        list_append(run, out, x.type == VALUE_UNDEFINED && given(otherwise) ? otherwise : x);
    }
    return value_list(out);
}

/* select, reject, selectattr, rejectattr: `skip` leading arguments name the attribute */
static Value choose(Run *run, Value v, const Arguments *args, const char *filter, bool by_attribute, bool keep) {
    size_t skip = by_attribute;
    TestFunction test = NULL;

    if (!value_true(v))
        return value_list(list_new(run, LIST_GENERATOR));
    if (args->n_positional < skip)
        run_fail(run, "%s() needs an attribute", filter);
    if (args->n_positional > skip) {
        const Str *name = name_of(run, filter, args, skip);
        test = test_find(name->data, name->size);
        if (!test)
            run_fail(run, "No test named '%s'.", name->data);
    }
    Arguments more = rest(args, skip + 1);
    const List *l = value_iterate(run, v);
    List *out = list_new(run, LIST_GENERATOR);
    for (size_t i = 0; i < l->n; i++) {
        Value x = by_attribute ? value_attribute_path(run, l->items[i], args->positional[0]) : l->items[i];
        if ((test ? test(run, x, &more) : value_true(x)) == keep)
            list_append(run, out, l->items[i]);
    }
    return value_list(out);
}

static Value filter_select(Run *run, Value v, const Arguments *args) {
    return choose(run, v, args, "select", false, true);
}

static Value filter_reject(Run *run, Value v, const Arguments *args) {
    return choose(run, v, args, "reject", false, false);
}

static Value filter_selectattr(Run *run, Value v, const Arguments *args) {
    return choose(run, v, args, "selectattr", true, true);
}

static Value filter_rejectattr(Run *run, Value v, const Arguments *args) {
    return choose(run, v, args, "rejectattr", true, false);
}

static FilterFunction find_list(const char *name, size_t size) {
    static const struct {
        const char *name;
        FilterFunction filter;
    } table[] = {
        {"length", filter_length},
        {"count", filter_length},
        {"list", filter_list},
        {"first", filter_first},
        {"last", filter_last},
        {"join", filter_join},
        {"reverse", filter_reverse},
        {"items", filter_items},
        {"sort", filter_sort},
        {"dictsort", filter_dictsort},
        {"max", filter_max},
        {"min", filter_min},
        {"sum", filter_sum},
        {"unique", filter_unique},
        {"groupby", filter_groupby},
        {"batch", filter_batch},
        {"slice", filter_slice},
        {"map", filter_map},
        {"select", filter_select},
        {"reject", filter_reject},
        {"selectattr", filter_selectattr},
        {"rejectattr", filter_rejectattr},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
            return table[i].filter;
    return NULL;
}

FilterFunction filter_find(const char *name, size_t size) {
    FilterFunction f = find_list(name, size);
    f = f ? f : filter_find_text(name, size);
    return f ? f : filter_find_layout(name, size);
}
