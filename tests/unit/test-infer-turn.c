/* A conversation and its turns, whole, cut off and cancelled: client/turn.c. */
#include "test-infer.h"

#include <poll.h>

#include "turn.h"

typedef struct Fixture {
    Peer peer;
    Bus bus;
    Conversation conversation;
    Generation options;
    Streams streams; /* what the last turn complained of */
    Turn turn;
} Fixture;

/* Ends the peer, so that what it has heard can be read. */
static void finish(Fixture *f) {
    conversation_close(&f->conversation);
    bus_done(&f->bus);
    peer_end(&f->peer);
    turn_done(&f->turn);
    generation_done(&f->options);
}

static void begin(Fixture *f, int (*answer)(Peer *, sd_bus_message *)) {
    *f = (Fixture){};
    peer_start(&f->peer, answer);
    assert_int_equal(bus_open(&f->bus, BUS_USER), 0);
    assert_int_equal(conversation_open(&f->conversation, &f->bus, &f->options), 0);
}

static int run(Fixture *f, const char *prompt, Output *out) {
    turn_done(&f->turn);
    streams_begin(&f->streams, streams_file("", 0));
    int code = turn_run(&f->conversation, prompt, &f->options, out, &f->turn);
    streams_end(&f->streams);
    return code;
}

/* ------------------------------------------------------------------------------------------------ a turn */

static int think_and_answer(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call,
        EVENT_REASONING("hm") "{\"type\":\"progress\",\"done\":0.5}\n" EVENT_REASONING("!") EVENT_TEXT("a\\u0000")
            EVENT_TEXT("b") EVENT_FINISHED EVENT_TEXT("after the end"));
}

static void test_gathers_what_is_said(void **state) {
    Fixture f;
    begin(&f, think_and_answer);
    for (int i = 0; i < 2; i++) { /* a conversation has many turns */
        assert_int_equal(run(&f, "hello", NULL), 0);
        assert_string_equal(f.turn.reasoning.bytes, "hm!");
        assert_int_equal(f.turn.answer.size, 3);
        assert_memory_equal(f.turn.answer.bytes, "a\0b", 4);
        assert_string_equal(dict_string(f.turn.result, "finish-reason"), "stop");
        assert_false(f.turn.lost);
        assert_string_equal(f.streams.err, "");
        assert_string_equal(f.streams.out, "");
    }
    finish(&f);
    assert_string_equal(f.peer.heard, "CreateSession() RespondStream(hello) RespondStream(hello) Close");
}

static void test_each_option_goes_where_it_belongs(void **state) {
    Fixture f = {};
    peer_start(&f.peer, think_and_answer);
    assert_int_equal(generation_set(&f.options, "system", "Be brief.", NULL), 0);
    assert_int_equal(generation_set(&f.options, "seed", "7", NULL), 0);
    assert_int_equal(bus_open(&f.bus, BUS_USER), 0);
    assert_int_equal(conversation_open(&f.conversation, &f.bus, &f.options), 0);
    assert_int_equal(run(&f, "hi", NULL), 0);
    finish(&f);
    assert_string_equal(f.peer.heard, "CreateSession({\"system\":\"Be brief.\"}) RespondStream(hi{\"seed\":7}) Close");
}

/* ------------------------------------------------------------------------------------------------ errors */

static int cut_off(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call, EVENT_TEXT("half") "{\"type\":\"fini");
}

static int talk_nonsense(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call, EVENT_TEXT("half") "nonsense\n" EVENT_FINISHED);
}

static int fail_halfway(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call, EVENT_TEXT("half") EVENT_FAILED("PoolExhausted", "No pages became free."));
}

static int fail_without_words(Peer *p, sd_bus_message *call) {
    return peer_converse(p, call, EVENT_TEXT("half") "{\"type\":\"finished\",\"error\":{}}\n");
}

static void check_half(int (*answer)(Peer *, sd_bus_message *), int code, const char *sentence) {
    Fixture f;
    begin(&f, answer);
    assert_int_equal(run(&f, "hi", NULL), code);
    assert_string_equal(f.turn.answer.bytes, "half");
    assert_non_null(strstr(f.streams.err, sentence));
    assert_false(f.turn.lost);
    finish(&f);
}

