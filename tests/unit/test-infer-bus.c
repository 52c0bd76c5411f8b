#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <sysexits.h>

#include "bus.h"

static const Bus bus = {.user = true};

static void test_each_error_has_its_exit_code(void **state) {
    static const struct {
        const char *name;
        int exit_code;
    } cases[] = {
        {SD_BUS_ERROR_SERVICE_UNKNOWN, EX_UNAVAILABLE},
        {SD_BUS_ERROR_NAME_HAS_NO_OWNER, EX_UNAVAILABLE},
        {SD_BUS_ERROR_NO_REPLY, EX_UNAVAILABLE},
        {SD_BUS_ERROR_TIMEOUT, EX_TEMPFAIL},
        {SD_BUS_ERROR_ACCESS_DENIED, EX_NOPERM},
        {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, EX_NOPERM},
        {SD_BUS_ERROR_UNKNOWN_METHOD, EX_PROTOCOL},
        {"org.freedesktop.DBus.Error.Spawn.ChildExited", EX_UNAVAILABLE},
        {"org.freedesktop.systemd1.UnitMasked", EX_UNAVAILABLE},
        {"org.inferd.Inference1.Error.InvalidArgument", EX_USAGE},
        {"org.inferd.Inference1.Error.ContextOverflow", EX_DATAERR},
        {"org.inferd.Inference1.Error.NoSuchModel", EX_NOINPUT},
        {"org.inferd.Inference1.Error.NoModel", EX_UNAVAILABLE},
        {"org.inferd.Inference1.Error.Busy", EX_TEMPFAIL},
        {"org.inferd.Inference1.Error.Stopping", EX_TEMPFAIL},
        {"org.inferd.Inference1.Error.NotAuthorized", EX_NOPERM},
        {"org.inferd.Inference1.Error.SomethingNew", EX_SOFTWARE},
        {"com.example.Strange", EX_SOFTWARE},
        {"", EX_SOFTWARE},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(bus_complain_name(&bus, cases[i].name, "why"), cases[i].exit_code);
}

static void test_each_errno_has_its_exit_code(void **state) {
    assert_int_equal(bus_complain(&bus, NULL, -ECONNRESET), EX_UNAVAILABLE);
    assert_int_equal(bus_complain(&bus, NULL, -ETIMEDOUT), EX_TEMPFAIL);
    assert_int_equal(bus_complain(&bus, NULL, -EMSGSIZE), EX_DATAERR);
    assert_int_equal(bus_complain(&bus, NULL, -ENOMEM), EX_OSERR);
    assert_int_equal(bus_complain(&bus, NULL, -EBADMSG), EX_PROTOCOL);
    assert_int_equal(bus_complain(&bus, NULL, -EXDEV), EX_SOFTWARE);
}

static void test_the_name_tells_more_than_the_number(void **state) {
    sd_bus_error error = SD_BUS_ERROR_MAKE_CONST("org.inferd.Inference1.Error.Busy", "The queue is full.");
    assert_int_equal(bus_complain(&bus, &error, -EIO), EX_TEMPFAIL);
    assert_int_equal(bus_complain(&bus, &SD_BUS_ERROR_NULL, -ENOMEM), EX_OSERR);
}

static void test_a_session_can_be_lost(void **state) {
    assert_true(bus_error_is_lost_session(&SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_UNKNOWN_OBJECT, "")));
    assert_true(bus_error_is_lost_session(&SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_NO_REPLY, "")));
    assert_false(bus_error_is_lost_session(&SD_BUS_ERROR_MAKE_CONST("org.inferd.Inference1.Error.Busy", "")));
    assert_false(bus_error_is_lost_session(&SD_BUS_ERROR_NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_error_has_its_exit_code),
        cmocka_unit_test(test_each_errno_has_its_exit_code),
        cmocka_unit_test(test_the_name_tells_more_than_the_number),
        cmocka_unit_test(test_a_session_can_be_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
