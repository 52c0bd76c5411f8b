/* Calls that are answered later: what the answer is, who may have how many, and what happens to those whose caller
 * leaves. */
#include "fake-bus.h"

#include "bus-call.h"
#include "embedding.h"

static FakeService f;

static int setup(void **state) {
    fake_service_init(&f, bus_call_generate);
    test_daemon_install(&f.t, "alpha", "FAKE");
    test_daemon_install(&f.t, "beta", "FAKE load_ms=5");
    test_daemon_install(&f.t, "broken", "junk");
    f.t.d.config->model = strdup("alpha");
    test_daemon_start(&f.t);
    run_until(&f.t, model_host_availability(f.t.d.host) == AVAILABILITY_READY);
    return 0;
}

static int teardown(void **state) {
    bus_service_drop_owner(&f.s, NULL, NULL);
    bus_call_free_all(&f.s);
    run_until(&f.t, f.t.d.n_requests == 0);
    fake_service_done(&f);
    return 0;
}

#define until(condition) run_until(&f.t, (fake_service_run(&f), condition))

static void introduce(const char *sender, uid_t uid) {
    sd_bus_message *m = fake_bus_call(&f.bus, sender, FAKE_BUS_PATH, BUS_MANAGER, "Call");
    fake_bus_send(&f.bus, m); /* without the arguments that it needs */
    fake_service_run(&f);
    fake_service_tell_uid(&f, uid);
}

/* From a client that is known. */
#define call(handler_, sender, ...)                                                                                    \
    ({                                                                                                                 \
        sd_bus_message *_m = fake_bus_call(&f.bus, sender, FAKE_BUS_PATH, BUS_MANAGER, "Call");                        \
        assert_true(sd_bus_message_append(_m, __VA_ARGS__) >= 0);                                                      \
        uint64_t _cookie = fake_bus_send(&f.bus, _m);                                                                  \
        f.handler = handler_;                                                                                          \
        fake_service_run(&f);                                                                                          \
        _cookie;                                                                                                       \
    })

static uint64_t generate(const char *sender, const char *prompt) {
    return call(bus_call_generate, sender, "sa{sv}", prompt, 0);
}

static sd_bus_message *answer(uint64_t cookie) {
    until(fake_bus_reply(&f.bus, cookie));
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "");
    return fake_bus_reply(&f.bus, cookie);
}

static void assert_error(uint64_t cookie, const char *name, const char *text) {
    until(fake_bus_reply(&f.bus, cookie));
    assert_string_equal(fake_bus_error(&f.bus, cookie), name);
    assert_non_null(strstr(fake_bus_error_text(&f.bus, cookie), text));
}

/* ---------------------------------------------------------------------------------------------- Generate */

static void test_generates(void **state) {
    const char *text, *key, *reason, *reasoning;
    introduce(":1.7", 1000);
    sd_bus_message *m = answer(generate(":1.7", "/think because"));
    assert_true(sd_bus_message_read(m, "s", &text) > 0);
    assert_string_equal(text, "echo: /think because");
    assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    assert_true(sd_bus_message_read(m, "{sv}{sv}", &key, "s", &reason, &key, "s", &reasoning) > 0);
    assert_string_equal(reason, "stop");
    assert_string_equal(reasoning, "because");
    assert_null(f.s.calls);
    assert_false(bus_service_is_used(&f.s));
}

static void test_what_cannot_be_generated(void **state) {
    introduce(":1.7", 1000);
    assert_error(generate(":1.7", ""), "InvalidArgument", "The prompt is empty.");
    assert_error(call(bus_call_generate, ":1.7", "u", 7), "InvalidArgument", "The prompt could not be read");
    assert_error(call(bus_call_generate, ":1.7", "sa{sv}", "hello", 1, "nonsense", "b", 1), "InvalidArgument",
        "Unknown option \"nonsense\".");
    assert_error(generate(":1.7", "/fail"), "PoolExhausted", "No pages became free in time.");
    assert_null(f.s.calls);
    assert_false(bus_service_is_used(&f.s));
}

/* A user may call from many programs, all of which count. */
static void test_a_user_has_a_number_of_calls(void **state) {
    f.t.d.config->max_requests_per_owner = 2;
    introduce(":1.7", 1000);
    introduce(":1.8", 1000);
    introduce(":1.9", 1001);
    generate(":1.7", "/hang");
    uint64_t second = generate(":1.8", "/slow 1 hello");
    assert_error(generate(":1.7", "hello"), "LimitsExceeded", "You already have 2 calls running");
    answer(generate(":1.9", "hello")); /* somebody else */
    answer(second);
    answer(generate(":1.7", "hello"));
}