static void test_what_was_said_before_an_error_is_kept(void **state) {
    check_half(cut_off, EX_UNAVAILABLE, "inferd went away");
    check_half(talk_nonsense, EX_PROTOCOL, "unexpected form");
    check_half(fail_halfway, EX_TEMPFAIL, "infer: No pages became free.\n");
    check_half(fail_without_words, EX_SOFTWARE, "the answer failed");
}

static int refuse(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream"))
        return sd_bus_reply_method_errorf(call, INFERD_ERROR "ContextOverflow", "The prompt is too long.");
    return peer_converse(p, call, "");
}

static int reply_without_a_stream(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream"))
        return sd_bus_reply_method_return(call, "s", "twelve");
    return peer_converse(p, call, "");
}

static void check_refused(int (*answer)(Peer *, sd_bus_message *), int code, const char *sentence) {
    Fixture f;
    begin(&f, answer);
    assert_int_equal(run(&f, "hi", NULL), code);
    assert_null(f.turn.answer.bytes);
    assert_null(f.turn.result);
    assert_non_null(strstr(f.streams.err, sentence));
    finish(&f);
}

static void test_a_turn_that_does_not_begin(void **state) {
    check_refused(refuse, EX_DATAERR, "infer: The prompt is too long.\n");
    check_refused(reply_without_a_stream, EX_PROTOCOL, "unexpected form");
}

static int forget(Peer *p, sd_bus_message *call) {
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream"))
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such session.");
    return peer_converse(p, call, "");
}

static int leave(Peer *p, sd_bus_message *call) {
    p->hangs_up = sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream");
    return p->hangs_up ? 1 : peer_converse(p, call, "");
}

static void check_lost(int (*answer)(Peer *, sd_bus_message *)) {
    Fixture f;
    begin(&f, answer);
    assert_int_not_equal(run(&f, "hi", NULL), 0);
    assert_true(f.turn.lost);
    assert_string_equal(f.streams.err, "");
    finish(&f);
}

/* Whoever holds the conversation can begin it anew: there is nothing to complain of yet. */
static void test_a_lost_session_is_told_but_not_complained_of(void **state) {
    check_lost(forget);
    check_lost(leave);
}

static int give_no_session(Peer *p, sd_bus_message *call) {
    return sd_bus_message_is_method_call(call, BUS_MANAGER, "CreateSession")
               ? sd_bus_reply_method_return(call, "u", 7)
               : sd_bus_reply_method_errorf(call, SD_BUS_ERROR_UNKNOWN_OBJECT, "No such session.");
}

static void test_a_conversation_that_does_not_open(void **state) {
    Fixture f = {};
    peer_start(&f.peer, give_no_session);
    assert_int_equal(bus_open(&f.bus, BUS_USER), 0);
    streams_begin(&f.streams, streams_file("", 0));
    int code = conversation_open(&f.conversation, &f.bus, &f.options);
    streams_end(&f.streams);
    assert_int_equal(code, EX_PROTOCOL);
    assert_null(f.conversation.session);
    finish(&f);
    assert_string_equal(f.peer.heard, "CreateSession"); /* there is nothing to close */
}

/* ------------------------------------------------------------------------------------------------ output */

