/* Dictionaries that anybody can send. */
#include "test-bus.h"

#include "bus-options.h"

#define read_options(o, e, ...)                                                                                        \
    ({                                                                                                                 \
        sd_bus_message *_m = test_bus_message(&bus);                                                                   \
        assert_true(sd_bus_message_append(_m, "a{sv}", __VA_ARGS__) >= 0);                                             \
        test_bus_seal(_m);                                                                                             \
        int _r = bus_options_read(_m, o, NULL, NULL, e);                                                               \
        sd_bus_message_unref(_m);                                                                                      \
        _r;                                                                                                            \
    })

static TestBus bus;

static int setup(void **state) {
    test_bus_init(&bus);
    return 0;
}

static int teardown(void **state) {
    test_bus_done(&bus);
    return 0;
}

static void test_reads_all_number_types(void **state) {
    Options o;
    Error e;

    options_init(&o);
    assert_int_equal(
        read_options(&o, &e, 8, "max-tokens", "y", 7, "top-k", "q", 40, "temperature", "i", 1, "top-p", "d", 0.5,
            "seed", "t", UINT64_C(99), "min-p", "n", 0, "reasoning", "x", INT64_C(100), "stop", "as", 2, "A", "B"),
        0);
    assert_int_equal(o.max_tokens, 7);
    assert_int_equal(o.sampler.top_k, 40);
    assert_true(o.sampler.temperature == 1 && o.sampler.top_p == 0.5f && o.sampler.seed == 99);
    assert_int_equal(o.reasoning_budget, 100);
    assert_string_equal(o.stop[1], "B");
    options_done(&o);
}

static void test_wrong_types_name_the_key_and_what_it_wants(void **state) {
    Options o;
    Error e;

    options_init(&o);
    assert_int_equal(read_options(&o, &e, 1, "temperature", "s", "0.5"), -EINVAL);
    assert_string_equal(e.message, "Option \"temperature\" must be a number from 0 to 100.");
    assert_int_equal(read_options(&o, &e, 1, "temperature", "b", 1), -EINVAL);
    assert_non_null(strstr(e.message, "temperature"));
    assert_int_equal(read_options(&o, &e, 1, "max-tokens", "as", 1, "x"), -EINVAL);
    assert_non_null(strstr(e.message, "max-tokens"));
    assert_int_equal(read_options(&o, &e, 1, "stop", "a(ss)", 1, "x", "y"), -EINVAL);
    assert_non_null(strstr(e.message, "stop"));
    assert_int_equal(read_options(&o, &e, 1, "system", "a{sv}", 0), -EINVAL);
    assert_int_equal(read_options(&o, &e, 1, "system", "u", 5), -EINVAL);
    assert_int_equal(read_options(&o, &e, 1, "seed", "t", UINT64_MAX), -EINVAL);
    assert_int_equal(read_options(&o, &e, 1, "max-tokens", "i", -5), -EINVAL);
    assert_int_equal(read_options(&o, &e, 1, "nonsense", "b", 1), -EINVAL);
    assert_string_equal(e.message, "Unknown option \"nonsense\".");
    assert_int_equal(read_options(&o, &e, 1, "schema", "a{sv}", 0), -EOPNOTSUPP);
    assert_int_equal(read_options(&o, &e, 1, "logit-bias", "a{ud}", 0), -EOPNOTSUPP);
    assert_int_equal(read_options(&o, &e, 1, "top-logprobs", "u", 3), -EOPNOTSUPP);
    assert_int_equal(read_options(&o, &e, 1, "messages", "a(ss)", 0), -EINVAL); /* Prewarm's alone */
    assert_int_equal(read_options(&o, &e, 1, "stop", "as", 17, "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1",
                         "1", "1", "1", "1", "1", "1"),
        -EINVAL);
    options_done(&o);
}

static void test_refuses_what_means_nothing(void **state) {
    static const char *const only[] = {"priority", "timeout", NULL}, *const none[] = {NULL};
    static const struct {
        const char *key;
        const char *const *only;
        int want;
    } rows[] = {{"timeout", only, 0}, {"max-tokens", only, -EINVAL}, {"timeout", none, -EINVAL}, {"timeout", NULL, 0}};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        sd_bus_message *m = test_bus_message(&bus);
        Options o;
        Error e = {};
        options_init(&o);
        assert_true(sd_bus_message_append(m, "a{sv}", 1, rows[i].key, "u", 5) >= 0);
        test_bus_seal(m);
        assert_int_equal(bus_options_read(m, &o, NULL, rows[i].only, &e), rows[i].want);
        if (rows[i].want < 0)
            assert_non_null(strstr(e.message, rows[i].key));
        sd_bus_message_unref(m);
        options_done(&o);
    }
}

static void test_reads_messages(void **state) {
    sd_bus_message *m = test_bus_message(&bus);
    Conversation c = {};
    Options o;
    Error e;

    assert_true(sd_bus_message_append(
                    m, "a{sv}", 2, "messages", "a(ss)", 2, "user", "hi", "assistant", "hello", "top-k", "u", 3) >= 0);
    test_bus_seal(m);
    options_init(&o);
    assert_int_equal(bus_options_read(m, &o, &c, NULL, &e), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.messages[1].content, "hello");
    assert_int_equal(o.sampler.top_k, 3);
    sd_bus_message_unref(m);

    m = test_bus_message(&bus);
    assert_true(sd_bus_message_append(m, "a(ss)", 1, "emperor", "kneel") >= 0);
    test_bus_seal(m);
    assert_int_equal(bus_messages_read(m, &c, &e), -EINVAL);
    assert_non_null(strstr(e.message, "emperor"));
    sd_bus_message_unref(m);
    conversation_done(&c);
    options_done(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_all_number_types),
        cmocka_unit_test(test_wrong_types_name_the_key_and_what_it_wants),
        cmocka_unit_test(test_refuses_what_means_nothing),
        cmocka_unit_test(test_reads_messages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
