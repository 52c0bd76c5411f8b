/* See bus-options.h. The setters of options.c check names and ranges; here only D-Bus types become C types. */
#include <errno.h>
#include <string.h>

#include "bus-options.h"

static int broken(int r, Error *e) {
    return error_set(e, -EINVAL, "The options could not be read: %s.", strerror(-r));
}

static int read_integer(sd_bus_message *m, char type, const char *key, Options *o, Error *e) {
    union {
        uint8_t y;
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
    } v;
    int64_t value = 0;

    int r = sd_bus_message_read_basic(m, type, &v);
    if (r < 0)
        return broken(r, e);
    switch (type) {
    case 'y': value = v.y; break;
    case 'n': value = v.n; break;
    case 'q': value = v.q; break;
    case 'i': value = v.i; break;
    case 'u': value = v.u; break;
    case 'x': value = v.x; break;
    case 't': value = v.t > INT64_MAX ? -1 : (int64_t)v.t; break; /* no option reaches that far */
    }
    return options_set_int(o, key, value, e);
}

static int read_strings(sd_bus_message *m, const char *key, Options *o, Error *e) {
    const char *values[ENGINE_MAX_STOP + 1];
    size_t n = 0;

    int r = sd_bus_message_enter_container(m, 'a', "s");
    while (r >= 0 && n < ELEMENTSOF(values) && (r = sd_bus_message_read(m, "s", &values[n])) > 0)
        n++;
    if (r < 0)
        return broken(r, e);
    r = options_set_strings(o, key, values, n, e);
    if (r < 0)
        return r;
    r = sd_bus_message_exit_container(m);
    return r < 0 ? broken(r, e) : 0;
}

static int read_value(sd_bus_message *m, const char *type, const char *key, Options *o, Error *e) {
    const char *s;
    double d;
    int r;

    if (strcmp(type, "as") == 0)
        return read_strings(m, key, o, e);
    if (strlen(type) != 1)
        return options_refuse(key, e);
    switch (type[0]) {
    case 's': r = sd_bus_message_read(m, "s", &s); return r < 0 ? broken(r, e) : options_set_string(o, key, s, e);
    case 'd': r = sd_bus_message_read(m, "d", &d); return r < 0 ? broken(r, e) : options_set_double(o, key, d, e);
    case 'y':
    case 'n':
    case 'q':
    case 'i':
    case 'u':
    case 'x':
    case 't': return read_integer(m, type[0], key, o, e);
    default: return options_refuse(key, e);
    }
}

/* An option that would change nothing is refused: who sets it expects something of it. */
static int check_meant(const char *key, const char *const *only, Error *e) {
    if (!only)
        return 0;
    for (const char *const *name = only; *name; name++)
        if (strcmp(*name, key) == 0)
            return 0;
    return error_set(e, -EINVAL, "Option \"%s\" means nothing to this method.", key);
}

static int read_entry(sd_bus_message *m, Options *o, Conversation *messages, const char *const *only, Error *e) {
    const char *key, *type;

    int r = sd_bus_message_read(m, "s", &key);
    if (r >= 0)
        r = sd_bus_message_peek_type(m, NULL, &type);
    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'v', type);
    if (r < 0)
        return broken(r, e);

    if (messages && strcmp(key, "messages") == 0) {
        if (strcmp(type, "a(ss)") != 0)
            return error_set(e, -EINVAL, "Option \"messages\" must be a list of (role, text), a(ss).");
        r = bus_messages_read(m, messages, e);
    } else if (strcmp(key, "top-logprobs") == 0 || strcmp(key, "logit-bias") == 0)
        return error_set(e, -EOPNOTSUPP, "Option \"%s\" is supported over HTTP only.", key);
    else
        r = read_value(m, type, key, o, e);
    if (r < 0 || (r = check_meant(key, only, e)) < 0)
        return r;
    r = sd_bus_message_exit_container(m);
    return r < 0 ? broken(r, e) : 0;
}

int bus_options_read(sd_bus_message *m, Options *o, Conversation *messages, const char *const *only, Error *e) {
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    if (r < 0)
        return broken(r, e);
    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = read_entry(m, o, messages, only, e);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            break;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    return r < 0 ? broken(r, e) : 0;
}

int bus_messages_read(sd_bus_message *m, Conversation *c, Error *e) {
    const char *role, *text;

    int r = sd_bus_message_enter_container(m, 'a', "(ss)");
    while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &role, &text)) > 0) {
        int k = conversation_append(c, role, text, strlen(text), e);
        if (k < 0)
            return k;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    return r < 0 ? broken(r, e) : 0;
}