static void test_writes_what_arrives(void **state) {
    Fixture f;
    Output out;
    char got[64] = "";
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    output_init(&out, &(Options){.reasoning = REASONING_SHOW}, fds[1]);
    begin(&f, think_and_answer);
    assert_int_equal(run(&f, "hi", &out), 0);
    assert_int_equal(read(fds[0], got, sizeof(got) - 1), strlen("<think>\nhm!\n</think>\n\n") + 4);
    assert_memory_equal(got, "<think>\nhm!\n</think>\n\na\0b\n", strlen("<think>\nhm!\n</think>\n\n") + 4);
    assert_null(out.interrupt);
    finish(&f);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_reader_that_has_left_needs_no_words(void **state) {
    Fixture f;
    Output out;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    output_init(&out, &(Options){}, fds[1]);
    begin(&f, think_and_answer);
    assert_int_equal(run(&f, "hi", &out), EX_IOERR);
    assert_string_equal(f.streams.err, "");
    finish(&f);
    close(fds[1]);
}

/* ------------------------------------------------------------------------------------------------ Ctrl-C */

static struct {
    int events[2]; /* the turn's; both ends are the peer's */
    int shown[2];  /* where the command writes */
    const char *last_words;
} cancelled;

static int press_at_once(Peer *p, sd_bus_message *call) {
    if (!sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream"))
        return peer_converse(p, call, "");
    kill(getpid(), SIGINT);
    return 1;
}

static void test_ctrl_c_before_the_turn_begins(void **state) {
    Fixture f;
    begin(&f, press_at_once);
    assert_int_equal(run(&f, "hi", NULL), EXIT_INTERRUPTED);
    assert_string_equal(f.streams.err, "");
    assert_null(f.turn.result);
    finish(&f);
    assert_string_equal(f.peer.heard, "CreateSession() RespondStream Close");
}

static int say(const char *events) {
    return write(cancelled.events[1], events, strlen(events)) < 0 ? -errno : 0;
}

/* Presses once the first words are on the way to the reader. */
static int press_halfway(Peer *p, sd_bus_message *call) {
    uint64_t id;
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream")) {
        int r = say(EVENT_TEXT("one "));
        if (r >= 0)
            r = sd_bus_reply_method_return(call, "th", UINT64_C(42), cancelled.events[0]);
        if (r >= 0)
            r = sd_bus_flush(sd_bus_message_get_bus(call));
        struct pollfd shown = {.fd = cancelled.shown[0], .events = POLLIN};
        if (r >= 0)
            poll(&shown, 1, -1);
        kill(getpid(), SIGINT);
        return r < 0 ? r : 1;
    }
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "Cancel")) {
        int r = sd_bus_message_read(call, "t", &id);
        peer_note(p, "(%d)", r < 0 ? r : (int)id);
        r = say(cancelled.last_words);
        close(cancelled.events[1]);
        return r < 0 ? r : 1;
    }
    return peer_converse(p, call, "");
}

static void check_cancelled(const char *last_words, const char *answer) {
    Fixture f;
    Output out;
    char got[16] = "";

    cancelled.last_words = last_words;
    assert_int_equal(pipe(cancelled.events), 0);
    assert_int_equal(pipe(cancelled.shown), 0);
    output_init(&out, &(Options){}, cancelled.shown[1]);
    begin(&f, press_halfway);
    assert_int_equal(run(&f, "hi", &out), EXIT_INTERRUPTED);
    assert_string_equal(f.streams.err, "");
    assert_string_equal(f.turn.answer.bytes, answer);
    assert_true(read(cancelled.shown[0], got, sizeof(got) - 1) > 0);
    assert_string_equal(got, "one \n");
    finish(&f);
    assert_string_equal(f.peer.heard, "CreateSession() RespondStream Cancel(42) Close");
    close(cancelled.events[0]);
    close(cancelled.shown[0]);
    close(cancelled.shown[1]);
}

static void test_ctrl_c_cancels_and_hears_the_turn_out(void **state) {
    check_cancelled(EVENT_TEXT("two") "{\"type\":\"finished\",\"finish-reason\":\"cancelled\"}\n", "one two");
    check_cancelled(EVENT_FAILED("Stopping", "inferd is stopping."), "one ");
    check_cancelled("nonsense\n", "one ");
    check_cancelled("", "one ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gathers_what_is_said),
        cmocka_unit_test(test_each_option_goes_where_it_belongs),
        cmocka_unit_test(test_what_was_said_before_an_error_is_kept),
        cmocka_unit_test(test_a_turn_that_does_not_begin),
        cmocka_unit_test(test_a_lost_session_is_told_but_not_complained_of),
        cmocka_unit_test(test_a_conversation_that_does_not_open),
        cmocka_unit_test(test_writes_what_arrives),
        cmocka_unit_test(test_a_reader_that_has_left_needs_no_words),
        cmocka_unit_test(test_ctrl_c_before_the_turn_begins),
        cmocka_unit_test(test_ctrl_c_cancels_and_hears_the_turn_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
