/* Lines from a file and from a terminal: client/editor.c. */
#include "test-infer.h"

#include <locale.h>
#include <pty.h>
#include <stdio_ext.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "editor.h"

typedef struct Lines {
    int results[4];    /* of editor_read() */
    char *texts[4];    /* owned; NULL where there is none */
    char shown[4096];  /* on the terminal */
    int interrupt_key; /* of the terminal, while no line is edited */
} Lines;

static void lines_done(Lines *l) {
    for (size_t i = 0; i < ELEMENTSOF(l->texts); i++)
        free(l->texts[i]);
}

static int read_lines(bool interactive, const char *history, size_t n, Lines *ret) {
    Editor *ed = NULL;
    struct termios t;
    int r = editor_new(interactive, history, &ed);
    for (size_t i = 0; i < n && r >= 0; i++)
        ret->results[i] = editor_read(ed, &ret->texts[i]);
    if (tcgetattr(STDIN_FILENO, &t) == 0)
        ret->interrupt_key = t.c_cc[VINTR];
    editor_free(ed);
    return r;
}

static void check_line(const Lines *l, size_t i, const char *wanted) {
    assert_int_equal(l->results[i], wanted ? 1 : 0);
    if (wanted)
        assert_string_equal(l->texts[i], wanted);
    else
        assert_null(l->texts[i]);
}

/* ------------------------------------------------------------------------------------------------ files */

/* Reads n lines from a file of these bytes. */
static void read_file(const char *bytes, size_t size, size_t n, Lines *ret) {
    Streams s;
    *ret = (Lines){};
    __fpurge(stdin);
    clearerr(stdin);
    streams_begin(&s, streams_file(bytes, size));
    int r = read_lines(false, NULL, n, ret);
    streams_end(&s);
    assert_int_equal(r, 0);
    assert_string_equal(s.out, ""); /* no prompt */
}

static void check_file(const char *bytes, const char *first, const char *second, const char *third) {
    Lines l;
    read_file(bytes, strlen(bytes), 3, &l);
    check_line(&l, 0, first);
    check_line(&l, 1, second);
    check_line(&l, 2, third);
    lines_done(&l);
}

static void test_lines_of_a_file(void **state) {
    check_file("one\ntwo\n", "one", "two", NULL);
    check_file("\n one \r\ntwo", "", " one ", "two");
    check_file("", NULL, NULL, NULL);
}

static void test_a_backslash_goes_on(void **state) {
    check_file("one\\\ntwo\\\r\n\\\nthree\nfour\n", "one\ntwo\n\nthree", "four", NULL);
    check_file("a\\b\n\\ \n", "a\\b", "\\ ", NULL);
    check_file("one\\\n", "one\n", NULL, NULL); /* the end comes before what should follow */
}

static void test_nul_hides_nothing(void **state) {
    Lines l;
    read_file("\0a\0\\\n\0b\n", 8, 2, &l);
    check_line(&l, 0,
        "\xFF"
        "a\xFF\n\xFF"
        "b");
    check_line(&l, 1, NULL);
    lines_done(&l);
}

static void test_a_long_line(void **state) {
    static char bytes[300000];
    Lines l;
    memset(bytes, 'x', sizeof(bytes) - 1);
    read_file(bytes, sizeof(bytes) - 1, 2, &l);
    check_line(&l, 0, bytes);
    check_line(&l, 1, NULL);
    lines_done(&l);
}

/* ------------------------------------------------------------------------------------------------ terminals */

/* Presses keys before anybody reads them: they wait in the terminal as they are, for whatever mode it is in later. */
static void press(int controller, int terminal, const char *keys) {
    struct termios before, raw;
    int waiting = 0, n = (int)strlen(keys);

    assert_int_equal(tcgetattr(terminal, &before), 0);
    raw = before;
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(terminal, TCSANOW, &raw), 0);
    assert_int_equal(write(controller, keys, (size_t)n), n);
    while (waiting < n)
        assert_int_equal(ioctl(terminal, FIONREAD, &waiting), 0);
    assert_int_equal(tcsetattr(terminal, TCSANOW, &before), 0);
}

