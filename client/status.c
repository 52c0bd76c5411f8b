/* `infer status` and `infer tokens`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "dict.h"
#include "output.h"
#include "prompt.h"
#include "verbs.h"

/* All properties of the manager. */
static int read_properties(Bus *b, json_t **ret) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;

    int r = bus_new_call(b, BUS_PATH, "org.freedesktop.DBus.Properties", "GetAll", &m);
    if (r >= 0)
        r = sd_bus_message_append(m, "s", BUS_MANAGER);
    if (r < 0)
        return bus_complain(b, NULL, r);
    int code = bus_call(b, m, &reply);
    if (code)
        return code;
    r = dict_read(reply, ret);
    return r < 0 ? bus_complain(b, NULL, r) : 0;
}

/* Only the name is known while the model is being loaded, or was put aside; a reason if it cannot be loaded. */
static void describe_model(const json_t *model, char *out, size_t size) {
    const char *name = dict_string(model, "name"), *error = dict_string(model, "error");
    const char *architecture = dict_string(model, "architecture");

    if (*error)
        snprintf(out, size, "%s: %s", *name ? name : "none", error);
    else if (!*name)
        snprintf(out, size, "none");
    else if (!*architecture)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "%s (%s, %s%s)", name, architecture, dict_string(model, "quantisation"),
            dict_bool(model, "embedded") ? ", built in" : "");
}

static void print_status(const Bus *b, const json_t *p) {
    const json_t *model = json_object_get(p, "Model");
    uint64_t context_size = dict_uint(model, "context-size");
    char name[1024], context[48], pages[64], sessions[24], queue[24];

    describe_model(model, name, sizeof(name));
    snprintf(context, sizeof(context), context_size ? "%" PRIu64 " tokens" : "none", context_size);
    snprintf(
        pages, sizeof(pages), "%" PRIu64 " of %" PRIu64 " in use", dict_uint(p, "PagesUsed"), dict_uint(p, "Pages"));
    snprintf(sessions, sizeof(sessions), "%" PRIu64, dict_uint(p, "Sessions"));
    snprintf(queue, sizeof(queue), "%" PRIu64, dict_uint(p, "Queue"));

    const char *const cells[] = {"Availability", dict_string(p, "Availability"), "Model", name, "Context", context,
        "Pages", pages, "Sessions", sessions, "Queue", queue, "Version", dict_string(p, "Version"), "Bus",
        b->user ? "session (this user's own daemon)" : "system (shared)"};
    table_print(stdout, cells, 2, ELEMENTSOF(cells) / 2, false);
}

int verb_status(Options *o) {
    Bus bus = {};
    json_t *properties = NULL;

    int code = bus_open(&bus, o->bus);
    if (code == 0)
        code = read_properties(&bus, &properties);
    if (code == 0 && o->json) {
        _cleanup_(freep) char *text = json_dumps(properties, JSON_INDENT(2) | JSON_SORT_KEYS);
        puts(text ? text : "{}");
    } else if (code == 0)
        print_status(&bus, properties);
    json_decref(properties);
    bus_done(&bus);
    return code;
}

int verb_tokens(Options *o) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    _cleanup_(freep) char *text = NULL;
    Bus bus = {};
    uint32_t n = 0;

    int code = prompt_gather(o, &text);
    if (code == 0)
        code = bus_open(&bus, o->bus);
    if (code)
        return code;
    int r = bus_new_call(&bus, BUS_PATH, BUS_MANAGER, "CountTokens", &m);
    if (r >= 0)
        r = sd_bus_message_append(m, "sa{sv}", text, 0);
    code = r < 0 ? bus_complain(&bus, NULL, r) : bus_call(&bus, m, &reply);
    if (code == 0) {
        r = sd_bus_message_read(reply, "u", &n);
        code = r < 0 ? bus_complain(&bus, NULL, r) : 0;
    }
    if (code == 0)
        printf(o->json ? "{\"tokens\": %u}\n" : "%u\n", n);
    bus_done(&bus);
    return code;
}
