/* What values are: truth, equality, order, length, elements, attributes, and their text; all as in Python. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/* ---- making */

Value value_undefined(const char *hint) {
    return (Value){.type = VALUE_UNDEFINED, .hint = hint};
}

Value value_bool(bool b) {
    return (Value){.type = VALUE_BOOL, .boolean = b};
}

Value value_int(int64_t i) {
    return (Value){.type = VALUE_INT, .integer = i};
}

Value value_float(double f) {
    return (Value){.type = VALUE_FLOAT, .number = f};
}

Value value_of(const Str *s) {
    return (Value){.type = VALUE_STRING, .string = s};
}

Value value_list(List *l) {
    return (Value){.type = VALUE_LIST, .list = l};
}

Value value_dict(Dict *d) {
    return (Value){.type = VALUE_DICT, .dict = d};
}

Value value_string(Run *run, const char *data, size_t size, bool trusted) {
    Builder b = {.run = run};
    builder_add_bytes(&b, data, size, trusted);
    return value_of(builder_end(&b));
}

Value value_text(Run *run, const char *text) {
    return value_string(run, text, strlen(text), true);
}

Value value_callable(Run *run, const char *name, Builtin builtin, Value self) {
    Callable *c = run_alloc(run, sizeof(*c));
    *c = (Callable){.name = name, .builtin = builtin, .self = self};
    return (Value){.type = VALUE_CALLABLE, .callable = c};
}

List *list_new(Run *run, ListKind kind) {
    List *l = run_alloc(run, sizeof(*l));
    l->kind = kind;
    return l;
}

static void *grow(Run *run, void *items, size_t n, size_t *allocated, size_t item_size) {
    if (n < *allocated)
        return items;
    *allocated = n ? 2 * n : 4;
    void *p = run_alloc(run, *allocated * item_size);
    if (n)
        memcpy(p, items, n * item_size);
    return p;
}

void list_append(Run *run, List *l, Value v) {
    run_step(run, 1);
    l->items = grow(run, l->items, l->n, &l->allocated, sizeof(Value));
    l->items[l->n++] = v;
}

Dict *dict_new(Run *run) {
    return run_alloc(run, sizeof(Dict));
}

static DictEntry *dict_find(Run *run, const Dict *d, Value key) {
    for (size_t i = 0; i < d->n; i++)
        if (value_equal(run, d->entries[i].key, key))
            return &d->entries[i];
    return NULL;
}

void value_require_hashable(Run *run, Value v) {
    bool view = v.type == VALUE_LIST && (v.list->kind == LIST_KEYS || v.list->kind == LIST_ITEMS);
    if (v.type == VALUE_DICT || view || (v.type == VALUE_LIST && v.list->kind == LIST_LIST))
        run_fail(run, "unhashable type: '%s'", value_type_name(v));
}

void dict_set(Run *run, Dict *d, Value key, Value value) {
    value_require_hashable(run, key);
    DictEntry *entry = dict_find(run, d, key);
    if (entry) {
        entry->value = value;
        return;
    }
    dict_append(run, d, key, value);
}

void dict_append(Run *run, Dict *d, Value key, Value value) {
    run_step(run, 1);
    d->entries = grow(run, d->entries, d->n, &d->allocated, sizeof(DictEntry));
    d->entries[d->n++] = (DictEntry){.key = key, .value = value};
}

void dict_set_text(Run *run, Dict *d, const char *key, Value value) {
    dict_set(run, d, value_text(run, key), value);
}

bool dict_get(Run *run, const Dict *d, Value key, Value *ret) {
    const DictEntry *entry = dict_find(run, d, key);
    if (entry)
        *ret = entry->value;
    return entry != NULL;
}

/* ---- asking */

const char *value_type_name(Value v) {
    static const char *const lists[] = {
        "list", "tuple", "generator", "range", "dict_keys", "dict_values", "dict_items"};
    switch (v.type) {
    case VALUE_ABSENT_TYPE:
    case VALUE_UNDEFINED: return "Undefined";
    case VALUE_NONE_TYPE: return "NoneType";
    case VALUE_BOOL: return "bool";
    case VALUE_INT: return "int";
    case VALUE_FLOAT: return "float";
    case VALUE_STRING: return "str";
    case VALUE_LIST: return lists[v.list->kind];
    case VALUE_DICT: return v.dict->is_namespace ? "Namespace" : "dict";
    case VALUE_CALLABLE: return "function";
    case VALUE_LOOP: return "LoopContext";
    }
    return "object";
}

