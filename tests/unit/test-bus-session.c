/* Conversations on the bus: whose they are, what a turn leaves behind, and how they end. */
#include "fake-bus.h"

#include "bus-session.h"

#define SESSIONS       BUS_PATH "/session"
#define MISSING        SESSIONS "/12345"
#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define INTROSPECTABLE "org.freedesktop.DBus.Introspectable"

static FakeService f;

static int setup(void **state) {
    fake_service_init(&f, bus_session_create);
    assert_true(bus_session_add_vtable(&f.s) >= 0);
    test_daemon_install(&f.t, "alpha", "FAKE context=4096");
    f.t.d.config->model = strdup("alpha");
    test_daemon_start(&f.t);
    run_until(&f.t, model_host_availability(f.t.d.host) == AVAILABILITY_READY);
    return 0;
}

static int teardown(void **state) {
    bus_service_drop_owner(&f.s, NULL, NULL);
    run_until(&f.t, f.t.d.n_requests == 0);
    fake_service_done(&f);
    return 0;
}

#define until(condition) run_until(&f.t, (fake_service_run(&f), condition))

#define call_interface(sender, path, interface, member, ...)                                                           \
    ({                                                                                                                 \
        sd_bus_message *_m = fake_bus_call(&f.bus, sender, path, interface, member);                                   \
        assert_true(sd_bus_message_append(_m, __VA_ARGS__) >= 0);                                                      \
        uint64_t _cookie = fake_bus_send(&f.bus, _m);                                                                  \
        fake_service_run(&f);                                                                                          \
        _cookie;                                                                                                       \
    })
#define call(sender, path, member, ...) call_interface(sender, path, BUS_SESSION, member, __VA_ARGS__)

static sd_bus_message *answer(uint64_t cookie) {
    assert_non_null(fake_bus_reply(&f.bus, cookie));
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "");
    return fake_bus_reply(&f.bus, cookie);
}

static void assert_error(uint64_t cookie, const char *name, const char *text) {
    assert_string_equal(fake_bus_error(&f.bus, cookie), name);
    assert_non_null(strstr(fake_bus_error_text(&f.bus, cookie), text));
}

static const char *path_in(sd_bus_message *reply) {
    const char *path;
    assert_true(sd_bus_message_read(reply, "o", &path) > 0);
    return path;
}

/* What is sent to FAKE_BUS_PATH is a CreateSession here. */
#define create_with(sender, ...) call_interface(sender, FAKE_BUS_PATH, BUS_MANAGER, "Call", __VA_ARGS__)

static const char *create(const char *sender) {
    return path_in(answer(create_with(sender, "a{sv}", 0)));
}

/* A client that the bus has told about, with a session. */
static const char *first_session(const char *sender, uid_t uid) {
    uint64_t cookie = create_with(sender, "a{sv}", 0);
    fake_service_tell_uid(&f, uid);
    return path_in(answer(cookie));
}

static const char *fork_session(const char *sender, const char *path) {
    return path_in(answer(call(sender, path, "Fork", "")));
}

#define respond_with(sender, path, prompt, ...)                                                                        \
    ({                                                                                                                 \
        uint64_t _id;                                                                                                  \
        sd_bus_message *_reply = answer(call(sender, path, "Respond", "sa{sv}", prompt, __VA_ARGS__));                 \
        assert_true(sd_bus_message_read(_reply, "t", &_id) > 0);                                                       \
        _id;                                                                                                           \
    })
#define respond(sender, path, prompt) respond_with(sender, path, prompt, 0)

