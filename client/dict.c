/* See dict.h. */
#include <errno.h>
#include <string.h>

#include "dict.h"

/* The basic value inside the variant at which m stands; *ret stays NULL for a type that is not taken. */
static int read_basic(sd_bus_message *m, char type, json_t **ret) {
    union {
        uint8_t y;
        int b;
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
        double d;
        const char *s;
    } v;

    int r = sd_bus_message_read_basic(m, type, &v);
    if (r < 0)
        return r;
    switch (type) {
    case 'y': *ret = json_integer(v.y); break;
    case 'b': *ret = json_boolean(v.b); break;
    case 'n': *ret = json_integer(v.n); break;
    case 'q': *ret = json_integer(v.q); break;
    case 'i': *ret = json_integer(v.i); break;
    case 'u': *ret = json_integer(v.u); break;
    case 'x': *ret = json_integer(v.x); break;
    case 't': *ret = json_integer((json_int_t)MIN(v.t, (uint64_t)INT64_MAX)); break;
    case 'd': *ret = json_real(v.d); break;
    case 's':
    case 'o':
    case 'g': *ret = json_string(v.s); break;
    }
    return 0;
}

static int read_value(sd_bus_message *m, json_t **ret);

static int read_variant(sd_bus_message *m, json_t **ret) {
    const char *contents;
    char type;

    int r = sd_bus_message_peek_type(m, &type, &contents);
    if (r < 0)
        return r;
    r = sd_bus_message_enter_container(m, 'v', contents);
    if (r >= 0)
        r = read_value(m, ret);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_value(sd_bus_message *m, json_t **ret) {
    const char *contents;
    char type;

    int r = sd_bus_message_peek_type(m, &type, &contents);
    if (r < 0)
        return r;
    if (type == 'a' && strcmp(contents, "{sv}") == 0)
        return dict_read(m, ret);
    if (type == 'a' || type == 'h' || type == 'r')
        return sd_bus_message_skip(m, NULL);
    return read_basic(m, type, ret);
}

int dict_read(sd_bus_message *m, json_t **ret) {
    json_t *dict = json_object();
    if (!dict)
        return -ENOMEM;

    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        const char *key;
        json_t *value = NULL;
        r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
            r = read_variant(m, &value);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r >= 0 && value && json_object_set(dict, key, value) < 0)
            r = -ENOMEM;
        json_decref(value);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0) {
        json_decref(dict);
        return r;
    }
    *ret = dict;
    return 0;
}

const char *dict_string(const json_t *dict, const char *key) {
    const char *s = json_string_value(json_object_get(dict, key));
    return s ? s : "";
}

uint64_t dict_uint(const json_t *dict, const char *key) {
    json_int_t v = json_integer_value(json_object_get(dict, key));
    return v > 0 ? (uint64_t)v : 0;
}

bool dict_bool(const json_t *dict, const char *key) {
    return json_is_true(json_object_get(dict, key));
}
