/* `infer models`, `infer load NAME`, `infer unload`: which model everybody shares. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "dict.h"
#include "models.h"
#include "output.h"
#include "text.h"
#include "verbs.h"

int models_read(sd_bus_message *reply, json_t **ret) {
    const char *name;

    json_t *list = json_array();
    int r = sd_bus_message_enter_container(reply, 'a', "(sa{sv})");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "sa{sv}")) > 0) {
        json_t *model = NULL;
        r = sd_bus_message_read(reply, "s", &name);
        if (r >= 0)
            r = dict_read(reply, &model);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
        if (r >= 0 && (json_object_set_new(model, "name", json_string(name)) < 0 || json_array_append(list, model) < 0))
            r = -ENOMEM;
        json_decref(model);
    }
    if (r < 0) {
        json_decref(list);
        return r;
    }
    *ret = list;
    return 0;
}

static int list_models(Bus *b, json_t **ret) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;

    int r = bus_new_call(b, BUS_PATH, BUS_MANAGER, "ListModels", &m);
    if (r < 0)
        return bus_complain(b, NULL, r);
    int code = bus_call(b, m, &reply);
    if (code)
        return code;
    r = models_read(reply, ret);
    return r < 0 ? bus_complain(b, NULL, r) : 0;
}

#define COLUMNS 7

/* Cells that are computed rather than borrowed from the list. */
typedef struct Row {
    char size[16], context[16];
} Row;

static void fill_row(const json_t *model, Row *row, const char **cells) {
    const char *error = dict_string(model, "error");
    uint64_t context = dict_uint(model, "context-size");

    format_size(dict_uint(model, "size"), row->size, sizeof(row->size));
    snprintf(row->context, sizeof(row->context), "%" PRIu64, context);
    cells[0] = dict_bool(model, "loaded") ? "*" : "";
    cells[1] = dict_string(model, "name");
    cells[2] = row->size;
    cells[3] = *error ? "unusable:" : dict_string(model, "quantisation");
    cells[4] = *error ? error : context ? row->context : "";
    cells[5] = dict_string(model, "architecture");
    cells[6] = dict_bool(model, "embedded") ? "built in" : dict_string(model, "license");
}

static int print_table(const Options *o, const json_t *list) {
    static const char *const head[COLUMNS] = {"", "NAME", "SIZE", "TYPE", "CONTEXT", "ARCHITECTURE", "LICENCE"};
    size_t n = json_array_size(list);
    _cleanup_(freep) const char **cells = calloc((n + 1) * COLUMNS, sizeof(char *));
    _cleanup_(freep) Row *rows = calloc(n + 1, sizeof(Row));
    if (!cells || !rows)
        return complain(EX_OSERR, "out of memory");

    memcpy(cells, head, sizeof(head));
    for (size_t i = 0; i < n; i++)
        fill_row(json_array_get(list, i), &rows[i], cells + (i + 1) * COLUMNS);
    table_print(stdout, cells, COLUMNS, n + 1, color_wanted(o, STDOUT_FILENO));
    return 0;
}

int verb_models(Options *o) {
    Bus bus = {};
    json_t *list = NULL;

    int code = bus_open(&bus, o->bus);
    if (code == 0)
        code = list_models(&bus, &list);
    if (code == 0 && o->json) {
        _cleanup_(freep) char *text = json_dumps(list, JSON_INDENT(2));
        puts(text ? text : "[]");
    } else if (code == 0 && json_array_size(list) == 0)
        remark("no model is installed; infer models --help says where to put one");
    else if (code == 0)
        code = print_table(o, list);
    json_decref(list);
    bus_done(&bus);
    return code;
}

static int call_manager(const Options *o, const char *member, const char *argument) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    Bus bus = {};

    int code = bus_open(&bus, o->bus);
    if (code)
        return code;
    int r = bus_new_call(&bus, BUS_PATH, BUS_MANAGER, member, &m);
    if (r >= 0 && argument)
        r = sd_bus_message_append(m, "s", argument);
    code = r < 0 ? bus_complain(&bus, NULL, r) : bus_call(&bus, m, &reply);
    bus_done(&bus);
    return code;
}

int verb_load(Options *o) {
    _cleanup_(text_done) Text name = {};

    if (text_from_bytes(o->words[0], strlen(o->words[0]), &name) < 0)
        return complain(EX_OSERR, "out of memory");
    return call_manager(o, "LoadModel", name.bytes);
}

int verb_unload(Options *o) {
    return call_manager(o, "UnloadModel", NULL);
}
