/* The vocabulary of options: every refusal names the option. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "options.h"

static void test_sets_by_name(void **state) {
    Options o;
    options_init(&o);
    assert_int_equal(options_set_int(&o, "max-tokens", 5, NULL), 0);
    assert_false(o.temperature_given);
    assert_int_equal(options_set_double(&o, "temperature", 0.25, NULL), 0);
    assert_true(o.temperature_given);
    assert_int_equal(options_set_int(&o, "top-p", 1, NULL), 0);     /* an integer for a double */
    assert_int_equal(options_set_double(&o, "top-k", 10, NULL), 0); /* a whole double for an integer */
    assert_int_equal(options_set_int(&o, "seed", INT64_MAX, NULL), 0);
    assert_int_equal(options_set_string(&o, "priority", "background", NULL), 0);
    assert_int_equal(options_set_string(&o, "reasoning", "low", NULL), 0);
    assert_int_equal(options_set_string(&o, "timeout", "2min", NULL), 0);
    assert_int_equal(options_set_string(&o, "stop", "END", NULL), 0);
    assert_int_equal(options_set_string(&o, "system", "Be kind.", NULL), 0);
    assert_int_equal(o.max_tokens, 5);
    assert_true(o.sampler.temperature == 0.25f && o.sampler.top_p == 1 && o.sampler.top_k == 10);
    assert_true(o.seed_given && o.sampler.seed == INT64_MAX);
    assert_int_equal(o.priority, ENGINE_PRIORITY_BACKGROUND);
    assert_int_equal(o.reasoning_budget, 512);
    assert_true(o.timeout_usec == 120000000);
    assert_string_equal(o.stop[0], "END");
    assert_null(o.stop[1]);
    options_done(&o);
}

static void test_refuses_and_names(void **state) {
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"max-tokens", 0}, {"max-tokens", -1}, {"max-tokens", 1.5}, {"max-tokens", 1e300},
        {"temperature", -0.1}, {"temperature", NAN}, {"temperature", INFINITY}, {"top-p", 1.01}, {"min-p", -1},
        {"top-k", -1}, {"repeat-penalty", 0}, {"presence-penalty", 3}, {"frequency-penalty", -3}, {"seed", -1},
        {"timeout", 0}, {"timeout", -1}, {"timeout", 1e9}, {"reasoning", -1}, {"top-logprobs", 21}, {"system", 1},
        {"stop", 1}, {"priority", 1}};
    static const struct {
        const char *name, *value;
    } strings[] = {{"temperature", "0.5"}, {"priority", "urgent"}, {"reasoning", "much"}, {"timeout", "soon"},
        {"timeout", "0s"}, {"stop", ""}, {"system", "\xFF"}};
    Options o, before;
    Error e;

    options_init(&o);
    before = o;
    for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
        assert_int_equal(options_set_double(&o, numbers[i].name, numbers[i].value, &e), -EINVAL);
        assert_non_null(strstr(e.message, numbers[i].name));
    }
    for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
        assert_int_equal(options_set_string(&o, strings[i].name, strings[i].value, &e), -EINVAL);
        assert_non_null(strstr(e.message, strings[i].name));
    }
    assert_memory_equal(&o, &before, sizeof(o));
}

static void test_unknown_and_unsupported(void **state) {
    static const char *const unsupported[] = {"schema", "grammar", "adapter"};
    Options o;
    Error e;

    options_init(&o);
    assert_int_equal(options_set_int(&o, "temprature", 1, &e), -EINVAL);
    assert_string_equal(e.message, "Unknown option \"temprature\".");
    for (size_t i = 0; i < ELEMENTSOF(unsupported); i++) {
        assert_int_equal(options_set_string(&o, unsupported[i], "x", &e), -EOPNOTSUPP);
        assert_non_null(strstr(e.message, unsupported[i]));
        assert_false(options_known(unsupported[i]));
    }
    assert_true(options_known("min-p"));
}

