/* What a session's owner gets of a turn, in which order, and when the engine may go on. The test plays the bus and, in
 * place of request.c, the requests too, so that it says what belongs to one round of the loop. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>

#include "fake-bus.h"

#include "bus-turn.h"
#include "fake-requests.h"
#include "text.h"

#define OWNER   ":1.7"
#define SESSION BUS_PATH "/session/3"
#define LONG    300000 /* more than a pipe takes */

typedef struct Turn {
    BusTurn *turn;
    Request request;
    int fd; /* reading end; -1: signals */
    Text read;
    unsigned n_ended;
    char answer[100], calls[300];
} Turn;

static FakeService f;
static Turn a, b;

/* ---------------------------------------------------------------------------------------------- requests */

static void delta_n(Turn *t, EngineTextKind kind, const char *text, size_t n) {
    t->request.sink->delta(&t->request, &(RequestDelta){.kind = kind, .text = text, .size = n}, t->request.userdata);
}

static void delta(Turn *t, EngineTextKind kind, const char *text) {
    delta_n(t, kind, text, strlen(text));
}

static void say(Turn *t, const char *text) {
    delta(t, ENGINE_TEXT_ANSWER, text);
}

static void say_much(Turn *t, size_t n) {
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    say(t, text);
    free(text);
}

static void call_tool(Turn *t, const char *name, const char *id, const char *arguments) {
    const RequestDelta d = {ENGINE_TEXT_TOOL_CALL, arguments, strlen(arguments), name, id};
    t->request.sink->delta(&t->request, &d, t->request.userdata);
}

static void finish(Turn *t) {
    const RequestResult result = {.finish = ENGINE_FINISH_STOP, .model = "alpha"};
    t->request.sink->finished(&t->request, &result, t->request.userdata);
}

/* ---------------------------------------------------------------------------------------------- the owner */

/* All that one round of the loop brings has been handled. */
static void end_round(void) {
    uv_run(&f.t.loop, UV_RUN_NOWAIT);
}

static sd_bus_message *next_signal(void) {
    fake_service_run(&f);
    for (size_t i = 0; i < f.bus.n_received; i++)
        if (f.bus.received[i])
            return f.bus.received[i];
    return NULL;
}

static void assert_signal(const char *member, uint64_t id) {
    sd_bus_message *m = next_signal();
    uint64_t got;
    assert_non_null(m);
    assert_string_equal(sd_bus_message_get_member(m), member);
    assert_string_equal(sd_bus_message_get_path(m), SESSION);
    assert_string_equal(sd_bus_message_get_interface(m), BUS_SESSION);
    assert_string_equal(sd_bus_message_get_destination(m), OWNER); /* nobody else may read it */
    assert_true(sd_bus_message_read(m, "t", &got) > 0);
    assert_int_equal(got, id);
}

static void assert_delta(const char *kind, const char *text) {
    const char *got_kind, *got_text;
    assert_signal("Delta", 5);
    assert_true(sd_bus_message_read(next_signal(), "ss", &got_kind, &got_text) > 0);
    assert_string_equal(got_kind, kind);
    assert_string_equal(got_text, text);
    fake_bus_forget(&f.bus, "Delta");
}

static void assert_finished(void) {
    assert_signal("Finished", 5);
    fake_bus_forget(&f.bus, "Finished");
    end_round();
    assert_null(next_signal());
}

/* Reads what is in the pipe, and what follows in a few rounds. Returns whether it has ended. */
static bool read_stream(Turn *t) {
    char piece[4096];
    for (int idle = 0; idle < 5; idle++) {
        ssize_t n;
        while ((n = read(t->fd, piece, sizeof(piece))) > 0) {
            assert_int_equal(text_append(&t->read, piece, (size_t)n), 0);
            idle = 0;
        }
        if (n == 0)
            return true;
        end_round();
    }
    return false;
}

/* The next line that was read; a string is NULL where the line has none. */
static json_t *take_line(Turn *t) {
    char *end = memchr(text_string(&t->read), '\n', t->read.n);
    assert_non_null(end);
    size_t n = (size_t)(end - t->read.data) + 1;
    json_t *line = json_loadb(t->read.data, n, JSON_ALLOW_NUL, NULL);
    assert_non_null(line);
    memmove(t->read.data, t->read.data + n, t->read.n - n);
    t->read.n -= n;
    return line;
}

