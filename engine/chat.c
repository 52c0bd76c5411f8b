/* A conversation as the model was trained to read it: the file's own template is executed (template/), its text becomes
 * tokens, and what came from the request stays text there, whatever it looks like. A model without a template is a base
 * model: it goes on where the text ends. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "chat-tools.h"
#include "model.h"

typedef struct Conversation {
    const Model *model;
    const ChatMessage *messages;
    size_t n_messages;
    const ChatOptions *options;
    json_t **fields; /* owned, [n_messages], parsed; NULL where a message has none */
    json_t *
        *arguments_parsed; /* owned, [n_messages]: tool_calls whose arguments are values, not JSON text; see below */
    json_t *tools;         /* NULL: none */
    json_t *variables;     /* NULL: none */
    ToolPlace place;       /* of the tools' description */
} Conversation;

/* ---- checking what the request brings */

static int load_json(const char *text, bool array, const char *what, json_t **ret, Error *e) {
    json_error_t error;
    json_t *json;

    if (!text)
        return 0;
    json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json)
        return error_set(e, -EINVAL, "%s: not valid JSON: %s", what, error.text);
    if (array ? !json_is_array(json) : !json_is_object(json)) {
        json_decref(json);
        return error_set(e, -EINVAL, "%s: must be a JSON %s", what, array ? "array" : "object");
    }
    *ret = json;
    return 0;
}

static int check_message(const ChatMessage *m, Error *e) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};

    for (size_t i = 0; i < ELEMENTSOF(roles); i++)
        if (strcmp(m->role, roles[i]) == 0)
            return 0;
    return error_set(e, -EINVAL, "unknown role \"%.40s\" (system, user, assistant or tool)", m->role);
}

static void drop_parsed_arguments(Conversation *c) {
    for (size_t i = 0; c->arguments_parsed && i < c->n_messages; i++)
        json_decref(c->arguments_parsed[i]);
    free(c->arguments_parsed);
    c->arguments_parsed = NULL;
}

/* OpenAI's API has the arguments of a call as JSON in a string; most templates want to write JSON themselves. *ret_any:
 * there was such a string. */
static json_t *parse_arguments(const json_t *calls, bool *ret_any) {
    json_t *copy = json_deep_copy(calls);
    for (size_t i = 0; i < json_array_size(copy); i++) {
        json_t *call = json_array_get(copy, i), *function = json_object_get(call, "function");
        json_t *holder = json_is_object(function) ? function : call;
        const json_t *arguments = json_object_get(holder, "arguments");
        if (!json_is_string(arguments))
            continue;
        size_t size = json_string_length(arguments);
        json_t *value =
            size == 0 ? json_object() /* as some clients write that there are none */
                      : json_loadb(json_string_value(arguments), size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        if (value && json_object_set_new(holder, "arguments", value) == 0)
            *ret_any = true;
    }
    return copy;
}

static int parse_all_arguments(Conversation *c, Error *e) {
    bool any = false;
    c->arguments_parsed = calloc(c->n_messages, sizeof(*c->arguments_parsed));
    if (!c->arguments_parsed)
        return error_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < c->n_messages; i++) {
        const json_t *calls = json_object_get(c->fields[i], "tool_calls");
        if (calls && !(c->arguments_parsed[i] = parse_arguments(calls, &any)))
            return error_set(e, -ENOMEM, "out of memory");
    }
    if (!any)
        drop_parsed_arguments(c);
    return 0;
}

static void conversation_done(Conversation *c) {
    for (size_t i = 0; c->fields && i < c->n_messages; i++)
        json_decref(c->fields[i]);
    drop_parsed_arguments(c);
    free(c->fields);
    json_decref(c->tools);
    json_decref(c->variables);
}

