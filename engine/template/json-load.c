/* JSON of a request as values: tools, arguments of calls, variables that a template reads. */
#include <jansson.h>

#include "json-load.h"

Value value_from_json(Run *run, const json_t *json, bool trusted) {
    size_t i;
    const char *key;
    json_t *item;

    run_enter(run);
    Value v = VALUE_NONE;
    switch (json_typeof(json)) {
    case JSON_NULL: break;
    case JSON_TRUE:
    case JSON_FALSE: v = value_bool(json_is_true(json)); break;
    case JSON_INTEGER: v = value_int(json_integer_value(json)); break;
    case JSON_REAL: v = value_float(json_real_value(json)); break;
    case JSON_STRING: v = value_string(run, json_string_value(json), json_string_length(json), trusted); break;
    case JSON_ARRAY: {
        List *l = list_new(run, LIST_LIST);
        json_array_foreach(json, i, item) {
            list_append(run, l, value_from_json(run, item, trusted));
        }
        v = value_list(l);
        break;
    }
    case JSON_OBJECT: {
        Dict *d = dict_new(run);
        json_object_foreach((json_t *)json, key, item) {
            dict_append(run, d, value_string(run, key, strlen(key), trusted), value_from_json(run, item, trusted));
        }
        v = value_dict(d);
    }
    }
    run_leave(run);
    return v;
}

/* The filter from_json (fromjson): arguments of a call that came as text. Who wrote the text wrote the values. */
Value filter_from_json(Run *run, Value v, const Arguments *args) {
    const Str *s = value_str(run, v);
    json_error_t error;
    json_t *json = json_loadb(s->data, s->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json)
        run_fail(run, "from_json: %s", error.text);

    /* jansson's tree is not in the arena: it must not be lost when a limit is reached */
    jmp_buf outside;
    memcpy(&outside, &run->escape, sizeof(outside));
    volatile Value result = VALUE_NONE;
    int failed = setjmp(run->escape);
    if (!failed)
        result = value_from_json(run, json, str_all_trusted(s));
    json_decref(json);
    memcpy(&run->escape, &outside, sizeof(outside));
    if (failed)
        longjmp(run->escape, 1);
    return result;
}