/* The next turn that ends is this one, for this reason. */
static void assert_finished(uint64_t turn, const char *reason) {
    const char *key, *got_reason;
    uint64_t id;

    until(fake_bus_find(&f.bus, "Finished"));
    sd_bus_message *m = fake_bus_find(&f.bus, "Finished");
    assert_true(sd_bus_message_read(m, "t", &id) > 0 && sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    assert_true(sd_bus_message_read(m, "{sv}", &key, "s", &got_reason) > 0);
    assert_int_equal(id, turn);
    assert_string_equal(key, "finish-reason");
    assert_string_equal(got_reason, reason);
    fake_bus_forget(&f.bus, "Finished");
}

static void say(const char *sender, const char *path, const char *prompt) {
    assert_finished(respond(sender, path, prompt), "stop");
}

static void cancel(const char *sender, const char *path, uint64_t id) {
    answer(call(sender, path, "Cancel", "t", id));
}

static sd_bus_message *property(const char *sender, const char *path, const char *name) {
    return answer(call_interface(sender, path, PROPERTIES, "Get", "ss", BUS_SESSION, name));
}

static uint32_t number(const char *sender, const char *path, const char *name) {
    uint32_t n;
    assert_true(sd_bus_message_read(property(sender, path, name), "v", "u", &n) > 0);
    return n;
}

/* As lines, so that a failure can be read. */
static void assert_messages(const char *sender, const char *path, const char *lines) {
    char got[2000] = "";
    const char *role, *text;
    size_t n = 0;

    sd_bus_message *m = property(sender, path, "Messages");
    assert_true(sd_bus_message_enter_container(m, 'v', "a(ss)") > 0);
    assert_true(sd_bus_message_enter_container(m, 'a', "(ss)") > 0);
    while (sd_bus_message_read(m, "(ss)", &role, &text) > 0)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s: %s\n", role, text);
    assert_string_equal(got, lines);
}

/* ---------------------------------------------------------------------------------------------- turns */

static void test_a_turn_becomes_part_of_the_conversation(void **state) {
    const char *path = first_session(":1.7", 1000);
    assert_int_equal(number(":1.7", path, "ContextUsed"), 0);
    uint64_t first = respond(":1.7", path, "hello");
    assert_messages(":1.7", path, "user: hello\n");
    assert_finished(first, "stop");
    assert_messages(":1.7", path, "user: hello\nassistant: echo: hello\n");
    /* the engine's tokens are bytes, and the prompt begins with one of its own */
    assert_int_equal(number(":1.7", path, "ContextUsed"), 1 + strlen("user: hello\nassistant: echo: hello"));

    assert_int_equal(respond(":1.7", path, "/think hm"), first + 1);
    assert_finished(first + 1, "stop");
    assert_messages(":1.7", path,
        "user: hello\nassistant: echo: hello\n"
        "user: /think hm\nassistant: echo: /think hm\n"); /* without its reasoning */
}

static void test_options_of_the_session_are_defaults_of_its_turns(void **state) {
    const char *path = first_session(":1.7", 1000);
    path = path_in(answer(create_with(":1.7", "a{sv}", 2, "max-tokens", "u", 3, "system", "s", "Be brief.")));
    assert_finished(respond(":1.7", path, "hello"), "length");
    assert_messages(":1.7", path, "user: hello\nassistant: ech\n");
    assert_finished(respond_with(":1.7", path, "hello", 1, "max-tokens", "u", 4), "length");
    assert_finished(respond(":1.7", path, "hello"), "length");
    assert_messages(
        ":1.7", path, "user: hello\nassistant: ech\nuser: hello\nassistant: echo\nuser: hello\nassistant: ech\n");

    path = path_in(answer(create_with(":1.7", "a{sv}", 1, "system", "s", "Be brief.")));
    say(":1.7", path, "/prompt");
    assert_messages(":1.7", path, "user: /prompt\nassistant: system: Be brief.\nuser: /prompt\nassistant: \n");
}

static void test_the_configuration_has_the_defaults_of_sessions(void **state) {
    assert_int_equal(options_set_int(&f.t.d.config->defaults, "max-tokens", 2, NULL), 0);
    const char *path = first_session(":1.7", 1000);
    assert_int_equal(options_set_int(&f.t.d.config->defaults, "max-tokens", 20, NULL), 0); /* a reload */
    assert_finished(respond(":1.7", path, "hello"), "length");
    assert_messages(":1.7", path, "user: hello\nassistant: ec\n");
}

static void test_called_tools_are_remembered(void **state) {
    const char *path = first_session(":1.7", 1000);
    const char *tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]";
    assert_finished(respond_with(":1.7", path, "/call f 2", 1, "tools", "s", tools), "tool-calls");
    respond(":1.7", path, "/prompt");
    until(fake_bus_find(&f.bus, "Finished"));
    const char *role, *text = "";
    sd_bus_message *m = property(":1.7", path, "Messages");
    assert_true(sd_bus_message_enter_container(m, 'v', "a(ss)") > 0);
    assert_true(sd_bus_message_enter_container(m, 'a', "(ss)") > 0);
    while (sd_bus_message_read(m, "(ss)", &role, &text) > 0)
        ;
    const char *calls = strstr(text, "{\"tool_calls\":[{"); /* in the prompt of the second turn */
    assert_non_null(calls);
    const char *second = strstr(calls, "},{\"id\"");
    assert_non_null(second);
    assert_non_null(strstr(second, "]}assistant: echo: "));
}

