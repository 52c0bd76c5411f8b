/* See tool-json.h. jansson says whether it is JSON; the arguments' place in the text is then found by walking over it,
 * which needs no care any more. */
#include <jansson.h>

#include "tool-json.h"

#define FLAGS JSON_REJECT_DUPLICATES

typedef struct Slice {
    const char *data;
    size_t size;
} Slice;

int json_scan_push(JsonScan *s, char byte) {
    if (s->in_string) {
        if ((unsigned char)byte < 0x20)
            return -EBADMSG;
        if (s->escaped)
            s->escaped = false;
        else if (byte == '\\')
            s->escaped = true;
        else if (byte == '"')
            s->in_string = false;
        return 0;
    }
    switch (byte) {
    case '"': s->in_string = true; return s->depth > 0 ? 0 : -EBADMSG;
    case '{':
    case '[':
        if (s->depth == sizeof(s->closing))
            return -EBADMSG;
        s->closing[s->depth++] = byte == '{' ? '}' : ']';
        return 0;
    case '}':
    case ']':
        if (s->depth == 0 || s->closing[--s->depth] != byte)
            return -EBADMSG;
        return s->depth == 0;
    default: return s->depth > 0 ? 0 : -EBADMSG;
    }
}

/* ------------------------------------------------------------------------------------------------ walking */

static size_t skip_space(Slice s, size_t i) {
    while (i < s.size && strchr(" \t\r\n", s.data[i]))
        i++;
    return i;
}

/* The place behind the value that begins at i. */
static size_t skip_value(Slice s, size_t i) {
    bool nested = s.data[i] == '{' || s.data[i] == '[';
    if (s.data[i] == '"') {
        for (i++; i < s.size && s.data[i] != '"'; i++)
            i += s.data[i] == '\\';
        return i + 1;
    }
    if (!nested) {
        while (i < s.size && !strchr(",:]} \t\r\n", s.data[i]))
            i++;
        return i;
    }
    JsonScan scan = {};
    while (i < s.size && json_scan_push(&scan, s.data[i]) == 0)
        i++;
    return i + 1;
}

/* The value after place i that follows a bracket, a comma or a colon; NULL data: there is none. */
static Slice next_value(Slice s, size_t *i) {
    *i = skip_space(s, *i);
    if (*i >= s.size || s.data[*i] == ']' || s.data[*i] == '}')
        return (Slice){};
    size_t begin = *i, end = skip_value(s, begin);
    *i = skip_space(s, end);
    if (*i < s.size && (s.data[*i] == ',' || s.data[*i] == ':'))
        ++*i;
    return (Slice){s.data + begin, end - begin};
}

static Slice find_member(Slice object, const char *key) {
    size_t i = 1, n = strlen(key);
    for (;;) {
        Slice name = next_value(object, &i);
        if (!name.data)
            return (Slice){};
        Slice value = next_value(object, &i);
        if (name.size == n + 2 && memcmp(name.data + 1, key, n) == 0)
            return value;
    }
}

/* ------------------------------------------------------------------------------------------------ reading */

static int read_arguments(const char *name, const json_t *value, Slice raw, const AnswerSink *sink) {
    json_t *inner = NULL;
    const AnswerSink none = {};
    if (!sink)
        sink = &none;

    if (!value || json_is_null(value))
        raw = (Slice){"{}", 2};
    else if (json_is_string(value)) { /* JSON in a string, as OpenAI's API has it */
        raw = (Slice){json_string_value(value), json_string_length(value)};
        inner = json_loadb(raw.data, raw.size, FLAGS, NULL);
        if (!json_is_object(inner)) {
            json_decref(inner);
            return -EBADMSG;
        }
    } else if (!json_is_object(value))
        return -EBADMSG;
    if (sink->call)
        sink->call(sink->userdata, name, raw.data, raw.size);
    json_decref(inner);
    return 0;
}

/* sink NULL: only look whether it is a call. */
static int read_call(const json_t *call, Slice raw, const AnswerSink *sink) {
    const json_t *function = json_object_get(call, "function");
    if (json_is_object(function)) {
        call = function;
        raw = find_member(raw, "function");
    }
    const char *name = json_string_value(json_object_get(call, "name"));
    if (!json_is_object(call) || !raw.data || !name || !*name)
        return -EBADMSG;
    const char *key = json_object_get(call, "arguments") ? "arguments" : "parameters";
    const json_t *arguments = json_object_get(call, key);
    Slice text = find_member(raw, key);
    return arguments && !text.data ? -EBADMSG : read_arguments(name, arguments, text, sink);
}

static int read_all(const json_t *json, Slice raw, const AnswerSink *sink) {
    if (!json_is_array(json))
        return read_call(json, raw, sink);
    if (json_array_size(json) == 0)
        return -EBADMSG;
    size_t at = 1;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(json); i++)
        r = read_call(json_array_get(json, i), next_value(raw, &at), sink);
    return r;
}

int tool_json_read(const char *json, size_t size, const AnswerSink *sink) {
    json_auto_t *value = json_loadb(json, size, FLAGS, NULL);
    if (!value)
        return -EBADMSG;
    int r = read_all(value, (Slice){json, size}, NULL);
    return r < 0 ? r : read_all(value, (Slice){json, size}, sink);
}

int tool_json_read_arguments(const char *name, const char *json, size_t size, const AnswerSink *sink) {
    Slice raw = {json, size};
    size_t begin = skip_space(raw, 0);
    if (begin == size)
        return read_arguments(name, NULL, raw, sink);
    while (strchr(" \t\r\n", json[size - 1]))
        size--;
    raw = (Slice){json + begin, size - begin};
    json_auto_t *value = json_loadb(raw.data, raw.size, FLAGS, NULL);
    return json_is_object(value) ? read_arguments(name, value, raw, sink) : -EBADMSG;
}
