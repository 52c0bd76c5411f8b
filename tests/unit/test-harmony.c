/* Messages of gpt-oss: when each byte arrives and as what, and what becomes of headers, calls and tags that are none.
 * How the text is cut does not matter here: bytes come one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answer-log.h"
#include "harmony.h"

#define ANALYSIS   "<|channel|>analysis<|message|>"
#define COMMENTARY "<|channel|>commentary"
#define FINAL      "<|channel|>final<|message|>"
#define ME         "<|start|>assistant"

static Harmony *begin(AnswerLog *log) {
    const AnswerSink sink = answer_log_sink(log);
    Harmony *h = NULL;
    assert_int_equal(harmony_new(true, &sink, &h), 0);
    return h;
}

static void push(Harmony *h, const char *text) {
    for (; *text; text++)
        assert_int_equal(harmony_push(h, *text), 0);
}

static void expect(const char *text, const char *wanted) {
    AnswerLog log = {};
    _cleanup_(harmony_freep) Harmony *h = begin(&log);
    push(h, text);
    assert_int_equal(harmony_finish(h), 0);
    assert_int_equal(harmony_held(h), 0);
    answer_log_enter(&log, false);
    assert_string_equal(log.line, wanted);
}

static void expect_text(const char *text) {
    expect(text, text);
}

static void test_text_is_delivered_as_it_comes(void **state) {
    AnswerLog log = {};
    _cleanup_(harmony_freep) Harmony *h = begin(&log);
    push(h, ANALYSIS);
    assert_int_equal(harmony_held(h), 0);
    assert_true(harmony_in_reasoning(h));
    push(h, "hm");
    assert_string_equal(log.line, "{hm");
    push(h, " <|en"); /* the end, perhaps */
    assert_string_equal(log.line, "{hm ");
    assert_int_equal(harmony_held(h), 4);
    push(h, "!");
    assert_string_equal(log.line, "{hm <|en!");
    assert_int_equal(harmony_held(h), 0);

    push(h, "<|end|>");
    assert_false(harmony_in_reasoning(h));
    push(h, ME "<|channel|>final");
    assert_int_equal(harmony_held(h), strlen(ME "<|channel|>final"));
    push(h, "<|message|>y");
    assert_string_equal(log.line, "{hm <|en!}y");
    assert_false(harmony_in_reasoning(h));
}

static void test_calls_are_held_until_they_are_whole(void **state) {
    static const char header[] = COMMENTARY " to=functions.f <|constrain|>json<|message|>", arguments[] = "{\"x\": 1}";
    AnswerLog log = {};
    _cleanup_(harmony_freep) Harmony *h = begin(&log);
    push(h, header);
    push(h, arguments);
    assert_string_equal(log.line, "");
    assert_int_equal(harmony_held(h), strlen(header) + strlen(arguments));
    push(h, "<|call|>");
    assert_string_equal(log.line, "[f {\"x\": 1}]");
    assert_int_equal(harmony_held(h), 0);

    push(h, header); /* an answer that is given up in the middle of a call leaves nothing behind */
    push(h, "{\"x\": <|");
    assert_string_equal(log.line, "[f {\"x\": 1}]");
}

static void test_whatever_follows_ends_a_call(void **state) {
    const char *const ends[] = {"<|call|>", "<|end|>", "<|return|>", ""};
    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        char text[200];
        snprintf(text, sizeof(text), COMMENTARY " to=f<|message|>{}%s" ME FINAL "yes", ends[i]);
        expect(text, "[f {}]yes");
        snprintf(text, sizeof(text), COMMENTARY " to=f<|message|>{}%s" FINAL "yes", ends[i]);
        expect(text, "[f {}]yes");
    }
    expect(COMMENTARY " to=f<|message|>{\"x\": \"<|message|> <|constrain|>\"}", /* these two do not */
        "[f {\"x\": \"<|message|> <|constrain|>\"}]");
}

static void test_who_is_no_tool(void **state) {
    expect(COMMENTARY " to=user<|message|>{}<|end|>", "{}");
    expect(COMMENTARY " to=all<|message|>{}<|end|>", "{}");
    expect("<|channel|>analysis to=assistant<|message|>hm<|end|>", "{hm}");
    expect(COMMENTARY " to=users<|message|>{}<|call|>", "[users {}]");
    expect(COMMENTARY " to=<|message|>a<|end|>", "a");
    expect(COMMENTARY " to=f\"<|message|>a<|end|>", "a");
    expect(COMMENTARY " to=f\\<|message|>a<|end|>", "a");
}

