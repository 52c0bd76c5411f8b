#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "test-bus.h"

/* Parses a command line given as words, ended by NULL. */
static int parse(Options *o, Error *e, ...) {
    static char *argv[16];
    int argc = 0;
    va_list ap;

    *o = (Options){};
    argv[argc++] = (char *)"infer";
    va_start(ap, e);
    while ((argv[argc] = va_arg(ap, char *)))
        argc++;
    va_end(ap);
    return options_parse(o, argc, argv, e);
}

static void test_options_may_follow_words(void **state) {
    Options o;
    Error e = {};
    assert_int_equal(parse(&o, &e, "models", "--json", NULL), 0);
    assert_true(o.json);
    assert_int_equal(o.n_words, 1);
    assert_string_equal(o.words[0], "models");
    assert_false(o.literal);
    options_done(&o);

    assert_int_equal(parse(&o, &e, "why", "--seed", "7", "is", "it", "--stop=a", "--stop", "b", "--seed=8", NULL), 0);
    assert_int_equal(o.n_words, 3);
    assert_string_equal(generation_get(&o.generation, "seed"), "8");
    assert_string_equal(generation_get(&o.generation, "stop"), "a");
    assert_null(generation_get(&o.generation, "system"));
    assert_string_equal(o.given, "seed");
    options_done(&o);
}

static void test_two_dashes_make_a_prompt_of_a_verb(void **state) {
    Options o;
    Error e = {};
    assert_int_equal(parse(&o, &e, "--", "status", "--json", NULL), 0);
    assert_true(o.literal);
    assert_false(o.json);
    assert_int_equal(o.n_words, 2);

    /* the verb stood before the dashes: they protect only its argument */
    assert_int_equal(parse(&o, &e, "tokens", "--", "--json", NULL), 0);
    assert_false(o.literal);
    assert_string_equal(o.words[1], "--json");

    assert_int_equal(parse(&o, &e, "--no-color", "--", "chat", NULL), 0);
    assert_true(o.literal);
}

static void check_refused(Options *o, int r, const Error *e, const char *sentence) {
    assert_int_equal(r, -EINVAL);
    assert_non_null(strstr(e->message, sentence));
    options_done(o);
}
#define REFUSED(sentence, ...)                                                                                         \
    do {                                                                                                               \
        Options o;                                                                                                     \
        Error e = {};                                                                                                  \
        int r = parse(&o, &e, __VA_ARGS__, NULL);                                                                      \
        check_refused(&o, r, &e, sentence);                                                                            \
    } while (0)

static void test_bad_options_are_named(void **state) {
    REFUSED("no option --frob;", "--frob");
    REFUSED("no option -5;", "what", "is", "-5");
    REFUSED("--seed needs a value", "--seed");
    REFUSED("--json takes no value", "--json=yes");
    REFUSED("--bus takes user or system, not \"both\"", "--bus=both");
    REFUSED("--max-tokens takes a whole number from 0 to 4294967295, not \"-1\"", "--max-tokens=-1");
    REFUSED("--max-tokens", "--max-tokens=4294967296");
    REFUSED("--max-tokens", "--max-tokens=1.5");
    REFUSED("--max-tokens", "--max-tokens=");
    REFUSED("--top-k", "--top-k", "12x");
    REFUSED("--seed", "--seed=99999999999999999999");
    REFUSED("--temperature takes a number, not \"warm\"", "--temperature=warm");
    REFUSED("--temperature", "--temperature=nan");
    REFUSED("--temperature", "--temperature=1e999");
    REFUSED("--temperature", "--temperature=");
}

static bool all(const char *name) {
    return true;
}

static bool not_system(const char *name) {
    return strcmp(name, "system") != 0;
}

static void test_values_travel_with_their_types(void **state) {
    Generation g = {};
    Error e = {};
    const char *name, *s;
    uint32_t u;
    uint64_t t;
    double d;
    TestBus bus;

    static const char *const given[][2] = {{"system", "be terse"}, {"max-tokens", "12"}, {"temperature", "0.5"},
        {"seed", "9007199254740993"}, {"stop", "a"}, {"stop", "b"}, {"reasoning", "low"}, {"timeout", "2min"}};
    for (size_t i = 0; i < ELEMENTSOF(given); i++)
        assert_int_equal(generation_set(&g, given[i][0], given[i][1], &e), 0);

    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    assert_true(generation_append(m, &g, not_system) >= 0);
    test_bus_seal(m);
    assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "u", &u) > 0);
    assert_string_equal(name, "max-tokens");
    assert_int_equal(u, 12);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "d", &d) > 0);
    assert_string_equal(name, "temperature");
    assert_true(d == 0.5);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "t", &t) > 0);
    assert_string_equal(name, "seed");
    assert_true(t == 9007199254740993u);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "as", 2, &s, &s) > 0);
    assert_string_equal(name, "stop");
    assert_string_equal(s, "b");
    assert_true(sd_bus_message_read(m, "{sv}", &name, "s", &s) > 0);
    assert_string_equal(name, "reasoning");
    assert_true(sd_bus_message_read(m, "{sv}", &name, "s", &s) > 0);
    assert_string_equal(s, "2min");
    assert_int_equal(sd_bus_message_at_end(m, false), 1);
    sd_bus_message_unref(m);
    test_bus_done(&bus);
    generation_done(&g);
}

static void test_numbers_replace_words(void **state) {
    Generation g = {};
    Error e = {};
    const char *name;
    uint32_t u;
    double d;
    TestBus bus;

    assert_int_equal(generation_set(&g, "reasoning", "64", &e), 0);
    assert_int_equal(generation_set(&g, "timeout", "1.5", &e), 0);
    test_bus_init(&bus);
    sd_bus_message *m = test_bus_message(&bus);
    assert_true(generation_append(m, &g, all) >= 0);
    test_bus_seal(m);
    assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "u", &u) > 0);
    assert_int_equal(u, 64);
    assert_true(sd_bus_message_read(m, "{sv}", &name, "d", &d) > 0);
    assert_true(d == 1.5);
    sd_bus_message_unref(m);
    test_bus_done(&bus);
    generation_done(&g);
}

static void test_an_option_can_be_taken_back(void **state) {
    Generation g = {};
    Error e = {};
    assert_int_equal(generation_set(&g, "top-k", "3", &e), 0);
    assert_int_equal(generation_set(&g, "top-k", NULL, &e), 0);
    assert_null(generation_get(&g, "top-k"));
    assert_int_equal(generation_set(&g, "top-q", "3", &e), -EINVAL);
    assert_string_equal(e.message, "there is no option \"top-q\"");
    generation_done(&g);
}

static void test_values_are_text_that_a_message_can_hold(void **state) {
    Generation g = {};
    Error e = {};
    assert_int_equal(generation_set(&g, "system", "caf\xe9", &e), 0);
    assert_string_equal(generation_get(&g, "system"), "caf\uFFFD");
    assert_int_equal(generation_set(&g, "stop", "caf\u00e9", &e), 0);
    assert_string_equal(generation_get(&g, "stop"), "caf\u00e9");
    generation_done(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_may_follow_words),
        cmocka_unit_test(test_two_dashes_make_a_prompt_of_a_verb),
        cmocka_unit_test(test_bad_options_are_named),
        cmocka_unit_test(test_values_travel_with_their_types),
        cmocka_unit_test(test_numbers_replace_words),
        cmocka_unit_test(test_values_are_text_that_a_message_can_hold),
        cmocka_unit_test(test_an_option_can_be_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
