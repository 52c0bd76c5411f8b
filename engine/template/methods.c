/* Methods of dictionaries and lists, one row each, and the way to those of strings. Methods that would change a value
 * are not here: templates run in an immutable sandbox. */
#include "value.h"

Value method_argument(Run *run, const char *method, const Arguments *args) {
    Value v;
    arguments_bind(run, method, args, (const char *const[]){"argument"}, 1, &v);
    if (v.type == VALUE_ABSENT_TYPE)
        run_fail(run, "%s() takes one argument", method);
    return v;
}

static Value dict_method_get(Run *run, Value self, const Arguments *args) {
    Value v[2], found;
    arguments_bind(run, "get", args, (const char *const[]){"key", "default"}, 2, v);
    if (v[0].type == VALUE_ABSENT_TYPE)
        run_fail(run, "get expected at least 1 argument, got 0");
    if (dict_get(run, self.dict, v[0], &found))
        return found;
    return v[1].type == VALUE_ABSENT_TYPE ? VALUE_NONE : v[1];
}

static Value dict_view(Run *run, const Dict *d, bool keys, bool values) {
    List *l = list_new(run, keys && values ? LIST_ITEMS : keys ? LIST_KEYS : LIST_VALUES);
    for (size_t i = 0; i < d->n; i++) {
        Value v = keys ? d->entries[i].key : d->entries[i].value;
        if (keys && values) {
            List *pair = list_new(run, LIST_TUPLE);
            list_append(run, pair, d->entries[i].key);
            list_append(run, pair, d->entries[i].value);
            v = value_list(pair);
        }
        list_append(run, l, v);
    }
    return value_list(l);
}

static Value dict_method_items(Run *run, Value self, const Arguments *args) {
    return dict_view(run, self.dict, true, true);
}

static Value dict_method_keys(Run *run, Value self, const Arguments *args) {
    return dict_view(run, self.dict, true, false);
}

static Value dict_method_values(Run *run, Value self, const Arguments *args) {
    return dict_view(run, self.dict, false, true);
}

static Value method_copy(Run *run, Value self, const Arguments *args) {
    return self; /* nothing can change it */
}

static Value list_method_index(Run *run, Value self, const Arguments *args) {
    Value v = method_argument(run, "index", args);
    for (size_t i = 0; i < self.list->n; i++)
        if (value_equal(run, self.list->items[i], v))
            return value_int((int64_t)i);
    run_fail(run, "%s is not in list", value_repr(run, v)->data);
}

static Value list_method_count(Run *run, Value self, const Arguments *args) {
    Value v = method_argument(run, "count", args);
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++)
        n += value_equal(run, self.list->items[i], v);
    return value_int(n);
}

static const Method dict_methods[] = {
    {"get", dict_method_get},
    {"items", dict_method_items},
    {"keys", dict_method_keys},
    {"values", dict_method_values},
    {"copy", method_copy},
};

static const Method list_methods[] = {
    {"index", list_method_index},
    {"count", list_method_count},
    {"copy", method_copy},
};

Builtin method_lookup(const Method *table, size_t n, const Str *name) {
    for (size_t i = 0; i < n; i++)
        if (str_is(name, table[i].name))
            return table[i].method;
    return NULL;
}

Builtin method_find(Value self, const Str *name) {
    if (self.type == VALUE_STRING)
        return method_find_text(name);
    if (self.type == VALUE_DICT && !self.dict->is_namespace)
        return method_lookup(dict_methods, ELEMENTSOF(dict_methods), name);
    if (self.type == VALUE_LIST && self.list->kind <= LIST_TUPLE)
        return method_lookup(list_methods, ELEMENTSOF(list_methods) - (self.list->kind == LIST_TUPLE), name);
    return NULL;
}
