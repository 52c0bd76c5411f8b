#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <locale.h>
#include <pty.h>
#include <termios.h>

#include "output.h"

/* What `feed` writes, through a pipe or a terminal. */
static char *collect(bool terminal, const Options *options, void (*feed)(Output *o)) {
    static char got[4096];
    Output o;
    int fds[2];

    if (terminal) {
        struct termios raw = {};
        assert_int_equal(openpty(&fds[0], &fds[1], NULL, &raw, NULL), 0);
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        unsetenv("NO_COLOR");
    } else
        assert_int_equal(pipe(fds), 0);

    output_init(&o, options, fds[1]);
    feed(&o);
    assert_int_equal(output_end(&o), 0);
    close(fds[1]);
    /* a terminal hands out what it has so far, and ends with EIO */
    size_t size = 0;
    for (ssize_t n; size < sizeof(got) - 1 && (n = read(fds[0], got + size, sizeof(got) - 1 - size)) > 0;)
        size += (size_t)n;
    got[size] = '\0';
    close(fds[0]);
    return got;
}

#define SAY(o, kind, text) assert_int_equal(output_##kind(o, text, strlen(text)), 0)

static void think_and_answer(Output *o) {
    SAY(o, reasoning, "\n7 + 5");
    SAY(o, reasoning, " is 12\n");
    SAY(o, answer, "\n\n");
    SAY(o, answer, "\nThe answer is ");
    SAY(o, answer, "12");
}

static void test_a_pipe_gets_the_answer_alone_and_unchanged(void **state) {
    assert_string_equal(collect(false, &(Options){}, think_and_answer), "\n\n\nThe answer is 12\n");
}

static void test_a_pipe_gets_reasoning_between_tags_when_asked(void **state) {
    assert_string_equal(collect(false, &(Options){.reasoning = REASONING_SHOW}, think_and_answer),
        "<think>\n\n7 + 5 is 12\n</think>\n\n\n\n\nThe answer is 12\n");
}

static void test_a_terminal_gets_reasoning_dimmed(void **state) {
    assert_string_equal(
        collect(true, &(Options){}, think_and_answer), "\033[2m7 + 5 is 12\n\033[0m\nThe answer is 12\n");
    assert_string_equal(collect(true, &(Options){.reasoning = REASONING_HIDE}, think_and_answer), "The answer is 12\n");
    assert_string_equal(collect(true, &(Options){.no_color = true}, think_and_answer),
        "<think>\n7 + 5 is 12\n</think>\n\nThe answer is 12\n");
}

static void only_think(Output *o) {
    SAY(o, reasoning, "hm");
}

static void test_dimming_ends_even_without_an_answer(void **state) {
    assert_string_equal(collect(true, &(Options){}, only_think), "\033[2mhm\n\033[0m\n");
    assert_string_equal(collect(false, &(Options){}, only_think), "");
}

static void attack(Output *o) {
    SAY(o, answer, "\033]0;owned\007");
}

static void test_control_characters_reach_a_pipe_but_no_terminal(void **state) {
    assert_string_equal(collect(false, &(Options){}, attack), "\033]0;owned\007\n");
    assert_string_equal(collect(true, &(Options){}, attack), "␛]0;owned␇\n");
}

static void line_feed(Output *o) {
    SAY(o, answer, "done\n");
}

static void test_no_second_line_feed(void **state) {
    assert_string_equal(collect(false, &(Options){}, line_feed), "done\n");
}

static void test_colours_only_where_they_are_wanted(void **state) {
    int fds[2], controller, terminal;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(openpty(&controller, &terminal, NULL, NULL, NULL), 0);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_true(color_wanted(&(Options){}, terminal));
    assert_false(color_wanted(&(Options){}, fds[1]));
    assert_false(color_wanted(&(Options){.no_color = true}, terminal));
    setenv("NO_COLOR", "", 1);
    assert_true(color_wanted(&(Options){}, terminal));
    setenv("NO_COLOR", "1", 1);
    assert_false(color_wanted(&(Options){}, terminal));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_false(color_wanted(&(Options){}, terminal));
    close(fds[0]);
    close(fds[1]);
    close(controller);
    close(terminal);
}

static void test_nobody_reads_any_more(void **state) {
    Output o;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    output_init(&o, &(Options){}, fds[1]);
    assert_int_equal(output_answer(&o, "text", 4), -EPIPE);
    close(fds[1]);
}

static void test_sizes_as_people_write_them(void **state) {
    static const struct {
        uint64_t bytes;
        const char *wanted;
    } cases[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {4900000, "4.9 MB"}, {999499, "999 kB"},
        {999999, "1.0 MB"}, {1117320736, "1.1 GB"}, {404000000000, "404 GB"}, {UINT64_MAX, "18446744 TB"}};
    char out[16];
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        format_size(cases[i].bytes, out, sizeof(out));
        assert_string_equal(out, cases[i].wanted);
    }
}

static void test_columns_line_up(void **state) {
    static const char *const cells[] = {"NAME", "SIZE", "tiny", "5 MB", "evil\033[2J\nname", "1 GB"};
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    assert_non_null(f);
    table_print(f, cells, 2, 3, false);
    fclose(f);
    assert_non_null(strstr(out, "NAME  "));
    assert_null(strchr(out, '\033'));
    assert_non_null(strstr(out, "evil␛[2J name  1 GB\n"));
    free(out);
}

int main(void) {
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe_gets_the_answer_alone_and_unchanged),
        cmocka_unit_test(test_a_pipe_gets_reasoning_between_tags_when_asked),
        cmocka_unit_test(test_a_terminal_gets_reasoning_dimmed),
        cmocka_unit_test(test_dimming_ends_even_without_an_answer),
        cmocka_unit_test(test_control_characters_reach_a_pipe_but_no_terminal),
        cmocka_unit_test(test_no_second_line_feed),
        cmocka_unit_test(test_colours_only_where_they_are_wanted),
        cmocka_unit_test(test_nobody_reads_any_more),
        cmocka_unit_test(test_sizes_as_people_write_them),
        cmocka_unit_test(test_columns_line_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
