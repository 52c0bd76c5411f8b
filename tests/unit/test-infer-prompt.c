/* What is asked: words and standard input: client/prompt.c. */
#include "test-infer.h"

#include <pty.h>
#include <termios.h>

#include "prompt.h"

/* Gathers with `input`, which is closed, as standard input; the prompt is NULL unless the code is 0. */
static int gather(Options o, int input, Streams *s, char **ret) {
    *ret = NULL;
    streams_begin(s, input);
    int code = prompt_gather(&o, ret);
    streams_end(s);
    return code;
}

static int text(const char *bytes) {
    return streams_file(bytes, strlen(bytes));
}

static void check_prompt(Options o, int input, const char *wanted) {
    _cleanup_(freep) char *prompt = NULL;
    Streams s;
    assert_int_equal(gather(o, input, &s, &prompt), 0);
    assert_string_equal(prompt, wanted);
    assert_string_equal(s.err, "");
    assert_string_equal(s.out, "");
}

static void check_refused(Options o, int input, int wanted_code, const char *sentence) {
    _cleanup_(freep) char *prompt = NULL;
    Streams s;
    assert_int_equal(gather(o, input, &s, &prompt), wanted_code);
    assert_null(prompt);
    assert_non_null(strstr(s.err, sentence));
}

static void test_words_follow_their_context(void **state) {
    check_prompt((Options){WORDS("why", "is it", "so?")}, text(""), "why is it so?");
    check_prompt((Options){WORDS("explain", "it")}, text("a\ndiff\n\n"), "a\ndiff\n\nexplain it");
    check_prompt((Options){NO_WORDS}, text("all of it\n"), "all of it\n");
}

static void test_a_dash_alone_is_standard_input(void **state) {
    check_prompt((Options){WORDS("-")}, text("all of it\n"), "all of it\n");
    check_prompt((Options){WORDS("-", "5")}, text("7"), "7\n\n- 5");
}

static void test_without_standard_input(void **state) {
    check_prompt((Options){WORDS("hi")}, -1, "hi");
    check_refused((Options){WORDS("-")}, -1, EX_USAGE, "nothing to ask");
}

/* A terminal on which a line and the end have been typed. */
static int terminal(int *ret_controller) {
    int fd;
    assert_int_equal(openpty(ret_controller, &fd, NULL, NULL, NULL), 0);
    assert_int_equal(write(*ret_controller, "typed\n\004", 7), 7);
    return fd;
}

static void test_a_terminal_is_read_only_when_asked(void **state) {
    int controller;
    check_prompt((Options){WORDS("hi")}, terminal(&controller), "hi");
    close(controller);
    check_prompt((Options){WORDS("-")}, terminal(&controller), "typed\n");
    close(controller);
    check_refused((Options){NO_WORDS}, terminal(&controller), EX_USAGE, "nothing to ask");
    close(controller);
}

static void test_white_space_asks_nothing(void **state) {
    check_refused((Options){NO_WORDS}, text(""), EX_USAGE, "nothing to ask");
    check_refused((Options){WORDS(" ", "\t\n")}, text("\r\n \n"), EX_USAGE, "nothing to ask");
    check_prompt((Options){WORDS(" ", ".")}, text(""), "  .");
}

static void test_what_is_not_text_is_replaced(void **state) {
    _cleanup_(freep) char *prompt = NULL;
    Streams s;
    assert_int_equal(gather((Options){WORDS("caf\xe9")}, streams_file("a\0b\xff", 4), &s, &prompt), 0);
    assert_string_equal(prompt, "a\uFFFDb\uFFFD\n\ncaf\uFFFD");
    assert_non_null(strstr(s.err, "2 places of standard input are not UTF-8"));
}

/* A file of so many bytes of which none takes memory. */
static int hole(size_t size) {
    int fd = streams_file("", 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static void test_input_longer_than_any_context(void **state) {
    check_refused((Options){WORDS("sum it up")}, hole(TEXT_MAX + 1), EX_DATAERR, "longer than 16 MB");
}

static void test_input_that_cannot_be_read(void **state) {
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    check_refused((Options){WORDS("hi")}, folder, EX_NOINPUT, "cannot read standard input: Is a directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_follow_their_context),
        cmocka_unit_test(test_a_dash_alone_is_standard_input),
        cmocka_unit_test(test_without_standard_input),
        cmocka_unit_test(test_a_terminal_is_read_only_when_asked),
        cmocka_unit_test(test_white_space_asks_nothing),
        cmocka_unit_test(test_what_is_not_text_is_replaced),
        cmocka_unit_test(test_input_longer_than_any_context),
        cmocka_unit_test(test_input_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
