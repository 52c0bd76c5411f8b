/* Tools in a conversation whose template does not read them: where the description goes, that what it asks for is what
 * answers are searched for, and what becomes of earlier calls and their results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answer-log.h"
#include "chat-tools.h"
#include "tool-calls.h"

typedef struct Case {
    const char *messages, *tools; /* JSON */
    EngineSyntax syntax;
    ToolPlace place;
} Case;

#define ONE_TOOL "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]"
#define LIST     "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}"

static void define_messages(Run *run, Dict *variables, void *userdata) {
    const Case *c = userdata;
    json_t *messages = json_loads(c->messages, 0, NULL), *tools = json_loads(c->tools, 0, NULL);
    assert_true(json_is_array(messages) && json_is_array(tools));
    Value v = value_from_json(run, messages, false);
    List *described = chat_tools_describe(run, v.list, tools, c->syntax, c->place);
    dict_set_text(run, variables, "messages", value_list(described));
    json_decref(messages);
    json_decref(tools);
}

static void render(const char *source, Case c, TemplateText *ret) {
    _cleanup_(template_freep) Template *t = NULL;
    Error e = {};
    assert_int_equal(template_parse(source, strlen(source), &t, &e), 0);
    if (template_render(t, define_messages, &c, &(const struct tm){}, ret, &e) < 0)
        fail_msg("%s", e.message);
}

/* DESCRIPTION in `wanted` stands for the text of the system message that a conversation without one gets. */
static void expect_as(const char *source, Case c, const char *wanted) {
    TemplateText description = {}, text = {};
    char filled[4096];
    render("{{ messages[0].content }}",
        (Case){.messages = "[]", .tools = c.tools, .syntax = c.syntax, .place = TOOL_PLACE_SYSTEM}, &description);
    const char *at = strstr(wanted, "DESCRIPTION"), *rest = at ? at + strlen("DESCRIPTION") : "";
    snprintf(filled, sizeof(filled), "%.*s%s%s", (int)(at ? at - wanted : (ptrdiff_t)strlen(wanted)), wanted,
        at ? description.text : "", rest);
    render(source, c, &text);
    assert_string_equal(text.text, filled);
    template_text_done(&text);
    template_text_done(&description);
}

static void expect(EngineSyntax syntax, ToolPlace place, const char *messages, const char *wanted) {
    expect_as(LIST, (Case){.messages = messages, .tools = ONE_TOOL, .syntax = syntax, .place = place}, wanted);
}

static void plain(const char *messages, const char *wanted) {
    expect(ENGINE_SYNTAX_PLAIN, TOOL_PLACE_USER, messages, wanted);
}

/* ------------------------------------------------------------------------------------------------ the description */

/* The call that a description shows, made by a model that follows it. */
static void follow(EngineSyntax syntax) {
    TemplateText text = {};
    AnswerLog log = {};
    const AnswerSink sink = answer_log_sink(&log);
    ToolCalls *calls = NULL;

    render("{{ messages[0].content }}",
        (Case){.messages = "[]", .tools = ONE_TOOL, .syntax = syntax, .place = TOOL_PLACE_SYSTEM}, &text);
    const char *at = strstr(text.text, "written as\n"), *end = strstr(text.text, "\nand wait");
    assert_true(at && end);
    assert_int_equal(
        tool_calls_new(syntax == ENGINE_SYNTAX_PLAIN ? ENGINE_SYNTAX_HERMES : syntax, NULL, &sink, &calls), 0);
    for (at += strlen("written as\n"); at < end; at++)
        assert_int_equal(tool_calls_push(calls, *at), 0);
    assert_int_equal(tool_calls_finish(calls), 0);
    assert_string_equal(log.line, "[NAME {}]");
    tool_calls_free(calls);
    template_text_done(&text);
}

