/* See fake-bus.h. */
#include <sys/socket.h>

#include "fake-bus.h"

#include "bus-turn.h"

#define DBUS        "org.freedesktop.DBus"
#define DBUS_PATH   "/org/freedesktop/DBus"
#define OUR_ERRORS  "org.inferd.Inference1.Error."
#define UNIQUE_NAME ":1.1" /* the daemon's */

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    FakeBus *b = userdata;
    if (sd_bus_message_is_method_call(m, DBUS, "Hello"))
        return sd_bus_reply_method_return(m, "s", UNIQUE_NAME);
    assert_true(b->n_received < FAKE_BUS_MAX);
    b->received[b->n_received++] = sd_bus_message_ref(m);
    return 1;
}

void fake_bus_init(FakeBus *b, int fd) {
    sd_id128_t id;
    *b = (FakeBus){};
    assert_true(sd_id128_randomize(&id) >= 0 && sd_bus_new(&b->peer) >= 0);
    assert_true(sd_bus_set_fd(b->peer, fd, fd) >= 0 && sd_bus_set_server(b->peer, 1, id) >= 0);
    assert_true(sd_bus_add_filter(b->peer, NULL, on_message, b) >= 0);
    assert_true(sd_bus_start(b->peer) >= 0);
}

void fake_bus_done(FakeBus *b) {
    for (size_t i = 0; i < b->n_received; i++)
        sd_bus_message_unref(b->received[i]);
    sd_bus_close_unref(b->peer);
    *b = (FakeBus){};
}

unsigned fake_bus_process(FakeBus *b) {
    unsigned n = 0;
    while (b->peer && sd_bus_process(b->peer, NULL) > 0)
        n++;
    return n;
}

static bool is_called(sd_bus_message *m, const char *member) {
    const char *name = m ? sd_bus_message_get_member(m) : NULL;
    return name && strcmp(name, member) == 0;
}

sd_bus_message *fake_bus_find(const FakeBus *b, const char *member) {
    for (size_t i = 0; i < b->n_received; i++)
        if (is_called(b->received[i], member))
            return b->received[i];
    return NULL;
}

unsigned fake_bus_count(const FakeBus *b, const char *member) {
    unsigned n = 0;
    for (size_t i = 0; i < b->n_received; i++)
        n += is_called(b->received[i], member);
    return n;
}

static sd_bus_message *take(FakeBus *b, const char *member) {
    for (size_t i = 0; i < b->n_received; i++)
        if (is_called(b->received[i], member))
            return TAKE_PTR(b->received[i]);
    fail_msg("%s was not called", member);
    return NULL;
}

void fake_bus_answer(FakeBus *b, const char *member, const char *types, ...) {
    sd_bus_message *m = take(b, member), *reply;
    va_list ap;

    va_start(ap, types);
    assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
    assert_true(sd_bus_message_appendv(reply, types, ap) >= 0);
    assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
    va_end(ap);
    sd_bus_message_unref(reply);
    sd_bus_message_unref(m);
}

void fake_bus_refuse(FakeBus *b, const char *member, const char *error, const char *text) {
    sd_bus_message *m = take(b, member);
    assert_true(sd_bus_reply_method_errorf(m, error, "%s", text) >= 0);
    sd_bus_message_unref(m);
}

void fake_bus_forget(FakeBus *b, const char *member) {
    sd_bus_message_unref(take(b, member));
}

sd_bus_message *fake_bus_call(
    FakeBus *b, const char *sender, const char *path, const char *interface, const char *member) {
    sd_bus_message *m;
    assert_true(sd_bus_message_new_method_call(b->peer, &m, BUS_NAME, path, interface, member) >= 0);
    assert_true(!sender || sd_bus_message_set_sender(m, sender) >= 0);
    return m;
}

uint64_t fake_bus_send(FakeBus *b, sd_bus_message *m) {
    uint64_t cookie;
    assert_true(sd_bus_send(b->peer, m, &cookie) >= 0);
    sd_bus_message_unref(m);
    return cookie;
}

void fake_bus_leave(FakeBus *b, const char *name) {
    sd_bus_message *m;
    assert_true(sd_bus_message_new_signal(b->peer, &m, DBUS_PATH, DBUS, "NameOwnerChanged") >= 0);
    assert_true(sd_bus_message_set_sender(m, DBUS) >= 0);
    assert_true(sd_bus_message_append(m, "sss", name, name, "") >= 0);
    assert_true(sd_bus_send(b->peer, m, NULL) >= 0);
    sd_bus_message_unref(m);
}

