/* See bus-session.h. One fallback vtable serves all sessions. Its find function answers only to the session's owner, so
 * that sd-bus gives everybody else the very reply that it gives for an object that does not exist; introspection and
 * properties go through the same door. That is also why no property here emits a change signal: it would be broadcast.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus-error.h"
#include "bus-options.h"
#include "bus-session.h"
#include "bus-turn.h"
#include "model-host.h"

#define SESSION_PREFIX BUS_PATH "/session"

struct BusSession {
    BusSession *next;
    BusService *service; /* borrowed */
    BusOwner *owner;     /* borrowed; outlives its sessions */
    uint64_t id;
    char path[64];
    Options options; /* defaults of its turns */
    Conversation conversation;
    BusTurn *turn;        /* borrowed; NULL: idle */
    size_t n_before_turn; /* messages to go back to if the turn fails */
    uint64_t last_turn_id;
    uint32_t context_used;
};

/* ---------------------------------------------------------------------------------------------- life */

static BusSession *session_free(BusSession *s) {
    for (BusSession **p = &s->service->sessions; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    s->service->n_sessions--;
    s->owner->n_users--;
    if (s->turn)
        bus_turn_abandon(s->turn);
    options_done(&s->options);
    conversation_done(&s->conversation);
    bus_service_touch(s->service);
    daemon_activity(s->service->d);
    free(s);
    return NULL;
}

void bus_session_free_owned(BusService *s, const BusOwner *o) {
    for (BusSession *p = s->sessions, *next; p; p = next) {
        next = p->next;
        if (!o || p->owner == o)
            session_free(p);
    }
}

static int check_limits(BusService *s, const BusOwner *o, Error *e) {
    uint32_t n = 0;

    if (s->d->stopping)
        return error_set(e, -ESHUTDOWN, "inferd is stopping.");
    for (BusSession *p = s->sessions; p; p = p->next)
        n += p->owner->uid == o->uid;
    if (n >= s->d->config->max_sessions_per_owner)
        return error_set(e, -EDQUOT, "You already have %" PRIu32 " sessions; close one first.", n);
    return 0;
}

/* `options` and `conversation` are copied. */
static int session_new(
    BusService *s, BusOwner *o, const Options *options, const Conversation *conversation, BusSession **ret, Error *e) {
    int r = check_limits(s, o, e);
    if (r < 0)
        return r;
    BusSession *n = calloc(1, sizeof(BusSession));
    if (!n)
        return error_set(e, -ENOMEM, "Out of memory.");
    r = options_copy(&n->options, options, e);
    if (r >= 0) {
        r = conversation_copy(&n->conversation, conversation, e);
        if (r < 0)
            options_done(&n->options);
    }
    if (r < 0) {
        free(n);
        return r;
    }
    n->service = s;
    n->owner = o;
    o->n_users++;
    n->id = ++s->last_session_id;
    snprintf(n->path, sizeof(n->path), SESSION_PREFIX "/%" PRIu64, n->id);
    n->next = s->sessions;
    s->sessions = n;
    s->n_sessions++;
    bus_service_touch(s);
    daemon_activity(s->d);
    *ret = n;
    return 0;
}

int bus_session_create(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    BusSession *n;
    Options options;

    int r = options_copy(&options, &s->d->config->defaults, e);
    if (r < 0)
        return r;
    r = bus_options_read(m, &options, NULL, NULL, e);
    if (r >= 0)
        r = session_new(s, o, &options, &(Conversation){}, &n, e);
    options_done(&options);
    return r < 0 ? r : sd_bus_reply_method_return(m, "o", n->path);
}

static BusSession *session_of_path(BusService *s, const char *path) {
    for (BusSession *p = s->sessions; p; p = p->next)
        if (strcmp(p->path, path) == 0)
            return p;
    return NULL;
}

static bool is_sender(sd_bus *bus, const BusSession *s) {
    sd_bus_message *m = sd_bus_get_current_message(bus);
    const char *sender = m ? sd_bus_message_get_sender(m) : NULL;
    return sender && strcmp(sender, s->owner->name) == 0;
}

static int session_find(
    sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found, sd_bus_error *ret_error) {
    BusSession *p = session_of_path(userdata, path);

    if (!p || !is_sender(bus, p))
        return 0;
    *ret_found = p;
    return 1;
}

static void nodes_freep(char ***nodes) {
    for (char **p = *nodes; p && *p; p++)
        free(*p);
    free(*nodes);
}

static int session_enumerate(
    sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *ret_error) {
    BusService *s = userdata;
    size_t n = 0;

    _cleanup_(nodes_freep) char **nodes = calloc(s->n_sessions + 1, sizeof(char *));
    if (!nodes)
        return -ENOMEM;
    for (BusSession *p = s->sessions; p; p = p->next)
        if (is_sender(bus, p) && !(nodes[n++] = strdup(p->path)))
            return -ENOMEM;
    *ret_nodes = TAKE_PTR(nodes);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- turns */

/* The assistant's turn becomes a message, with the tools that it called. */
static int remember(BusSession *s, const char *answer, size_t answer_size, const char *tool_calls) {
    _cleanup_(freep) char *fields = NULL;
    if (!*tool_calls)
        return conversation_append(&s->conversation, "assistant", answer, answer_size, NULL);
    if (asprintf(&fields, "{\"tool_calls\":[%s]}", tool_calls) < 0) {
        fields = NULL;
        return -ENOMEM;
    }
    return conversation_append_message(
        &s->conversation, "assistant", answer_size ? answer : NULL, answer_size, fields, NULL);
}

static void on_turn_ended(BusTurn *t, const RequestResult *result, const char *answer, size_t answer_size,
    const char *tool_calls, void *userdata) {
    BusSession *s = userdata;
    bool keep = result->finish == ENGINE_FINISH_STOP || result->finish == ENGINE_FINISH_LENGTH ||
                (result->finish == ENGINE_FINISH_CANCELLED && answer_size > 0);

    s->turn = NULL;
    if (keep)
        keep = remember(s, answer, answer_size, tool_calls) >= 0;
    if (!keep)
        conversation_truncate(&s->conversation, s->n_before_turn);
    else
        s->context_used = result->usage.prompt_tokens + result->usage.completion_tokens;
}

static int read_turn(BusSession *s, sd_bus_message *m, const char **ret_prompt, Options *options, Error *e) {
    int r = sd_bus_message_read(m, "s", ret_prompt);
    if (r < 0)
        return error_set(e, -EINVAL, "The prompt could not be read: %s.", strerror(-r));
    r = options_copy(options, &s->options, e);
    if (r < 0)
        return r;
    r = bus_options_read(m, options, NULL, NULL, e);
    if (r < 0)
        options_done(options);
    return r;
}

static int start_turn(BusSession *s, const char *prompt, const Options *options, bool stream, int *ret_fd, Error *e) {
    int r = 0;

    s->n_before_turn = s->conversation.n;
    if (*prompt)
        r = conversation_append(&s->conversation, "user", prompt, strlen(prompt), e);
    if (r < 0)
        return r;
    BusTurnSpec spec = {
        .id = s->last_turn_id + 1,
        .path = s->path,
        .owner_name = s->owner->name,
        .request = {.transport = REQUEST_TRANSPORT_DBUS,
            .owner = request_owner_of_uid(s->owner->uid),
            .options = options,
            .conversation = &s->conversation},
        .stream = stream,
        .ended = on_turn_ended,
        .userdata = s,
    };
    r = bus_turn_start(s->service, &spec, &s->turn, ret_fd, e);
    if (r < 0)
        conversation_truncate(&s->conversation, s->n_before_turn);
    else
        s->last_turn_id++;
    return r;
}

static int respond(BusSession *s, sd_bus_message *m, bool stream, sd_bus_error *ret_error) {
    _cleanup_(closep) int fd = -1;
    const char *prompt;
    Options options;
    Error e = {};

    int r = s->turn ? error_set(&e, -EBUSY, "A turn is still running; wait until it has finished, or cancel it.") : 0;
    if (r >= 0)
        r = read_turn(s, m, &prompt, &options, &e);
    if (r >= 0) {
        r = start_turn(s, prompt, &options, stream, &fd, &e);
        options_done(&options);
    }
    if (r < 0)
        return bus_error_set(ret_error, &e);
    return stream ? sd_bus_reply_method_return(m, "th", s->last_turn_id, fd)
                  : sd_bus_reply_method_return(m, "t", s->last_turn_id);
}

/* ---------------------------------------------------------------------------------------------- methods */

static int method_respond(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    return respond(userdata, m, false, ret_error);
}

static int method_respond_stream(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    return respond(userdata, m, true, ret_error);
}

static int method_append(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusSession *s = userdata;
    size_t before = s->conversation.n;
    Error e = {};

    int r = s->turn ? error_set(&e, -EBUSY, "A turn is still running; append when it has finished.")
                    : bus_messages_read(m, &s->conversation, &e);
    if (r < 0) {
        conversation_truncate(&s->conversation, before);
        return bus_error_set(ret_error, &e);
    }
    return sd_bus_reply_method_return(m, NULL);
}

static int method_fork(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusSession *s = userdata, *n;
    Error e = {};

    int r = session_new(s->service, s->owner, &s->options, &s->conversation, &n, &e);
    if (r < 0)
        return bus_error_set(ret_error, &e);
    if (s->turn)
        conversation_truncate(&n->conversation, s->n_before_turn);
    n->context_used = s->context_used;
    return sd_bus_reply_method_return(m, "o", n->path);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusSession *s = userdata;
    uint64_t id;

    int r = sd_bus_message_read(m, "t", &id);
    if (r < 0)
        return r;
    if (s->turn && bus_turn_id(s->turn) == id)
        bus_turn_cancel(s->turn);
    return sd_bus_reply_method_return(m, NULL);
}

static int method_close(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    session_free(userdata);
    return sd_bus_reply_method_return(m, NULL);
}

/* ---------------------------------------------------------------------------------------------- properties */

static int get_context_size(sd_bus *bus, const char *path, const char *interface, const char *property,
    sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
    BusSession *s = userdata;
    EngineStats stats = {};

    Bridge *b = model_host_bridge(s->service->d->host);
    if (b)
        bridge_stats(b, &stats);
    return sd_bus_message_append(reply, "u", stats.context_size);
}

static int get_messages(sd_bus *bus, const char *path, const char *interface, const char *property,
    sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
    BusSession *s = userdata;

    int r = sd_bus_message_open_container(reply, 'a', "(ss)");
    for (size_t i = 0; i < s->conversation.n && r >= 0; i++)
        r = sd_bus_message_append(reply, "(ss)", s->conversation.messages[i].role, s->conversation.messages[i].content);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable session_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Respond", SD_BUS_ARGS("s", prompt, "a{sv}", options), SD_BUS_RESULT("t", id),
        method_respond, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("RespondStream", SD_BUS_ARGS("s", prompt, "a{sv}", options),
        SD_BUS_RESULT("t", id, "h", stream), method_respond_stream, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "Append", SD_BUS_ARGS("a(ss)", messages), SD_BUS_NO_RESULT, method_append, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "Fork", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", session), method_fork, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "Cancel", SD_BUS_ARGS("t", id), SD_BUS_NO_RESULT, method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Close", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_close, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL_WITH_ARGS("Delta", SD_BUS_ARGS("t", id, "s", kind, "s", text), 0),
    SD_BUS_SIGNAL_WITH_ARGS("Finished", SD_BUS_ARGS("t", id, "a{sv}", result), 0),
    SD_BUS_PROPERTY("ContextSize", "u", get_context_size, 0, 0),
    SD_BUS_PROPERTY("ContextUsed", "u", NULL, offsetof(BusSession, context_used), 0),
    SD_BUS_PROPERTY("Messages", "a(ss)", get_messages, 0, 0),
    SD_BUS_VTABLE_END,
};

int bus_session_add_vtable(BusService *s) {
    int r = sd_bus_add_fallback_vtable(s->bus, NULL, SESSION_PREFIX, BUS_SESSION, session_vtable, session_find, s);
    if (r >= 0)
        r = sd_bus_add_node_enumerator(s->bus, NULL, SESSION_PREFIX, session_enumerate, s);
    return r;
}
