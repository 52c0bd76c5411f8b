/* See http-openai-messages.h. What templates read of a message is checked as far as they rely on it; the rest is
 * theirs. */
#include <stdio.h>
#include <string.h>

#include "http-buffer.h"
#include "http-json.h"
#include "http-openai-messages.h"

static int out_of_memory(HttpError *he) {
    return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
}

/* ------------------------------------------------------------------------------------------------ messages */

static const char *known_role(const char *role) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    if (strcmp(role, "developer") == 0)
        return "system"; /* OpenAI's newer name for it */
    for (size_t i = 0; i < ELEMENTSOF(roles); i++)
        if (strcmp(role, roles[i]) == 0)
            return roles[i];
    return NULL;
}

/* Content in parts is joined: [{"type": "text", "text": ...}, ...] */
static int join_parts(const json_t *parts, const char *where, HttpBuffer *text, HttpError *he) {
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part) {
        const json_t *type = json_object_get(part, "type");
        const json_t *value = json_object_get(part, "text");
        if (json_is_string(type) && strcmp(json_string_value(type), "text") != 0)
            return http_error_set(he, 400, "unsupported_content", where,
                "'%s' has a part of type \"%.40s\": only \"text\" is supported.", where, json_string_value(type));
        if (!json_is_string(type) || !json_is_string(value))
            return http_error_field(
                he, where, "'%s' must consist of parts {\"type\": \"text\", \"text\": ...}.", where);
        if (http_buffer_append(text, json_string_value(value), json_string_length(value)) < 0)
            return out_of_memory(he);
    }
    return 0;
}

/* [{"id": ..., "type": "function", "function": {"name": ..., "arguments": "JSON"}}, ...] */
static int check_tool_calls(const json_t *calls, const char *where, HttpError *he) {
    size_t i;
    json_t *call;
    if (!json_is_array(calls))
        return http_error_field(he, where, "'%s.tool_calls' must be an array.", where);
    json_array_foreach(calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        const json_t *arguments = json_object_get(function, "arguments");
        if (!json_is_string(json_object_get(function, "name")) ||
            (arguments && !json_is_string(arguments) && !json_is_object(arguments)))
            return http_error_field(he, where,
                "'%s.tool_calls' must consist of {\"id\": ..., \"type\": \"function\", \"function\": {\"name\": ..., "
                "\"arguments\": ...}}.",
                where);
    }
    return 0;
}

/* What a message has besides role and content, as JSON text; NULL: nothing. */
static int collect_fields(const json_t *message, const char *where, char **ret, HttpError *he) {
    static const char *const strings[] = {"tool_call_id", "name", "reasoning_content"};
    json_auto_t *fields = json_object();
    json_t *calls = json_object_get(message, "tool_calls");
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
        const char *value = NULL;
        r = http_json_string(message, strings[i], &value, NULL, he);
        if (r < 0)
            return http_error_field(he, where, "'%s.%s' must be a string.", where, strings[i]);
        if (value)
            json_object_set(fields, strings[i], json_object_get(message, strings[i]));
    }
    if (http_json_has(message, "tool_calls")) {
        r = check_tool_calls(calls, where, he);
        if (r >= 0 && json_array_size(calls) > 0)
            json_object_set(fields, "tool_calls", calls);
    }
    if (r < 0 || json_object_size(fields) == 0)
        return r;
    *ret = json_dumps(fields, JSON_COMPACT);
    return *ret ? 0 : out_of_memory(he);
}

static int add_content(
    Conversation *c, const char *role, const json_t *message, const char *fields, const char *where, HttpError *he) {
    const json_t *content = json_object_get(message, "content");
    bool calls = json_array_size(json_object_get(message, "tool_calls")) > 0;
    Error e = {};
    int r;

    if (json_is_array(content)) {
        HttpBuffer joined = {};
        r = join_parts(content, where, &joined, he);
        if (r >= 0 && conversation_append_message(c, role, joined.data ? joined.data : "", joined.size, fields, &e) < 0)
            r = http_error_from(he, &e, where);
        http_buffer_done(&joined);
        return r;
    }
    if (calls && (!content || json_is_null(content)))
        r = conversation_append_message(c, role, NULL, 0, fields, &e);
    else if (!json_is_string(content))
        return http_error_field(he, where, "'%s' needs 'content': a string or an array of text parts.", where);
    else
        r = conversation_append_message(c, role, json_string_value(content), json_string_length(content), fields, &e);
    return r < 0 ? http_error_from(he, &e, where) : 0;
}

