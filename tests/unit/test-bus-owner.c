/* Who calls, and what happens to the calls of those of whom that is not yet known. */
#include "fake-bus.h"

#define KEPT    128 /* owners that are remembered though they have nothing open */
#define WAITING 256 /* calls of one whose user is not yet known */

static FakeService f;
static int refusal; /* what the handler answers with, instead of the user and how many it has answered */
static unsigned n_handled;

static int handle(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    assert_ptr_equal(s, &f.s);
    assert_true(o->known);
    assert_string_equal(o->name, sd_bus_message_get_sender(m));
    if (refusal)
        return error_set(e, refusal, "Not for %s.", o->name);
    return sd_bus_reply_method_return(m, "uu", (uint32_t)o->uid, n_handled++);
}

static int setup(void **state) {
    refusal = 0;
    n_handled = 0;
    fake_service_init(&f, handle);
    return 0;
}

static int teardown(void **state) {
    fake_service_done(&f);
    return 0;
}

static uint64_t call(const char *sender) {
    return fake_service_call(&f, sender, false);
}

static void assert_handled(uint64_t cookie, uid_t uid, unsigned turn) {
    sd_bus_message *reply = fake_bus_reply(&f.bus, cookie);
    uint32_t got_uid, got_turn;
    assert_non_null(reply);
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "");
    assert_true(sd_bus_message_read(reply, "uu", &got_uid, &got_turn) > 0);
    assert_int_equal(got_uid, uid);
    assert_int_equal(got_turn, turn);
}

static void assert_error(uint64_t cookie, const char *name, const char *text) {
    assert_string_equal(fake_bus_error(&f.bus, cookie), name);
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), text);
}

/* A client that the bus has told about. */
static void introduce(const char *sender, uid_t uid) {
    call(sender);
    fake_service_tell_uid(&f, uid);
}

static void leave(const char *name) {
    fake_bus_leave(&f.bus, name);
    fake_service_run(&f);
}

static void test_the_bus_is_asked_once_for_a_sender(void **state) {
    uint64_t first = call(":1.7");
    assert_null(fake_bus_reply(&f.bus, first));
    fake_service_tell_uid(&f, 1000);
    assert_handled(first, 1000, 0);

    assert_handled(call(":1.7"), 1000, 1);
    assert_int_equal(fake_bus_count(&f.bus, "GetConnectionUnixUser"), 0);
    assert_int_equal(fake_bus_count(&f.bus, "AddMatch"), 0);
}

static void test_asks_about_the_sender_after_the_match(void **state) {
    const char *name, *rule;

    call(":1.7");
    assert_int_equal(fake_bus_count(&f.bus, "AddMatch"), 1);
    assert_ptr_equal(f.bus.received[0], fake_bus_find(&f.bus, "AddMatch")); /* else its leaving could be missed */
    assert_true(sd_bus_message_read(f.bus.received[0], "s", &rule) > 0);
    assert_non_null(strstr(rule, "member='NameOwnerChanged'"));
    assert_non_null(strstr(rule, "arg0=':1.7'"));
    assert_true(sd_bus_message_read(fake_bus_find(&f.bus, "GetConnectionUnixUser"), "s", &name) > 0);
    assert_string_equal(name, ":1.7");
}

static void test_waiting_calls_are_handled_in_order(void **state) {
    uint64_t cookies[5];
    for (unsigned i = 0; i < ELEMENTSOF(cookies); i++)
        cookies[i] = call(":1.7");
    assert_true(bus_service_is_used(&f.s));
    assert_int_equal(fake_bus_count(&f.bus, "GetConnectionUnixUser"), 1);
    fake_service_was_active(&f);
    fake_service_tell_uid(&f, 1000);
    for (unsigned i = 0; i < ELEMENTSOF(cookies); i++)
        assert_handled(cookies[i], 1000, i);
    assert_false(bus_service_is_used(&f.s));
    assert_true(fake_service_was_active(&f)); /* the process may be idle from now on */
}