/* Reads n lines at a terminal where these keys have been pressed. */
static void read_terminal(const char *keys, const char *history, size_t n, Lines *ret) {
    int controller, terminal;
    char pressed[128];
    Streams s;

    *ret = (Lines){};
    assert_int_equal(openpty(&controller, &terminal, NULL, NULL, NULL), 0);
    snprintf(pressed, sizeof(pressed), "%s\r\004\r\004", keys); /* then nobody waits for ever */
    press(controller, terminal, pressed);

    streams_begin(&s, dup(terminal));
    dup2(terminal, STDOUT_FILENO);
    int r = read_lines(true, history, n, ret);
    streams_end(&s);
    assert_int_equal(r, 0);

    close(terminal); /* the other end can be read to the last byte then */
    size_t size = 0;
    for (ssize_t k = 1; k > 0; size += k > 0 ? (size_t)k : 0)
        k = read(controller, ret->shown + size, sizeof(ret->shown) - 1 - size);
    close(controller);
}

static void test_keys_edit_a_line(void **state) {
    Lines l;
    read_terminal("hellp\177o\n"
                  "wörld\001hello \n",
        NULL, 2, &l);
    check_line(&l, 0, "hello");
    check_line(&l, 1, "hello wörld");
    lines_done(&l);
}

static void test_the_prompt_tells_whether_a_line_goes_on(void **state) {
    Lines l;
    read_terminal("one\\\ntwo\n"
                  "three\n\004",
        NULL, 3, &l);
    check_line(&l, 0, "one\ntwo");
    check_line(&l, 1, "three");
    check_line(&l, 2, NULL);
    const char *first = strstr(l.shown, "> "), *next = first ? strstr(first, "\n. ") : NULL;
    assert_non_null(next);
    assert_non_null(strstr(next, "\n> "));
    lines_done(&l);
}

static void on_signal(int number) {
}

static void test_ctrl_c_throws_a_line_away(void **state) {
    Lines l;
    static const int others[] = {SIGHUP, SIGQUIT, SIGTERM};
    struct sigaction ours = {.sa_handler = on_signal}, before[ELEMENTSOF(others)], after;
    assert_int_equal(sigaction(SIGINT, &ours, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(others); i++) /* a shell may have had some ignored */
        assert_int_equal(sigaction(others[i], NULL, &before[i]), 0);
    read_terminal("half\003"
                  "one\\\nhalf\003"
                  "whole\n",
        NULL, 3, &l);
    assert_int_equal(l.results[0], -EINTR);
    assert_null(l.texts[0]);
    assert_int_equal(l.results[1], -EINTR);
    assert_null(l.texts[1]);
    check_line(&l, 2, "whole");
    lines_done(&l);

    /* only while a line is edited is it another key's turn and another's signal */
    assert_int_equal(l.interrupt_key, 3);
    assert_int_equal(sigaction(SIGINT, NULL, &after), 0);
    assert_ptr_equal(after.sa_handler, on_signal);
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        assert_int_equal(sigaction(others[i], NULL, &after), 0);
        assert_ptr_equal(after.sa_handler, before[i].sa_handler);
    }
}

static void test_the_history_outlives_the_editor(void **state) {
    char folder[] = "/tmp/test-infer-editor-XXXXXX", path[64];
    struct stat st;
    Lines l;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/history", folder);
    mode_t mask = umask(022);

    read_terminal("first\n"
                  "of two\\\nlines\n\n",
        path, 3, &l);
    check_line(&l, 2, "");
    lines_done(&l);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* prompts are nobody else's business */
    assert_int_equal(umask(mask), 022);

    read_terminal("\020\n"
                  "\020\020\n",
        path, 2, &l); /* the previous line; nothing was blank */
    check_line(&l, 0, "of two\nlines");
    check_line(&l, 1, "first");
    lines_done(&l);
    unlink(path);
    rmdir(folder);
}

static void test_a_history_that_cannot_be_kept_is_done_without(void **state) {
    Lines l;
    read_terminal("one\n"
                  "\020\n",
        "/dev/null/history", 2, &l);
    check_line(&l, 0, "one");
    check_line(&l, 1, "one");
    lines_done(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_a_file),
        cmocka_unit_test(test_a_backslash_goes_on),
        cmocka_unit_test(test_nul_hides_nothing),
        cmocka_unit_test(test_a_long_line),
        cmocka_unit_test(test_keys_edit_a_line),
        cmocka_unit_test(test_the_prompt_tells_whether_a_line_goes_on),
        cmocka_unit_test(test_ctrl_c_throws_a_line_away),
        cmocka_unit_test(test_the_history_outlives_the_editor),
        cmocka_unit_test(test_a_history_that_cannot_be_kept_is_done_without),
    };
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    setenv("TERM", "dumb", 1);
    setenv("HOME", "/nonexistent", 1); /* no ~/.editrc */
    unsetenv("EDITRC");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
