/* See tool-xml.h. */
#include "tool-xml.h"

#define NAME_MAX_BYTES 256

typedef struct Dialect {
    const char *wrapper[2], *wrapper_end[2]; /* around calls; may be absent */
    const char *call, *call_name_end, *call_end;
    const char *parameter, *key_end, *parameter_end;
    bool says_type; /* string="true" or "false" follows the key */
} Dialect;

static const Dialect qwen = {
    .wrapper = {"<tool_call>"},
    .wrapper_end = {"</tool_call>"},
    .call = "<function=",
    .call_name_end = ">",
    .call_end = "</function>",
    .parameter = "<parameter=",
    .key_end = ">",
    .parameter_end = "</parameter>",
};

static const Dialect dsml = {
    .wrapper = {"<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"},
    .wrapper_end = {"</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"},
    .call = "<｜DSML｜invoke name=\"",
    .call_name_end = "\">",
    .call_end = "</｜DSML｜invoke>",
    .parameter = "<｜DSML｜parameter name=\"",
    .key_end = "\"",
    .parameter_end = "</｜DSML｜parameter>",
    .says_type = true,
};

typedef struct Slice {
    const char *data;
    size_t size;
} Slice;

/* ------------------------------------------------------------------------------------------------ walking */

static void skip_space(Slice *s) {
    while (s->size > 0 && strchr(" \t\r\n", *s->data) && *s->data) {
        s->data++;
        s->size--;
    }
}

static bool skip(Slice *s, const char *text) {
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || s->size < n || memcmp(s->data, text, n) != 0)
        return false;
    s->data += n;
    s->size -= n;
    return true;
}

static bool take_until(Slice *s, const char *end, Slice *ret) {
    const char *p = memmem(s->data, s->size, end, strlen(end));
    if (!p)
        return false;
    *ret = (Slice){s->data, (size_t)(p - s->data)};
    s->size -= ret->size + strlen(end);
    s->data = p + strlen(end);
    return true;
}

/* ------------------------------------------------------------------------------------------------ values */

static const json_t *find_schema(const json_t *tools, const char *name, Slice key) {
    size_t i;
    json_t *tool;
    json_array_foreach((json_t *)tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const json_t *of = json_is_object(function) ? function : tool;
        const char *its_name = json_string_value(json_object_get(of, "name"));
        if (its_name && strcmp(its_name, name) == 0)
            return json_object_getn(
                json_object_get(json_object_get(of, "parameters"), "properties"), key.data, key.size);
    }
    return NULL;
}

static bool allows(const json_t *schema, const char *type) {
    const json_t *types = json_object_get(schema, "type");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *one = json_string_value(json_array_get(types, i));
        if (one && strcmp(one, type) == 0)
            return true;
    }
    return json_is_string(types) && strcmp(json_string_value(types), type) == 0;
}

static bool is_json(Slice value) {
    json_t *json = json_loadb(value.data, value.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    json_decref(json);
    return json != NULL;
}

/* What a model that thinks in Python writes for the constants. */
static Slice constant(Slice value) {
    static const char *const from[] = {"True", "False", "None"}, *const to[] = {"true", "false", "null"};
    for (size_t i = 0; i < ELEMENTSOF(from); i++)
        if (value.size == strlen(from[i]) && memcmp(value.data, from[i], value.size) == 0)
            return (Slice){to[i], strlen(to[i])};
    return value;
}

static int add_string(Bytes *out, Slice text) {
    json_t *string = json_stringn(text.data, text.size);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    int r = !string ? -EBADMSG : !quoted ? -ENOMEM : bytes_append(out, quoted, strlen(quoted));
    json_decref(string);
    free(quoted);
    return r;
}

static int add_value(Bytes *out, Slice value, const json_t *schema) {
    Slice json = value;
    skip_space(&json);
    while (json.size > 0 && strchr(" \t\r\n", json.data[json.size - 1]))
        json.size--;
    bool any = !json_object_get(schema, "type");
    if (!any && !allows(schema, "string"))
        json = constant(json);
    /* a string in quotes is one only where nothing else can be meant */
    bool string = allows(schema, "string") || json.size == 0 || (any && *json.data == '"') || !is_json(json);
    return string ? add_string(out, value) : bytes_append(out, json.data, json.size);
}

/* ------------------------------------------------------------------------------------------------ calls */

static int read_parameter(const Dialect *d, Slice *s, const char *name, const json_t *tools, Bytes *out) {
    Slice key, value;
    bool raw = false;

    if (!take_until(s, d->key_end, &key) || key.size == 0)
        return -EBADMSG;
    if (d->says_type && !skip(s, " string=\"true\">") && !(raw = skip(s, " string=\"false\">")))
        return -EBADMSG;
    if (!take_until(s, d->parameter_end, &value))
        return -EBADMSG;
    int r = out->size > 1 ? bytes_append(out, ", ", 2) : 0;
    r = r < 0 ? r : add_string(out, key);
    r = r < 0 ? r : bytes_append(out, ": ", 2);
    if (r < 0)
        return r;
    if (d->says_type)
        return !raw ? add_string(out, value) : is_json(value) ? bytes_append(out, value.data, value.size) : -EBADMSG;
    /* the line breaks around a value are the format's */
    if (value.size > 0 && *value.data == '\n')
        value = (Slice){value.data + 1, value.size - 1};
    if (value.size > 0 && value.data[value.size - 1] == '\n')
        value.size--;
    return add_value(out, value, find_schema(tools, name, key));
}

static int read_name(const Dialect *d, Slice *s, char *ret) {
    Slice name;
    if (!skip(s, d->call) || !take_until(s, d->call_name_end, &name) || name.size == 0 || name.size >= NAME_MAX_BYTES)
        return -EBADMSG;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] <= ' ' || name.data[i] >= 0x7F || strchr("\"\\<>{}", name.data[i]))
            return -EBADMSG;
        ret[i] = name.data[i];
    }
    ret[name.size] = '\0';
    return 0;
}

static int read_call(const Dialect *d, Slice *s, const json_t *tools, const AnswerSink *sink) {
    char name[NAME_MAX_BYTES];
    Bytes arguments = {};

    int r = read_name(d, s, name);
    r = r < 0 ? r : bytes_append(&arguments, "{", 1);
    for (skip_space(s); r >= 0 && !skip(s, d->call_end); skip_space(s))
        r = skip(s, d->parameter) ? read_parameter(d, s, name, tools, &arguments) : -EBADMSG;
    r = r < 0 ? r : bytes_append(&arguments, "}", 1);
    r = r < 0 ? r : tool_json_read_arguments(name, arguments.data, arguments.size, sink);
    bytes_done(&arguments);
    return r;
}

static int read_all(const Dialect *d, Slice s, const json_t *tools, const AnswerSink *sink) {
    int r = 0;
    for (size_t i = 0; i < ELEMENTSOF(d->wrapper) && !skip(&s, d->wrapper[i]); i++)
        ;
    skip_space(&s);
    do {
        r = read_call(d, &s, tools, sink);
        skip_space(&s);
    } while (r >= 0 && s.size > 0 && !skip(&s, d->wrapper_end[0]) && !skip(&s, d->wrapper_end[1]));
    return r < 0 || s.size == 0 ? r : -EBADMSG;
}

int tool_xml_read(EngineSyntax syntax, const char *text, size_t size, const json_t *tools, const AnswerSink *sink) {
    const Dialect *d = syntax == ENGINE_SYNTAX_DSML ? &dsml : &qwen;
    int r = read_all(d, (Slice){text, size}, tools, NULL);
    return r < 0 ? r : read_all(d, (Slice){text, size}, tools, sink);
}