sd_bus_message *fake_bus_reply(const FakeBus *b, uint64_t cookie) {
    for (size_t i = 0; i < b->n_received; i++) {
        uint64_t to;
        if (b->received[i] && sd_bus_message_get_reply_cookie(b->received[i], &to) >= 0 && to == cookie)
            return b->received[i];
    }
    return NULL;
}

static const sd_bus_error *error_of(const FakeBus *b, uint64_t cookie) {
    sd_bus_message *m = fake_bus_reply(b, cookie);
    return m ? sd_bus_message_get_error(m) : NULL;
}

const char *fake_bus_error(const FakeBus *b, uint64_t cookie) {
    const sd_bus_error *error = error_of(b, cookie);
    size_t n = strlen(OUR_ERRORS);
    return !error ? "" : strncmp(error->name, OUR_ERRORS, n) == 0 ? error->name + n : error->name;
}

const char *fake_bus_error_text(const FakeBus *b, uint64_t cookie) {
    const sd_bus_error *error = error_of(b, cookie);
    return error && error->message ? error->message : "";
}

/* ---------------------------------------------------------------------------------------------- service */

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    FakeService *f = userdata;
    return bus_owner_with(&f->s, m, f->handler);
}

void fake_service_init(FakeService *f, BusHandler handler) {
    int fds[2];

    *f = (FakeService){.handler = handler};
    test_daemon_init(&f->t);
    f->s.d = &f->t.d;
    f->t.d.bus = &f->s;
    uv_timer_init(&f->t.loop, &f->s.properties_timer);
    uv_check_init(&f->t.loop, &f->s.flush);
    f->s.properties_timer.data = f->s.flush.data = &f->s;
    f->s.n_handles = 2;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    fake_bus_init(&f->bus, fds[0]);
    assert_true(sd_bus_new(&f->s.bus) >= 0 && sd_bus_set_fd(f->s.bus, fds[1], fds[1]) >= 0);
    assert_true(sd_bus_set_bus_client(f->s.bus, 1) >= 0 && sd_bus_start(f->s.bus) >= 0);
    assert_true(sd_bus_add_object(f->s.bus, NULL, FAKE_BUS_PATH, on_call, f) >= 0);
    fake_service_run(f);
}

void fake_service_done(FakeService *f) {
    bus_service_drop_owner(&f->s, NULL, NULL);
    bus_turn_free_all(&f->s);
    bus_owner_free_all(&f->s, NULL);
    sd_bus_close_unref(f->s.bus);
    fake_bus_done(&f->bus);
    uv_close((uv_handle_t *)&f->s.properties_timer, NULL);
    uv_close((uv_handle_t *)&f->s.flush, NULL);
    f->t.d.bus = NULL;
    test_daemon_done(&f->t);
}

void fake_service_run(FakeService *f) {
    bool more = true;
    while (more) {
        more = fake_bus_process(&f->bus) > 0;
        while (sd_bus_process(f->s.bus, NULL) > 0)
            more = true;
    }
}

uint64_t fake_service_call(FakeService *f, const char *sender, bool interactive) {
    sd_bus_message *m = fake_bus_call(&f->bus, sender, FAKE_BUS_PATH, BUS_MANAGER, "Call");
    assert_true(sd_bus_message_set_allow_interactive_authorization(m, interactive) >= 0);
    uint64_t cookie = fake_bus_send(&f->bus, m);
    fake_service_run(f);
    return cookie;
}

void fake_service_grant_match(FakeService *f) {
    fake_bus_answer(&f->bus, "AddMatch", "");
    fake_service_run(f);
}

void fake_service_tell_uid(FakeService *f, uid_t uid) {
    while (fake_bus_find(&f->bus, "AddMatch"))
        fake_service_grant_match(f);
    fake_bus_answer(&f->bus, "GetConnectionUnixUser", "u", (uint32_t)uid);
    fake_service_run(f);
}

bool fake_service_was_active(FakeService *f) {
    uv_handle_t *timer = (uv_handle_t *)&f->s.properties_timer;
    bool active = uv_is_active(timer);
    uv_timer_stop(&f->s.properties_timer);
    return active;
}
