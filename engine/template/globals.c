/* Functions a template finds without being given them, and how calls bind their arguments. */
#include <string.h>

#include "value.h"

/* ---- arguments */

void arguments_bind(
    Run *run, const char *function, const Arguments *args, const char *const *names, size_t n, Value *ret) {
    if (args->n_positional > n)
        run_fail(run, "%s() takes at most %zu arguments (%zu given)", function, n, args->n_positional);
    for (size_t i = 0; i < n; i++)
        ret[i] = i < args->n_positional ? args->positional[i] : VALUE_ABSENT;
    for (size_t j = 0; j < args->n_named; j++) {
        size_t i = 0;
        while (i < n && !str_is(args->names[j], names[i]))
            i++;
        if (i == n)
            run_fail(run, "%s() got an unexpected keyword argument '%s'", function, args->names[j]->data);
        if (ret[i].type != VALUE_ABSENT_TYPE)
            run_fail(run, "%s() got multiple values for argument '%s'", function, names[i]);
        ret[i] = args->named[j];
    }
}

int64_t argument_int(Run *run, const char *function, const char *name, Value v, int64_t when_absent) {
    if (v.type == VALUE_ABSENT_TYPE)
        return when_absent;
    if (v.type == VALUE_BOOL)
        return v.boolean;
    if (v.type != VALUE_INT)
        run_fail(run, "%s(): %s must be an integer, not %s", function, name, value_type_name(v));
    return v.integer;
}

bool argument_bool(Value v, bool when_absent) {
    return v.type == VALUE_ABSENT_TYPE ? when_absent : value_true(v);
}

/* ---- functions */

static Value global_range(Run *run, Value self, const Arguments *args) {
    Value v[3];
    arguments_bind(run, "range", args, (const char *const[]){"start", "stop", "step"}, 3, v);
    if (v[0].type == VALUE_ABSENT_TYPE)
        run_fail(run, "range expected at least 1 argument, got 0");
    bool one = v[1].type == VALUE_ABSENT_TYPE;
    int64_t from = one ? 0 : argument_int(run, "range", "start", v[0], 0);
    int64_t to = argument_int(run, "range", "stop", one ? v[0] : v[1], 0);
    int64_t step = argument_int(run, "range", "step", v[2], 1);
    if (step == 0)
        run_fail(run, "range() arg 3 must not be zero");

    /* in 128 bits nothing here overflows */
    __int128 distance = step > 0 ? (__int128)to - from : (__int128)from - to,
             stride = step > 0 ? step : -(__int128)step;
    __int128 n = distance <= 0 ? 0 : (distance + stride - 1) / stride;
    if (n > RUN_MAX_RANGE)
        run_exceeded(run, "Range too big. The maximum size for a range is %d.", RUN_MAX_RANGE);
    List *l = list_new(run, LIST_RANGE);
    l->start = from;
    l->stop = to;
    l->step = step;
    for (int64_t i = 0; i < (int64_t)n; i++)
        list_append(run, l, value_int(from + i * step));
    return value_list(l);
}