static void assert_line(Turn *t, const char *kind, const char *text) {
    json_t *line = take_line(t);
    assert_string_equal(json_string_value(json_object_get(line, "type")), "delta");
    assert_string_equal(json_string_value(json_object_get(line, "kind")), kind);
    assert_string_equal(json_string_value(json_object_get(line, "text")), text);
    json_decref(line);
}

static void assert_last_line(Turn *t) {
    json_t *line = take_line(t);
    assert_string_equal(json_string_value(json_object_get(line, "type")), "finished");
    assert_int_equal(json_integer_value(json_object_get(line, "id")), 5);
    assert_string_equal(json_string_value(json_object_get(line, "finish-reason")), "stop");
    json_decref(line);
    assert_int_equal(t->read.n, 0);
}

static size_t take_text(Turn *t) {
    size_t n = 0;
    while (t->read.n) {
        json_t *line = take_line(t);
        n += json_string_length(json_object_get(line, "text"));
        json_decref(line);
    }
    return n;
}

static void stop_reading(Turn *t) {
    close(t->fd);
    t->fd = -1;
}

/* ---------------------------------------------------------------------------------------------- fixture */

static void on_ended(BusTurn *turn, const RequestResult *result, const char *answer, size_t answer_size,
    const char *tool_calls, void *userdata) {
    Turn *t = userdata;
    fake_service_run(&f);
    assert_int_equal(fake_bus_count(&f.bus, "Finished"), 0);
    t->n_ended++;
    assert_int_equal(answer_size, strlen(answer));
    snprintf(t->answer, sizeof(t->answer), "%s", answer);
    snprintf(t->calls, sizeof(t->calls), "%s", tool_calls);
}

static int start(Turn *t, bool stream, Error *e) {
    const BusTurnSpec spec = {
        .id = 5, .path = SESSION, .owner_name = OWNER, .stream = stream, .ended = on_ended, .userdata = t};
    return bus_turn_start(&f.s, &spec, &t->turn, &t->fd, e);
}

static void open_turn(Turn *t, bool stream) {
    Error e;
    next_request = &t->request;
    assert_int_equal(start(t, stream, &e), 0);
    assert_int_equal(bus_turn_id(t->turn), 5);
    assert_true((t->fd >= 0) == stream);
    if (stream)
        assert_int_equal(fcntl(t->fd, F_SETFL, O_NONBLOCK), 0);
}

static int setup(void **state) {
    a = b = (Turn){.fd = -1};
    fake_service_init(&f, NULL);
    return 0;
}