static int conversation_load(Conversation *c, Error *e) {
    if (c->n_messages == 0)
        return error_set(e, -EINVAL, "a conversation needs at least one message");
    c->fields = calloc(c->n_messages, sizeof(*c->fields));
    if (!c->fields)
        return error_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < c->n_messages; i++) {
        int r = check_message(&c->messages[i], e);
        if (r >= 0)
            r = load_json(c->messages[i].fields, false, "fields of a message", &c->fields[i], e);
        if (r < 0)
            return r;
    }
    int r = parse_all_arguments(c, e);
    if (r < 0 || !c->options)
        return r;
    r = load_json(c->options->tools, true, "tools", &c->tools, e);
    return r < 0 ? r : load_json(c->options->variables, false, "template variables", &c->variables, e);
}

/* ---- the template's variables */

static Value special_text(Run *run, const Model *m, Token token) {
    size_t size = 0;
    const char *text = token == TOKEN_NONE ? "" : tokenizer_piece(m->tokenizer, token, true, &size);
    return value_string(run, text, size, true);
}

static void set_json(Run *run, Dict *d, const char *key, const json_t *value) {
    dict_set(run, d, value_string(run, key, strlen(key), false), value_from_json(run, value, false));
}

/* Templates for channels search the content without asking whether there is any, and know reasoning by another name. */
static Value message_value(Run *run, const Conversation *c, size_t i) {
    const ChatMessage *m = &c->messages[i];
    bool channels = c->model->syntax == ENGINE_SYNTAX_HARMONY;
    Dict *d = dict_new(run);
    const char *key;
    json_t *value;

    dict_set_text(run, d, "role", value_string(run, m->role, strlen(m->role), false));
    if (m->content || !channels)
        dict_set_text(
            run, d, "content", m->content ? value_string(run, m->content, m->content_size, false) : VALUE_NONE);
    json_object_foreach(c->fields[i], key, value) {
        bool is_call = c->arguments_parsed && strcmp(key, "tool_calls") == 0;
        set_json(run, d, key, is_call ? c->arguments_parsed[i] : value);
        if (channels && strcmp(key, "reasoning_content") == 0 && m->content_size == 0)
            set_json(run, d, "thinking", value);
    }
    return value_dict(d);
}

static void define_variables(Run *run, Dict *variables, void *userdata) {
    const Conversation *c = userdata;
    const char *key;
    json_t *value;

    List *messages = list_new(run, LIST_LIST);
    for (size_t i = 0; i < c->n_messages; i++)
        list_append(run, messages, message_value(run, c, i));
    if (c->place != TOOL_PLACE_TEMPLATE)
        messages = chat_tools_describe(run, messages, c->tools, c->model->syntax, c->place);
    json_object_foreach(c->variables, key, value) {
        set_json(run, variables, key, value);
    }
    dict_set_text(run, variables, "messages", value_list(messages));
    dict_set_text(run, variables, "tools", c->tools ? value_from_json(run, c->tools, false) : VALUE_NONE);
    dict_set_text(run, variables, "documents", VALUE_NONE);
    dict_set_text(run, variables, "add_generation_prompt", value_bool(true));
    dict_set_text(run, variables, "bos_token", special_text(run, c->model, tokenizer_bos(c->model->tokenizer)));
    dict_set_text(run, variables, "eos_token", special_text(run, c->model, tokenizer_eos(c->model->tokenizer)));
}

/* ---- from text to tokens */

/* Whether the assistant's turn begins inside a thought that the template has opened. */
static bool ends_in_open_reasoning(const TemplateText *t) {
    static const char tag[] = "<think>";
    size_t n = t->size;

    while (n > 0 && strchr(" \n", t->text[n - 1]))
        n--;
    bool trusted = t->n_spans > 0 && t->spans[t->n_spans - 1].trusted;
    return trusted && n >= sizeof(tag) - 1 && memcmp(t->text + n - (sizeof(tag) - 1), tag, sizeof(tag) - 1) == 0;
}

/* Most templates write BOS themselves; it must not stand there twice. */
static bool begins_with_bos(const Model *m, const TemplateText *t) {
    Token bos = tokenizer_bos(m->tokenizer);
    size_t size;
    const char *text = bos == TOKEN_NONE ? NULL : tokenizer_piece(m->tokenizer, bos, true, &size);
    return text && size > 0 && t->size >= size && t->spans[0].trusted && memcmp(t->text, text, size) == 0;
}

