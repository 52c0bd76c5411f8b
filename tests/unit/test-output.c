#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "output.h"

/* What came out of one run. */
typedef struct Collected {
    char text[2][4096]; /* by kind */
    size_t size[2];
    Token logprobs[2][64]; /* the tokens whose log-probabilities came, by kind */
    size_t n_logprobs[2];
    bool stopped;
    bool in_reasoning; /* before the end */
} Collected;

static bool is_utf8(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t k = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if ((c & 0xC0) == 0x80 || i + k > n)
            return false;
        for (size_t j = 1; j < k; j++)
            if (((unsigned char)s[i + j] & 0xC0) != 0x80)
                return false;
        i += k;
    }
    return true;
}

static void collect(Output *u, Collected *c) {
    OutputText t;
    int r;
    while ((r = output_take(u, &t)) > 0) {
        assert_int_equal(strlen(t.text), t.size);
        assert_true(is_utf8(t.text, t.size)); /* each piece by itself */
        memcpy(c->text[t.kind] + c->size[t.kind], t.text, t.size + 1);
        c->size[t.kind] += t.size;
        for (size_t i = 0; i < t.n_logprobs; i++)
            c->logprobs[t.kind][c->n_logprobs[t.kind]++] = t.logprobs[i].token;
        output_text_done(&t);
    }
    assert_int_equal(r, 0);
}

/* Feeds `text` in pieces of `step` bytes (0: all at once); piece i has the log-probability of token i. */
static Collected feed(const OutputOptions *o, const char *text, size_t step) {
    Collected c = {};
    Output *u;
    size_t n = strlen(text);
    assert_int_equal(output_new(o, &u), 0);
    for (size_t i = 0; i < n && !c.stopped; i += step) {
        step = step == 0 ? n : step;
        TokenLogprob l = {.token = (Token)(i / step)};
        assert_int_equal(output_push(u, text + i, MIN(step, n - i), &l, &c.stopped), 0);
        c.in_reasoning = output_in_reasoning(u);
        collect(u, &c);
    }
    assert_int_equal(output_finish(u), 0);
    collect(u, &c);
    output_free(u);
    return c;
}

/* However the text is cut, the same comes out. */
static void expect(const OutputOptions *o, const char *text, const char *reasoning, const char *answer, bool stopped) {
    for (size_t step = 0; step < 12; step++) {
        Collected c = feed(o, text, step);
        assert_string_equal(c.text[ENGINE_TEXT_REASONING], reasoning);
        assert_string_equal(c.text[ENGINE_TEXT_ANSWER], answer);
        assert_int_equal(c.stopped, stopped);
    }
}

#define STOP(...)                                                                                                      \
    (OutputOptions) {                                                                                                  \
        .stop = (const char *const[]){__VA_ARGS__}, .n_stop = ELEMENTSOF(((const char *const[]){__VA_ARGS__}))         \
    }

static void test_delivers_whole_characters(void **state) {
    const OutputOptions o = {};
    expect(&o, "plain", "", "plain", false);
    expect(&o, "h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80", "", "h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80", false);

    Output *u;
    OutputText t;
    bool stopped;
    assert_int_equal(output_new(&o, &u), 0);
    assert_int_equal(output_push(u, "\xF0\x9F", 2, NULL, &stopped), 0);
    assert_int_equal(output_take(u, &t), 0);
    assert_int_equal(output_push(u, "\x98\x80\xE2", 3, NULL, &stopped), 0);
    assert_int_equal(output_take(u, &t), 1);
    assert_string_equal(t.text, "\xF0\x9F\x98\x80");
    output_text_done(&t);
    output_free(u);
}

#define BAD "\xEF\xBF\xBD"

static void test_replaces_what_is_no_utf8(void **state) {
    const OutputOptions o = {};
    expect(&o,
        "a\xFF"
        "b",
        "", "a" BAD "b", false);
    expect(&o,
        "a\x80\x80"
        "b",
        "", "a" BAD BAD "b", false);
    expect(&o,
        "\xE2\x82"
        "b",
        "", BAD "b", false); /* cut short: one for all of it */
    expect(&o, "\xE2\x82\xE2\x82\xAC", "", BAD "\xE2\x82\xAC", false);
    expect(&o, "\xC0\xAF", "", BAD BAD, false);                 /* overlong */
    expect(&o, "\xE0\x80\x80", "", BAD BAD BAD, false);         /* overlong */
    expect(&o, "\xED\xA0\x80", "", BAD BAD BAD, false);         /* a surrogate */
    expect(&o, "\xF4\x90\x80\x80", "", BAD BAD BAD BAD, false); /* beyond U+10FFFF */
    expect(&o, "end\xF0\x9F\x98", "", "end" BAD, false);        /* over before it was whole */
}