static void test_a_turn_may_go_through_a_pipe(void **state) {
    char got[1000];
    uint64_t id;
    int fd;
    const char *path = first_session(":1.7", 1000);
    sd_bus_message *m = answer(call(":1.7", path, "RespondStream", "sa{sv}", "hello", 0));
    assert_true(sd_bus_message_read(m, "th", &id, &fd) > 0);
    assert_int_equal(id, 1);
    until(!f.s.turns);
    ssize_t n = read(fd, got, sizeof(got) - 1);
    assert_true(n > 0);
    got[n] = '\0';
    assert_non_null(strstr(got, "\"finish-reason\":\"stop\""));
    assert_null(fake_bus_find(&f.bus, "Finished"));
    assert_messages(":1.7", path, "user: hello\nassistant: echo: hello\n");
}

static void test_what_fails_leaves_the_conversation_as_it_was(void **state) {
    const char *before = "user: hello\nassistant: echo: hello\n";
    const char *path = first_session(":1.7", 1000);
    say(":1.7", path, "hello");
    uint32_t used = number(":1.7", path, "ContextUsed");

    assert_finished(respond(":1.7", path, "/fail"), "error");
    assert_messages(":1.7", path, before);
    uint64_t id = respond(":1.7", path, "/hang");
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
    assert_messages(":1.7", path, before);
    assert_int_equal(number(":1.7", path, "ContextUsed"), used);

    f.t.d.config->max_requests_per_owner = 0;
    assert_error(call(":1.7", path, "Respond", "sa{sv}", "more", 0), "LimitsExceeded", "");
    assert_messages(":1.7", path, before);
    f.t.d.config->max_requests_per_owner = 10;
    assert_int_equal(respond(":1.7", path, "more"), id + 1);
    assert_finished(id + 1, "stop");
}

/* So that "go on" makes sense. */
static void test_a_cancelled_answer_stays_if_it_had_begun(void **state) {
    const char *path = first_session(":1.7", 1000);
    uint64_t id = respond(":1.7", path, "/slow 1 /long 100000");
    until(fake_bus_find(&f.bus, "Delta"));
    assert_int_equal(number(":1.7", path, "ContextUsed"), 0);
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
    assert_true(number(":1.7", path, "ContextUsed") > strlen("user: /slow 1 /long 100000\nassistant: "));
    say(":1.7", path, "/prompt go on");
}

static void test_one_turn_at_a_time(void **state) {
    const char *path = first_session(":1.7", 1000), *other = create(":1.7");
    uint64_t id = respond(":1.7", path, "/hang");
    assert_error(call(":1.7", path, "Respond", "sa{sv}", "more", 0), "Busy", "A turn is still running");
    assert_error(call(":1.7", path, "RespondStream", "sa{sv}", "more", 0), "Busy", "A turn is still running");
    assert_error(call(":1.7", path, "Append", "a(ss)", 1, "user", "more"), "Busy", "A turn is still running");
    cancel(":1.7", path, id + 1);
    say(":1.7", other, "hello"); /* another session's; the engine would have ended the first one before */
    cancel(":1.7", other, 1);    /* has ended */
    assert_messages(":1.7", path, "user: /hang\n");
    assert_int_equal(f.t.d.n_requests, 1);
    cancel(":1.7", path, id);
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
    fake_service_run(&f);
    assert_null(fake_bus_find(&f.bus, "Finished"));
}