static int add_message(Conversation *c, const json_t *message, size_t index, HttpError *he) {
    char where[64];
    snprintf(where, sizeof(where), "messages[%zu]", index);
    const json_t *role = json_object_get(message, "role");
    const char *known = json_is_string(role) ? known_role(json_string_value(role)) : NULL;

    if (!json_is_object(message) || !json_is_string(role))
        return http_error_field(he, where, "'%s' must be an object with 'role' and 'content'.", where);
    if (!known)
        return http_error_field(he, where,
            "'%s' has the role \"%.40s\": system, developer, user, assistant and tool are known.", where,
            json_string_value(role));
    if (json_object_size(json_object_get(message, "function_call")) > 0)
        return http_error_set(he, 400, "unsupported_parameter", where,
            "'%s' has 'function_call', which is not supported: use 'tool_calls'.", where);

    _cleanup_(freep) char *fields = NULL;
    int r = collect_fields(message, where, &fields, he);
    return r < 0 ? r : add_content(c, known, message, fields, where, he);
}

int http_openai_messages_parse(const json_t *body, Conversation *ret, HttpError *he) {
    const json_t *messages = json_object_get(body, "messages");
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return http_error_field(he, "messages", "'messages' must be an array with at least one message.");
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message) {
        int r = add_message(ret, message, i, he);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ tools */

static int set_json(Options *o, const char *option, const json_t *value, const char *field, HttpError *he) {
    Error e = {};
    char *text = json_dumps(value, JSON_COMPACT);
    if (!text)
        return out_of_memory(he);
    int r = options_set_string(o, option, text, &e);
    free(text);
    return r < 0 ? http_error_from(he, &e, field) : 0;
}

static int set_tools(Options *o, const json_t *body, HttpError *he) {
    const char *choice = NULL;
    const json_t *tools = json_object_get(body, "tools"), *tool_choice = json_object_get(body, "tool_choice");
    size_t i;
    json_t *tool;

    if (json_is_string(tool_choice))
        choice = json_string_value(tool_choice);
    if (http_json_has(body, "tool_choice") && (!choice || (strcmp(choice, "auto") != 0 && strcmp(choice, "none") != 0)))
        return http_error_set(he, 400, "unsupported_parameter", "tool_choice",
            "'tool_choice' must be \"auto\" or \"none\": to force a call is not supported by this version of inferd.");
    if (!http_json_has(body, "tools"))
        return 0;
    if (!json_is_array(tools))
        return http_error_field(he, "tools", "'tools' must be an array.");
    json_array_foreach(tools, i, tool) {
        const char *type = json_string_value(json_object_get(tool, "type"));
        if (!json_is_string(json_object_get(json_object_get(tool, "function"), "name")) ||
            (type && strcmp(type, "function") != 0))
            return http_error_field(
                he, "tools", "'tools[%zu]' must be {\"type\": \"function\", \"function\": {\"name\": ..., ...}}.", i);
    }
    if (choice && strcmp(choice, "none") == 0)
        return 0;
    return set_json(o, "tools", tools, "tools", he);
}

/* The template's variables in the order in which they give way to each other. */
static int set_variables(Options *o, const json_t *body, HttpError *he) {
    static const char *const switches[] = {"enable_thinking", "thinking"};
    json_t *effort = json_object_get(body, "reasoning_effort"), *more = json_object_get(body, "chat_template_kwargs");
    json_auto_t *all = o->template ? json_loads(o->template, 0, NULL) : json_object();

    if (!all)
        return out_of_memory(he);
    if (json_is_string(effort))
        json_object_set(all, "reasoning_effort", effort);
    for (size_t i = 0; i < ELEMENTSOF(switches); i++) {
        bool value;
        int r = http_json_bool(body, switches[i], &value, he);
        if (r < 0)
            return r;
        if (http_json_has(body, switches[i]))
            json_object_set_new(all, switches[i], json_boolean(value));
    }
    if (http_json_has(body, "chat_template_kwargs") && !json_is_object(more))
        return http_error_field(he, "chat_template_kwargs", "'chat_template_kwargs' must be an object.");
    if (json_is_object(more) && json_object_update(all, more) < 0)
        return out_of_memory(he);
    return set_json(o, "template", all, "chat_template_kwargs", he);
}

int http_openai_tools_parse(const json_t *body, Options *o, HttpError *he) {
    int r = set_tools(o, body, he);
    return r < 0 ? r : set_variables(o, body, he);
}
