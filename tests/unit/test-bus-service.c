/* The connection to a bus that comes and goes, its name, and who is told what at the end. The bus listens on a socket
 * in the test's folder, where the environment says that the session's bus is. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fake-bus.h"

#define BUS_SOCKET "bus"

static struct {
    TestDaemon t;
    BusService *s; /* as in t.d.bus */
    FakeBus bus;
    int listener;
    atomic_bool done;
    unsigned released;
    uint64_t late; /* cookie of a call that reaches the bus just before the name is given up */
} f;

/* ---------------------------------------------------------------------------------------------- the bus */

static void bus_listens(void) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" BUS_SOCKET, f.t.dir);
    f.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(f.listener, 4), 0);
}

static void bus_ends(void) {
    char path[100];
    snprintf(path, sizeof(path), "%s/" BUS_SOCKET, f.t.dir);
    unlink(path);
    close(f.listener);
    f.listener = -1;
    fake_bus_done(&f.bus);
}

static bool is_connecting(void) {
    int fd = f.bus.peer ? -1 : accept4(f.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        fake_bus_init(&f.bus, fd);
    return fd >= 0;
}

/* Turns the loop until the daemon or the bus has got there. */
#define until(condition) run_until(&f.t, (fake_bus_process(&f.bus), condition))

/* Nothing waits in the sockets after as many turns. */
static void settle(void) {
    for (int i = 0; i < 10; i++) {
        fake_bus_process(&f.bus);
        uv_run(&f.t.loop, UV_RUN_NOWAIT);
    }
}

static void give_name(void) {
    until(fake_bus_find(&f.bus, "RequestName"));
    fake_bus_answer(&f.bus, "RequestName", "u", 1);
    until(f.s->named);
}

/* What a timer would do later happens now. */
static void hurry(uv_timer_t *timer) {
    assert_true(uv_is_active((uv_handle_t *)timer));
    uv_timer_set_repeat(timer, 1);
    uv_timer_again(timer);
    uv_timer_set_repeat(timer, 0);
}

/* ---------------------------------------------------------------------------------------------- clients */

static uint64_t generate(const char *sender, const char *prompt) {
    sd_bus_message *m = fake_bus_call(&f.bus, sender, BUS_PATH, BUS_MANAGER, "Generate");
    assert_true(sd_bus_message_append(m, "sa{sv}", prompt, 0) >= 0);
    return fake_bus_send(&f.bus, m);
}

static uint64_t create_session(const char *sender) {
    sd_bus_message *m = fake_bus_call(&f.bus, sender, BUS_PATH, BUS_MANAGER, "CreateSession");
    assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
    return fake_bus_send(&f.bus, m);
}

/* In the session that the sender has created by that call. */
static uint64_t respond(uint64_t created, const char *sender, const char *member, const char *prompt) {
    const char *path;
    until(fake_bus_reply(&f.bus, created));
    assert_true(sd_bus_message_read(fake_bus_reply(&f.bus, created), "o", &path) > 0);
    sd_bus_message *m = fake_bus_call(&f.bus, sender, path, BUS_SESSION, member);
    assert_true(sd_bus_message_append(m, "sa{sv}", prompt, 0) >= 0);
    return fake_bus_send(&f.bus, m);
}

/* Each has a match and a user. */
static void introduce(uid_t uid) {
    until(fake_bus_find(&f.bus, "GetConnectionUnixUser"));
    fake_bus_answer(&f.bus, "AddMatch", "");
    fake_bus_answer(&f.bus, "GetConnectionUnixUser", "u", (uint32_t)uid);
    settle();
}

/* Answers ReleaseName, and reads until the service has done what it does. */
static void *answer_release(void *userdata) {
    const char *name;
    while (!f.done) {
        if (fake_bus_process(&f.bus) == 0)
            sd_bus_wait(f.bus.peer, 1000);
        sd_bus_message *m = fake_bus_find(&f.bus, "ReleaseName");
        if (!m)
            continue;
        f.released += sd_bus_message_read(m, "s", &name) > 0 && strcmp(name, BUS_NAME) == 0;
        f.late = generate(":1.99", "hello");
        fake_bus_answer(&f.bus, "ReleaseName", "u", 1);
    }
    return NULL;
}

/* Runs what waits for the bus to take back the name. */
static void while_released(void (*run)(void)) {
    pthread_t thread;
    f.done = false;
    f.released = 0;
    assert_int_equal(pthread_create(&thread, NULL, answer_release, NULL), 0);
    run();
    f.done = true;
    pthread_join(thread, NULL);
    fake_bus_process(&f.bus);
    assert_int_equal(f.released, 1);
}

static void release(void) {
    bus_service_release(f.s);
}

static void stop(void) {
    f.s = f.t.d.bus = bus_service_free(f.s);
}

/* ---------------------------------------------------------------------------------------------- fixture */

static void start(void) {
    Error e;
    assert_int_equal(bus_service_new(&f.t.d, &f.t.d.bus, &e), 0);
    f.s = f.t.d.bus;
}

static int setup_without_bus(void **state) {
    char address[200];

    memset(&f, 0, sizeof(f));
    f.listener = -1;
    test_daemon_init(&f.t);
    test_daemon_install(&f.t, "alpha", "FAKE");
    test_daemon_install(&f.t, "beta", "FAKE load_ms=20");
    f.t.d.config->model = strdup("alpha");
    f.t.d.user = true;
    snprintf(address, sizeof(address), "unix:path=%s/" BUS_SOCKET, f.t.dir);
    setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
    test_daemon_start(&f.t);
    run_until(&f.t, model_host_availability(f.t.d.host) == AVAILABILITY_READY);
    return 0;
}

static int setup_unnamed(void **state) {
    setup_without_bus(state);
    bus_listens();
    start();
    assert_true(is_connecting());
    return 0;
}

static int setup(void **state) {
    setup_unnamed(state);
    give_name();
    return 0;
}

static int teardown(void **state) {
    if (f.s && f.s->named)
        while_released(stop);
    else if (f.s)
        stop();
    run_until(&f.t, f.t.d.n_requests == 0);
    bus_ends();
    test_daemon_done(&f.t);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- name */

static void test_the_name_is_ours_when_the_bus_says_so(void **state) {
    const char *name;
    uint32_t flags;
    until(fake_bus_find(&f.bus, "RequestName"));
    assert_false(f.s->named);
    assert_true(sd_bus_message_read(fake_bus_find(&f.bus, "RequestName"), "su", &name, &flags) > 0);
    assert_string_equal(name, "org.inferd.Inference1");
    assert_int_equal(flags, 4); /* neither to be replaced nor queued: two services would share the memory */
    fake_bus_answer(&f.bus, "RequestName", "u", 1);
    until(f.s->named);
}

static void test_a_name_that_is_taken_or_refused(void **state) {
    until(fake_bus_find(&f.bus, "RequestName"));
    fake_bus_answer(&f.bus, "RequestName", "u", 3);
    settle();
    assert_false(f.s->named);
    bus_service_claim(f.s);
    until(fake_bus_find(&f.bus, "RequestName"));
    fake_bus_refuse(&f.bus, "RequestName", SD_BUS_ERROR_ACCESS_DENIED, "Not you.");
    settle();
    assert_false(f.s->named);
}

/* Who calls in the last instant is served, by this service or by the next. */
static void test_a_name_given_up_and_taken_again(void **state) {
    while_released(release);
    assert_false(f.s->named);
    assert_true(bus_service_is_used(f.s)); /* so the process stays */
    bus_service_claim(f.s);
    until(fake_bus_find(&f.bus, "RequestName"));
    fake_bus_answer(&f.bus, "RequestName", "u", 4); /* also where it was ours all the time */
    until(f.s->named);
    introduce(1000);
    until(fake_bus_reply(&f.bus, f.late));
    assert_string_equal(fake_bus_error(&f.bus, f.late), "");
}

static void test_a_name_is_given_up_and_taken_once(void **state) {
    bus_service_claim(f.s);
    settle();
    assert_null(fake_bus_find(&f.bus, "RequestName"));
    while_released(release);
    release(); /* would wait for the bus, and fail, if it asked again */
    settle();
    assert_null(fake_bus_find(&f.bus, "ReleaseName"));
}

/* ---------------------------------------------------------------------------------------------- use */

static void test_is_used_by_calls_and_sessions(void **state) {
    assert_false(bus_service_is_used(f.s));
    generate(":1.7", "/hang");
    until(f.s->owners);
    assert_true(bus_service_is_used(f.s)); /* waits for the bus */
    introduce(1000);
    assert_true(bus_service_is_used(f.s)); /* waits for the model */
    fake_bus_leave(&f.bus, ":1.7");
    until(!f.s->owners);
    assert_false(bus_service_is_used(f.s));

    create_session(":1.8");
    introduce(1000);
    assert_int_equal(f.s->n_sessions, 1);
    assert_true(bus_service_is_used(f.s));
    fake_bus_leave(&f.bus, ":1.8");
    until(f.s->n_sessions == 0);
    assert_false(bus_service_is_used(f.s));
}

static void test_an_owners_calls_and_sessions_end(void **state) {
    Error e;
    create_session(":1.8");
    introduce(1001);
    create_session(":1.7");
    introduce(1000);
    BusOwner *o = f.s->owners;
    uint64_t dropped = generate(":1.7", "/hang"), stays = generate(":1.8", "/hang");
    until(o->n_users == 2 && o->next->n_users == 2);
    error_set(&e, -EDQUOT, "Enough.");
    bus_service_drop_owner(f.s, o, &e);
    settle();
    assert_string_equal(fake_bus_error(&f.bus, dropped), "LimitsExceeded");
    assert_string_equal(fake_bus_error_text(&f.bus, dropped), "Enough.");
    assert_null(fake_bus_reply(&f.bus, stays));
    assert_int_equal(o->n_users, 0);
    assert_int_equal(o->next->n_users, 2);
}

static void test_text_is_sent_after_each_round(void **state) {
    uint64_t session = create_session(":1.7");
    introduce(1000);
    respond(session, ":1.7", "Respond", "/slow 1 /long 100000");
    until(fake_bus_find(&f.bus, "Delta"));
    assert_null(fake_bus_find(&f.bus, "Finished"));
    fake_bus_leave(&f.bus, ":1.7");
    until(f.t.d.n_requests == 0);
    until(!uv_is_active((uv_handle_t *)&f.s->flush)); /* does not keep the loop awake */
}

/* ---------------------------------------------------------------------------------------------- properties */

static void test_properties_are_told_once_for_many_changes(void **state) {
    create_session(":1.7");
    introduce(1000);
    for (int i = 0; i < 5; i++)
        bus_service_touch(f.s);
    hurry(&f.s->properties_timer);
    uint64_t now = uv_now(&f.t.loop);
    until(fake_bus_find(&f.bus, "PropertiesChanged"));
    assert_true(f.s->sent_at >= now);
    bus_service_touch(f.s); /* there is nothing new */
    hurry(&f.s->properties_timer);
    settle();
    assert_int_equal(fake_bus_count(&f.bus, "PropertiesChanged"), 1);
}

static uint64_t pause_after(uint64_t ms) {
    uv_timer_stop(&f.s->properties_timer);
    f.s->sent_at = uv_now(&f.t.loop) - ms;
    bus_service_touch(f.s);
    assert_true(uv_is_active((uv_handle_t *)&f.s->properties_timer));
    return uv_timer_get_due_in(&f.s->properties_timer);
}

static void test_properties_are_told_twice_a_second(void **state) {
    uv_update_time(&f.t.loop);
    assert_int_equal(pause_after(0), 500);
    assert_int_equal(pause_after(200), 300);
    assert_int_equal(pause_after(500), 0);
    assert_int_equal(pause_after(5000), 0);
}

static void test_properties_follow_the_model(void **state) {
    settle();
    uv_timer_stop(&f.s->properties_timer);
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    hurry(&f.s->properties_timer);
    until(fake_bus_find(&f.bus, "PropertiesChanged"));
}

/* Nobody tells how the queue and the pages move on. */
static void test_properties_are_looked_at_while_requests_run(void **state) {
    uint64_t cookie = generate(":1.7", "/hang");
    introduce(1000);
    until(f.t.d.n_requests == 1);
    bus_service_touch(f.s);
    hurry(&f.s->properties_timer);
    until(uv_timer_get_due_in(&f.s->properties_timer) > 1);
    assert_null(fake_bus_reply(&f.bus, cookie));
}

static void test_properties_are_not_told_without_the_name(void **state) {
    settle();
    create_session(":1.7"); /* by the unique name */
    introduce(1000);
    bus_service_touch(f.s);
    hurry(&f.s->properties_timer);
    until(!uv_is_active((uv_handle_t *)&f.s->properties_timer));
    settle();
    assert_null(fake_bus_find(&f.bus, "PropertiesChanged"));
}

/* ---------------------------------------------------------------------------------------------- end */

static void assert_stopping(uint64_t cookie) {
    assert_string_equal(fake_bus_error(&f.bus, cookie), "Stopping");
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "inferd is stopping.");
}

static void test_whoever_waits_is_told_at_the_end(void **state) {
    uint64_t session = create_session(":1.7");
    introduce(1000);
    respond(session, ":1.7", "Respond", "/hang"); /* has no reply to wait for */
    uint64_t running = generate(":1.7", "/hang");
    until(f.t.d.n_requests == 2);
    uint64_t unknown = generate(":1.8", "hello");
    until(f.s->n_owners == 2);
    while_released(stop);
    assert_stopping(running);
    assert_stopping(unknown);
    assert_stopping(f.late);
}

/* More than a socket takes, so that some are still queued when everything has been handled. */
static void test_all_replies_leave_before_the_connection(void **state) {
    enum { SENDERS = 2, EACH = 100 };
    uint64_t cookies[SENDERS * EACH];
    char sender[16];
    for (int i = 0; i < SENDERS * EACH; i++) {
        snprintf(sender, sizeof(sender), ":1.%d", i % SENDERS);
        cookies[i] = generate(sender, "hello");
    }
    until(f.s->n_owners == SENDERS);
    settle();
    assert_int_equal(setsockopt(sd_bus_get_fd(f.s->bus), SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
    while_released(stop);
    for (int i = 0; i < SENDERS * EACH; i++)
        assert_stopping(cookies[i]);
}

static void test_a_model_that_is_loading_at_the_end(void **state) {
    sd_bus_message *m = fake_bus_call(&f.bus, ":1.7", BUS_PATH, BUS_MANAGER, "LoadModel");
    assert_true(sd_bus_message_append(m, "s", "beta") >= 0);
    uint64_t loading = fake_bus_send(&f.bus, m);
    introduce(0);
    until(model_host_availability(f.t.d.host) == AVAILABILITY_LOADING);
    while_released(stop);
    f.t.d.host = model_host_free(f.t.d.host); /* in the same breath: the model comes too late to call back */
    assert_stopping(loading);
}

/* ---------------------------------------------------------------------------------------------- without a bus */

static void test_a_bus_that_is_lost_and_comes_back(void **state) {
    create_session(":1.7");
    introduce(1000);
    generate(":1.7", "/hang");
    generate(":1.8", "hello");
    until(f.s->n_owners == 2);
    bus_ends();
    run_until(&f.t, !f.s->bus);
    assert_false(f.s->named || bus_service_is_used(f.s));
    assert_null(f.s->owners);
    assert_int_equal(f.s->n_sessions, 0);
    release(); /* nothing to do, nobody to wait for */
    bus_service_claim(f.s);

    bus_listens();
    hurry(&f.s->retry);
    run_until(&f.t, is_connecting());
    give_name();
    assert_false(uv_is_active((uv_handle_t *)&f.s->retry));
    assert_int_equal(f.s->backoff_ms, 500); /* patience begins anew */
}

static void test_no_new_bus_while_stopping(void **state) {
    f.t.d.stopping = true;
    bus_ends();
    run_until(&f.t, !f.s->bus);
    assert_false(uv_is_active((uv_handle_t *)&f.s->retry));
}

static void test_a_bus_that_does_not_come_is_tried_less_and_less_often(void **state) {
    uint64_t pause, last = 0;
    start();
    for (int i = 0; i < 10; i++) {
        assert_null(f.s->bus);
        pause = uv_timer_get_due_in(&f.s->retry);
        assert_true(i == 0 ? pause > 0 && pause <= 500 : pause > last || pause > 29000);
        assert_true(pause <= 30000);
        last = pause;
        hurry(&f.s->retry);
        run_until(&f.t, uv_timer_get_due_in(&f.s->retry) > 1);
    }
    bus_listens();
    hurry(&f.s->retry);
    run_until(&f.t, is_connecting());
    give_name();
}

int main(void) {
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_name_is_ours_when_the_bus_says_so, setup_unnamed),
        TEST(test_a_name_that_is_taken_or_refused, setup_unnamed),
        TEST(test_a_name_given_up_and_taken_again, setup),
        TEST(test_a_name_is_given_up_and_taken_once, setup),
        TEST(test_is_used_by_calls_and_sessions, setup),
        TEST(test_an_owners_calls_and_sessions_end, setup),
        TEST(test_text_is_sent_after_each_round, setup),
        TEST(test_properties_are_told_once_for_many_changes, setup),
        TEST(test_properties_are_told_twice_a_second, setup),
        TEST(test_properties_follow_the_model, setup),
        TEST(test_properties_are_looked_at_while_requests_run, setup),
        TEST(test_properties_are_not_told_without_the_name, setup_unnamed),
        TEST(test_whoever_waits_is_told_at_the_end, setup),
        TEST(test_all_replies_leave_before_the_connection, setup),
        TEST(test_a_model_that_is_loading_at_the_end, setup),
        TEST(test_a_bus_that_is_lost_and_comes_back, setup),
        TEST(test_no_new_bus_while_stopping, setup),
        TEST(test_a_bus_that_does_not_come_is_tried_less_and_less_often, setup_without_bus),
    };
    return cmocka_run_group_tests_name("bus-service", tests, NULL, NULL);
}
