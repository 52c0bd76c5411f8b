/* One question, one answer, and how it is printed: client/ask.c. */
#include "test-infer.h"

#include <pty.h>

#include "verbs.h"

/* ------------------------------------------------------------------------------------------------ answers */

static int list_models(sd_bus_message *call, bool embedded) {
    return sd_bus_reply_method_return(
        call, "a(sa{sv})", 1, "calculator", 2, "loaded", "b", 1, "embedded", "b", (int)embedded);
}

static int think_and_answer(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_MANAGER, "ListModels"))
        return list_models(call, false);
    return peer_converse(p, call,
        EVENT_REASONING("7 + 5") EVENT_TEXT("It is ") EVENT_TEXT(
            "12.") "{\"type\":\"finished\",\"finish-reason\":\"stop\",\"usage\":{\"completion-tokens\":9}}\n");
}

static int answer_with_the_built_in_model(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_MANAGER, "ListModels"))
        return list_models(call, true);
    return peer_converse(p, call, EVENT_TEXT("12") EVENT_FINISHED);
}

static int say_nothing(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_MANAGER, "ListModels"))
        return list_models(call, false);
    return peer_converse(p, call, EVENT_FINISHED);
}

static int fail_halfway(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call, EVENT_TEXT("It") EVENT_FAILED("Timeout", "The time is up."));
}

static int refuse_a_session(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_errorf(call, INFERD_ERROR "LimitsExceeded", "You have too many sessions.");
}

static int lose_the_session(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream"))
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such session.");
    return peer_converse(p, call, "");
}

/* ------------------------------------------------------------------------------------------------ the question */

static void check_asked(Options o, const char *input, const char *wanted) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(think_and_answer, verb_ask, o, input, &p, &s), 0);
    assert_string_equal(p.heard, wanted);
    assert_string_equal(s.out, "It is 12.\n");
    assert_string_equal(s.err, "");
}

static void test_asks_in_a_session_of_its_own(void **state) {
    check_asked((Options){WORDS("what", "is", "7 + 5?")}, NULL,
        "CreateSession() RespondStream(what is 7 + 5?) ListModels Close");
    check_asked((Options){WORDS("sum")}, "7\n5\n", "CreateSession() RespondStream(7\n5\n\nsum) ListModels Close");
}

static void test_the_last_line_feed_is_no_part_of_the_question(void **state) {
    check_asked((Options){WORDS("-")}, "7 + 5\n\n", "CreateSession() RespondStream(7 + 5\n) ListModels Close");
}

static void test_somebody_at_a_terminal_goes_first(void **state) {
    Options o = {WORDS("hi"), .bus = BUS_USER};
    Peer p;
    Streams s;
    int controller, terminal;
    assert_int_equal(openpty(&controller, &terminal, NULL, NULL, NULL), 0);
    peer_start(&p, think_and_answer);
    streams_begin(&s, streams_file("", 0));
    dup2(terminal, STDOUT_FILENO);
    int code = verb_ask(&o);
    streams_end(&s);
    peer_end(&p);
    assert_int_equal(code, 0);
    assert_non_null(strstr(p.heard, "RespondStream(hi{\"priority\":\"interactive\"})"));
    options_done(&o);
    close(terminal);
    close(controller);
}

static void test_nothing_to_ask_asks_nobody(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(think_and_answer, verb_ask, (Options){NO_WORDS}, "\n", &p, &s), EX_USAGE);
    assert_string_equal(p.heard, "");
}

/* ------------------------------------------------------------------------------------------------ the answer */

static void check_printed(int (*answer)(Peer *, sd_bus_message *), Options o, int code, const char *out) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(answer, verb_ask, o, NULL, &p, &s), code);
    assert_string_equal(s.out, out);
    assert_int_equal(*s.err != '\0', code != 0);
}