bool value_true(Value v) {
    switch (v.type) {
    case VALUE_ABSENT_TYPE:
    case VALUE_UNDEFINED:
    case VALUE_NONE_TYPE: return false;
    case VALUE_BOOL: return v.boolean;
    case VALUE_INT: return v.integer != 0;
    case VALUE_FLOAT: return v.number != 0;
    case VALUE_STRING: return v.string->size > 0;
    case VALUE_LIST: return v.list->kind == LIST_GENERATOR || v.list->n > 0;
    case VALUE_DICT: return v.dict->is_namespace || v.dict->n > 0;
    case VALUE_CALLABLE:
    case VALUE_LOOP: break;
    }
    return true;
}

bool value_is_number(Value v) {
    return v.type == VALUE_INT || v.type == VALUE_FLOAT || v.type == VALUE_BOOL;
}

double value_number(Value v) {
    return v.type == VALUE_FLOAT ? v.number : v.type == VALUE_BOOL ? v.boolean : (double)v.integer;
}

static int64_t whole(Value v) {
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

/* Wide enough to tell every integer from every double, as Python does. */
static long double exact(Value v) {
    return v.type == VALUE_FLOAT ? (long double)v.number : (long double)whole(v);
}

static bool lists_equal(Run *run, const List *a, const List *b) {
    if (a == b)
        return true;
    if (a->n != b->n || a->kind == LIST_GENERATOR || b->kind == LIST_GENERATOR ||
        (a->kind == LIST_TUPLE) != (b->kind == LIST_TUPLE))
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(run, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dicts_equal(Run *run, const Dict *a, const Dict *b) {
    Value other;
    if (a == b)
        return true;
    if (a->n != b->n || a->is_namespace || b->is_namespace)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!dict_get(run, b, a->entries[i].key, &other) || !value_equal(run, a->entries[i].value, other))
            return false;
    return true;
}

bool value_equal(Run *run, Value a, Value b) {
    bool equal = false;

    run_enter(run);
    if (value_is_number(a) && value_is_number(b))
        equal = a.type == VALUE_FLOAT || b.type == VALUE_FLOAT ? exact(a) == exact(b) : whole(a) == whole(b);
    else if (a.type == b.type)
        switch (a.type) {
        case VALUE_STRING: equal = str_equal(a.string, b.string); break;
        case VALUE_LIST: equal = lists_equal(run, a.list, b.list); break;
        case VALUE_DICT: equal = dicts_equal(run, a.dict, b.dict); break;
        case VALUE_CALLABLE: equal = a.callable == b.callable; break;
        case VALUE_LOOP: equal = a.loop == b.loop; break;
        default: equal = true; /* none, undefined */
        }
    run_leave(run);
    return equal;
}

int value_compare(Run *run, Value a, Value b, const char *op) {
    if (value_is_number(a) && value_is_number(b)) {
        if (a.type != VALUE_FLOAT && b.type != VALUE_FLOAT)
            return (whole(a) > whole(b)) - (whole(a) < whole(b));
        long double x = exact(a), y = exact(b);
        return (x > y) - (x < y);
    }
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        int c = memcmp(a.string->data, b.string->data, MIN(a.string->size, b.string->size));
        return c ? c : (a.string->size > b.string->size) - (a.string->size < b.string->size);
    }
    if (a.type == VALUE_LIST && b.type == VALUE_LIST && a.list->kind == b.list->kind && a.list->kind <= LIST_TUPLE) {
        for (size_t i = 0; i < a.list->n && i < b.list->n; i++)
            if (!value_equal(run, a.list->items[i], b.list->items[i])) {
                run_enter(run);
                int c = value_compare(run, a.list->items[i], b.list->items[i], op);
                run_leave(run);
                return c;
            }
        return (a.list->n > b.list->n) - (a.list->n < b.list->n);
    }
    run_fail(run, "'%s' not supported between instances of '%s' and '%s'", op, value_type_name(a), value_type_name(b));
}

size_t value_length(Run *run, Value v) {
    switch (v.type) {
    case VALUE_UNDEFINED: return 0;
    case VALUE_STRING: return str_length(v.string);
    case VALUE_DICT:
        if (!v.dict->is_namespace)
            return v.dict->n;
        break;
    case VALUE_LIST:
        if (v.list->kind != LIST_GENERATOR)
            return v.list->n;
        break;
    case VALUE_LOOP: return v.loop->items->n;
    default: break;
    }
    run_fail(run, "object of type '%s' has no len()", value_type_name(v));
}

/* The characters of markup are plain text. */
static List *characters(Run *run, const Str *s) {
    Str plain = *s;
    List *l = list_new(run, LIST_LIST);

    plain.markup = false;
    for (size_t i = 0, w; i < s->size; i += w) {
        w = utf8_width(s->data + i, s->size - i);
        list_append(run, l, value_of(str_slice(run, &plain, i, i + w)));
    }
    return l;
}

const List *value_iterate(Run *run, Value v) {
    List *l;

    switch (v.type) {
    case VALUE_UNDEFINED: return list_new(run, LIST_LIST);
    case VALUE_STRING: return characters(run, v.string);
    case VALUE_LIST:
        if (v.list->kind != LIST_GENERATOR)
            return v.list;
        if (v.list->spent)
            return list_new(run, LIST_LIST);
        v.list->spent = true;
        return v.list;
    case VALUE_DICT:
        if (v.dict->is_namespace)
            break;
        l = list_new(run, LIST_LIST);
        for (size_t i = 0; i < v.dict->n; i++)
            list_append(run, l, v.dict->entries[i].key);
        return l;
    default: break;
    }
    run_fail(run, "'%s' object is not iterable", value_type_name(v));
}

bool value_contains(Run *run, Value container, Value item) {
    Value found;

    if (container.type == VALUE_STRING) {
        if (item.type != VALUE_STRING)
            run_fail(run, "'in <string>' requires string as left operand, not %s", value_type_name(item));
        return str_find(container.string, item.string, 0) != SIZE_MAX;
    }
    if (container.type == VALUE_DICT && !container.dict->is_namespace) {
        value_require_hashable(run, item);
        return dict_get(run, container.dict, item, &found);
    }
    if (container.type != VALUE_LIST && container.type != VALUE_UNDEFINED)
        run_fail(run, "argument of type '%s' is not iterable", value_type_name(container));

    const List *l = value_iterate(run, container);
    for (size_t i = 0; i < l->n; i++)
        if (value_equal(run, l->items[i], item))
            return true;
    return false;
}

/* ---- attributes and items */

static Value loop_attribute(Run *run, Loop *loop, const Str *name);

void value_fail_undefined(Run *run, Value v) {
    run_fail(run, "'%s' is undefined", v.hint ? v.hint : "value");
}

static Value missing(Run *run, Value v, const Str *name) {
    if (v.type == VALUE_UNDEFINED)
        value_fail_undefined(run, v);
    return value_undefined(name->data);
}

static Value macro_attribute(Run *run, const Node *macro, const Str *name) {
    if (str_is(name, "name"))
        return macro->kind == NODE_MACRO ? value_of(macro->name) : VALUE_NONE;
    if (str_is(name, "catch_varargs") || str_is(name, "catch_kwargs"))
        return value_bool(str_is(name, "catch_kwargs") ? macro->takes_kwargs : macro->takes_varargs);
    if (str_is(name, "caller"))
        return value_bool(macro->takes_caller);
    if (!str_is(name, "arguments"))
        return value_undefined(name->data);
    List *l = list_new(run, LIST_TUPLE);
    for (size_t i = 0; i < macro->n_named; i++)
        list_append(run, l, value_of(macro->names[i]));
    return value_list(l);
}

Value value_attribute(Run *run, Value v, const Str *name) {
    Value found;

    run_step(run, 1);
    if (v.type == VALUE_LOOP)
        return loop_attribute(run, v.loop, name);
    if (v.type == VALUE_DICT && v.dict->is_namespace)
        return dict_get(run, v.dict, value_of(name), &found) ? found : missing(run, v, name);

    if (v.type == VALUE_LIST && v.list->is_group && (str_is(name, "grouper") || str_is(name, "list")))
        return v.list->items[str_is(name, "list")];
    if (v.type == VALUE_CALLABLE && v.callable->macro)
        return macro_attribute(run, v.callable->macro, name);
    Builtin method = method_find(v, name);
    if (method)
        return value_callable(run, name->data, method, v);
    if (v.type == VALUE_DICT && dict_get(run, v.dict, value_of(name), &found))
        return found;
    return missing(run, v, name);
}

static bool index_in(int64_t i, size_t n, size_t *ret) {
    if (i < 0)
        i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n)
        return false;
    *ret = (size_t)i;
    return true;
}

