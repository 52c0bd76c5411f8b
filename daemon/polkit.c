/* See polkit.h.
 *
 *   LoadModel ──▶ polkit_check() ── uid 0, or --user and the same user ──────────────▶ next()
 *                      │
 *                      ▼ CheckAuthorization(system-bus-name :1.42, action)        may take minutes: a password dialog
 *                 on_answer() ── authorised ──▶ next()
 *                      └──────── challenge, refusal, no polkit ──▶ error NotAuthorized
 *
 * Nothing blocks meanwhile; a caller that leaves takes its question along. */
#include <errno.h>

#include "bus-error.h"
#include "polkit.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define ACTION           "org.inferd.Inference1.manage-models"
#define ALLOW_DIALOG     1u
#define ANSWER_USEC      (5 * 60 * UINT64_C(1000000)) /* a person looks for a password */

struct BusQuestion {
    BusQuestion *next;
    BusService *service;     /* borrowed */
    BusOwner *owner;         /* borrowed */
    sd_bus_message *message; /* owned */
    BusHandler handler;
    sd_bus_slot *slot; /* owned */
};

static BusQuestion *question_free(BusQuestion *q) {
    for (BusQuestion **p = &q->service->questions; *p; p = &(*p)->next)
        if (*p == q) {
            *p = q->next;
            break;
        }
    q->owner->n_users--;
    sd_bus_slot_unref(q->slot);
    sd_bus_message_unref(q->message);
    daemon_activity(q->service->d);
    free(q);
    return NULL;
}

void polkit_drop_owned(BusService *s, const BusOwner *o, const Error *error) {
    for (BusQuestion *q = s->questions, *next; q; q = next) {
        next = q->next;
        if (o && q->owner != o)
            continue;
        if (error)
            bus_error_reply(q->message, error);
        question_free(q);
    }
}

static int refuse(const sd_bus_error *error, Error *e) {
    if (!error)
        return error_set(e, -EACCES, "You are not allowed to manage the shared model.");
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
        return error_set(e, -EACCES, "Only root may manage the shared model, because polkit is not running.");
    return error_set(e, -EACCES, "polkit did not say whether you may manage the shared model: %.200s",
        error->message ? error->message : error->name);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusQuestion *q = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(m);
    int authorized = 0, challenge = 0;
    Error e = {};

    /* details follow, such as the authorisation that polkit keeps for some minutes */
    int r = error ? -EACCES : sd_bus_message_enter_container(m, 'r', "bba{ss}");
    if (r > 0)
        r = sd_bus_message_read(m, "bb", &authorized, &challenge);
    if (r > 0 && authorized)
        bus_owner_run(q->owner, q->message, q->handler);
    else if (!error && challenge && !sd_bus_message_get_allow_interactive_authorization(q->message))
        sd_bus_reply_method_errorf(q->message, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
            "Managing the shared model needs authorisation: allow the call to ask for it.");
    else {
        refuse(error, &e);
        bus_error_reply(q->message, &e);
    }
    question_free(q);
    return 0;
}

static int ask(BusQuestion *q) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    sd_bus *bus = q->service->bus;
    uint32_t flags = sd_bus_message_get_allow_interactive_authorization(q->message) > 0 ? ALLOW_DIALOG : 0;

    int r =
        sd_bus_message_new_method_call(bus, &call, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
    if (r >= 0)
        r = sd_bus_message_append(
            call, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", q->owner->name, ACTION, 0, flags, "");
    if (r >= 0)
        r = sd_bus_call_async(bus, &q->slot, call, on_answer, q, ANSWER_USEC);
    return r;
}

int polkit_check(BusService *s, BusOwner *o, sd_bus_message *m, BusHandler next, Error *e) {
    if (o->uid == 0 || (s->d->user && o->uid == getuid()))
        return next(s, o, m, e);
    if (s->d->user)
        return error_set(e, -EACCES, "This inferd belongs to another user.");

    BusQuestion *q = calloc(1, sizeof(BusQuestion));
    if (!q)
        return error_set(e, -ENOMEM, "Out of memory.");
    *q = (BusQuestion){
        .next = s->questions, .service = s, .owner = o, .message = sd_bus_message_ref(m), .handler = next};
    s->questions = q;
    o->n_users++;
    int r = ask(q);
    if (r < 0) {
        question_free(q);
        return error_set(e, -EACCES, "polkit cannot be asked whether you may manage the shared model.");
    }
    return 0;
}