static void test_senders_do_not_wait_for_each_other(void **state) {
    uint64_t slow = call(":1.7"), quick = call(":1.8");

    fake_bus_forget(&f.bus, "GetConnectionUnixUser"); /* the first one's: no answer ever comes */
    fake_service_tell_uid(&f, 1001);
    assert_handled(quick, 1001, 0);
    assert_null(fake_bus_reply(&f.bus, slow));
}

static void test_the_handlers_error_is_the_reply(void **state) {
    refusal = -EBUSY;
    uint64_t late = call(":1.7");
    fake_service_tell_uid(&f, 1000);
    assert_error(late, "Busy", "Not for :1.7.");
    assert_error(call(":1.7"), "Busy", "Not for :1.7.");
}

/* One that sends and sends costs no more than this; the others do not notice. */
static void test_few_calls_may_wait(void **state) {
    uint64_t cookies[WAITING + 1];
    for (unsigned i = 0; i <= WAITING; i++)
        cookies[i] = call(":1.7");
    assert_null(fake_bus_reply(&f.bus, cookies[WAITING - 1]));
    assert_error(
        cookies[WAITING], "LimitsExceeded", "256 calls of yours wait already; send more when they are answered.");
    fake_service_tell_uid(&f, 1000);
    assert_handled(cookies[0], 1000, 0);
    assert_handled(cookies[WAITING - 1], 1000, WAITING - 1);
    introduce(":1.8", 1001);
    assert_int_equal(n_handled, WAITING + 1);
}

static void test_nobody_without_a_name(void **state) {
    assert_string_equal(fake_bus_error(&f.bus, call(NULL)), SD_BUS_ERROR_INCONSISTENT_MESSAGE);
    assert_null(f.s.owners);
}

static void test_a_bus_that_does_not_tell(void **state) {
    uint64_t first = call(":1.7"), second = call(":1.7");
    fake_bus_refuse(&f.bus, "GetConnectionUnixUser", SD_BUS_ERROR_NAME_HAS_NO_OWNER, "Who?");
    fake_service_run(&f);
    assert_error(first, "NotAuthorized", "The bus does not tell which user you are.");
    assert_error(second, "NotAuthorized", "The bus does not tell which user you are.");

    uint64_t third = call(":1.7"); /* asked anew */
    fake_bus_answer(&f.bus, "GetConnectionUnixUser", "s", "root");
    fake_service_run(&f);
    assert_error(third, "NotAuthorized", "The bus does not tell which user you are.");
    introduce(":1.7", 1000);
    assert_int_equal(n_handled, 1);
    assert_int_equal(fake_bus_count(&f.bus, "RemoveMatch"), 2);
}

static void test_who_leaves_before_the_answer(void **state) {
    uint64_t cookie = call(":1.7");
    fake_service_grant_match(&f);
    leave(":1.7");
    assert_null(f.s.owners);
    assert_false(bus_service_is_used(&f.s));
    fake_service_tell_uid(&f, 1000);
    assert_int_equal(n_handled, 0);
    assert_null(fake_bus_reply(&f.bus, cookie));
    assert_int_equal(fake_bus_count(&f.bus, "RemoveMatch"), 1);
}

static void test_who_leaves_is_forgotten_alone(void **state) {
    introduce(":1.7", 1000);
    introduce(":1.8", 1001);
    introduce(":1.9", 1002);
    fake_service_was_active(&f);
    leave(":1.8");
    assert_true(fake_service_was_active(&f));
    assert_int_equal(f.s.n_owners, 2);
    introduce(":1.8", 1003); /* asked anew */
    call(":1.7");
    call(":1.9");
    assert_int_equal(n_handled, 6);
}

