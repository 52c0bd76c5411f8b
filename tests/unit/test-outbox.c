#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "outbox.h"

static unsigned n_wakes;

static void wake(void *userdata) {
    n_wakes++;
}

static void add(Outbox *o, OutboxTail *tail, uint64_t id, EngineTextKind kind, const char *text, size_t n_logprobs) {
    OutputText t = {.kind = kind, .text = strdup(text), .size = strlen(text), .n_logprobs = n_logprobs};
    if (n_logprobs > 0)
        t.logprobs = calloc(n_logprobs, sizeof(*t.logprobs));
    assert_int_equal(outbox_add_text(o, tail, id, &t), 0);
}

static void finish(Outbox *o, uint64_t id) {
    EngineEvent *ev = calloc(1, sizeof(*ev));
    *ev = (EngineEvent){.id = id, .type = ENGINE_EVENT_FINISHED};
    outbox_add_final(o, ev);
}

static void expect(EngineEvent **ev, uint64_t id, EngineTextKind kind, const char *text, size_t n_logprobs) {
    assert_non_null(*ev);
    assert_int_equal((*ev)->id, id);
    assert_int_equal((*ev)->type, ENGINE_EVENT_DELTA);
    assert_int_equal((*ev)->kind, kind);
    assert_string_equal((*ev)->text, text);
    assert_int_equal((*ev)->size, strlen(text));
    assert_int_equal((*ev)->n_logprobs, n_logprobs);
    *ev = engine_event_free(*ev);
}

static void test_joins_what_nobody_has_taken(void **state) {
    Outbox o;
    OutboxTail a = {}, b = {};
    outbox_init(&o, NULL, NULL);
    add(&o, &a, 1, ENGINE_TEXT_REASONING, "hm", 1);
    add(&o, &b, 2, ENGINE_TEXT_ANSWER, "other", 0);
    add(&o, &a, 1, ENGINE_TEXT_REASONING, ", so", 2);
    add(&o, &a, 1, ENGINE_TEXT_ANSWER, "4", 0);
    add(&o, &a, 1, ENGINE_TEXT_ANSWER, "2", 1);
    finish(&o, 1);
    add(&o, &b, 2, ENGINE_TEXT_ANSWER, "", 1);

    EngineEvent *ev = outbox_take(&o);
    expect(&ev, 1, ENGINE_TEXT_REASONING, "hm, so", 3);
    expect(&ev, 2, ENGINE_TEXT_ANSWER, "other", 1);
    expect(&ev, 1, ENGINE_TEXT_ANSWER, "42", 1);
    assert_int_equal(ev->type, ENGINE_EVENT_FINISHED);
    assert_null(engine_event_free(ev));
    assert_null(outbox_take(&o));

    /* what has been taken is the reader's */
    add(&o, &b, 2, ENGINE_TEXT_ANSWER, "more", 0);
    ev = outbox_take(&o);
    expect(&ev, 2, ENGINE_TEXT_ANSWER, "more", 0);
    assert_null(ev);
    outbox_done(&o);
}

static void test_wakes_once_when_it_stops_being_empty(void **state) {
    Outbox o;
    OutboxTail a = {};
    n_wakes = 0;
    outbox_init(&o, wake, NULL);
    outbox_announce(&o);
    assert_int_equal(n_wakes, 0);
    add(&o, &a, 1, ENGINE_TEXT_ANSWER, "a", 0);
    finish(&o, 2);
    assert_int_equal(n_wakes, 0);
    outbox_announce(&o);
    outbox_announce(&o);
    assert_int_equal(n_wakes, 1);
    finish(&o, 1);
    outbox_announce(&o);
    assert_int_equal(n_wakes, 1); /* there was something before */
    for (EngineEvent *ev = outbox_take(&o); ev;)
        ev = engine_event_free(ev);
    finish(&o, 3);
    outbox_announce(&o);
    assert_int_equal(n_wakes, 2);
    outbox_done(&o); /* with the last event in it */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins_what_nobody_has_taken),
        cmocka_unit_test(test_wakes_once_when_it_stops_being_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