Value value_item(Run *run, Value v, Value key) {
    Value found;
    size_t i;

    run_step(run, 1);
    if (v.type == VALUE_DICT && dict_get(run, v.dict, key, &found))
        return found;
    if (key.type == VALUE_INT || key.type == VALUE_BOOL) {
        if (v.type == VALUE_LIST && v.list->kind <= LIST_RANGE && v.list->kind != LIST_GENERATOR &&
            index_in(whole(key), v.list->n, &i))
            return v.list->items[i];
        if (v.type == VALUE_STRING && index_in(whole(key), str_length(v.string), &i)) {
            size_t at = str_offset(v.string, i);
            return value_of(str_slice(run, v.string, at, at + utf8_width(v.string->data + at, v.string->size - at)));
        }
    }
    if (key.type == VALUE_STRING)
        return value_attribute(run, v, key.string);
    return missing(run, v, value_str(run, key));
}

Value value_attribute_path(Run *run, Value v, Value path) {
    if (path.type != VALUE_STRING)
        return value_item(run, v, path);

    const Str *s = path.string;
    for (size_t from = 0; from <= s->size;) {
        const char *dot = memchr(s->data + from, '.', s->size - from);
        size_t to = dot ? (size_t)(dot - s->data) : s->size;
        const Str *part = str_slice(run, s, from, to);
        bool number = part->size > 0 && strspn(part->data, "0123456789") == part->size;
        v = value_item(run, v, number ? value_int(strtoll(part->data, NULL, 10)) : value_of(part));
        from = to + 1;
    }
    return v;
}

