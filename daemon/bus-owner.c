/* See bus-owner.h. sd_bus_query_sender_creds() would block the loop on the bus daemon, so GetConnectionUnixUser is
 * called asynchronously. The match on NameOwnerChanged is installed first: a name that leaves before the answer is not
 * missed. Owners are kept while they are connected; when there are many, one that has nothing open makes room, since a
 * bus grants a connection only some hundred matches. */
#include <errno.h>
#include <string.h>

#include "bus-error.h"
#include "bus-service.h"

#define OWNERS_KEPT      128
#define WAITING_MAX      256 /* messages that one sender may have here before the bus has told who it is */
#define DBUS_SERVICE     "org.freedesktop.DBus"
#define DBUS_OBJECT_PATH "/org/freedesktop/DBus"

typedef struct BusWaiting BusWaiting;
struct BusWaiting {
    BusWaiting *next;
    sd_bus_message *message; /* owned */
    BusHandler handler;
};

static void drop_waiting(BusOwner *o, const Error *error) {
    while (o->waiting) {
        BusWaiting *w = o->waiting;
        o->waiting = w->next;
        if (error)
            bus_error_reply(w->message, error);
        sd_bus_message_unref(w->message);
        free(w);
    }
}

BusOwner *bus_owner_free(BusOwner *o) {
    if (!o)
        return NULL;
    for (BusOwner **p = &o->service->owners; *p; p = &(*p)->next)
        if (*p == o) {
            *p = o->next;
            o->service->n_owners--;
            break;
        }
    drop_waiting(o, NULL);
    sd_bus_slot_unref(o->match);
    sd_bus_slot_unref(o->query);
    daemon_activity(o->service->d);
    free(o->name);
    free(o);
    return NULL;
}
DEFINE_CLEANUP(BusOwner *, bus_owner_free)

int bus_owner_run(BusOwner *o, sd_bus_message *m, BusHandler handler) {
    Error e = {};

    int r = handler(o->service, o, m, &e);
    if (r < 0)
        return bus_error_reply(m, &e);
    return 1;
}

static void fail(BusOwner *o, const Error *error) {
    drop_waiting(o, error);
    bus_owner_free(o);
}

void bus_owner_free_all(BusService *s, const Error *error) {
    while (s->owners)
        fail(s->owners, error);
}

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusOwner *o = userdata;
    const char *name, *old_owner, *new_owner;

    int r = sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner);
    if (r < 0 || strcmp(name, o->name) != 0 || *new_owner)
        return 0;
    bus_service_drop_owner(o->service, o, NULL);
    bus_owner_free(o);
    return 0;
}

static int on_match_added(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusOwner *o = userdata;
    Error e;

    if (!sd_bus_message_is_method_error(m, NULL))
        return 0;
    error_set(&e, -EDQUOT, "Too many programs use inferd at this moment; try again later.");
    bus_service_drop_owner(o->service, o, &e);
    fail(o, &e);
    return 0;
}

static int on_uid(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusOwner *o = userdata;
    uint32_t uid;
    Error e;

    o->query = sd_bus_slot_unref(o->query);
    if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0) {
        error_set(&e, -EACCES, "The bus does not tell which user you are.");
        fail(o, &e);
        return 0;
    }
    o->known = true;
    o->uid = uid;
    while (o->waiting) {
        BusWaiting *w = o->waiting;
        o->waiting = w->next;
        bus_owner_run(o, w->message, w->handler);
        sd_bus_message_unref(w->message);
        free(w);
    }
    daemon_activity(o->service->d);
    return 0;
}

static void make_room(BusService *s) {
    BusOwner *idle = NULL;

    if (s->n_owners < OWNERS_KEPT)
        return;
    for (BusOwner *o = s->owners; o; o = o->next) /* the newest first */
        if (o->n_users == 0 && o->known)
            idle = o;
    bus_owner_free(idle);
}

static int owner_new(BusService *s, const char *name, BusOwner **ret) {
    _cleanup_(bus_owner_freep) BusOwner *o = calloc(1, sizeof(BusOwner));
    char rule[400];

    if (!o)
        return -ENOMEM;
    o->service = s;
    o->name = strdup(name);
    if (!o->name)
        return -ENOMEM;
    snprintf(rule, sizeof(rule),
        "type='signal',sender='" DBUS_SERVICE "',path='" DBUS_OBJECT_PATH "',interface='" DBUS_SERVICE
        "',member='NameOwnerChanged',arg0='%s'",
        name);
    int r = sd_bus_add_match_async(s->bus, &o->match, rule, on_name_owner_changed, on_match_added, o);
    if (r >= 0)
        r = sd_bus_call_method_async(s->bus, &o->query, DBUS_SERVICE, DBUS_OBJECT_PATH, DBUS_SERVICE,
            "GetConnectionUnixUser", on_uid, o, "s", name);
    if (r < 0)
        return r;
    o->next = s->owners;
    s->owners = o;
    s->n_owners++;
    *ret = TAKE_PTR(o);
    return 0;
}

static int enqueue(BusOwner *o, sd_bus_message *m, BusHandler handler) {
    size_t n = 0;
    BusWaiting **p = &o->waiting;
    Error e;

    for (; *p; p = &(*p)->next)
        n++;
    if (n == WAITING_MAX) {
        error_set(&e, -EDQUOT, "%d calls of yours wait already; send more when they are answered.", WAITING_MAX);
        return bus_error_reply(m, &e);
    }
    BusWaiting *w = calloc(1, sizeof(BusWaiting));
    if (!w)
        return -ENOMEM;
    w->message = sd_bus_message_ref(m);
    w->handler = handler;
    *p = w;
    return 1;
}

int bus_owner_with(BusService *s, sd_bus_message *m, BusHandler handler) {
    const char *name = sd_bus_message_get_sender(m);
    BusOwner *o = s->owners;

    if (!name)
        return -EBADMSG;
    while (o && strcmp(o->name, name) != 0)
        o = o->next;
    if (o && o->known)
        return bus_owner_run(o, m, handler);
    if (!o) {
        make_room(s);
        int r = owner_new(s, name, &o);
        if (r < 0)
            return r;
    }
    return enqueue(o, m, handler);
}