static void test_ends_before_a_stop_string(void **state) {
    const OutputOptions o = STOP("END", "###");
    expect(&o, "text END more", "", "text ", true);
    expect(&o, "text ### more", "", "text ", true);
    expect(&o, "EN EN EEND", "", "EN EN E", true);
    expect(&o, "END", "", "", true);
    expect(&o, "no stop, but EN", "", "no stop, but EN", false); /* the beginning of one comes when all is over */
    expect(&o, "# ## #", "", "# ## #", false);

    const OutputOptions repeated = STOP("aab");
    expect(&repeated, "aaaaab", "", "aaa", true);
    const OutputOptions nested = STOP("bc", "abcd");
    expect(&nested, "xabcd", "", "xa", true); /* complete first */
    const OutputOptions suffix = STOP("cd", "abcd");
    expect(&suffix, "xabcd", "", "x", true); /* complete together: the longer */
    const OutputOptions wide = STOP("\xE2\x82\xAC");
    expect(&wide, "5 \xE2\x82\xAC", "", "5 ", true);
    expect(&wide, "5 \xE2\x82\xAD", "", "5 \xE2\x82\xAD", false);
}

static void test_never_shows_a_part_of_a_stop_string(void **state) {
    const OutputOptions o = STOP("\n\nUser:");
    const char *text = "Hi.\n\nUse\n\nUser: x";
    Output *u;
    bool stopped = false;
    Collected c = {};
    assert_int_equal(output_new(&o, &u), 0);
    for (size_t i = 0; !stopped; i++) {
        assert_int_equal(output_push(u, text + i, 1, NULL, &stopped), 0);
        collect(u, &c);
        assert_memory_equal(c.text[0], "Hi.\n\nUse", MIN(c.size[0], (size_t)8));
        assert_true(c.size[0] <= 8);
        assert_int_equal(c.size[0] == 8, i >= 15 || c.size[0] == 8);
    }
    assert_int_equal(output_finish(u), 0);
    collect(u, &c);
    assert_string_equal(c.text[0], "Hi.\n\nUse");
    output_free(u);
}

static void test_splits_reasoning(void **state) {
    const OutputOptions o = {.split_reasoning = true};
    expect(&o, "<think>\nhm\n</think>\n\n42", "hm", "42", false);
    expect(&o, " \n<think>\n\na\n\nb\n\n</think>c", "a\n\nb", "c", false);
    expect(&o, "<think></think>x", "", "x", false);
    expect(&o, "<think>a < b </thinking> </think>\nx <think> y </think>", "a < b </thinking> ", "x <think> y </think>",
        false);
    expect(&o, "<think>a<</think>x", "a<", "x", false);
    expect(&o, "<think>a\n<</think>x", "a\n<", "x", false);
    expect(&o, "plain", "", "plain", false);
    expect(&o, "\n plain <think>no</think>", "", "\n plain <think>no</think>", false);
    expect(&o, "<thin ice", "", "<thin ice", false);
    expect(&o, "<<think>", "", "<<think>", false);
    /* over too early: nothing is lost */
    expect(&o, "<think>and then\n</thi", "and then\n</thi", "", false);
    expect(&o, "<thi", "", "<thi", false);
    expect(&o, " \n", "", " \n", false);
    expect(&o, "<think>x\xE2\x82</think>y", "x" BAD, "y", false);
    expect(&o, "<think>x\xE2\x82", "x" BAD, "", false);
}

static void test_begins_inside_reasoning(void **state) {
    const OutputOptions o = {.split_reasoning = true, .reasoning_open = true};
    expect(&o, "\nhm\n</think>\n\n42", "hm", "42", false);
    expect(&o, "</think>42", "", "42", false);
    expect(&o, "only this", "only this", "", false);
    assert_true(feed(&o, "hm", 1).in_reasoning);
    assert_true(feed(&o, "\n", 1).in_reasoning);
    assert_false(feed(&o, "hm</think>", 1).in_reasoning);
}

static void test_leaves_tags_alone_unless_asked(void **state) {
    const OutputOptions o = {};
    expect(&o, "<think>\nhm\n</think>\n\n42", "", "<think>\nhm\n</think>\n\n42", false);
}

static void test_stop_strings_are_for_the_answer(void **state) {
    OutputOptions o = STOP("\n\n", "</think>");
    o.split_reasoning = true;
    expect(&o, "<think>a\n\nb</think>\n\nc\n\nd", "a\n\nb", "c", true);
    expect(&o, "\n\n<thinner", "", "", true); /* no reasoning after all */
    expect(&o, "\n<thin", "", "\n<thin", false);
    o.split_reasoning = false;
    expect(&o, "<think>a</think>b", "", "<think>a", true);
}

