/* What the manager tells about models and the service, and when it announces that something has changed. */
#include <jansson.h>

#include "fake-bus.h"

#include "bus-manager.h"

#define SOMEBODY 4712

static FakeService f;

#define until(condition) run_until(&f.t, (fake_service_run(&f), condition))

static int setup_with(const char *model) {
    fake_service_init(&f, NULL);
    test_daemon_install(&f.t, "alpha", "FAKE context=512");
    test_daemon_install(&f.t, "beta", "FAKE author=Ada");
    test_daemon_install(&f.t, "broken", "junk");
    f.t.d.config->model = strdup(model);
    test_daemon_start(&f.t);
    run_until(&f.t, model_host_availability(f.t.d.host) != AVAILABILITY_LOADING);
    assert_true(bus_manager_add_vtable(&f.s) >= 0);
    return 0;
}

static int setup(void **state) {
    return setup_with("alpha");
}

static int setup_broken(void **state) {
    return setup_with("broken");
}

/* Nothing is installed; there may be a built-in model. */
static int setup_empty_with(const char *embedded) {
    char path[100];
    fake_service_init(&f, NULL);
    if (embedded) {
        test_daemon_install(&f.t, embedded, "FAKE");
        snprintf(path, sizeof(path), "%s/%s.gguf", f.t.dir, embedded);
        f.t.d.config->embedded_model = strdup(path);
    }
    free(f.t.d.config->model_dirs[0]);
    f.t.d.config->model_dirs[0] = strdup("/nowhere");
    test_daemon_start(&f.t);
    run_until(&f.t, model_host_availability(f.t.d.host) != AVAILABILITY_LOADING);
    assert_true(bus_manager_add_vtable(&f.s) >= 0);
    return 0;
}

static int setup_empty(void **state) {
    return setup_empty_with(NULL);
}

static int setup_embedded(void **state) {
    return setup_empty_with("small");
}

static int teardown(void **state) {
    request_cancel_all(&f.t.d, 0, NULL);
    run_until(&f.t, f.t.d.n_requests == 0);
    fake_service_done(&f);
    return 0;
}

/* ---------------------------------------------------------------------------------------------- messages */

static uint64_t call(const char *interface, const char *member, const char *types, ...) {
    va_list ap;
    sd_bus_message *m = fake_bus_call(&f.bus, ":1.7", BUS_PATH, interface, member);
    va_start(ap, types);
    assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
    va_end(ap);
    uint64_t cookie = fake_bus_send(&f.bus, m);
    fake_service_run(&f);
    return cookie;
}

static sd_bus_message *reply_to(uint64_t cookie) {
    if (!fake_bus_reply(&f.bus, cookie)) /* what is known is told without a turn of the loop */
        until(fake_bus_reply(&f.bus, cookie));
    assert_string_equal(fake_bus_error_text(&f.bus, cookie), "");
    return fake_bus_reply(&f.bus, cookie);
}

static json_t *read_dict(sd_bus_message *m);

static json_t *read_value(sd_bus_message *m, const char *type) {
    union {
        const char *s;
        int b;
        uint32_t u;
        uint64_t t;
    } v;
    if (*type == 'a')
        return read_dict(m);
    assert_true(sd_bus_message_read_basic(m, *type, &v) > 0);
    return *type == 's'   ? json_string(v.s)
           : *type == 'b' ? json_boolean(v.b)
           : *type == 'u' ? json_integer(v.u)
                          : json_integer((json_int_t)v.t);
}

/* Keys have their type added: what "size u" says is no "size t". */
static json_t *read_dict(sd_bus_message *m) {
    const char *key, *type;
    char name[80];
    json_t *dict = json_object();
    assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
        assert_true(sd_bus_message_read(m, "s", &key) > 0 && sd_bus_message_peek_type(m, NULL, &type) > 0);
        snprintf(name, sizeof(name), "%s %s", key, type);
        assert_null(json_object_get(dict, name));
        assert_true(sd_bus_message_enter_container(m, 'v', type) > 0);
        json_object_set_new(dict, name, read_value(m, type));
        assert_true(sd_bus_message_exit_container(m) > 0 && sd_bus_message_exit_container(m) > 0);
    }
    assert_true(sd_bus_message_exit_container(m) > 0);
    return dict;
}

