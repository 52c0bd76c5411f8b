/* See bus-service.h. A bus may restart under a service that also has a socket: then the sessions end, since their
 * owners are gone, and the connection is tried again with growing pauses, while HTTP goes on. */
#include <errno.h>
#include <string.h>

#include "bus-call.h"
#include "bus-manager.h"
#include "bus-service.h"
#include "bus-session.h"
#include "bus-turn.h"
#include "log.h"
#include "model-host.h"
#include "polkit.h"

#define BACKOFF_MIN_MS    500
#define BACKOFF_MAX_MS    30000
#define PROPERTIES_MIN_MS 500 /* between two PropertiesChanged */
#define RELEASE_USEC      (UINT64_C(1000000))
#define LAST_MESSAGES     4096 /* handled when the name is given up; somebody may send without end */

static void connect_bus(BusService *s);

bool bus_service_is_used(const BusService *s) {
    for (const BusOwner *o = s->owners; o; o = o->next)
        if (o->n_users || o->waiting)
            return true;
    return false;
}

void bus_service_drop_owner(BusService *s, BusOwner *o, const Error *error) {
    bus_session_free_owned(s, o);
    bus_call_drop_owned(s, o, error);
    polkit_drop_owned(s, o, error);
}

/* ---------------------------------------------------------------------------------------------- flushing, properties
 */

static void on_flush(uv_check_t *check) {
    BusService *s = check->data;
    if (!s->bus || !bus_turn_flush_all(s))
        uv_check_stop(check);
}

void bus_service_schedule_flush(BusService *s) {
    if (!uv_is_active((uv_handle_t *)&s->flush))
        uv_check_start(&s->flush, on_flush);
}

static void on_properties(uv_timer_t *timer) {
    BusService *s = timer->data;

    if (!s->bus || !s->named)
        return;
    bus_manager_emit_changes(s);
    s->sent_at = uv_now(s->d->loop);
    if (s->d->n_requests) /* pages and queue move on */
        uv_timer_start(&s->properties_timer, on_properties, PROPERTIES_MIN_MS, 0);
}

void bus_service_touch(BusService *s) {
    uint64_t since = uv_now(s->d->loop) - s->sent_at;

    if (s->n_handles == 0 || uv_is_active((uv_handle_t *)&s->properties_timer))
        return;
    uv_timer_start(&s->properties_timer, on_properties, since >= PROPERTIES_MIN_MS ? 0 : PROPERTIES_MIN_MS - since, 0);
}

static void on_host_changed(void *userdata) {
    bus_service_touch(userdata);
}

/* ---------------------------------------------------------------------------------------------- connection */

/* Those who still wait get `error`; NULL: there is no way to tell them. */
static void drop_connection(BusService *s, const Error *error) {
    bus_service_drop_owner(s, NULL, error);
    bus_turn_free_all(s);
    bus_owner_free_all(s, error);
    if (s->bus && error)
        sd_bus_flush(s->bus);
    s->loop = loop_bus_free(s->loop);
    s->bus = sd_bus_close_unref(s->bus);
    s->named = false;
}

static void on_retry(uv_timer_t *timer) {
    connect_bus(timer->data);
}

static void retry_later(BusService *s) {
    uv_timer_start(&s->retry, on_retry, s->backoff_ms, 0);
    s->backoff_ms = MIN(s->backoff_ms * 2, (uint64_t)BACKOFF_MAX_MS);
    daemon_bus_settled(s->d);
}

