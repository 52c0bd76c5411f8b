/* Who may manage models: what polkit is asked, and what becomes of the call whatever it answers. */
#include "fake-bus.h"

#include "polkit.h"

#define ASKED     "CheckAuthorization"
#define ME        4711
#define SOMEBODY  4712
#define REFUSED   "You are not allowed to manage the shared model."
#define AUTH_KEPT "polkit.temporary_authorization_id"

static FakeService f;
static int refusal; /* what the permitted handler answers with */

/* For polkit.c, so that root may run the test too, who may do everything. */
uid_t getuid(void) {
    return ME;
}

static int permitted(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    if (refusal)
        return error_set(e, refusal, "No such model.");
    return sd_bus_reply_method_return(m, "s", o->name);
}

static int check(BusService *s, BusOwner *o, sd_bus_message *m, Error *e) {
    return polkit_check(s, o, m, permitted, e);
}

static int setup(void **state) {
    refusal = 0;
    fake_service_init(&f, check);
    return 0;
}

static int teardown(void **state) {
    fake_service_done(&f);
    return 0;
}

/* The call of a new client. */
static uint64_t call_of(uid_t uid, bool interactive) {
    uint64_t cookie = fake_service_call(&f, ":1.7", interactive);
    fake_service_tell_uid(&f, uid);
    return cookie;
}

static uint64_t asking_call(void) {
    uint64_t cookie = call_of(SOMEBODY, false);
    assert_int_equal(fake_bus_count(&f.bus, ASKED), 1);
    assert_null(fake_bus_reply(&f.bus, cookie));
    return cookie;
}

static void answer(bool authorised, bool challenge) {
    fake_bus_answer(&f.bus, ASKED, "(bba{ss})", (int)authorised, (int)challenge, 0);
    fake_service_run(&f);
}

static void assert_permitted(uint64_t cookie) {
    sd_bus_message *reply = fake_bus_reply(&f.bus, cookie);
    const char *name;
    assert_non_null(reply);
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "");
    assert_true(sd_bus_message_read(reply, "s", &name) > 0);
    assert_string_equal(name, ":1.7");
}

static void assert_error(uint64_t cookie, const char *name, const char *text) {
    assert_string_equal(fake_bus_error(&f.bus, cookie), name);
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), text);
}

static void test_root_may(void **state) {
    assert_permitted(call_of(0, false));
    assert_int_equal(fake_bus_count(&f.bus, ASKED), 0);
}

static void test_the_user_of_a_session_bus_may(void **state) {
    f.t.d.user = true;
    assert_permitted(call_of(ME, false));
    assert_int_equal(fake_bus_count(&f.bus, ASKED), 0);
}

static void test_nobody_else_on_a_session_bus_may(void **state) {
    f.t.d.user = true;
    assert_error(call_of(SOMEBODY, true), "NotAuthorized", "This inferd belongs to another user.");
    assert_int_equal(fake_bus_count(&f.bus, ASKED), 0);
}

/* The service's own user is nobody in particular on the system bus. */
static void test_polkit_is_asked_who_may_on_the_system_bus(void **state) {
    uint64_t cookie = call_of(ME, false);
    assert_null(fake_bus_reply(&f.bus, cookie));
    assert_int_equal(fake_bus_count(&f.bus, ASKED), 1);
}

static void assert_asked(bool dialog) {
    sd_bus_message *m = fake_bus_find(&f.bus, ASKED);
    const char *kind, *key, *name, *action, *cancellation;
    uint32_t flags;
    assert_true(sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", ASKED));
    assert_string_equal(sd_bus_message_get_destination(m), "org.freedesktop.PolicyKit1");
    assert_string_equal(sd_bus_message_get_path(m), "/org/freedesktop/PolicyKit1/Authority");
    assert_true(
        sd_bus_message_read(m, "(sa{sv})sa{ss}us", &kind, 1, &key, "s", &name, &action, 0, &flags, &cancellation) > 0);
    assert_string_equal(kind, "system-bus-name");
    assert_string_equal(key, "name");
    assert_string_equal(name, ":1.7");
    assert_string_equal(action, "org.inferd.Inference1.manage-models");
    assert_int_equal(flags, dialog);
}

static void test_a_dialog_opens_only_where_the_caller_allows_it(void **state) {
    call_of(SOMEBODY, false);
    assert_asked(false);
    answer(false, false);
    fake_service_call(&f, ":1.7", true);
    assert_asked(true);
}

static void test_whom_polkit_lets(void **state) {
    uint64_t cookie = asking_call();
    assert_true(bus_service_is_used(&f.s)); /* the process does not end meanwhile */
    fake_service_was_active(&f);
    answer(true, false);
    assert_permitted(cookie);
    assert_false(bus_service_is_used(&f.s));
    assert_true(fake_service_was_active(&f));
}

/* Asked again within minutes of the password, polkit says which authorisation it has kept. */
static void test_whom_polkit_has_let_before(void **state) {
    uint64_t cookie = asking_call();
    fake_bus_answer(&f.bus, ASKED, "(bba{ss})", 1, 0, 1, AUTH_KEPT, "tmpauthz1");
    fake_service_run(&f);
    assert_permitted(cookie);
}

static void test_the_handlers_error_is_the_reply(void **state) {
    uint64_t cookie = asking_call();
    refusal = -ENOENT;
    answer(true, false);
    assert_error(cookie, "NoSuchModel", "No such model.");
}

static void test_whom_polkit_refuses(void **state) {
    uint64_t cookie = asking_call();
    answer(false, false);
    assert_error(cookie, "NotAuthorized", REFUSED);
    assert_false(bus_service_is_used(&f.s));
}

static void test_a_challenge_tells_how_to_get_on(void **state) {
    uint64_t cookie = asking_call();
    fake_bus_answer(&f.bus, ASKED, "(bba{ss})", 0, 1, 1, "polkit.retains_authorization_after_challenge", "1");
    fake_service_run(&f);
    assert_error(cookie, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
        "Managing the shared model needs authorisation: allow the call to ask for it.");
}

/* There is nobody to open a dialog, or it was closed. */
static void test_a_challenge_in_vain(void **state) {
    uint64_t cookie = call_of(SOMEBODY, true);
    answer(false, true);
    assert_error(cookie, "NotAuthorized", REFUSED);
}

static void test_errors_refuse(void **state) {
    static const struct {
        const char *error, *text, *want;
    } rows[] = {
        {SD_BUS_ERROR_SERVICE_UNKNOWN, "No.", "Only root may manage the shared model, because polkit is not running."},
        {SD_BUS_ERROR_NAME_HAS_NO_OWNER, "No.",
            "Only root may manage the shared model, because polkit is not running."},
        {"org.freedesktop.PolicyKit1.Error.Failed", "Out of ink.",
            "polkit did not say whether you may manage the shared model: Out of ink."},
    };
    call_of(SOMEBODY, false);
    answer(false, false);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        uint64_t cookie = fake_service_call(&f, ":1.7", false);
        fake_bus_refuse(&f.bus, ASKED, rows[i].error, rows[i].text);
        fake_service_run(&f);
        assert_error(cookie, "NotAuthorized", rows[i].want);
    }
}