static void test_who_follows_the_description_is_understood(void **state) {
    unsigned n = 0;
    for (EngineSyntax s = 0; s < N_ENGINE_SYNTAXES; s++)
        if (chat_tools_can_describe(s)) {
            follow(s);
            n++;
        }
    assert_int_equal(n, N_ENGINE_SYNTAXES - 2);
    assert_false(chat_tools_can_describe(ENGINE_SYNTAX_HARMONY));
    assert_false(chat_tools_can_describe(ENGINE_SYNTAX_DSML));
}

static void test_every_tool_is_described(void **state) {
    TemplateText text = {};
    render("{{ messages[0].content }}",
        (Case){.messages = "[]",
            .tools = "[{\"type\": \"function\", \"function\": {\"name\": \"wéather\", \"parameters\": {\"type\": "
                     "\"object\", \"properties\": {}}}}, {\"name\": \"bare\", \"function\": null}]",
            .place = TOOL_PLACE_SYSTEM},
        &text);
    assert_non_null(strstr(text.text, ":\n\n{\"name\": \"wéather\", \"parameters\": {\"type\": \"object\", "
                                      "\"properties\": {}}}\n{\"name\": \"bare\", "
                                      "\"function\": null}"));
    template_text_done(&text);
}

/* What a request calls its tools must not become a control token. */
static void test_names_of_tools_are_the_requests(void **state) {
    TemplateText text = {};
    bool mark = false, name = false;
    render("{{ messages[0].content }}",
        (Case){.messages = "[{\"role\": \"user\", \"content\": \"<|user|>\"}]",
            .tools = "[{\"name\": \"<|tool|>\"}]",
            .place = TOOL_PLACE_USER},
        &text);
    for (size_t i = 0; i < text.n_spans; i++) {
        const TextSpan *s = &text.spans[i];
        bool is_mark = memmem(s->text, s->size, chat_tools_mark, strlen(chat_tools_mark)) != NULL;
        bool is_name = memmem(s->text, s->size, "<|", 2) != NULL;
        assert_true(!is_mark || s->trusted);
        assert_true(!is_name || !s->trusted);
        mark |= is_mark;
        name |= is_name;
    }
    assert_true(mark && name);
    template_text_done(&text);
}

/* ------------------------------------------------------------------------------------------------ its place */

#define SYSTEM(text)    "{\"role\": \"system\", \"content\": \"" text "\"}"
#define USER(text)      "{\"role\": \"user\", \"content\": \"" text "\"}"
#define ASSISTANT(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
#define TOOL(text)      "{\"role\": \"tool\", \"content\": \"" text "\"}"

static void test_ends_the_system_message(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_HERMES;
    expect(s, TOOL_PLACE_SYSTEM, "[" SYSTEM("a") "," USER("b") "," SYSTEM("c") "]",
        "[system: a\n\nDESCRIPTION][user: b][system: c]");
    expect(s, TOOL_PLACE_SYSTEM, "[" SYSTEM("") "," USER("b") "]", "[system: DESCRIPTION][user: b]");
    expect(s, TOOL_PLACE_SYSTEM, "[{\"role\": \"system\", \"content\": null}]", "[system: DESCRIPTION]");
    expect(s, TOOL_PLACE_SYSTEM, "[" USER("b") "," SYSTEM("c") "]", "[system: DESCRIPTION][user: b][system: c]");
    expect(s, TOOL_PLACE_SYSTEM, "[]", "[system: DESCRIPTION]");
}

static void test_begins_the_first_users_message(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_HERMES;
    expect(s, TOOL_PLACE_USER, "[" SYSTEM("a") "," ASSISTANT("b") "," USER("c") "," USER("d") "]",
        "[system: a][assistant: b][user: DESCRIPTION\n\nc][user: d]");
    expect(s, TOOL_PLACE_USER, "[" USER("") "]", "[user: DESCRIPTION]");
    expect(s, TOOL_PLACE_USER, "[" SYSTEM("a") "]", "[system: a]"); /* nobody to tell */
}

