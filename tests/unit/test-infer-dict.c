#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dict.h"
#include "test-bus.h"

static json_t *read_back(sd_bus_message *m) {
    json_t *dict = NULL;
    test_bus_seal(m);
    assert_true(dict_read(m, &dict) >= 0);
    sd_bus_message_unref(m);
    return dict;
}

static void test_every_basic_type(void **state) {
    TestBus bus;
    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    assert_true(sd_bus_message_append(m, "a{sv}", 12, "s", "s", "text", "b", "b", 1, "y", "y", 255, "n", "n", -1, "q",
                    "q", 65535, "i", "i", -2, "u", "u", UINT32_MAX, "x", "x", INT64_MIN, "t", "t", UINT64_MAX, "d", "d",
                    0.5, "o", "o", "/a", "g", "g", "as") >= 0);
    json_t *dict = read_back(m);
    assert_string_equal(dict_string(dict, "s"), "text");
    assert_true(dict_bool(dict, "b"));
    assert_int_equal(dict_uint(dict, "y"), 255);
    assert_int_equal(json_integer_value(json_object_get(dict, "n")), -1);
    assert_int_equal(dict_uint(dict, "q"), 65535);
    assert_int_equal(json_integer_value(json_object_get(dict, "i")), -2);
    assert_int_equal(dict_uint(dict, "u"), UINT32_MAX);
    assert_true(json_integer_value(json_object_get(dict, "x")) == INT64_MIN);
    assert_true(dict_uint(dict, "t") == INT64_MAX); /* JSON's integers end there */
    assert_true(json_real_value(json_object_get(dict, "d")) == 0.5);
    assert_string_equal(dict_string(dict, "o"), "/a");
    assert_string_equal(dict_string(dict, "g"), "as");
    json_decref(dict);
    test_bus_done(&bus);
}

static void test_dictionaries_nest_and_the_unknown_is_left_out(void **state) {
    TestBus bus;
    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    assert_true(sd_bus_message_append(m, "a{sv}", 4, "list", "as", 2, "a", "b", "usage", "a{sv}", 1, "tokens", "u", 7,
                    "pair", "(ss)", "a", "b", "last", "s", "read") >= 0);
    json_t *dict = read_back(m);
    assert_int_equal(dict_uint(json_object_get(dict, "usage"), "tokens"), 7);
    assert_string_equal(dict_string(dict, "last"), "read");
    assert_int_equal(json_object_size(dict), 2);
    json_decref(dict);
    test_bus_done(&bus);
}

static void test_what_is_not_there_has_a_value_too(void **state) {
    json_t *dict = json_object();
    assert_string_equal(dict_string(dict, "k"), "");
    assert_int_equal(dict_uint(dict, "k"), 0);
    assert_false(dict_bool(dict, "k"));
    assert_string_equal(dict_string(NULL, "k"), "");
    json_object_set_new(dict, "k", json_integer(-3));
    assert_int_equal(dict_uint(dict, "k"), 0);
    json_decref(dict);
}

static void test_another_type_is_an_error(void **state) {
    TestBus bus;
    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    json_t *dict = NULL;
    assert_true(sd_bus_message_append(m, "s", "no dictionary") >= 0);
    test_bus_seal(m);
    assert_true(dict_read(m, &dict) < 0);
    assert_null(dict);
    sd_bus_message_unref(m);
    test_bus_done(&bus);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_basic_type),
        cmocka_unit_test(test_dictionaries_nest_and_the_unknown_is_left_out),
        cmocka_unit_test(test_what_is_not_there_has_a_value_too),
        cmocka_unit_test(test_another_type_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
