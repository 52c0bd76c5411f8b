/* What --help says: client/help.c. */
#include "test-infer.h"

#include "help.h"
#include "options.h"

static const char *const verbs[] = {"chat", "embed", "load", "models", "status", "tokens", "unload"};

static void print(const char *verb, Streams *s) {
    streams_begin(s, streams_file("", 0));
    help_print(verb);
    streams_end(s);
    assert_string_equal(s->err, "");
}

static void test_each_verb_tells_how_it_is_used(void **state) {
    char usage[64];
    Streams s, general;
    print(NULL, &general);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        print(verbs[i], &s);
        snprintf(usage, sizeof(usage), "Usage: infer %s", verbs[i]);
        assert_memory_equal(s.out, usage, strlen(usage));
        assert_null(strstr(s.out, "PROMPT"));
        assert_int_equal(s.out[strlen(s.out) - 1], '\n');
        assert_non_null(strstr(general.out, verbs[i]));
    }
}

static void test_what_is_no_verb_has_the_general_help(void **state) {
    Streams s, general;
    print(NULL, &general);
    assert_memory_equal(general.out, "Usage: infer [OPTION...] PROMPT...", 34);
    print("mod", &s);
    assert_string_equal(s.out, general.out);
    print("", &s);
    assert_string_equal(s.out, general.out);
}

/* The line that describes an option; NULL if there is none. */
static const char *find_line(const char *help, const char *option) {
    char start[64];
    snprintf(start, sizeof(start), "\n  --%s=", option);
    return strstr(help, start);
}

static void test_each_option_of_a_generation_has_a_line(void **state) {
    Streams s;
    print(NULL, &s);
    for (size_t i = 0; i < n_generation_specs; i++) {
        const OptionSpec *spec = &generation_specs[i];
        const char *line = find_line(s.out, spec->name), *help = line ? strstr(line, spec->help) : NULL;
        assert_non_null(help);
        assert_ptr_equal(strchr(line + 1, '\n'), help + strlen(spec->help));
        /* the explanations stand below each other, whatever is explained */
        assert_int_equal(help - (line + 1), 26);
    }
}

static void test_each_option_that_is_named_is_understood(void **state) {
    size_t n = 0;
    Streams s;
    print(NULL, &s);
    for (const char *line = s.out; (line = strstr(line, "\n  -")); n++) {
        char argument[64], *argv[] = {(char *)"infer", argument, NULL};
        Options o = {};
        Error e;
        line += 3;
        size_t size = strcspn(line, "=, \n");
        snprintf(argument, sizeof(argument), "%.*s%s", (int)size, line,
            strncmp(line, "--bus=", 6) == 0 ? "=user"
            : line[size] == '='             ? "=1"
                                            : "");
        assert_int_equal(options_parse(&o, 2, argv, &e), 0);
        options_done(&o);
    }
    assert_int_equal(n, n_generation_specs + 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_verb_tells_how_it_is_used),
        cmocka_unit_test(test_what_is_no_verb_has_the_general_help),
        cmocka_unit_test(test_each_option_of_a_generation_has_a_line),
        cmocka_unit_test(test_each_option_that_is_named_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