/* ---- loop */

static Value loop_cycle(Run *run, Value self, const Arguments *args) {
    if (args->n_positional == 0)
        run_fail(run, "no items for cycling given");
    return args->positional[self.loop->index % args->n_positional];
}

static Value loop_changed(Run *run, Value self, const Arguments *args) {
    List *now = list_new(run, LIST_TUPLE);
    for (size_t i = 0; i < args->n_positional; i++)
        list_append(run, now, args->positional[i]);

    Loop *loop = self.loop;
    bool changed = !loop->has_changed || !value_equal(run, loop->last_changed, value_list(now));
    loop->has_changed = true;
    loop->last_changed = value_list(now);
    return value_bool(changed);
}

static Value loop_attribute(Run *run, Loop *loop, const Str *name) {
    size_t i = loop->index, n = loop->items->n;
    Value self = {.type = VALUE_LOOP, .loop = loop};

    if (str_is(name, "index"))
        return value_int((int64_t)i + 1);
    if (str_is(name, "index0"))
        return value_int((int64_t)i);
    if (str_is(name, "revindex"))
        return value_int((int64_t)(n - i));
    if (str_is(name, "revindex0"))
        return value_int((int64_t)(n - i) - 1);
    if (str_is(name, "first"))
        return value_bool(i == 0);
    if (str_is(name, "last"))
        return value_bool(i + 1 == n);
    if (str_is(name, "length"))
        return value_int((int64_t)n);
    if (str_is(name, "depth"))
        return value_int(loop->depth + 1);
    if (str_is(name, "depth0"))
        return value_int(loop->depth);
    if (str_is(name, "previtem"))
        return i > 0 ? loop->items->items[i - 1] : value_undefined("there is no previous item");
    if (str_is(name, "nextitem"))
        return i + 1 < n ? loop->items->items[i + 1] : value_undefined("there is no next item");
    if (str_is(name, "cycle"))
        return value_callable(run, "cycle", loop_cycle, self);
    if (str_is(name, "changed"))
        return value_callable(run, "changed", loop_changed, self);
    return value_undefined(name->data);
}
