/* See chat-tools.h. */
#include <jansson.h>
#include <string.h>

#include "chat-tools.h"

const char chat_tools_mark[] = "You can call functions.";

/* How a call is written, by the syntax in which answers are read; {} stand for a JSON object. */
static const char *call_format(EngineSyntax syntax) {
    switch (syntax) {
    case ENGINE_SYNTAX_PLAIN:
    case ENGINE_SYNTAX_HERMES:
    case ENGINE_SYNTAX_QWEN_XML: return "<tool_call>\n{\"name\": \"NAME\", \"arguments\": {}}\n</tool_call>";
    case ENGINE_SYNTAX_DEEPSEEK:
        return "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME\n```json\n{}\n```"
               "<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    case ENGINE_SYNTAX_LLAMA3: return "{\"name\": \"NAME\", \"parameters\": {}}";
    case ENGINE_SYNTAX_MISTRAL: return "[TOOL_CALLS][{\"name\": \"NAME\", \"arguments\": {}}]";
    case ENGINE_SYNTAX_GRANITE: return "<|tool_call|>[{\"name\": \"NAME\", \"arguments\": {}}]";
    default: return NULL;
    }
}

bool chat_tools_can_describe(EngineSyntax syntax) {
    return call_format(syntax) != NULL;
}

static void add_json(Builder *out, Value v) {
    const Str *comma = value_text(out->run, ", ").string, *colon = value_text(out->run, ": ").string;
    json_dump(out, v, NULL, comma, colon, false, false);
}

static Value description(Run *run, const json_t *tools, EngineSyntax syntax) {
    Builder out = {.run = run};
    size_t i;
    json_t *tool;

    builder_add_text(&out, chat_tools_mark);
    builder_add_text(&out, " To call one, answer with its name and arguments, written as\n");
    builder_add_text(&out, call_format(syntax));
    builder_add_text(&out,
        "\nand wait for the result. Call one only where it helps. These are the functions, each with "
        "the JSON schema of its arguments:\n");
    json_array_foreach((json_t *)tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        builder_add_text(&out, "\n");
        add_json(&out, value_from_json(run, json_is_object(function) ? function : tool, false));
    }
    return value_of(builder_end(&out));
}

/* ---- messages */

static Value member(Run *run, Value message, const char *key) {
    Value v = VALUE_NONE;
    dict_get(run, message.dict, value_text(run, key), &v);
    return v;
}

static bool has_role(Run *run, Value message, const char *role) {
    Value v = member(run, message, "role");
    return v.type == VALUE_STRING && str_is(v.string, role);
}

static Value message_new(Run *run, const char *role, Value content) {
    Dict *d = dict_new(run);
    dict_set_text(run, d, "role", value_text(run, role));
    dict_set_text(run, d, "content", content);
    return value_dict(d);
}

static Value join(Run *run, Value a, Value b) {
    Builder out = {.run = run};
    if (a.type == VALUE_STRING)
        builder_add(&out, a.string);
    if (b.type == VALUE_STRING && b.string->size > 0) {
        if (out.size > 0)
            builder_add_text(&out, "\n\n");
        builder_add(&out, b.string);
    }
    return value_of(builder_end(&out));
}

static Value with_content(Run *run, Value message, Value content) {
    Dict *d = dict_new(run);
    for (size_t i = 0; i < message.dict->n; i++)
        dict_append(run, d, message.dict->entries[i].key, message.dict->entries[i].value);
    dict_set_text(run, d, "content", content);
    return value_dict(d);
}

/* The assistant's earlier calls, in the format that the description asks for. */
static Value calls_as_text(Run *run, Value message, Value calls) {
    Builder out = {.run = run};
    const List *l = value_iterate(run, calls);

    for (size_t i = 0; i < l->n; i++) {
        Value call = l->items[i], function = call.type == VALUE_DICT ? member(run, call, "function") : VALUE_NONE;
        if (function.type != VALUE_DICT)
            function = call; /* without OpenAI's wrapping */
        if (function.type != VALUE_DICT)
            continue;
        Value arguments = member(run, function, "arguments");
        bool none = arguments.type == VALUE_STRING ? arguments.string->size == 0 : arguments.type == VALUE_NONE_TYPE;
        builder_add_text(&out, out.size > 0 ? "\n<tool_call>\n{\"name\": " : "<tool_call>\n{\"name\": ");
        add_json(&out, member(run, function, "name"));
        builder_add_text(&out, ", \"arguments\": ");
        if (none)
            builder_add_text(&out, "{}");
        else if (arguments.type == VALUE_STRING)
            builder_add(&out, arguments.string);
        else
            add_json(&out, arguments);
        builder_add_text(&out, "}\n</tool_call>");
    }
    return message_new(run, "assistant", join(run, member(run, message, "content"), value_of(builder_end(&out))));
}

static Value result_as_text(Run *run, Value message) {
    Builder out = {.run = run};
    builder_add_text(&out, "<tool_response>\n");
    builder_add(&out, value_str(run, member(run, message, "content")));
    builder_add_text(&out, "\n</tool_response>");
    return value_of(builder_end(&out));
}

/* Roles keep alternating: results that follow each other, and what the user says after them, are one message. */
static List *without_tool_roles(Run *run, const List *messages) {
    List *out = list_new(run, LIST_LIST);
    bool results = false;

    for (size_t i = 0; i < messages->n; i++) {
        Value m = messages->items[i], calls = member(run, m, "tool_calls");
        bool result = has_role(run, m, "tool");
        if (result || (results && has_role(run, m, "user"))) {
            Value text = result ? result_as_text(run, m) : member(run, m, "content");
            if (results)
                text = join(run, member(run, out->items[--out->n], "content"), text);
            list_append(run, out, message_new(run, "user", text));
        } else
            list_append(run, out, calls.type == VALUE_LIST ? calls_as_text(run, m, calls) : m);
        results = result;
    }
    return out;
}

List *chat_tools_describe(Run *run, const List *messages, const json_t *tools, EngineSyntax syntax, ToolPlace place) {
    List *out = list_new(run, LIST_LIST);
    Value text = description(run, tools, syntax);
    bool system = place == TOOL_PLACE_SYSTEM, placed = false;

    if (syntax == ENGINE_SYNTAX_PLAIN)
        messages = without_tool_roles(run, messages);
    if (system && !(messages->n > 0 && has_role(run, messages->items[0], "system"))) {
        list_append(run, out, message_new(run, "system", text));
        placed = true;
    }
    for (size_t i = 0; i < messages->n; i++) {
        Value m = messages->items[i];
        bool here = !placed && has_role(run, m, system ? "system" : "user");
        if (here) {
            Value content = member(run, m, "content");
            m = with_content(run, m, system ? join(run, content, text) : join(run, text, content));
            placed = true;
        }
        list_append(run, out, m);
    }
    return out;
}