/* A token's log-probability comes with the text that has its last byte. */
static void test_log_probabilities_follow_the_text(void **state) {
    static const struct {
        OutputOptions o;
        const char *text;
        size_t step;
        const char *reasoning, *answer; /* a digit for each token */
    } cases[] = {
        {{}, "abcdef", 2, "", "012"},
        {{}, "\xF0\x9F\x98\x80x", 1, "", "01234"},
        {{.split_reasoning = true}, "<think>hm</think>\n\nyes", 2, "012345678", "90;"},
        {{.split_reasoning = true}, "plain", 1, "", "01234"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Collected c = feed(&cases[i].o, cases[i].text, cases[i].step);
        size_t n = (strlen(cases[i].text) + cases[i].step - 1) / cases[i].step;
        assert_int_equal(c.n_logprobs[0] + c.n_logprobs[1], n);
        for (size_t k = 0; k < n; k++) {
            bool reasoning = k < c.n_logprobs[1];
            assert_int_equal(reasoning ? c.logprobs[1][k] : c.logprobs[0][k - c.n_logprobs[1]], k);
        }
        assert_int_equal(c.n_logprobs[ENGINE_TEXT_REASONING], strlen(cases[i].reasoning));
    }

    /* "ab" "cE" "ND" "x": the token that holds the last of the text counts, those inside the stop string do not */
    const OutputOptions stop = STOP("END");
    Collected c = feed(&stop, "abcENDx", 2);
    assert_int_equal(c.n_logprobs[0], 2);
    /* held back, then not a stop string */
    c = feed(&stop, "abcEN", 1);
    assert_int_equal(c.n_logprobs[0], 5);
}

static void test_holds_log_probabilities_back_with_their_text(void **state) {
    const OutputOptions o = STOP("END");
    Output *u;
    bool stopped;
    OutputText t;
    TokenLogprob l = {.token = 1};
    assert_int_equal(output_new(&o, &u), 0);
    assert_int_equal(output_push(u, "abE", 3, &l, &stopped), 0);
    assert_int_equal(output_take(u, &t), 1);
    assert_string_equal(t.text, "ab");
    assert_int_equal(t.n_logprobs, 0);
    output_text_done(&t);
    l.token = 2;
    assert_int_equal(output_push(u, "", 0, &l, &stopped), 0); /* a control token */
    assert_int_equal(output_take(u, &t), 0);
    assert_int_equal(output_push(u, "x", 1, NULL, &stopped), 0);
    assert_int_equal(output_take(u, &t), 1);
    assert_string_equal(t.text, "Ex");
    assert_int_equal(t.n_logprobs, 2);
    output_text_done(&t);
    assert_int_equal(output_push(u, "", 0, &l, &stopped), 0);
    assert_int_equal(output_take(u, &t), 1); /* nothing but log-probabilities */
    assert_string_equal(t.text, "");
    assert_int_equal(t.n_logprobs, 1);
    output_text_done(&t);
    output_free(u);
}

/* Random bytes: whatever they are, what comes out is UTF-8 and does not depend on the cuts. */
static void test_random_bytes(void **state) {
    static const char *const bits[] = {"<think>", "</think>", "\n", "END", "E", "<", "\xE2\x82\xAC", "\xF0\x9F", "\xA0",
        "x", " ", "\xC3", "ENEND", "</"};
    unsigned seed = 3;
    for (int i = 0; i < 20000; i++) {
        char text[200] = "";
        for (int j = rand_r(&seed) % 12; j >= 0; j--)
            strcat(text, bits[(unsigned)rand_r(&seed) % ELEMENTSOF(bits)]);
        OutputOptions o = STOP("END", "\n\n<", "xx");
        o.n_stop = (unsigned)rand_r(&seed) % 4;
        o.split_reasoning = rand_r(&seed) % 3;
        o.reasoning_open = rand_r(&seed) % 2;
        Collected whole = feed(&o, text, 0), cut = feed(&o, text, 1 + (unsigned)rand_r(&seed) % 5);
        assert_string_equal(whole.text[0], cut.text[0]);
        assert_string_equal(whole.text[1], cut.text[1]);
        assert_int_equal(whole.stopped, cut.stopped);
        if (o.n_stop > 0)
            assert_null(strstr(cut.text[ENGINE_TEXT_ANSWER], "END"));
        if (!cut.stopped && !o.split_reasoning)
            assert_int_equal(cut.n_logprobs[0] > 0, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers_whole_characters),
        cmocka_unit_test(test_replaces_what_is_no_utf8),
        cmocka_unit_test(test_ends_before_a_stop_string),
        cmocka_unit_test(test_never_shows_a_part_of_a_stop_string),
        cmocka_unit_test(test_splits_reasoning),
        cmocka_unit_test(test_begins_inside_reasoning),
        cmocka_unit_test(test_leaves_tags_alone_unless_asked),
        cmocka_unit_test(test_stop_strings_are_for_the_answer),
        cmocka_unit_test(test_log_probabilities_follow_the_text),
        cmocka_unit_test(test_holds_log_probabilities_back_with_their_text),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