/* ---------------------------------------------------------------------------------------------- Append, Fork */

static void test_appends_all_or_nothing(void **state) {
    const char *path = first_session(":1.7", 1000), *before = "user: a\nassistant: b\nuser: c\n";
    answer(call(":1.7", path, "Append", "a(ss)", 3, "user", "a", "assistant", "b", "user", "c"));
    assert_messages(":1.7", path, before);
    assert_error(call(":1.7", path, "Append", "a(ss)", 2, "user", "d", "emperor", "e"), "InvalidArgument", "emperor");
    assert_messages(":1.7", path, before);
    assert_finished(respond(":1.7", path, ""), "stop"); /* asks for an answer to these */
    assert_messages(":1.7", path, "user: a\nassistant: b\nuser: c\nassistant: echo: c\n");
}

/* They were not the turn's. */
static void test_appended_messages_survive_a_failure(void **state) {
    const char *path = first_session(":1.7", 1000);
    answer(call(":1.7", path, "Append", "a(ss)", 1, "user", "/fail"));
    assert_finished(respond(":1.7", path, ""), "error");
    assert_messages(":1.7", path, "user: /fail\n");
}

static void test_a_fork_goes_its_own_way(void **state) {
    const char *path = first_session(":1.7", 1000);
    path = path_in(answer(create_with(":1.7", "a{sv}", 1, "max-tokens", "u", 8)));
    assert_finished(respond(":1.7", path, "one"), "length");
    const char *fork = fork_session(":1.7", path);
    assert_string_not_equal(fork, path);
    assert_messages(":1.7", fork, "user: one\nassistant: echo: on\n");
    assert_int_equal(number(":1.7", fork, "ContextUsed"), number(":1.7", path, "ContextUsed"));

    assert_finished(respond(":1.7", fork, "two"), "length");
    assert_messages(":1.7", path, "user: one\nassistant: echo: on\n");
    answer(call(":1.7", path, "Close", ""));
    assert_messages(":1.7", fork, "user: one\nassistant: echo: on\nuser: two\nassistant: echo: tw\n");
}

static void test_a_running_turn_is_not_forked(void **state) {
    const char *path = first_session(":1.7", 1000);
    say(":1.7", path, "one");
    uint64_t id = respond(":1.7", path, "/hang");
    const char *fork = fork_session(":1.7", path);
    assert_messages(":1.7", fork, "user: one\nassistant: echo: one\n");
    say(":1.7", fork, "two"); /* does not wait for the other */
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
    assert_messages(":1.7", path, "user: one\nassistant: echo: one\n");
}

/* ---------------------------------------------------------------------------------------------- whose it is */

/* The very error of an object that does not exist. */
static void assert_unknown(uint64_t cookie, const char *path, uint64_t missing) {
    char expected[500];
    const char *text = fake_bus_error_text(&f.bus, missing), *at = strstr(text, MISSING);
    assert_non_null(at);
    snprintf(expected, sizeof(expected), "%.*s%s%s", (int)(at - text), text, path, at + strlen(MISSING));
    assert_string_equal(fake_bus_error(&f.bus, cookie), "org.freedesktop.DBus.Error.UnknownObject");
    assert_string_equal(fake_bus_error(&f.bus, missing), "org.freedesktop.DBus.Error.UnknownObject");
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), expected);
}

#define assert_hidden(sender, path, ...)                                                                               \
    assert_unknown(call_interface(sender, path, __VA_ARGS__), path, call_interface(sender, MISSING, __VA_ARGS__))