static void test_names_have_a_limit(void **state) {
    char name[129] = "", text[300], wanted[300];
    memset(name, 'n', 127);
    snprintf(text, sizeof(text), " to=%s" COMMENTARY "<|message|>{}<|call|>", name);
    snprintf(wanted, sizeof(wanted), "[%s {}]", name);
    expect(text, wanted);
    name[127] = 'n';
    snprintf(text, sizeof(text), " to=%s" COMMENTARY "<|message|>{}<|call|>", name);
    expect(text, "{}");
}

static void test_a_call_that_is_none_is_text_with_its_header(void **state) {
    expect(ANALYSIS "hm<|end|>" ME " to=f" COMMENTARY "<|message|>{\"x\"<|call|>" ME FINAL "yes",
        "{hm}" ME " to=f" COMMENTARY "<|message|>{\"x\"<|call|>yes");
    expect_text(COMMENTARY " to=f<|message|>{} and more<|end|>");
    expect_text(COMMENTARY " to=f<|message|>{\"x\": 1, \"x\": 2}<|call|>");
    expect_text(COMMENTARY " to=f<|message|>{}<|en"); /* stopped in the middle of a tag */
    expect(COMMENTARY " to=f<|message|>[" ME FINAL "yes", COMMENTARY " to=f<|message|>[yes");
}

static void test_what_is_no_header_is_text(void **state) {
    expect_text("Hello");
    expect_text("<|start|>user");
    expect_text("<|start|>assistants");
    expect_text(" too");
    expect_text(ME); /* stopped there */
    expect(ME ME FINAL "yes", ME "yes");
    expect("<|channel|>final<|end|>" FINAL "yes", "<|channel|>finalyes");
    expect("Hello<|end|>" ME FINAL "yes", "Helloyes");

    char text[700] = "<|channel|>";
    memset(text + strlen(text), 'x', 600);
    expect_text(text);
    AnswerLog log = {}; /* and does not wait for a header's end that may never come */
    _cleanup_(harmony_freep) Harmony *h = begin(&log);
    push(h, text);
    assert_int_equal(harmony_held(h), 0);
    strcat(text, "<|message|>a");
    expect_text(text);
}

static void test_tags_out_of_place_are_text_of_their_message(void **state) {
    expect(ANALYSIS "a <|message|> b <|constrain|> c<|end|>" ME FINAL "<|message|>d",
        "{a <|message|> b <|constrain|> c}<|message|>d");
    expect(ANALYSIS "a<|end|><|constrain|> b", "{a}<|constrain|> b");
}

static void test_tags_that_do_not_become_any(void **state) {
    expect(FINAL "<<|end|>", "<");
    expect(FINAL "<|<|end|>", "<|");
    expect(FINAL "<|end<|end|>", "<|end");
    expect(FINAL "<|END|> <|end>", "<|END|> <|end>");
    expect(FINAL "<|cal", "<|cal");
    expect("<|", "<|");
}

static void test_between_messages_only_white_space_is_nothing(void **state) {
    expect(ANALYSIS "a<|end|> \r\n\t" ME FINAL "b<|end|>\n", "{a}b");
    expect(ANALYSIS "a<|end|>\n b <|return|>", "{a}b ");
    expect(FINAL " a\n<|end|><|end|><|return|>", " a\n");
}

static void test_the_closing_makes_an_answer_of_what_follows(void **state) {
    AnswerLog log = {};
    _cleanup_(harmony_freep) Harmony *h = begin(&log);
    push(h, ANALYSIS "hm");
    push(h, HARMONY_CLOSING);
    assert_false(harmony_in_reasoning(h));
    push(h, "yes");
    assert_string_equal(log.line, "{hm}yes");
    assert_null(harmony_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_delivered_as_it_comes),
        cmocka_unit_test(test_calls_are_held_until_they_are_whole),
        cmocka_unit_test(test_whatever_follows_ends_a_call),
        cmocka_unit_test(test_who_is_no_tool),
        cmocka_unit_test(test_names_have_a_limit),
        cmocka_unit_test(test_a_call_that_is_none_is_text_with_its_header),
        cmocka_unit_test(test_what_is_no_header_is_text),
        cmocka_unit_test(test_tags_out_of_place_are_text_of_their_message),
        cmocka_unit_test(test_tags_that_do_not_become_any),
        cmocka_unit_test(test_between_messages_only_white_space_is_nothing),
        cmocka_unit_test(test_the_closing_makes_an_answer_of_what_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
