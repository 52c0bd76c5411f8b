/* See bus-manager.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus-call.h"
#include "bus-error.h"
#include "bus-manager.h"
#include "bus-session.h"
#include "model-host.h"
#include "polkit.h"

/* ---------------------------------------------------------------------------------------------- methods */

#define FORWARD(method, function)                                                                                      \
    static int method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {                                    \
        return bus_owner_with(userdata, m, function);                                                                  \
    }

static int load_model(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    return polkit_check(s, o, m, bus_call_load_model, e);
}

static int unload_now(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    int r = model_host_unload(s->d->host, e);
    return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int unload_model(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    return polkit_check(s, o, m, unload_now, e);
}

FORWARD(method_create_session, bus_session_create)
FORWARD(method_generate, bus_call_generate)
FORWARD(method_embed, bus_call_embed)
FORWARD(method_count_tokens, bus_call_count_tokens)
FORWARD(method_prewarm, bus_call_prewarm)
FORWARD(method_load_model, load_model)
FORWARD(method_unload_model, unload_model)

static int append_string(sd_bus_message *m, const char *key, const char *value) {
    return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int append_info(sd_bus_message *m, const ModelInfo *info) {
    const struct {
        const char *key, *value;
    } strings[] = {
        {"title", info->name},
        {"file", info->path},
        {"architecture", info->architecture},
        {"quantisation", info->quantisation},
        {"license", info->license},
        {"author", info->author},
        {"description", info->description},
    };
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(strings) && r >= 0; i++)
        r = append_string(m, strings[i].key, strings[i].value);
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}{sv}{sv}", "size", "t", info->file_bytes, "parameters", "t",
            info->n_parameters, "context-size", "u", info->context_size);
    return r;
}

static int append_installed(sd_bus_message *m, const InstalledModel *model) {
    int r = sd_bus_message_open_container(m, 'r', "sa{sv}");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", model->name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(
            m, "{sv}{sv}", "loaded", "b", (int)model->loaded, "embedded", "b", (int)model->embedded);
    if (r >= 0)
        r = model->info ? append_info(m, model->info) : append_string(m, "error", model->error.message);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int method_list_models(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    BusService *s = userdata;
    InstalledModel *models;
    size_t n;
    Error e;

    int r = model_host_list(s->d->host, &models, &n, &e);
    if (r < 0)
        return bus_error_set(ret_error, &e);
    r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
    for (size_t i = 0; i < n && r >= 0; i++)
        r = append_installed(reply, &models[i]);
    installed_models_free(models, n);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---------------------------------------------------------------------------------------------- properties */

static void read_properties(BusService *s, BusProperties *ret) {
    ModelHost *host = s->d->host;
    EngineStats stats = {};
    BusProperties p = {.availability = availability_to_string(model_host_availability(host)),
        .loaded = model_host_model(host),
        .sessions = s->n_sessions};

    const char *name = model_host_model_name(host);
    snprintf(p.model, sizeof(p.model), "%s", name ? name : "");
    Bridge *b = model_host_bridge(host);
    if (b)
        bridge_stats(b, &stats);
    p.pages = stats.pages_total;
    p.pages_used = stats.pages_used;
    p.queue = stats.queued;
    *ret = p;
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
    void *userdata, sd_bus_error *ret_error) {
    BusProperties p;

    read_properties(userdata, &p);
    return sd_bus_message_append(reply, "u",
        strcmp(property, "Pages") == 0       ? p.pages
        : strcmp(property, "PagesUsed") == 0 ? p.pages_used
        : strcmp(property, "Sessions") == 0  ? p.sessions
                                             : p.queue);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
    void *userdata, sd_bus_error *ret_error) {
    BusService *s = userdata;

    if (strcmp(property, "Version") == 0)
        return sd_bus_message_append(reply, "s", INFERD_VERSION);
    return sd_bus_message_append(reply, "s", availability_to_string(model_host_availability(s->d->host)));
}

static int append_loaded(sd_bus_message *m, const Config *config, const ModelInfo *info) {
    int embedded = config->embedded_model && strcmp(config->embedded_model, info->path) == 0;
    int r = sd_bus_message_append(m, "{sv}{sv}", "loaded", "b", 1, "embedded", "b", embedded);
    return r < 0 ? r : append_info(m, info);
}

static int get_model(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
    void *userdata, sd_bus_error *ret_error) {
    BusService *s = userdata;
    ModelHost *host = s->d->host;
    Availability a = model_host_availability(host);

    int r = sd_bus_message_open_container(reply, 'a', "{sv}");
    if (r >= 0)
        r = append_string(reply, "name", model_host_model_name(host));
    if (r >= 0 && model_host_model(host))
        r = append_loaded(reply, s->d->config, model_info(model_host_model(host)));
    if (r >= 0 && (a == AVAILABILITY_MODEL_FAILED || a == AVAILABILITY_NO_MODEL))
        r = append_string(reply, "error", model_host_error(host)->message);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("CreateSession", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", session),
        method_create_session, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Generate", SD_BUS_ARGS("s", prompt, "a{sv}", options),
        SD_BUS_RESULT("s", text, "a{sv}", result), method_generate, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Embed", SD_BUS_ARGS("as", texts, "a{sv}", options),
        SD_BUS_RESULT("aad", embeddings, "a{sv}", result), method_embed, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("CountTokens", SD_BUS_ARGS("s", text, "a{sv}", options), SD_BUS_RESULT("u", count),
        method_count_tokens, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "Prewarm", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_prewarm, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListModels", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sa{sv})", models), method_list_models,
        SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "LoadModel", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_load_model, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "UnloadModel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unload_model, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Version", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Availability", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Model", "a{sv}", get_model, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Pages", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("PagesUsed", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Sessions", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Queue", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

int bus_manager_add_vtable(BusService *s) {
    read_properties(s, &s->sent);
    return sd_bus_add_object_vtable(s->bus, NULL, BUS_PATH, BUS_MANAGER, manager_vtable, s);
}

void bus_manager_emit_changes(BusService *s) {
    BusProperties now, *sent = &s->sent;
    char *names[7] = {};
    size_t n = 0;

    read_properties(s, &now);
    if (strcmp(now.availability, sent->availability) != 0)
        names[n++] = "Availability";
    /* what Model says follows all three */
    if (n || strcmp(now.model, sent->model) != 0 || now.loaded != sent->loaded)
        names[n++] = "Model";
    if (now.pages != sent->pages)
        names[n++] = "Pages";
    if (now.pages_used != sent->pages_used)
        names[n++] = "PagesUsed";
    if (now.sessions != sent->sessions)
        names[n++] = "Sessions";
    if (now.queue != sent->queue)
        names[n++] = "Queue";
    *sent = now;
    if (n)
        sd_bus_emit_properties_changed_strv(s->bus, BUS_PATH, BUS_MANAGER, names);
}