static void test_json(void **state) {
    static const struct {
        const char *name, *value;
    } bad[] = {{"tools", "{}"}, {"tools", "[1"}, {"tools", "[{\"a\":1,\"a\":2}]"}, {"tools", "x"}, {"template", "[]"},
        {"template", "{\"a\":"}, {"template", "1"}};
    Options o, copy;
    Error e;

    options_init(&o);
    assert_int_equal(options_set_string(&o, "tools", "[{\"type\":\"function\"}]", &e), 0);
    assert_int_equal(options_set_string(&o, "template", "{\"enable_thinking\":false}", &e), 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        assert_int_equal(options_set_string(&o, bad[i].name, bad[i].value, &e), -EINVAL);
        assert_non_null(strstr(e.message, bad[i].name));
    }
    assert_int_equal(options_set_int(&o, "tools", 1, &e), -EINVAL);
    assert_int_equal(options_copy(&copy, &o, &e), 0);
    assert_string_equal(copy.tools, "[{\"type\":\"function\"}]");
    assert_string_equal(copy.template, "{\"enable_thinking\":false}");
    assert_int_equal(options_set_string(&o, "tools", "[]", &e), 0);
    assert_int_equal(options_set_string(&o, "template", "", &e), 0);
    assert_null(o.tools);
    assert_null(o.template);
    options_done(&copy);
    options_done(&o);
}

static void test_lists_have_limits(void **state) {
    const char *many[ENGINE_MAX_STOP + 1];
    char longest[1026];
    const char *one = longest;
    Options o;

    for (size_t i = 0; i < ELEMENTSOF(many); i++)
        many[i] = "x";
    memset(longest, 'y', sizeof(longest));
    longest[1025] = '\0';
    options_init(&o);
    assert_int_equal(options_set_strings(&o, "stop", many, ELEMENTSOF(many), NULL), -EINVAL);
    assert_int_equal(options_set_strings(&o, "stop", many, 0, NULL), -EINVAL);
    assert_int_equal(options_set_strings(&o, "stop", &one, 1, NULL), -EINVAL);
    assert_int_equal(options_set_strings(&o, "stop", many, ENGINE_MAX_STOP, NULL), 0);
    assert_int_equal(options_set_logit_bias(&o, &(LogitBias){1, 100.5f}, 1, NULL), -EINVAL);
    assert_int_equal(options_set_logit_bias(&o, &(LogitBias){1, NAN}, 1, NULL), -EINVAL);
    assert_int_equal(options_set_logit_bias(&o, &(LogitBias){1, -100}, 1, NULL), 0);
    options_done(&o);
}

static void test_copies_are_independent(void **state) {
    Options o, copy;

    options_init(&o);
    options_set_string(&o, "system", "one", NULL);
    options_set_string(&o, "stop", "a", NULL);
    options_set_logit_bias(&o, &(LogitBias){3, 1}, 1, NULL);
    assert_int_equal(options_copy(&copy, &o, NULL), 0);
    options_set_string(&o, "system", "two", NULL);
    options_done(&o);
    assert_string_equal(copy.system, "one");
    assert_string_equal(copy.stop[0], "a");
    assert_int_equal(copy.sampler.logit_bias[0].token, 3);
    options_done(&copy);
}

static void test_parses_text_of_any_type(void **state) {
    Options o;
    Error e;

    options_init(&o);
    assert_int_equal(options_parse(&o, "temperature", "0.5", NULL), 0);
    assert_int_equal(options_parse(&o, "max-tokens", "12", NULL), 0);
    assert_int_equal(options_parse(&o, "reasoning", "100", NULL), 0);
    assert_int_equal(o.reasoning_budget, 100);
    assert_int_equal(options_parse(&o, "reasoning", "high", NULL), 0);
    assert_int_equal(options_parse(&o, "max-tokens", "-1", &e), -EINVAL);
    assert_int_equal(options_parse(&o, "max-tokens", "99999999999999999999", &e), -EINVAL);
    assert_int_equal(options_parse(&o, "top-logprobs", "1", &e), -EINVAL);
    options_done(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_by_name),
        cmocka_unit_test(test_refuses_and_names),
        cmocka_unit_test(test_unknown_and_unsupported),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lists_have_limits),
        cmocka_unit_test(test_copies_are_independent),
        cmocka_unit_test(test_parses_text_of_any_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