static void test_an_odd_answer_refuses(void **state) {
    uint64_t cookie = asking_call();
    fake_bus_answer(&f.bus, ASKED, "b", 1);
    fake_service_run(&f);
    assert_error(cookie, "NotAuthorized", REFUSED);

    cookie = fake_service_call(&f, ":1.7", false);
    fake_bus_answer(&f.bus, ASKED, "");
    fake_service_run(&f);
    assert_error(cookie, "NotAuthorized", REFUSED);
}

static void test_who_leaves_takes_the_question_along(void **state) {
    uint64_t left = asking_call(), stays = fake_service_call(&f, ":1.8", false);
    fake_service_tell_uid(&f, SOMEBODY);
    fake_bus_leave(&f.bus, ":1.7");
    fake_service_run(&f);
    answer(true, false); /* to the one who has left */
    assert_null(fake_bus_reply(&f.bus, left));
    assert_null(fake_bus_reply(&f.bus, stays));
    answer(false, false);
    assert_error(stays, "NotAuthorized", REFUSED);
}

/* The bus refuses to tell when somebody leaves, so that nobody waits for an answer. */
static void test_the_question_of_whom_the_bus_does_not_watch(void **state) {
    uint64_t cookie = fake_service_call(&f, ":1.7", false);
    fake_bus_answer(&f.bus, "GetConnectionUnixUser", "u", SOMEBODY);
    fake_service_run(&f);
    fake_bus_refuse(&f.bus, "AddMatch", SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many.");
    fake_service_run(&f);
    assert_string_equal(fake_bus_error(&f.bus, cookie), "LimitsExceeded");
    answer(true, false);
    assert_null(f.s.owners);
}

static void test_questions_are_dropped_with_an_error(void **state) {
    uint64_t cookies[3];
    BusOwner *first;
    Error e;

    cookies[0] = call_of(SOMEBODY, false);
    first = f.s.owners;
    cookies[1] = fake_service_call(&f, ":1.7", true);
    cookies[2] = fake_service_call(&f, ":1.8", false);
    fake_service_tell_uid(&f, SOMEBODY);
    error_set(&e, -ESHUTDOWN, "Good night.");
    polkit_drop_owned(&f.s, first, &e);
    fake_service_run(&f);
    assert_error(cookies[0], "Stopping", "Good night.");
    assert_error(cookies[1], "Stopping", "Good night.");
    assert_null(fake_bus_reply(&f.bus, cookies[2]));
    assert_int_equal(first->n_users, 0);
    assert_true(bus_service_is_used(&f.s));

    polkit_drop_owned(&f.s, NULL, &e);
    fake_service_run(&f);
    assert_error(cookies[2], "Stopping", "Good night.");
    assert_false(bus_service_is_used(&f.s));
    assert_null(f.s.questions);
}

static void test_the_connection_ends_under_a_question(void **state) {
    asking_call();
    fake_bus_done(&f.bus);
    fake_service_run(&f);
    assert_null(f.s.questions);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_root_may),
        TEST(test_the_user_of_a_session_bus_may),
        TEST(test_nobody_else_on_a_session_bus_may),
        TEST(test_polkit_is_asked_who_may_on_the_system_bus),
        TEST(test_a_dialog_opens_only_where_the_caller_allows_it),
        TEST(test_whom_polkit_lets),
        TEST(test_whom_polkit_has_let_before),
        TEST(test_the_handlers_error_is_the_reply),
        TEST(test_whom_polkit_refuses),
        TEST(test_a_challenge_tells_how_to_get_on),
        TEST(test_a_challenge_in_vain),
        TEST(test_errors_refuse),
        TEST(test_an_odd_answer_refuses),
        TEST(test_who_leaves_takes_the_question_along),
        TEST(test_the_question_of_whom_the_bus_does_not_watch),
        TEST(test_questions_are_dropped_with_an_error),
        TEST(test_the_connection_ends_under_a_question),
    };
    return cmocka_run_group_tests_name("polkit", tests, NULL, NULL);
}