static void test_the_model_is_unloaded(void **state) {
    introduce(":1.7", 1000);
    for (int i = 0; i < 2; i++) { /* while they wait for it, and before they come */
        uint64_t cookies[] = {
            generate(":1.7", "hello"),
            call(bus_call_count_tokens, ":1.7", "sa{sv}", "hello", 0),
            call(bus_call_prewarm, ":1.7", "a{sv}", 0),
            call(bus_call_prewarm, ":1.7", "a{sv}", 1, "system", "s", "Be brief."),
            call(bus_call_embed, ":1.7", "asa{sv}", 1, "one", 0),
        };
        assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
        for (size_t j = 0; j < ELEMENTSOF(cookies); j++)
            assert_error(cookies[j], "NoModel", "The model was");
        assert_null(f.s.calls);
        assert_false(bus_service_is_used(&f.s));
    }
}

/* ---------------------------------------------------------------------------------------------- who leaves */

static void test_who_leaves_takes_the_calls_along(void **state) {
    introduce(":1.7", 1000);
    introduce(":1.8", 1000);
    uint64_t cookie = generate(":1.7", "/hang");
    generate(":1.8", "/hang");
    assert_int_equal(f.t.d.n_requests, 2);
    fake_bus_leave(&f.bus, ":1.7");
    until(f.t.d.n_requests == 1); /* nothing is computed for nobody */
    assert_null(fake_bus_reply(&f.bus, cookie));
    assert_true(bus_service_is_used(&f.s));
}

static void test_calls_are_dropped_with_an_error(void **state) {
    Error e;
    introduce(":1.7", 1000);
    BusOwner *o = f.s.owners;
    introduce(":1.8", 1000);
    uint64_t dropped = generate(":1.7", "/hang"), stays = generate(":1.8", "/hang");
    error_set(&e, -ESHUTDOWN, "Good night.");
    bus_call_drop_owned(&f.s, o, &e);
    assert_error(dropped, "Stopping", "Good night.");
    assert_null(fake_bus_reply(&f.bus, stays));
    assert_int_equal(o->n_users, 0);
    bus_call_drop_owned(&f.s, NULL, &e);
    assert_error(stays, "Stopping", "Good night.");
    assert_null(f.s.calls);

    call(bus_call_count_tokens, ":1.7", "sa{sv}", "hello", 0);
    fake_service_was_active(&f);
    bus_call_drop_owned(&f.s, NULL, NULL);
    assert_true(fake_service_was_active(&f));
}

/* ---------------------------------------------------------------------------------------------- Embed */

static void test_what_cannot_be_embedded(void **state) {
    introduce(":1.7", 1000);
    assert_error(call(bus_call_embed, ":1.7", "asa{sv}", 2, "one", "", 0), "InvalidArgument", "Text 1 is empty.");
    assert_error(call(bus_call_embed, ":1.7", "asa{sv}", 0, 0), "InvalidArgument", "There must be between 1 and");
    assert_error(call(bus_call_embed, ":1.7", "s", "one"), "InvalidArgument", "The texts could not be read");
    assert_error(call(bus_call_embed, ":1.7", "asa{sv}", 1, "one", 1, "temperature", "d", 1.0), "InvalidArgument",
        "temperature");
    assert_null(f.s.calls);
}

static uint64_t embed_many(int n) {
    sd_bus_message *m = fake_bus_call(&f.bus, ":1.7", FAKE_BUS_PATH, BUS_MANAGER, "Call");
    assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
    for (int i = 0; i < n; i++)
        assert_true(sd_bus_message_append(m, "s", "x") >= 0);
    assert_true(sd_bus_message_close_container(m) >= 0 && sd_bus_message_append(m, "a{sv}", 0) >= 0);
    f.handler = bus_call_embed;
    return fake_bus_send(&f.bus, m);
}

static void test_many_texts_are_embedded_in_several_calls(void **state) {
    introduce(":1.7", 1000);
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    assert_error(embed_many(EMBEDDING_MAX_INPUTS), "NoModel", "The model was unloaded."); /* not for their number */
    assert_error(embed_many(EMBEDDING_MAX_INPUTS + 1), "InvalidArgument", "send them in several calls");
    assert_null(f.s.calls);
}

/* ---------------------------------------------------------------------------------------------- CountTokens */

