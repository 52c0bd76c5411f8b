/* Where an answer's parts go in tests, as one line: text as it is, reasoning in {}, calls as [name arguments]. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tool-json.h"

typedef struct AnswerLog {
    char line[4096];
    size_t n;
    bool in_reasoning;
} AnswerLog;

static void answer_log_add(AnswerLog *log, const char *data, size_t size) {
    assert_true(log->n + size < sizeof(log->line));
    memcpy(log->line + log->n, data, size);
    log->n += size;
    log->line[log->n] = '\0';
}

static void answer_log_enter(AnswerLog *log, bool reasoning) {
    if (log->in_reasoning != reasoning)
        answer_log_add(log, reasoning ? "{" : "}", 1);
    log->in_reasoning = reasoning;
}

static void answer_log_text(void *userdata, EngineTextKind kind, char byte) {
    answer_log_enter(userdata, kind == ENGINE_TEXT_REASONING);
    answer_log_add(userdata, &byte, 1);
}

static void answer_log_call(void *userdata, const char *name, const char *arguments, size_t size) {
    AnswerLog *log = userdata;
    answer_log_enter(log, false);
    answer_log_add(log, "[", 1);
    answer_log_add(log, name, strlen(name));
    answer_log_add(log, " ", 1);
    answer_log_add(log, arguments, size);
    answer_log_add(log, "]", 1);
}

static inline AnswerSink answer_log_sink(AnswerLog *log) {
    return (AnswerSink){.text = answer_log_text, .call = answer_log_call, .userdata = log};
}