static void assert_does_not_exist(const char *sender, const char *path) {
    assert_hidden(sender, path, BUS_SESSION, "Respond", "sa{sv}", "hello", 0);
    assert_hidden(sender, path, BUS_SESSION, "RespondStream", "sa{sv}", "hello", 0);
    assert_hidden(sender, path, BUS_SESSION, "Append", "a(ss)", 1, "user", "hello");
    assert_hidden(sender, path, BUS_SESSION, "Fork", "");
    assert_hidden(sender, path, BUS_SESSION, "Cancel", "t", UINT64_C(1));
    assert_hidden(sender, path, BUS_SESSION, "Close", "");
    assert_hidden(sender, path, BUS_SESSION, "Nonsense", "");
    assert_hidden(sender, path, PROPERTIES, "Get", "ss", BUS_SESSION, "Messages");
    assert_hidden(sender, path, PROPERTIES, "GetAll", "s", BUS_SESSION);
    assert_hidden(sender, path, INTROSPECTABLE, "Introspect", "");
}

static bool is_listed(const char *sender, const char *path) {
    char node[64];
    const char *xml;
    assert_true(
        sd_bus_message_read(answer(call_interface(sender, SESSIONS, INTROSPECTABLE, "Introspect", "")), "s", &xml) > 0);
    snprintf(node, sizeof(node), "<node name=\"%s\"", strrchr(path, '/') + 1);
    return strstr(xml, node);
}

static void test_a_session_is_its_owners_alone(void **state) {
    const char *path = first_session(":1.7", 1000);
    const char *others = first_session(":1.8", 1000); /* the same user's, but another program's */
    uint64_t id = respond(":1.7", path, "/hang");
    assert_does_not_exist(":1.8", path);
    assert_does_not_exist(":1.9", path); /* of whom nothing is known */
    assert_true(is_listed(":1.7", path) && is_listed(":1.8", others));
    assert_false(is_listed(":1.7", others) || is_listed(":1.8", path));

    assert_messages(":1.7", path, "user: /hang\n");
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
}

static void test_a_user_has_a_number_of_sessions(void **state) {
    f.t.d.config->max_sessions_per_owner = 2;
    first_session(":1.7", 1000);
    const char *path = first_session(":1.8", 1000); /* from another program */
    assert_error(create_with(":1.7", "a{sv}", 0), "LimitsExceeded", "You already have 2 sessions");
    assert_error(call(":1.8", path, "Fork", ""), "LimitsExceeded", "You already have 2 sessions");
    first_session(":1.9", 1001); /* somebody else */
    assert_int_equal(f.s.n_sessions, 3);
    answer(call(":1.8", path, "Close", ""));
    create(":1.7");
}

static void test_turns_count_as_their_users_requests(void **state) {
    f.t.d.config->max_requests_per_owner = 1;
    const char *path = first_session(":1.7", 1000), *other = first_session(":1.8", 1000);
    const char *somebody = first_session(":1.9", 1001);
    uint64_t id = respond(":1.7", path, "/hang");
    assert_error(call(":1.8", other, "Respond", "sa{sv}", "hello", 0), "LimitsExceeded", "");
    say(":1.9", somebody, "hello");
    cancel(":1.7", path, id);
    assert_finished(id, "cancelled");
    say(":1.8", other, "hello");
}

static void test_what_cannot_be_created(void **state) {
    const char *path = first_session(":1.7", 1000);
    assert_error(create_with(":1.7", "s", "hello"), "InvalidArgument", "The options could not be read");
    assert_error(create_with(":1.7", "a{sv}", 1, "nonsense", "b", 1), "InvalidArgument", "\"nonsense\"");
    f.t.d.stopping = true;
    assert_error(create_with(":1.7", "a{sv}", 0), "Stopping", "inferd is stopping.");
    assert_error(call(":1.7", path, "Fork", ""), "Stopping", "inferd is stopping.");
    assert_int_equal(f.s.n_sessions, 1);
}