/* A unique name has no other owner, but a signal is believed only in what it says. */
static void test_a_signal_about_another_owner_ends_nothing(void **state) {
    sd_bus_message *m;
    introduce(":1.7", 1000);
    assert_true(sd_bus_message_new_signal(
                    f.bus.peer, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
    assert_true(sd_bus_message_set_sender(m, "org.freedesktop.DBus") >= 0);
    assert_true(sd_bus_message_append(m, "sss", ":1.7", "", ":1.7") >= 0);
    fake_bus_send(&f.bus, m);
    fake_service_run(&f);
    assert_handled(call(":1.7"), 1000, 1);
}

static void test_a_match_that_is_refused(void **state) {
    uint64_t waiting = call(":1.7");
    fake_bus_refuse(&f.bus, "AddMatch", SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many.");
    fake_service_run(&f);
    assert_error(waiting, "LimitsExceeded", "Too many programs use inferd at this moment; try again later.");
    assert_null(f.s.owners);
    fake_service_tell_uid(&f, 1000); /* comes too late, to nobody */
    assert_int_equal(n_handled, 0);
}

static BusOwner *owner_of(const char *name) {
    BusOwner *o = f.s.owners;
    while (o && strcmp(o->name, name) != 0)
        o = o->next;
    return o;
}

static void test_idle_owners_make_room(void **state) {
    char name[16];
    for (unsigned i = 0; i < KEPT; i++) {
        snprintf(name, sizeof(name), ":1.%u", i);
        introduce(name, 1000 + i);
        owner_of(name)->n_users = i != 5 && i != 6;
    }
    assert_int_equal(f.s.n_owners, KEPT);
    introduce(":2.1", 1);
    owner_of(":2.1")->n_users = 1;
    introduce(":2.2", 1);
    owner_of(":2.2")->n_users = 1;
    assert_int_equal(f.s.n_owners, KEPT);
    assert_int_equal(fake_bus_count(&f.bus, "RemoveMatch"), 2);
    assert_null(owner_of(":1.5"));
    assert_null(owner_of(":1.6"));

    uint64_t cookie = call(":2.3"); /* everybody is busy: it is served all the same */
    call(":2.4");                   /* and does not drop the one that waits */
    fake_service_tell_uid(&f, 7);
    assert_handled(cookie, 7, KEPT + 2);
    assert_int_equal(f.s.n_owners, KEPT + 2);
}

static void test_all_are_freed_with_an_error(void **state) {
    introduce(":1.6", 1000);
    uint64_t a = call(":1.7"), b = call(":1.8");
    Error e;
    error_set(&e, -ESHUTDOWN, "Good night.");
    bus_owner_free_all(&f.s, &e);
    fake_service_run(&f);
    assert_error(a, "Stopping", "Good night.");
    assert_error(b, "Stopping", "Good night.");
    assert_null(f.s.owners);
    assert_int_equal(f.s.n_owners, 0);
}

static void test_all_are_freed_in_silence(void **state) {
    uint64_t cookie = call(":1.7");
    bus_owner_free_all(&f.s, NULL);
    fake_service_run(&f);
    assert_null(fake_bus_reply(&f.bus, cookie));
    assert_null(f.s.owners);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_bus_is_asked_once_for_a_sender),
        TEST(test_asks_about_the_sender_after_the_match),
        TEST(test_waiting_calls_are_handled_in_order),
        TEST(test_senders_do_not_wait_for_each_other),
        TEST(test_the_handlers_error_is_the_reply),
        TEST(test_few_calls_may_wait),
        TEST(test_nobody_without_a_name),
        TEST(test_a_bus_that_does_not_tell),
        TEST(test_who_leaves_before_the_answer),
        TEST(test_who_leaves_is_forgotten_alone),
        TEST(test_a_signal_about_another_owner_ends_nothing),
        TEST(test_a_match_that_is_refused),
        TEST(test_idle_owners_make_room),
        TEST(test_all_are_freed_with_an_error),
        TEST(test_all_are_freed_in_silence),
    };
    return cmocka_run_group_tests_name("bus-owner", tests, NULL, NULL);
}
