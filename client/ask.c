/* `infer PROMPT...`: one question, one answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "notice.h"
#include "output.h"
#include "prompt.h"
#include "turn.h"
#include "verbs.h"

static int print_json(const Turn *t) {
    _cleanup_(freep) char *text = NULL;
    json_t *object = t->result ? json_copy(t->result) : json_object();

    (void)json_object_del(object, "type");
    (void)json_object_set_new(object, "text", json_stringn(t->answer.bytes ? t->answer.bytes : "", t->answer.size));
    (void)json_object_set_new(
        object, "reasoning", json_stringn(t->reasoning.bytes ? t->reasoning.bytes : "", t->reasoning.size));
    text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(object);
    return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : complain(EX_IOERR, "cannot write the answer");
}

static int print_at_once(Output *out, const Turn *t) {
    int r = 0;
    if (t->reasoning.size)
        r = output_reasoning(out, t->reasoning.bytes, t->reasoning.size);
    if (r >= 0 && t->answer.size)
        r = output_answer(out, t->answer.bytes, t->answer.size);
    if (r >= 0)
        r = output_end(out);
    return r < 0 ? complain(EX_IOERR, "cannot write the answer: %s", strerror(-r)) : 0;
}

static void drop_line_feed(char *prompt) {
    size_t n = strlen(prompt);
    if (n > 0 && prompt[n - 1] == '\n')
        prompt[n - 1] = '\0';
}

int verb_ask(Options *o) {
    _cleanup_(freep) char *prompt = NULL;
    Conversation conversation = {};
    Output out;
    Turn turn = {};
    Bus bus = {};

    int code = prompt_gather(o, &prompt);
    if (code == 0) {
        drop_line_feed(prompt); /* what `echo` adds is no part of the question */
        code = bus_open(&bus, o->bus);
    }
    if (code)
        return code;

    output_init(&out, o, STDOUT_FILENO);
    generation_prefer_interactive(&o->generation, STDOUT_FILENO);
    code = conversation_open(&conversation, &bus, &o->generation);
    if (code == 0) {
        code = turn_run(&conversation, prompt, &o->generation, o->json || o->no_stream ? NULL : &out, &turn);
        if (turn.lost)
            code = bus_complain_name(&bus, SD_BUS_ERROR_DISCONNECTED, "");
    }
    if (code == 0 && o->json)
        code = print_json(&turn);
    else if (o->no_stream && !o->json && turn.answer.size + turn.reasoning.size > 0) {
        int printed = print_at_once(&out, &turn);
        code = code ? code : printed;
    }
    if (code == 0)
        notice_embedded(&bus);
    turn_done(&turn);
    conversation_close(&conversation);
    bus_done(&bus);
    return code;
}
