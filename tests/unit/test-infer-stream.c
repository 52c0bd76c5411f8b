#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "stream.h"

static void check_event(const char *line, StreamEventType type, const char *text) {
    StreamEvent ev = {};
    assert_int_equal(stream_event_parse(line, strlen(line), &ev), 0);
    assert_int_equal(ev.type, type);
    if (text) {
        assert_int_equal(ev.size, strlen(text));
        assert_string_equal(ev.text, text);
    }
    stream_event_done(&ev);
}

static void test_understands_the_daemons_events(void **state) {
    check_event("{\"type\":\"delta\",\"kind\":\"text\",\"text\":\"h\\u00e9\"}", STREAM_ANSWER, "hé");
    check_event("{\"type\":\"delta\",\"kind\":\"reasoning\",\"text\":\"hm\"}", STREAM_REASONING, "hm");
    check_event("{\"type\":\"finished\",\"finish-reason\":\"stop\"}", STREAM_FINISHED, NULL);
}

static void test_skips_what_a_newer_daemon_may_say(void **state) {
    check_event("{\"type\":\"progress\",\"done\":0.5}", STREAM_NOTHING, NULL);
    check_event("{\"type\":\"delta\",\"kind\":\"tool-call\",\"text\":\"f()\"}", STREAM_NOTHING, NULL);
}

static void test_keeps_a_nul_inside_text(void **state) {
    static const char line[] = "{\"type\":\"delta\",\"kind\":\"text\",\"text\":\"a\\u0000b\"}";
    StreamEvent ev = {};
    assert_int_equal(stream_event_parse(line, strlen(line), &ev), 0);
    assert_int_equal(ev.size, 3);
    assert_memory_equal(ev.text, "a\0b", 3);
    stream_event_done(&ev);
}

static void test_refuses_malformed_lines(void **state) {
    static const char *const lines[] = {"", "{", "null", "[]", "7", "\"delta\"", "{}", "{\"type\":3}",
        "{\"type\":\"delta\"}", "{\"type\":\"delta\",\"kind\":\"text\"}",
        "{\"type\":\"delta\",\"kind\":\"text\",\"text\":1}", "{\"type\":\"finished\"} {}",
        "{\"type\":\"finished\",\"type\":\"delta\"}", "{\"type\":\"delta\",\"kind\":\"text\",\"text\":\"\xC3\"}",
        "{\"type\":\"delta\",\"kind\":\"text\",\"text\":\"\\ud800\"}"};
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        StreamEvent ev = {};
        assert_int_equal(stream_event_parse(lines[i], strlen(lines[i]), &ev), -EBADMSG);
        assert_null(ev.object);
    }
}

static void test_deep_nesting_is_refused(void **state) {
    static char line[100000];
    memset(line, '[', sizeof(line));
    StreamEvent ev = {};
    assert_int_equal(stream_event_parse(line, sizeof(line), &ev), -EBADMSG);
}

/* Writes the bytes in pieces of `piece` and counts the lines that come out. */
static void check_lines(size_t piece) {
    static const char bytes[] = "one\n\ntwo and more\nthree";
    const char *wanted[] = {"one", "", "two and more"};
    StreamBuffer b = {};
    size_t lines = 0;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    for (size_t i = 0; i < strlen(bytes); i += piece) {
        size_t n = MIN(piece, strlen(bytes) - i);
        assert_int_equal(write(fds[1], bytes + i, n), n);
        assert_int_equal(stream_buffer_fill(&b, fds[0]), n);

        size_t size;
        const char *line;
        while ((line = stream_buffer_line(&b, &size))) {
            assert_true(lines < ELEMENTSOF(wanted));
            assert_int_equal(size, strlen(wanted[lines]));
            assert_memory_equal(line, wanted[lines], size);
            lines++;
        }
    }
    assert_int_equal(lines, 3); /* the last has no end */
    close(fds[1]);
    assert_int_equal(stream_buffer_fill(&b, fds[0]), 0);
    close(fds[0]);
    stream_buffer_done(&b);
}

static void test_cuts_lines_wherever_the_bytes_are_cut(void **state) {
    for (size_t piece = 1; piece < 30; piece++)
        check_lines(piece);
}

static void test_an_endless_line_ends_the_stream(void **state) {
    FILE *f = fopen("/dev/zero", "re");
    StreamBuffer b = {};
    ssize_t n;
    assert_non_null(f);
    while ((n = stream_buffer_fill(&b, fileno(f))) > 0)
        assert_true(b.size <= STREAM_LINE_MAX);
    assert_int_equal(n, -EMSGSIZE);
    stream_buffer_done(&b);
    fclose(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_understands_the_daemons_events),
        cmocka_unit_test(test_skips_what_a_newer_daemon_may_say),
        cmocka_unit_test(test_keeps_a_nul_inside_text),
        cmocka_unit_test(test_refuses_malformed_lines),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_cuts_lines_wherever_the_bytes_are_cut),
        cmocka_unit_test(test_an_endless_line_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
