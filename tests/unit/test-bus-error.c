/* Each code that macros.h speaks of has a name on the bus, and the XML documents it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bus-error.h"

static void test_names_what_happened(void **state) {
    static const struct {
        int code;
        const char *name;
    } rows[] = {
        {-EINVAL, "InvalidArgument"},
        {-EMSGSIZE, "ContextOverflow"},
        {-ENOENT, "NoSuchModel"},
        {-EBADMSG, "ModelFailed"},
        {-EIO, "ModelFailed"},
        {-ENOTCONN, "NoModel"},
        {-EDQUOT, "LimitsExceeded"},
        {-ESHUTDOWN, "Stopping"},
        {-EXDEV, "Failed"}, /* nothing that a client is told apart from others */
        {0, "Failed"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *name = bus_error_name(rows[i].code), *prefix = "org.inferd.Inference1.Error.";
        assert_int_equal(strncmp(name, prefix, strlen(prefix)), 0);
        assert_string_equal(name + strlen(prefix), rows[i].name);
    }
}

static void test_keeps_the_sentence(void **state) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    Error e;
    error_set(&e, -EBUSY, "100%s of the queue is full", "%");
    assert_true(bus_error_set(&error, &e) < 0); /* what a handler has to return */
    assert_string_equal(error.name, "org.inferd.Inference1.Error.Busy");
    assert_string_equal(error.message, "100% of the queue is full");
    sd_bus_error_free(&error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_what_happened),
        cmocka_unit_test(test_keeps_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
