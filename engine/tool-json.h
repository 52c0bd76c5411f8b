/* The JSON in which models write tool calls: finding its end while it streams in, and reading calls out of it. What the
 * model wrote as arguments is handed on byte for byte: a number that went through a parser is not always the same. */
#pragma once

#include "bytes.h"
#include "engine.h"

/* Where answers go once they are taken apart. Text comes byte by byte. */
typedef struct AnswerSink {
    void (*text)(void *userdata, EngineTextKind kind, char byte);
    void (*call)(void *userdata, const char *name, const char *arguments, size_t arguments_size);
    void *userdata;
} AnswerSink;

typedef struct JsonScan {
    char closing[64]; /* of the brackets that are open */
    unsigned depth;
    bool in_string, escaped;
} JsonScan;

/* One byte more of an object or array (the first one opens it). 1: that was its last; 0: it goes on; -EBADMSG: this
 * cannot become JSON any more. Looks at brackets and strings only. */
int json_scan_push(JsonScan *s, char byte);

/* Calls in one value: {"name": ..., "arguments" or "parameters": {...}}, OpenAI's {"function": {...}} around it, or an
 * array of them. All or none are delivered; -EBADMSG: it is not that, -ENOMEM. */
int tool_json_read(const char *json, size_t size, const AnswerSink *sink);
/* A call whose name stood outside the JSON: arguments must be an object; none at all is an empty one. */
int tool_json_read_arguments(const char *name, const char *json, size_t size, const AnswerSink *sink);
