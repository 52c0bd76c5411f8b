/* The dictionary at the end of a generation, its JSON form, and the names of errors. */
#include "test-bus.h"

#include "bus-error.h"
#include "bus-result.h"

static void test_dictionary(void **state) {
    RequestResult result = {.finish = ENGINE_FINISH_LENGTH, .model = "alpha", .usage = {.prompt_tokens = 3}};
    const char *reason, *thought;
    TestBus bus;

    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    assert_true(bus_result_append(m, &result, "hm", "{\"name\":\"f\"}") >= 0);
    test_bus_seal(m);
    assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    const char *key;
    assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
    assert_true(sd_bus_message_read(m, "sv", &key, "s", &reason) > 0);
    assert_string_equal(key, "finish-reason");
    assert_string_equal(reason, "length");
    assert_true(sd_bus_message_exit_container(m) >= 0);
    assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
    assert_true(sd_bus_message_read(m, "sv", &key, "s", &thought) > 0);
    assert_string_equal(key, "reasoning");
    assert_string_equal(thought, "hm");
    const char *calls;
    assert_true(sd_bus_message_exit_container(m) >= 0);
    assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
    assert_true(sd_bus_message_read(m, "sv", &key, "s", &calls) > 0);
    assert_string_equal(key, "tool-calls");
    assert_string_equal(calls, "[{\"name\":\"f\"}]");
    sd_bus_message_unref(m);
    test_bus_done(&bus);
}

static void test_json(void **state) {
    RequestResult result = {.finish = ENGINE_FINISH_ERROR, .usage = {.completion_tokens = 3}};
    error_set(&result.error, -EMSGSIZE, "Too long by 7.");

    json_t *o = bus_result_to_json(5, &result, "");
    assert_string_equal(json_string_value(json_object_get(o, "type")), "finished");
    assert_int_equal(json_integer_value(json_object_get(o, "id")), 5);
    assert_string_equal(json_string_value(json_object_get(o, "finish-reason")), "error");
    assert_null(json_object_get(o, "model"));
    assert_null(json_object_get(o, "tool-calls"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "usage"), "completion-tokens")), 3);
    json_t *error = json_object_get(o, "error");
    assert_string_equal(
        json_string_value(json_object_get(error, "name")), "org.inferd.Inference1.Error.ContextOverflow");
    assert_string_equal(json_string_value(json_object_get(error, "message")), "Too long by 7.");
    json_decref(o);

    result = (RequestResult){.finish = ENGINE_FINISH_STOP, .n_tool_calls = 2};
    o = bus_result_to_json(6, &result, "{\"name\":\"f\"},{\"name\":\"g\"}");
    assert_string_equal(json_string_value(json_object_get(o, "finish-reason")), "tool-calls");
    assert_int_equal(json_array_size(json_object_get(o, "tool-calls")), 2);
    json_decref(o);
}

static void test_error_names(void **state) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    Error e = {.code = -EDQUOT, .message = "100 % is \"too\" much"};

    assert_true(bus_error_set(&error, &e) < 0);
    assert_string_equal(error.name, "org.inferd.Inference1.Error.LimitsExceeded");
    assert_string_equal(error.message, e.message);
    assert_string_equal(bus_error_name(-ESHUTDOWN), "org.inferd.Inference1.Error.Stopping");
    assert_string_equal(bus_error_name(-EXFULL), "org.inferd.Inference1.Error.Failed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dictionary),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