/* Renders the conversation. */
static int render(Conversation *c, const struct tm *now, TemplateText *ret, Error *e) {
    int r = template_render(c->model->chat_template, define_variables, c, now, ret, e);
    if (r == -EINVAL && c->arguments_parsed) { /* some templates join the arguments to text: they want the string */
        drop_parsed_arguments(c);
        if (template_render(c->model->chat_template, define_variables, c, now, ret, NULL) >= 0)
            r = 0; /* else the first refusal stands */
    }
    return r;
}

/* The description, not a message that happens to say the same. */
static bool has_description(const TemplateText *t) {
    for (size_t i = 0; i < t->n_spans; i++)
        if (t->spans[i].trusted && memmem(t->spans[i].text, t->spans[i].size, chat_tools_mark, strlen(chat_tools_mark)))
            return true;
    return false;
}

/* Renders it with the tools described in it: the template may refuse a system message, or say nothing of it. */
static int render_with_tools(Conversation *c, const struct tm *now, TemplateText *ret, Error *e) {
    if (!chat_tools_can_describe(c->model->syntax))
        return error_set(e, -EINVAL, "the model's chat template does not read tools");
    for (c->place = TOOL_PLACE_SYSTEM;; c->place = TOOL_PLACE_USER) {
        int r = render(c, now, ret, e);
        if (r >= 0 && has_description(ret))
            return 0;
        template_text_done(ret);
        if (r < 0 && (r != -EINVAL || c->place == TOOL_PLACE_USER))
            return r;
        if (c->place == TOOL_PLACE_USER)
            return error_set(e, -EINVAL, "the model's chat template neither reads tools nor lets them be described");
    }
}

static int format_by_template(Conversation *c, Prompt *ret, Error *e) {
    time_t now = time(NULL);
    struct tm local;
    TemplateText text = {};
    Prompt p = {};

    localtime_r(&now, &local);
    bool describe = json_array_size(c->tools) > 0 && !template_mentions(c->model->chat_template, "tools");
    int r = (describe ? render_with_tools : render)(c, &local, &text, e);
    if (r < 0)
        return r;
    p.syntax = describe && c->model->syntax == ENGINE_SYNTAX_PLAIN ? ENGINE_SYNTAX_HERMES : c->model->syntax;
    p.reasoning_open = ends_in_open_reasoning(&text);
    r = tokenizer_encode(
        c->model->tokenizer, text.spans, text.n_spans, !begins_with_bos(c->model, &text), &p.tokens, e);
    template_text_done(&text);
    if (r >= 0)
        *ret = p;
    return r;
}

static int format_plain(const Conversation *c, Prompt *ret, Error *e) {
    if (json_array_size(c->tools) > 0)
        return error_set(e, -EINVAL, "the model has no chat template: it cannot be offered tools");
    TextSpan *spans = calloc(2 * c->n_messages, sizeof(TextSpan));
    Prompt p = {};
    size_t n = 0;

    if (!spans)
        return error_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < c->n_messages; i++) {
        if (i > 0)
            spans[n++] = (TextSpan){.text = "\n", .size = 1, .trusted = true};
        if (c->messages[i].content)
            spans[n++] = (TextSpan){.text = c->messages[i].content, .size = c->messages[i].content_size};
    }
    int r = tokenizer_encode(c->model->tokenizer, spans, n, true, &p.tokens, e);
    free(spans);
    if (r >= 0)
        *ret = p;
    return r;
}

/* ---- the public face */

int model_format_chat(
    const Model *m, const ChatMessage *messages, size_t n_messages, const ChatOptions *options, Prompt *ret, Error *e) {
    Conversation c = {.model = m, .messages = messages, .n_messages = n_messages, .options = options};

    int r = conversation_load(&c, e);
    if (r >= 0)
        r = m->chat_template ? format_by_template(&c, ret, e) : format_plain(&c, ret, e);
    conversation_done(&c);
    return r;
}

void prompt_done(Prompt *p) {
    token_array_done(&p->tokens);
    *p = (Prompt){};
}