static void on_lost(void *userdata, int error) {
    BusService *s = userdata;

    log_warning("The message bus is gone (%s); its sessions end.", strerror(-error));
    drop_connection(s, NULL);
    if (!s->d->stopping)
        retry_later(s);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    BusService *s = userdata;
    Error e = {};
    uint32_t answer = 0;

    const sd_bus_error *error = sd_bus_message_get_error(m);
    int r = error ? -EACCES : sd_bus_message_read(m, "u", &answer);
    if (r >= 0 && answer != 1 && answer != 4) /* primary owner, or already so */
        r = -EEXIST;
    if (r >= 0) {
        s->named = true;
        s->backoff_ms = BACKOFF_MIN_MS;
        log_debug("The name " BUS_NAME " is ours.");
        daemon_bus_settled(s->d);
        bus_service_touch(s);
        return 0;
    }
    if (error)
        error_set(&e, r, "The message bus refuses the name " BUS_NAME ": %.300s", error->message);
    else
        error_set(&e, r, "Another inferd serves this bus already (the name " BUS_NAME " is taken).");
    daemon_fail(s->d, &e);
    return 0;
}

static int request_name(BusService *s) {
    return sd_bus_request_name_async(s->bus, NULL, BUS_NAME, 0, on_name, s);
}

static int open_bus(BusService *s) {
    int r = s->d->user ? sd_bus_open_user_with_description(&s->bus, "inferd")
                       : sd_bus_open_system_with_description(&s->bus, "inferd");
    if (r < 0)
        return r;
    r = bus_manager_add_vtable(s);
    if (r >= 0)
        r = bus_session_add_vtable(s);
    if (r >= 0)
        r = request_name(s);
    if (r >= 0)
        r = loop_bus_new(s->d->loop, s->bus, on_lost, s, &s->loop);
    if (r < 0)
        s->bus = sd_bus_close_unref(s->bus);
    return r;
}

static void connect_bus(BusService *s) {
    int r = open_bus(s);
    if (r >= 0)
        return;
    log_warning("Cannot connect to the %s bus (%s); trying again in %llu ms.", s->d->user ? "session" : "system",
        strerror(-r), (unsigned long long)s->backoff_ms);
    retry_later(s);
}

int bus_service_new(Daemon *d, BusService **ret, Error *e) {
    BusService *s = calloc(1, sizeof(BusService));
    if (!s)
        return error_set(e, -ENOMEM, "Out of memory.");
    s->d = d;
    s->backoff_ms = BACKOFF_MIN_MS;
    uv_timer_init(d->loop, &s->retry);
    uv_timer_init(d->loop, &s->properties_timer);
    uv_check_init(d->loop, &s->flush);
    s->retry.data = s->properties_timer.data = s->flush.data = s;
    s->n_handles = 3;
    model_host_on_change(d->host, on_host_changed, s);
    *ret = s; /* what connecting calls back looks for it in Daemon */
    connect_bus(s);
    return 0;
}

void bus_service_release(BusService *s) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;

    if (!s->bus || !s->named)
        return;
    s->named = false;
    int r = sd_bus_message_new_method_call(
        s->bus, &call, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName");
    if (r >= 0)
        r = sd_bus_message_append(call, "s", BUS_NAME);
    if (r >= 0)
        r = sd_bus_call(s->bus, call, RELEASE_USEC, NULL, NULL);
    /* what the bus passed on before it answered has been read by now */
    for (unsigned i = 0; i < LAST_MESSAGES && r > 0; i++)
        r = sd_bus_process(s->bus, NULL);
    if (r < 0)
        log_debug("The name " BUS_NAME " could not be given up: %s.", strerror(-r));
}

void bus_service_claim(BusService *s) {
    int r = s->bus && !s->named ? request_name(s) : 0;
    if (r < 0)
        log_warning("The name " BUS_NAME " cannot be asked for again: %s.", strerror(-r));
}

static void on_handle_closed(uv_handle_t *handle) {
    BusService *s = handle->data;
    if (--s->n_handles == 0)
        free(s);
}

BusService *bus_service_free(BusService *s) {
    Error stopping;

    if (!s)
        return NULL;
    bus_service_release(s);
    error_set(&stopping, -ESHUTDOWN, "inferd is stopping.");
    drop_connection(s, &stopping);
    bus_call_free_all(s);
    uv_close((uv_handle_t *)&s->retry, on_handle_closed);
    uv_close((uv_handle_t *)&s->properties_timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->flush, on_handle_closed);
    return NULL;
}