static void test_at_once_looks_as_it_does_bit_by_bit(void **state) {
    static const char shown[] = "<think>\n7 + 5\n</think>\n\nIt is 12.\n";
    for (int no_stream = 0; no_stream < 2; no_stream++) {
        check_printed(think_and_answer, (Options){WORDS("x"), .no_stream = no_stream}, 0, "It is 12.\n");
        check_printed(
            think_and_answer, (Options){WORDS("x"), .no_stream = no_stream, .reasoning = REASONING_SHOW}, 0, shown);
        check_printed(say_nothing, (Options){WORDS("x"), .no_stream = no_stream}, 0, "");
        check_printed(fail_halfway, (Options){WORDS("x"), .no_stream = no_stream}, EX_TEMPFAIL, "It\n");
    }
}

static void check_json(int (*answer)(Peer *, sd_bus_message *), Options o, const char *wanted) {
    Peer p;
    Streams s;
    o.json = true;
    assert_int_equal(run_against(answer, verb_ask, o, NULL, &p, &s), 0);
    json_t *object = json_loads(s.out, 0, NULL), *same = json_loads(wanted, 0, NULL);
    assert_true(json_equal(object, same));
    json_decref(object);
    json_decref(same);
}

static void test_json_is_the_result_with_both_texts(void **state) {
    static const char wanted[] = "{\"text\":\"It is 12.\",\"reasoning\":\"7 + 5\",\"finish-reason\":\"stop\","
                                 "\"usage\":{\"completion-tokens\":9}}";
    check_json(think_and_answer, (Options){WORDS("x")}, wanted);
    check_json(think_and_answer, (Options){WORDS("x"), .no_stream = true, .reasoning = REASONING_HIDE}, wanted);
    check_json(say_nothing, (Options){WORDS("x")}, "{\"text\":\"\",\"reasoning\":\"\",\"finish-reason\":\"stop\"}");
}

static void test_half_an_answer_is_no_json(void **state) {
    check_printed(fail_halfway, (Options){WORDS("x"), .json = true}, EX_TEMPFAIL, "");
    check_printed(fail_halfway, (Options){WORDS("x"), .json = true, .no_stream = true}, EX_TEMPFAIL, "");
}

/* ------------------------------------------------------------------------------------------------ errors, remarks */

static void check_complaint(
    int (*answer)(Peer *, sd_bus_message *), int code, const char *sentence, const char *heard) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(answer, verb_ask, (Options){WORDS("x")}, NULL, &p, &s), code);
    assert_string_equal(s.err, sentence);
    assert_string_equal(p.heard, heard);
}

static void test_errors_end_the_session(void **state) {
    check_complaint(fail_halfway, EX_TEMPFAIL, "infer: The time is up.\n", "CreateSession() RespondStream(x) Close");
    check_complaint(refuse_a_session, EX_TEMPFAIL, "infer: You have too many sessions.\n", "CreateSession");
    check_complaint(lose_the_session, EX_UNAVAILABLE, "infer: inferd went away before it had answered; try again\n",
        "CreateSession() RespondStream Close");
}

static void test_the_built_in_model_is_remarked_on_after_its_answer(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(answer_with_the_built_in_model, verb_ask, (Options){WORDS("x")}, NULL, &p, &s), 0);
    assert_string_equal(s.out, "12\n");
    assert_non_null(strstr(s.err, "built-in model"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_in_a_session_of_its_own),
        cmocka_unit_test(test_the_last_line_feed_is_no_part_of_the_question),
        cmocka_unit_test(test_somebody_at_a_terminal_goes_first),
        cmocka_unit_test(test_nothing_to_ask_asks_nobody),
        cmocka_unit_test(test_at_once_looks_as_it_does_bit_by_bit),
        cmocka_unit_test(test_json_is_the_result_with_both_texts),
        cmocka_unit_test(test_half_an_answer_is_no_json),
        cmocka_unit_test(test_errors_end_the_session),
        cmocka_unit_test(test_the_built_in_model_is_remarked_on_after_its_answer),
    };
    assert_int_equal(setenv("XDG_STATE_HOME", "/dev/null", 1), 0); /* nothing is remembered */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