static void test_counts_tokens(void **state) {
    uint32_t n;
    introduce(":1.7", 1000);
    assert_true(sd_bus_message_read(answer(call(bus_call_count_tokens, ":1.7", "sa{sv}", "hello", 0)), "u", &n) > 0);
    assert_int_equal(n, 5);
    assert_true(sd_bus_message_read(answer(call(bus_call_count_tokens, ":1.7", "sa{sv}", "", 0)), "u", &n) > 0);
    assert_int_equal(n, 0);
    assert_error(
        call(bus_call_count_tokens, ":1.7", "sa{sv}", "hello", 1, "timeout", "u", 5), "InvalidArgument", "timeout");
    assert_null(f.s.calls);
}

/* Wherever the count has got to meanwhile: waiting for the model, or on the thread pool. */
static void test_who_leaves_while_tokens_are_counted(void **state) {
    for (int turns = 0; turns < 4; turns++) {
        introduce(":1.7", 1000);
        uint64_t cookie = call(bus_call_count_tokens, ":1.7", "sa{sv}", "hello", 0);
        for (int i = 0; i < turns && f.s.calls; i++)
            uv_run(&f.t.loop, UV_RUN_NOWAIT);
        bool answered = !f.s.calls;
        fake_bus_leave(&f.bus, ":1.7");
        fake_service_run(&f);
        assert_null(f.s.owners);
        assert_true(answered == (fake_bus_reply(&f.bus, cookie) != NULL));
        assert_null(f.s.calls);
    }
}

/* ---------------------------------------------------------------------------------------------- Prewarm */

static void test_prewarms(void **state) {
    introduce(":1.7", 1000);
    assert_true(sd_bus_message_is_empty(answer(call(bus_call_prewarm, ":1.7", "a{sv}", 0))));
    uint64_t cookie = call(bus_call_prewarm, ":1.7", "a{sv}", 1, "system", "s", "Be brief.");
    assert_int_equal(f.t.d.n_requests, 1); /* the words too, not only the model */
    assert_true(sd_bus_message_is_empty(answer(cookie)));
    assert_error(call(bus_call_prewarm, ":1.7", "a{sv}", 1, "nonsense", "b", 1), "InvalidArgument", "nonsense");
    assert_null(f.s.calls);
}

/* ---------------------------------------------------------------------------------------------- LoadModel */

static uint64_t load(const char *sender, const char *name) {
    return call(bus_call_load_model, sender, "s", name);
}

static void test_loads_a_model(void **state) {
    introduce(":1.7", 0);
    assert_error(load(":1.7", "missing"), "NoSuchModel", "missing");
    assert_error(load(":1.7", "broken"), "ModelFailed", "broken");
    assert_true(sd_bus_message_is_empty(answer(load(":1.7", "beta"))));
    assert_string_equal(model_host_model_name(f.t.d.host), "beta");
    assert_null(f.s.calls);
}

/* What was begun concerns everybody, and is not undone because one has left. */
static void test_a_model_is_loaded_though_its_caller_leaves(void **state) {
    introduce(":1.7", 0);
    uint64_t cookie = load(":1.7", "beta");
    fake_bus_leave(&f.bus, ":1.7");
    fake_service_run(&f);
    assert_null(f.s.owners);
    until(!f.s.calls);
    assert_string_equal(model_host_model_name(f.t.d.host), "beta");
    assert_null(fake_bus_reply(&f.bus, cookie));
}

static void test_a_dropped_load_is_answered_once(void **state) {
    Error e;
    introduce(":1.7", 0);
    uint64_t cookie = load(":1.7", "broken");
    error_set(&e, -ESHUTDOWN, "Good night.");
    bus_call_drop_owned(&f.s, f.s.owners, &e);
    bus_call_drop_owned(&f.s, NULL, &e);
    assert_error(cookie, "Stopping", "Good night.");
    until(!f.s.calls);
    size_t n = f.bus.n_received;
    fake_service_run(&f);
    assert_int_equal(f.bus.n_received, n);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_generates),
        TEST(test_what_cannot_be_generated),
        TEST(test_a_user_has_a_number_of_calls),
        TEST(test_the_model_is_unloaded),
        TEST(test_who_leaves_takes_the_calls_along),
        TEST(test_calls_are_dropped_with_an_error),
        TEST(test_what_cannot_be_embedded),
        TEST(test_many_texts_are_embedded_in_several_calls),
        TEST(test_counts_tokens),
        TEST(test_who_leaves_while_tokens_are_counted),
        TEST(test_prewarms),
        TEST(test_loads_a_model),
        TEST(test_a_model_is_loaded_though_its_caller_leaves),
        TEST(test_a_dropped_load_is_answered_once),
    };
    return cmocka_run_group_tests_name("bus-call", tests, NULL, NULL);
}