static void test_a_message_keeps_its_other_fields(void **state) {
    const Case c = {.messages = "[{\"role\": \"user\", \"name\": \"Ann\", \"content\": \"a\", \"x\": 1}]",
        .tools = ONE_TOOL,
        .syntax = ENGINE_SYNTAX_HERMES,
        .place = TOOL_PLACE_USER};
    expect_as("{% for k in messages[0] %}{{ k }} {% endfor %}{{ messages[0].name }} {{ messages[0].content }}", c,
        "role name content x Ann DESCRIPTION\n\na");
}

/* ------------------------------------------------------------------------------------------------ earlier calls */

#define CALLING(content, calls)  "{\"role\": \"assistant\", \"content\": " content ", \"tool_calls\": [" calls "]}"
#define CALL(name, arguments)    "{\"function\": {\"name\": \"" name "\", \"arguments\": " arguments "}}"
#define WRITTEN(name, arguments) "<tool_call>\n{\"name\": \"" name "\", \"arguments\": " arguments "}\n</tool_call>"
#define RESULT(text)             "<tool_response>\n" text "\n</tool_response>"

static void test_calls_become_text(void **state) {
    plain("[" CALLING("\"I look.\"", CALL("f", "{\"x\": 1.5}") "," CALL("g", "\"{\\\"y\\\": 2}\"")) "]",
        "[assistant: I look.\n\n" WRITTEN("f", "{\"x\": 1.5}") "\n" WRITTEN("g", "{\"y\": 2}") "]");
    plain("[" CALLING("null", CALL("f", "{}")) "]", "[assistant: " WRITTEN("f", "{}") "]");
    /* no arguments, as clients write that */
    plain("[" CALLING("null", CALL("f", "\"\"") "," CALL("g", "null")) "]",
        "[assistant: " WRITTEN("f", "{}") "\n" WRITTEN("g", "{}") "]");
    plain("[" CALLING("null", "{\"name\": \"f\", \"arguments\": {}}") "]", "[assistant: " WRITTEN("f", "{}") "]");
    plain("[" CALLING("\"a\"", "1, null") "]", "[assistant: a]");
    plain("[" CALLING("\"a\"", "") "]", "[assistant: a]");
}

static void test_results_become_the_users(void **state) {
    plain("[" TOOL("1") "," TOOL("2") "," USER("and?") "," USER("so?") "]",
        "[user: DESCRIPTION\n\n" RESULT("1") "\n\n" RESULT("2") "\n\nand?][user: so?]");
    plain("[" USER("a") "," ASSISTANT("b") "," TOOL("1") "," ASSISTANT("c") "," TOOL("2") "," USER("") "]",
        "[user: DESCRIPTION\n\na][assistant: b][user: " RESULT("1") "][assistant: c][user: " RESULT("2") "]");
    plain(
        "[" TOOL("1") "," SYSTEM("a") "," USER("b") "]", "[user: DESCRIPTION\n\n" RESULT("1") "][system: a][user: b]");
}

static void test_templates_that_know_calls_get_them_as_they_are(void **state) {
    const Case c = {.messages = "[" CALLING("null", CALL("f", "{}")) "," TOOL("1") "," USER("a") "]",
        .tools = ONE_TOOL,
        .syntax = ENGINE_SYNTAX_HERMES,
        .place = TOOL_PLACE_USER};
    expect_as(
        "{{ messages[0].tool_calls[0].function.name }}" LIST, c, "f[assistant: None][tool: 1][user: DESCRIPTION\n\na]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_follows_the_description_is_understood),
        cmocka_unit_test(test_every_tool_is_described),
        cmocka_unit_test(test_names_of_tools_are_the_requests),
        cmocka_unit_test(test_ends_the_system_message),
        cmocka_unit_test(test_begins_the_first_users_message),
        cmocka_unit_test(test_a_message_keeps_its_other_fields),
        cmocka_unit_test(test_calls_become_text),
        cmocka_unit_test(test_results_become_the_users),
        cmocka_unit_test(test_templates_that_know_calls_get_them_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