static int teardown(void **state) {
    fake_service_done(&f);
    for (Turn *t = &a; t; t = t == &a ? &b : NULL) {
        if (t->fd >= 0)
            close(t->fd);
        text_done(&t->read);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------- signals */

static void test_the_text_of_a_round_is_one_signal(void **state) {
    open_turn(&a, false);
    say(&a, "Hel");
    say(&a, "lo");
    assert_null(next_signal());
    assert_int_equal(a.request.consumed, 0);
    end_round();
    assert_delta("text", "Hello");
    assert_int_equal(a.request.consumed, 5);
    end_round();
    assert_null(next_signal());
    assert_false(uv_is_active((uv_handle_t *)&f.s.flush)); /* the loop may sleep */
}

static void test_kinds_are_not_mixed(void **state) {
    open_turn(&a, false);
    delta(&a, ENGINE_TEXT_REASONING, "a");
    delta(&a, ENGINE_TEXT_REASONING, "b");
    say(&a, "c");
    delta(&a, ENGINE_TEXT_REASONING, "d");
    end_round();
    assert_delta("reasoning", "ab");
    assert_delta("text", "c");
    assert_delta("reasoning", "d");
    assert_int_equal(a.request.consumed, 4);
}

static void test_each_tool_call_is_whole(void **state) {
    const char *key, *type, *reason, *calls;
    open_turn(&a, false);
    say(&a, "Well");
    call_tool(&a, "f", "id1", "{\"x\":1}");
    call_tool(&a, "g", "id2", "{}");
    finish(&a);
    assert_delta("text", "Well");
    assert_delta("tool-call", "{\"id\":\"id1\",\"name\":\"f\",\"arguments\":{\"x\":1}}");
    assert_delta("tool-call", "{\"id\":\"id2\",\"name\":\"g\",\"arguments\":{}}");
    assert_signal("Finished", 5);
    assert_true(sd_bus_message_enter_container(next_signal(), 'a', "{sv}") > 0);
    assert_true(sd_bus_message_read(next_signal(), "{sv}{sv}", &key, "s", &reason, &type, "s", &calls) > 0);
    assert_string_equal(type, "tool-calls");
    assert_string_equal(calls, "[{\"id\":\"id1\",\"name\":\"f\",\"arguments\":{\"x\":1}},"
                               "{\"id\":\"id2\",\"name\":\"g\",\"arguments\":{}}]");
    assert_string_equal(a.answer, "Well");
    assert_string_equal(a.calls,
        "{\"id\":\"id1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}},"
        "{\"id\":\"id2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}");
}

static void test_finished_comes_once_and_after_all_text(void **state) {
    open_turn(&a, false);
    delta(&a, ENGINE_TEXT_REASONING, "Hm");
    say(&a, "Yes");
    end_round();
    say(&a, ".");
    finish(&a);
    assert_null(f.s.turns);
    assert_delta("reasoning", "Hm");
    assert_delta("text", "Yes");
    assert_delta("text", ".");
    assert_finished();
    assert_int_equal(a.n_ended, 1);
    assert_string_equal(a.answer, "Yes.");
    assert_string_equal(a.calls, "");
}

/* A string of D-Bus would end there, and the engine waits for as many bytes as it has given. */
static void test_text_may_contain_nul(void **state) {
    open_turn(&a, false);
    delta_n(&a, ENGINE_TEXT_ANSWER, "a\0b", 3);
    end_round();
    assert_delta("text", "a\xEF\xBF\xBD"
                         "b");
    assert_int_equal(a.request.consumed, 3);
    finish(&a);
    assert_string_equal(a.answer, "a\xEF\xBF\xBD"
                                  "b");
}

static void test_text_that_cannot_be_sent_ends_the_turn(void **state) {
    for (int stream = 0; stream < 2; stream++) {
        open_turn(&a, stream);
        say(&a, "\xFF");
        end_round();
        assert_int_equal(a.request.n_cancelled, 1);
        assert_int_equal(a.request.code, -EPIPE);
        finish(&a);
        if (!stream)
            assert_finished();
    }
}

/* As many rounds as the bus lets pass while it reads nothing; the text that the last of them has brought waits. */
static size_t fill_the_bus(Turn *t) {
    size_t said = 0;
    assert_int_equal(setsockopt(sd_bus_get_fd(f.s.bus), SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
    while (t->request.consumed == said) {
        assert_true(said < 1000 * 1000); /* or the queue grows without end */
        say_much(t, 1000);
        said += 1000;
        end_round();
    }
    return said;
}

static void drain_the_bus(void) {
    for (int i = 0; i < 3; i++) {
        fake_service_run(&f);
        end_round();
    }
}

static void test_a_long_queue_to_the_bus_stops_the_engine(void **state) {
    open_turn(&a, false);
    size_t said = fill_the_bus(&a);
    end_round();
    assert_int_equal(a.request.consumed, said - 1000);
    assert_true(uv_is_active((uv_handle_t *)&f.s.flush)); /* tries again */
    drain_the_bus();
    assert_int_equal(a.request.consumed, said);
    assert_int_equal(fake_bus_count(&f.bus, "Delta"), said / 1000);
    assert_false(uv_is_active((uv_handle_t *)&f.s.flush));
}

static void test_a_change_of_kind_does_not_let_the_engine_go_on(void **state) {
    open_turn(&a, false);
    size_t said = fill_the_bus(&a), consumed = a.request.consumed;
    for (int i = 0; i < 10; i++) {
        call_tool(&a, "f", "id", "{}");
        end_round();
    }
    assert_int_equal(a.request.consumed, consumed);
    drain_the_bus();
    assert_int_equal(a.request.consumed, said + 20);
}

/* ---------------------------------------------------------------------------------------------- pipes */

static void test_events_come_through_a_pipe(void **state) {
    open_turn(&a, true);
    delta(&a, ENGINE_TEXT_REASONING, "Hm");
    say(&a, "\"J");
    say(&a, "\xC3\xA4\"\n");
    end_round();
    assert_int_equal(a.request.consumed, 8);
    call_tool(&a, "f", "id1", "{}");
    finish(&a);
    assert_true(read_stream(&a));
    assert_line(&a, "reasoning", "Hm");
    assert_line(&a, "text", "\"J\xC3\xA4\"\n");
    assert_line(&a, "tool-call", "{\"id\":\"id1\",\"name\":\"f\",\"arguments\":{}}");
    assert_last_line(&a);
    assert_int_equal(a.n_ended, 1);
    assert_null(f.s.turns);
    assert_null(next_signal());
}

static void test_a_full_pipe_stops_its_own_turn_alone(void **state) {
    open_turn(&a, true);
    open_turn(&b, true);
    say_much(&a, LONG);
    end_round();
    say(&a, "more");
    say(&b, "quick");
    end_round();
    say(&a, " yet");
    end_round();
    assert_int_equal(a.request.consumed, 0);
    assert_int_equal(b.request.consumed, 5);
    assert_false(uv_is_active((uv_handle_t *)&f.s.flush)); /* the pipe wakes the loop */

    assert_false(read_stream(&a));
    assert_int_equal(a.request.consumed, LONG + 8);
    json_decref(take_line(&a));
    assert_line(&a, "text", "more yet"); /* gathers, as in a round */
    assert_int_equal(a.request.n_cancelled, 0);
}

/* What has gathered meanwhile is not yet in the pipe, and must not be taken for read. */
static void test_text_that_waited_for_the_pipe_counts_when_it_has_left(void **state) {
    open_turn(&a, true);
    say_much(&a, LONG);
    end_round();
    say_much(&a, LONG);
    end_round();
    char *piece = malloc(LONG);
    while (a.read.n < LONG) {
        ssize_t n = read(a.fd, piece, LONG - a.read.n);
        assert_true(n > 0);
        assert_int_equal(text_append(&a.read, piece, (size_t)n), 0);
        end_round();
    }
    free(piece);
    assert_true(a.request.consumed <= LONG);
    assert_false(read_stream(&a));
    assert_int_equal(a.request.consumed, 2 * LONG);
    assert_int_equal(take_text(&a), 2 * LONG);
}

static void test_a_reader_that_leaves_cancels(void **state) {
    open_turn(&a, true);
    say(&a, "Hello");
    stop_reading(&a);
    end_round();
    assert_true(a.request.n_cancelled > 0);
    assert_int_equal(a.request.code, 0);
    say(&a, "late");
    end_round();
    finish(&a);
    run_until(&f.t, !f.s.turns);
    assert_int_equal(a.n_ended, 1);
    assert_string_equal(a.answer, "Hellolate");
}

/* ---------------------------------------------------------------------------------------------- after the request */

/* A turn that has ended, with more in its pipe than fits. */
static void leave_unread(Turn *t) {
    open_turn(t, true);
    say_much(t, LONG);
    finish(t);
    for (int i = 0; i < 5; i++)
        end_round();
    assert_non_null(f.s.turns);
    assert_int_equal(t->n_ended, 1);
    bus_turn_cancel(t->turn); /* has nothing left to end */
    assert_int_equal(t->request.n_cancelled, 0);
}

static void test_a_turn_stays_until_it_is_read(void **state) {
    leave_unread(&a);
    assert_true(read_stream(&a));
    json_t *line = take_line(&a);
    assert_int_equal(json_string_length(json_object_get(line, "text")), LONG);
    json_decref(line);
    assert_last_line(&a);
    assert_null(f.s.turns);
}

static void test_a_turn_ends_with_its_reader(void **state) {
    leave_unread(&a);
    stop_reading(&a);
    run_until(&f.t, !f.s.turns);
    assert_int_equal(a.n_ended, 1);
}

static void hurry_timer(uv_handle_t *handle, void *userdata) {
    uv_timer_t *timer = (uv_timer_t *)handle;
    if (handle->type != UV_TIMER || !uv_is_active(handle) || timer == &f.s.properties_timer)
        return;
    assert_true(uv_timer_get_due_in(timer) > 20 * 1000); /* a reader may be busy for a while */
    uv_timer_start(timer, timer->timer_cb, 0, 0);
}

static void test_a_turn_that_nobody_reads_ends(void **state) {
    leave_unread(&a);
    uv_walk(&f.t.loop, hurry_timer, NULL);
    run_until(&f.t, !f.s.turns);
    run_until(&f.t, read_stream(&a));
}

static void test_all_turns_end_with_the_service(void **state) {
    leave_unread(&a);
    open_turn(&b, true);
    say(&b, "Hello");
    bus_turn_free_all(&f.s);
    assert_null(f.s.turns);
    assert_true(b.request.abandoned);
    assert_int_equal(b.n_ended, 0);
    assert_true(read_stream(&a) && read_stream(&b));
    assert_int_equal(b.read.n, 0);
}

/* ---------------------------------------------------------------------------------------------- by the session */

static void test_a_cancelled_turn_goes_on_to_its_end(void **state) {
    open_turn(&a, false);
    say(&a, "Hel");
    bus_turn_cancel(a.turn);
    assert_int_equal(a.request.n_cancelled, 1);
    assert_int_equal(a.request.code, 0);
    assert_false(a.request.abandoned);
    finish(&a);
    assert_delta("text", "Hel");
    assert_finished();
    assert_int_equal(a.n_ended, 1);
}

static void test_an_abandoned_turn_says_nothing_more(void **state) {
    open_turn(&a, false);
    open_turn(&b, true);
    say(&a, "Hello");
    say(&b, "Hello");
    bus_turn_abandon(a.turn);
    bus_turn_abandon(b.turn);
    assert_null(f.s.turns);
    assert_true(a.request.abandoned && b.request.abandoned);
    assert_true(read_stream(&b));
    assert_int_equal(b.read.n, 0);
    assert_null(next_signal());
    assert_int_equal(a.n_ended + b.n_ended, 0);
}

static int lowest_free_fd(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static void test_a_refused_request_leaves_nothing(void **state) {
    Error e;
    int fd = lowest_free_fd();
    next_request = NULL;
    for (int stream = 0; stream < 2; stream++) {
        assert_int_equal(start(&a, stream, &e), -EDQUOT);
        assert_string_equal(e.message, "No more.");
        assert_null(a.turn);
        assert_int_equal(a.fd, -1);
        assert_null(f.s.turns);
        for (int i = 0; i < 3; i++)
            end_round();
        assert_int_equal(lowest_free_fd(), fd);
    }
    assert_int_equal(a.n_ended, 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_text_of_a_round_is_one_signal),
        TEST(test_kinds_are_not_mixed),
        TEST(test_each_tool_call_is_whole),
        TEST(test_finished_comes_once_and_after_all_text),
        TEST(test_text_may_contain_nul),
        TEST(test_text_that_cannot_be_sent_ends_the_turn),
        TEST(test_a_long_queue_to_the_bus_stops_the_engine),
        TEST(test_a_change_of_kind_does_not_let_the_engine_go_on),
        TEST(test_events_come_through_a_pipe),
        TEST(test_a_full_pipe_stops_its_own_turn_alone),
        TEST(test_text_that_waited_for_the_pipe_counts_when_it_has_left),
        TEST(test_a_reader_that_leaves_cancels),
        TEST(test_a_turn_stays_until_it_is_read),
        TEST(test_a_turn_ends_with_its_reader),
        TEST(test_a_turn_that_nobody_reads_ends),
        TEST(test_all_turns_end_with_the_service),
        TEST(test_a_cancelled_turn_goes_on_to_its_end),
        TEST(test_an_abandoned_turn_says_nothing_more),
        TEST(test_a_refused_request_leaves_nothing),
    };
    return cmocka_run_group_tests_name("bus-turn", tests, NULL, NULL);
}