static void dict_fill(Run *run, Dict *d, const Arguments *args, const char *function) {
    if (args->n_positional > 1)
        run_fail(run, "%s expected at most 1 argument, got %zu", function, args->n_positional);
    if (args->n_positional == 1 && args->positional[0].type == VALUE_DICT) {
        const Dict *from = args->positional[0].dict;
        for (size_t i = 0; i < from->n; i++)
            dict_set(run, d, from->entries[i].key, from->entries[i].value);
    } else if (args->n_positional == 1) {
        const List *pairs = value_iterate(run, args->positional[0]);
        for (size_t i = 0; i < pairs->n; i++) {
            const List *pair = value_iterate(run, pairs->items[i]);
            if (pair->n != 2)
                run_fail(run, "dictionary update sequence element #%zu has length %zu; 2 is required", i, pair->n);
            dict_set(run, d, pair->items[0], pair->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_named; i++)
        dict_set(run, d, value_of(args->names[i]), args->named[i]);
}

static Value global_dict(Run *run, Value self, const Arguments *args) {
    Dict *d = dict_new(run);
    dict_fill(run, d, args, "dict");
    return value_dict(d);
}

static Value global_namespace(Run *run, Value self, const Arguments *args) {
    Dict *d = dict_new(run);
    dict_fill(run, d, args, "namespace");
    d->is_namespace = true;
    return value_dict(d);
}

static Value global_raise_exception(Run *run, Value self, const Arguments *args) {
    Value message;
    arguments_bind(run, "raise_exception", args, (const char *const[]){"message"}, 1, &message);
    run_fail(run, "%s", value_str(run, message)->data);
}

static Value global_strftime_now(Run *run, Value self, const Arguments *args) {
    Value format;
    char text[256];
    arguments_bind(run, "strftime_now", args, (const char *const[]){"format"}, 1, &format);
    if (format.type != VALUE_STRING)
        run_fail(run, "strftime_now() needs a format string");
    /* Python's naive time has no zone to print */
    const Str *nothing = value_text(run, "").string, *wanted = format.string;
    wanted = str_replace(run, wanted, value_text(run, "%Z").string, nothing, -1);
    wanted = str_replace(run, wanted, value_text(run, "%z").string, nothing, -1);
    if (wanted->size == 0)
        return value_of(wanted);
    size_t n = strftime(text, sizeof(text), wanted->data, run->now);
    return value_string(run, text, n, true);
}

/* joiner(sep): nothing at the first call, then the separator; its state is a one-element list */
static Value joiner_next(Run *run, Value self, const Arguments *args) {
    bool first = self.list->n == 1;
    if (first)
        list_append(run, self.list, VALUE_NONE);
    return first ? value_text(run, "") : self.list->items[0];
}

static Value global_joiner(Run *run, Value self, const Arguments *args) {
    Value separator;
    arguments_bind(run, "joiner", args, (const char *const[]){"sep"}, 1, &separator);
    List *state = list_new(run, LIST_LIST);
    list_append(run, state, separator.type == VALUE_ABSENT_TYPE ? value_text(run, ", ") : separator);
    return value_callable(run, "joiner", joiner_next, value_list(state));
}

/* cycler(a, b, ...): a namespace with current, next() and reset(); its state is kept beside the items */
static Value cycler_current(Run *run, Dict *d) {
    Value items = VALUE_NONE, position = value_int(0);
    dict_get(run, d, value_text(run, " items"), &items);
    dict_get(run, d, value_text(run, " position"), &position);
    return items.list->items[(size_t)position.integer % items.list->n];
}

static Value cycler_move(Run *run, Dict *d, bool reset) {
    Value current = cycler_current(run, d), position = value_int(0);
    dict_get(run, d, value_text(run, " position"), &position);
    dict_set_text(run, d, " position", value_int(reset ? 0 : position.integer + 1));
    dict_set_text(run, d, "current", cycler_current(run, d));
    return reset ? VALUE_NONE : current;
}

static Value cycler_next(Run *run, Value self, const Arguments *args) {
    return cycler_move(run, self.dict, false);
}

static Value cycler_reset(Run *run, Value self, const Arguments *args) {
    return cycler_move(run, self.dict, true);
}

static Value global_cycler(Run *run, Value self, const Arguments *args) {
    if (args->n_positional == 0)
        run_fail(run, "at least one item has to be provided");
    List *items = list_new(run, LIST_LIST);
    for (size_t i = 0; i < args->n_positional; i++)
        list_append(run, items, args->positional[i]);
    Dict *d = dict_new(run);
    d->is_namespace = true;
    dict_set_text(run, d, " items", value_list(items));
    dict_set_text(run, d, " position", value_int(0));
    dict_set_text(run, d, "current", items->items[0]);
    dict_set_text(run, d, "next", value_callable(run, "next", cycler_next, value_dict(d)));
    dict_set_text(run, d, "reset", value_callable(run, "reset", cycler_reset, value_dict(d)));
    return value_dict(d);
}

void globals_define(Run *run, Dict *globals) {
    static const struct {
        const char *name;
        Builtin function;
    } table[] = {
        {"range", global_range},
        {"dict", global_dict},
        {"namespace", global_namespace},
        {"raise_exception", global_raise_exception},
        {"strftime_now", global_strftime_now},
        {"joiner", global_joiner},
        {"cycler", global_cycler},
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        dict_set_text(run, globals, table[i].name, value_callable(run, table[i].name, table[i].function, VALUE_ABSENT));
}