static void test_what_cannot_be_asked(void **state) {
    const char *invalid = "org.freedesktop.DBus.Error.InvalidArgs", *path = first_session(":1.7", 1000);
    path = path_in(answer(create_with(":1.7", "a{sv}", 1, "system", "s", "Be brief.")));
    assert_error(call(":1.7", path, "Respond", "s", "hello"), invalid, "");
    assert_error(call(":1.7", path, "Append", "as", 1, "hello"), invalid, "");
    assert_error(call(":1.7", path, "Cancel", "u", 1), invalid, "");
    assert_error(call(":1.7", path, "Respond", "sa{sv}", "hello", 1, "nonsense", "b", 1), "InvalidArgument",
        "Unknown option \"nonsense\".");
    assert_error(call(":1.7", path, "RespondStream", "sa{sv}", "hello", 1, "temperature", "s", "hot"),
        "InvalidArgument", "temperature");
    assert_messages(":1.7", path, "");
    assert_null(f.s.turns);
    assert_int_equal(respond(":1.7", path, "hello"), 1);
    assert_finished(1, "stop");
}

static void test_the_context_is_the_models(void **state) {
    const char *path = first_session(":1.7", 1000);
    assert_int_equal(number(":1.7", path, "ContextSize"), 4096);
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    assert_int_equal(number(":1.7", path, "ContextSize"), 0);
}

/* ---------------------------------------------------------------------------------------------- the end */

static void test_closing_ends_a_turn_without_a_word(void **state) {
    const char *path = first_session(":1.7", 1000);
    respond(":1.7", path, "/hang");
    assert_true(bus_service_is_used(&f.s));
    fake_service_was_active(&f);
    answer(call(":1.7", path, "Close", ""));
    assert_true(fake_service_was_active(&f)); /* the process may be idle from now on */
    assert_false(bus_service_is_used(&f.s));
    until(f.t.d.n_requests == 0);
    fake_service_run(&f);
    assert_null(fake_bus_find(&f.bus, "Finished"));
    assert_does_not_exist(":1.7", path);
    assert_false(is_listed(":1.7", path));
    assert_string_not_equal(create(":1.7"), path); /* nobody finds another conversation there */
}

static void test_who_leaves_takes_the_sessions_along(void **state) {
    const char *path = first_session(":1.7", 1000), *other = first_session(":1.8", 1000);
    create(":1.7");
    respond(":1.7", path, "/hang");
    uint64_t id = respond(":1.8", other, "/hang");
    fake_bus_leave(&f.bus, ":1.7");
    until(f.t.d.n_requests == 1);
    assert_int_equal(f.s.n_sessions, 1);
    cancel(":1.8", other, id);
    assert_finished(id, "cancelled");
    assert_null(fake_bus_find(&f.bus, "Finished"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_turn_becomes_part_of_the_conversation),
        TEST(test_options_of_the_session_are_defaults_of_its_turns),
        TEST(test_the_configuration_has_the_defaults_of_sessions),
        TEST(test_called_tools_are_remembered),
        TEST(test_a_turn_may_go_through_a_pipe),
        TEST(test_what_fails_leaves_the_conversation_as_it_was),
        TEST(test_a_cancelled_answer_stays_if_it_had_begun),
        TEST(test_one_turn_at_a_time),
        TEST(test_appends_all_or_nothing),
        TEST(test_appended_messages_survive_a_failure),
        TEST(test_a_fork_goes_its_own_way),
        TEST(test_a_running_turn_is_not_forked),
        TEST(test_a_session_is_its_owners_alone),
        TEST(test_a_user_has_a_number_of_sessions),
        TEST(test_turns_count_as_their_users_requests),
        TEST(test_what_cannot_be_created),
        TEST(test_what_cannot_be_asked),
        TEST(test_the_context_is_the_models),
        TEST(test_closing_ends_a_turn_without_a_word),
        TEST(test_who_leaves_takes_the_sessions_along),
    };
    return cmocka_run_group_tests_name("bus-session", tests, NULL, NULL);
}