static json_t *property(const char *name, const char *type) {
    sd_bus_message *m = reply_to(call("org.freedesktop.DBus.Properties", "Get", "ss", BUS_MANAGER, name));
    assert_true(sd_bus_message_enter_container(m, 'v', type) > 0);
    return read_value(m, type);
}

/* Consumes both. */
static void assert_json(json_t *got, json_t *expected) {
    char *a = json_dumps(got, JSON_SORT_KEYS | JSON_ENCODE_ANY),
         *b = json_dumps(expected, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_non_null(b);
    assert_string_equal(a, b);
    free(a);
    free(b);
    json_decref(got);
    json_decref(expected);
}

static json_t *info(const char *name, const char *file, unsigned context, bool loaded, bool embedded) {
    char path[100];
    snprintf(path, sizeof(path), "%s/%s.gguf", f.t.dir, name);
    return json_pack("{s:b, s:b, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "loaded b", loaded, "embedded b", embedded,
        "title s", "Fake", "file s", path, "architecture s", "fake", "quantisation s", "F32", "license s", "MIT",
        "size t", (int)strlen(file), "parameters t", 260000, "context-size u", (int)context);
}

static json_t *with(json_t *dict, const char *key, const char *value) {
    json_object_set_new(dict, key, json_string(value));
    return dict;
}

/* ---------------------------------------------------------------------------------------------- ListModels */

static json_t *list_models(void) {
    json_t *list = json_array();
    const char *name;
    sd_bus_message *m = reply_to(call(BUS_MANAGER, "ListModels", ""));
    assert_true(sd_bus_message_enter_container(m, 'a', "(sa{sv})") > 0);
    while (sd_bus_message_enter_container(m, 'r', "sa{sv}") > 0) {
        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        json_array_append_new(list, json_pack("[s, o]", name, read_dict(m)));
        assert_true(sd_bus_message_exit_container(m) > 0);
    }
    return list;
}

static void test_models_are_listed_by_name(void **state) {
    char reason[200];
    snprintf(reason, sizeof(reason), "%s/broken.gguf is not a model file.", f.t.dir);
    assert_json(list_models(), json_pack("[[s, o], [s, o], [s, {s:b, s:b, s:s}]]", "alpha",
                                   info("alpha", "FAKE context=512", 512, true, false), "beta",
                                   with(info("beta", "FAKE author=Ada", 4096, false, false), "author s", "Ada"),
                                   "broken", "loaded b", 0, "embedded b", 0, "error s", reason));
}

static void test_no_model_is_installed(void **state) {
    assert_json(list_models(), json_array());
    assert_json(property("Availability", "s"), json_string("no-model"));
    assert_json(property("Model", "a{sv}"),
        json_pack("{s:s}", "error s", "No model is installed. Put a GGUF file into /nowhere."));
}

static void test_the_built_in_model(void **state) {
    assert_json(list_models(), json_pack("[[s, o]]", "small", info("small", "FAKE", 4096, true, true)));
    assert_json(property("Model", "a{sv}"), with(info("small", "FAKE", 4096, true, true), "name s", "small"));
}

/* ---------------------------------------------------------------------------------------------- properties */

static void load(const char *name) {
    assert_int_equal(model_host_load(f.t.d.host, name, NULL, NULL, NULL), 0);
}

static void load_all(const char *name) {
    load(name);
    run_until(&f.t, model_host_availability(f.t.d.host) != AVAILABILITY_LOADING);
}

/* Until somebody needs the model again. */
static void let_idle(void) {
    f.t.d.config->idle_unload_usec = 1;
    model_host_busy(f.t.d.host, false);
    run_until(&f.t, !model_host_model(f.t.d.host));
}

static void assert_model(const char *availability, json_t *model) {
    assert_json(property("Availability", "s"), json_string(availability));
    assert_json(property("Model", "a{sv}"), model);
}

static void test_the_model_comes_and_goes(void **state) {
    assert_model("ready", with(info("alpha", "FAKE context=512", 512, true, false), "name s", "alpha"));
    load("beta");
    assert_model("loading", json_pack("{s:s}", "name s", "alpha")); /* whose memory may go */
    load_all("beta");
    assert_model(
        "ready", with(with(info("beta", "FAKE author=Ada", 4096, true, false), "author s", "Ada"), "name s", "beta"));
    let_idle();
    assert_model("ready", json_pack("{s:s}", "name s", "beta"));
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    assert_model("disabled", json_object());
}

static void test_a_model_that_failed_tells_why(void **state) {
    char reason[200];
    snprintf(reason, sizeof(reason), "%s/broken.gguf is not a model file.", f.t.dir);
    assert_model("model-failed", json_pack("{s:s, s:s}", "name s", "broken", "error s", reason));
}

static Request *ask(const char *prompt, TestSink *sink) {
    Request *r;
    Error e;
    unsigned n = f.t.d.n_requests;
    EngineStats before, now;
    bridge_stats(model_host_bridge(f.t.d.host), &before);
    assert_int_equal(test_request(&f.t, prompt, sink, &r, &e), 0);
    assert_int_equal(f.t.d.n_requests, n + 1);
    run_until(&f.t,
        (bridge_stats(model_host_bridge(f.t.d.host), &now), now.running + now.queued > before.running + before.queued));
    return r;
}

static void test_numbers(void **state) {
    static TestSink running, waiting[2];
    assert_json(property("Version", "s"), json_string(INFERD_VERSION));
    assert_json(property("Pages", "u"), json_integer(4096));
    assert_json(property("PagesUsed", "u"), json_integer(0));
    ask("/hang", &running);
    ask("/queue", &waiting[0]);
    ask("/queue", &waiting[1]);
    f.s.n_sessions = 3;
    assert_json(property("PagesUsed", "u"), json_integer(2)); /* of 16 tokens, with what the template adds */
    assert_json(property("Queue", "u"), json_integer(2));
    assert_json(property("Sessions", "u"), json_integer(3));
    f.s.n_sessions = 0;
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    assert_json(property("Pages", "u"), json_integer(0));
}

/* ---------------------------------------------------------------------------------------------- announcements */

/* The names of what is announced; it is so once. */
static void assert_announced(const char *expected) {
    static const char *const names[] = {"Availability", "Model", "Pages", "PagesUsed", "Sessions", "Queue"};
    const char *interface, *key;
    char got[100] = "";
    json_t *value;

    bus_manager_emit_changes(&f.s);
    fake_service_run(&f);
    sd_bus_message *m = fake_bus_find(&f.bus, "PropertiesChanged");
    assert_non_null(m);
    assert_string_equal(sd_bus_message_get_path(m), BUS_PATH);
    assert_true(sd_bus_message_read(m, "s", &interface) > 0);
    assert_string_equal(interface, BUS_MANAGER);
    json_t *changed = read_dict(m);
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        json_object_foreach(
            changed, key, value) if (strncmp(key, names[i], strlen(names[i])) == 0 && key[strlen(names[i])] == ' ')
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", *got ? " " : "", names[i]);
    json_decref(changed);
    assert_string_equal(got, expected);
    fake_bus_forget(&f.bus, "PropertiesChanged");
    bus_manager_emit_changes(&f.s);
    fake_service_run(&f);
    assert_null(fake_bus_find(&f.bus, "PropertiesChanged"));
}

static void test_nothing_is_announced_at_first(void **state) {
    bus_manager_emit_changes(&f.s);
    fake_service_run(&f);
    assert_null(fake_bus_find(&f.bus, "PropertiesChanged"));
}

static void test_numbers_are_announced(void **state) {
    static TestSink running, waiting;
    f.s.n_sessions = 1;
    assert_announced("Sessions");
    Request *r = ask("/hang", &running);
    assert_announced("PagesUsed");
    ask("/queue", &waiting);
    f.s.n_sessions = 0;
    assert_announced("Sessions Queue");
    request_cancel(r, 0, NULL);
    run_until(&f.t, f.t.d.n_requests == 1);
    assert_announced("PagesUsed");
}

static void test_the_model_is_announced(void **state) {
    load("beta");
    assert_announced("Availability Model Pages");
    run_until(&f.t, model_host_availability(f.t.d.host) == AVAILABILITY_READY);
    assert_announced("Availability Model Pages");
    assert_int_equal(model_host_unload(f.t.d.host, NULL), 0);
    assert_announced("Availability Model Pages");
}

/* Announcements are rare: it may be over before somebody has heard that it began. */
static void test_a_model_that_was_replaced_meanwhile(void **state) {
    load_all("beta");
    assert_announced("Model");
    test_daemon_install(&f.t, "beta", "FAKE context=1024");
    load_all("beta"); /* the same name, another file */
    assert_announced("Model");
}

static void test_an_idle_model_is_announced(void **state) {
    let_idle();
    assert_announced("Model Pages");
    load_all("beta");
    let_idle();
    assert_announced("Model"); /* another name */
}

static void test_a_repaired_model_is_announced(void **state) {
    test_daemon_install(&f.t, "broken", "FAKE");
    load("broken");
    assert_announced("Availability Model"); /* without the error */
}

/* ---------------------------------------------------------------------------------------------- methods */

static void introduce(uid_t uid) {
    call(BUS_MANAGER, "CountTokens", "sa{sv}", "", 0);
    fake_service_tell_uid(&f, uid);
}

static void test_calls_reach_what_they_ask_for(void **state) {
    uint32_t n;
    introduce(SOMEBODY);
    assert_true(sd_bus_message_read(reply_to(call(BUS_MANAGER, "CountTokens", "sa{sv}", "hello", 0)), "u", &n) > 0);
    assert_int_equal(n, 5);
    assert_true(sd_bus_message_is_empty(reply_to(call(BUS_MANAGER, "Prewarm", "a{sv}", 0))));
    uint64_t cookie = call(BUS_MANAGER, "Embed", "asa{sv}", 0, 0);
    assert_non_null(strstr(fake_bus_error_text(&f.bus, cookie), "between 1 and"));
}

static void test_the_model_is_unloaded_by_who_may(void **state) {
    introduce(0);
    assert_true(sd_bus_message_is_empty(reply_to(call(BUS_MANAGER, "UnloadModel", ""))));
    assert_int_equal(model_host_availability(f.t.d.host), AVAILABILITY_DISABLED);
    f.t.d.stopping = true;
    uint64_t cookie = call(BUS_MANAGER, "UnloadModel", "");
    assert_string_equal(fake_bus_error(&f.bus, cookie), "Stopping");
    f.t.d.stopping = false;
}

static void test_nobody_manages_models_without_leave(void **state) {
    introduce(SOMEBODY);
    uint64_t cookies[] = {call(BUS_MANAGER, "UnloadModel", ""), call(BUS_MANAGER, "LoadModel", "s", "beta")};
    for (size_t i = 0; i < ELEMENTSOF(cookies); i++) {
        fake_bus_answer(&f.bus, "CheckAuthorization", "(bba{ss})", 0, 0, 0);
        until(fake_bus_reply(&f.bus, cookies[i]));
        assert_string_equal(fake_bus_error(&f.bus, cookies[i]), "NotAuthorized");
    }
    assert_int_equal(model_host_availability(f.t.d.host), AVAILABILITY_READY);
}

int main(void) {
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_models_are_listed_by_name, setup),
        TEST(test_no_model_is_installed, setup_empty),
        TEST(test_the_built_in_model, setup_embedded),
        TEST(test_the_model_comes_and_goes, setup),
        TEST(test_a_model_that_failed_tells_why, setup_broken),
        TEST(test_numbers, setup),
        TEST(test_nothing_is_announced_at_first, setup),
        TEST(test_numbers_are_announced, setup),
        TEST(test_the_model_is_announced, setup),
        TEST(test_a_model_that_was_replaced_meanwhile, setup),
        TEST(test_an_idle_model_is_announced, setup),
        TEST(test_a_repaired_model_is_announced, setup_broken),
        TEST(test_calls_reach_what_they_ask_for, setup),
        TEST(test_the_model_is_unloaded_by_who_may, setup),
        TEST(test_nobody_manages_models_without_leave, setup),
    };
    return cmocka_run_group_tests_name("bus-manager", tests, NULL, NULL);
}
