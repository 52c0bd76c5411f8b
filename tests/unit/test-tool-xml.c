/* Calls written as elements: what a schema makes of a value, what is no call, and that a row of them is taken whole or
 * not at all. How they are found in an answer is test-tool-calls.c's affair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answer-log.h"
#include "tool-xml.h"

static void expect_typed(EngineSyntax syntax, const char *tools, const char *text, int code, const char *wanted) {
    AnswerLog log = {};
    const AnswerSink sink = answer_log_sink(&log);
    json_auto_t *json = tools ? json_loads(tools, 0, NULL) : NULL;
    assert_true(!tools || json);

    char *exact = malloc(strlen(text)); /* so that a sanitizer sees a read of one byte too many */
    assert_non_null(exact);
    memcpy(exact, text, strlen(text));
    int r = tool_xml_read(syntax, exact, strlen(text), json, &sink);
    free(exact);
    if (r != code || strcmp(log.line, wanted) != 0)
        fail_msg("%s: %d \"%s\" is not %d \"%s\"", text, r, log.line, code, wanted);
}

static void qwen(const char *text, const char *wanted) {
    expect_typed(ENGINE_SYNTAX_QWEN_XML, NULL, text, 0, wanted);
}

static void no_qwen(const char *text) {
    expect_typed(ENGINE_SYNTAX_QWEN_XML, NULL, text, -EBADMSG, "");
}

static void dsml(const char *text, const char *wanted) {
    expect_typed(ENGINE_SYNTAX_DSML, NULL, text, 0, wanted);
}

static void no_dsml(const char *text) {
    expect_typed(ENGINE_SYNTAX_DSML, NULL, text, -EBADMSG, "");
}

/* ------------------------------------------------------------------------------------------------ values */

/* What f's parameter p becomes, whose schema is this. */
static void value(const char *schema, const char *text, const char *wanted) {
    char tools[400], call[400], line[400];
    snprintf(tools, sizeof(tools),
        "[{\"type\": \"function\", \"function\": {\"name\": \"other\", \"parameters\": {\"properties\": {\"p\": "
        "{\"type\": "
        "\"null\"}}}}}, {\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": "
        "{\"p\": "
        "%s}}}}]",
        schema);
    snprintf(call, sizeof(call), "<function=f><parameter=p>%s</parameter></function>", text);
    snprintf(line, sizeof(line), "[f {\"p\": %s}]", wanted);
    expect_typed(ENGINE_SYNTAX_QWEN_XML, tools, call, 0, line);
}

static void test_the_schema_decides(void **state) {
    value("{\"type\": \"string\"}", "42", "\"42\"");
    value("{\"type\": \"string\"}", " True ", "\" True \"");
    value("{\"type\": \"string\"}", "\"quoted\"", "\"\\\"quoted\\\"\"");
    value("{\"type\": [\"integer\", \"string\"]}", "42", "\"42\""); /* nothing is lost in a string */
    value("{\"type\": \"integer\"}", " 42\n", "42");
    value("{\"type\": \"integer\"}", "\"42\"", "\"42\"");
    value("{\"type\": \"integer\"}", "many", "\"many\"");
    value("{\"type\": \"integer\"}", "", "\"\"");
    value("{\"type\": \"boolean\"}", "False", "false");
    value("{\"type\": \"boolean\"}", "Falsey", "\"Falsey\"");
    value("{\"type\": [\"object\", \"null\"]}", "None", "null");
    value("{\"type\": \"object\"}", "{\"a\": 1.0, \"a\": 2}", "\"{\\\"a\\\": 1.0, \\\"a\\\": 2}\"");
    value("{\"type\": \"array\"}", "[1, 2.50]", "[1, 2.50]");
}

static void test_without_a_type_json_is_json(void **state) {
    const char *const schemas[] = {"{}", "null", "{\"description\": \"type\"}"};
    for (size_t i = 0; i < ELEMENTSOF(schemas); i++) {
        value(schemas[i], "42", "42");
        value(schemas[i], "{\"a\": null}", "{\"a\": null}");
        value(schemas[i], "true", "true");
        value(schemas[i], "True", "\"True\"");
        value(schemas[i], "\"quoted\"", "\"\\\"quoted\\\"\"");
        value(schemas[i], "{a}", "\"{a}\"");
        value(schemas[i], " \t", "\" \\t\"");
    }
}

static void test_tools_may_be_anything(void **state) {
    static const char *const rows[] = {"[]", "{}", "[1, null, {}]", "[{\"function\": 1}]", "[{\"name\": 1}]",
        "[{\"name\": \"f\", \"parameters\": []}]", "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"p\": 1}}}]",
        "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"p\": {\"type\": [1, {}]}}}}]"};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        expect_typed(
            ENGINE_SYNTAX_QWEN_XML, rows[i], "<function=f><parameter=p>1</parameter></function>", 0, "[f {\"p\": 1}]");
    /* without OpenAI's wrapping */
    expect_typed(ENGINE_SYNTAX_QWEN_XML,
        "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"p\": {\"type\": \"string\"}}}}]",
        "<function=f><parameter=p>1</parameter></function>", 0, "[f {\"p\": \"1\"}]");
}

static void test_line_breaks_around_a_value(void **state) {
    qwen("<function=f><parameter=p>\n</parameter></function>", "[f {\"p\": \"\"}]");
    qwen("<function=f><parameter=p>\n\n</parameter></function>", "[f {\"p\": \"\"}]");
    qwen("<function=f><parameter=p>\n\na\n\n</parameter></function>", "[f {\"p\": \"\\na\\n\"}]");
    qwen("<function=f><parameter=p>a\n</parameter></function>", "[f {\"p\": \"a\"}]");
    dsml("<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"p\" string=\"true\">\na\n</｜DSML｜parameter>"
         "</｜DSML｜invoke>",
        "[f {\"p\": \"\\na\\n\"}]"); /* which says exactly what it means */
}

static void test_dsml_says_what_is_json(void **state) {
#define DSML(type, value)                                                                                              \
    "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"p\" string=\"" type "\">" value                              \
    "</｜DSML｜parameter></｜DSML｜invoke>"
    dsml(DSML("true", "42"), "[f {\"p\": \"42\"}]");
    dsml(DSML("false", "42"), "[f {\"p\": 42}]");
    dsml(DSML("false", "\"a\""), "[f {\"p\": \"a\"}]");
    dsml(DSML("true", ""), "[f {\"p\": \"\"}]");
    no_dsml(DSML("false", ""));
    no_dsml(DSML("false", "a"));
    no_dsml(DSML("false", "1, \"q\": 2")); /* nothing can be slipped in beside it */
    no_dsml(DSML("maybe", "1"));
    /* whatever the schema says */
    expect_typed(ENGINE_SYNTAX_DSML,
        "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"p\": {\"type\": \"string\"}}}}]", DSML("false", "42"),
        0, "[f {\"p\": 42}]");
}

/* ------------------------------------------------------------------------------------------------ calls */

static void test_text_cannot_leave_its_string(void **state) {
    qwen("<function=f><parameter=a\"b>\", \"x\": \"\\</parameter></function>",
        "[f {\"a\\\"b\": \"\\\", \\\"x\\\": \\\"\\\\\"}]");
    no_qwen("<function=f><parameter=p>\xFF</parameter></function>");
    no_qwen("<function=f><parameter=\xC3>1</parameter></function>");
}

static void test_all_or_none(void **state) {
    qwen("<function=f><parameter=p>1</parameter>\n<parameter=q>2</parameter></function>", "[f {\"p\": 1, \"q\": 2}]");
    qwen("<tool_call>\n<function=f>\n</function>\n <function=g>\n</function>\n</tool_call>", "[f {}][g {}]");
    no_qwen("<tool_call><function=f></function><function=g></tool_call>");
    no_qwen("<tool_call><function=f></function></tool_call> and more");
    no_qwen("<function=f></function> and more");
    no_qwen("<tool_call><function=f></function></tool_call><function=g></function>");
    no_qwen("<function=f><parameter=p>1</parameter><parameter=p>2</parameter></function>");
    dsml("<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"g\">\n"
         "</｜DSML｜invoke>\n",
        "[f {}][g {}]");
    no_dsml("<｜DSML｜invoke name=\"f\"></｜DSML｜invoke></tool_call>");
}

static void test_names(void **state) {
    char name[257] = "", text[400], wanted[400];
    memset(name, 'n', 255);
    snprintf(text, sizeof(text), "<function=%s></function>", name);
    snprintf(wanted, sizeof(wanted), "[%s {}]", name);
    qwen(text, wanted);
    name[255] = 'n';
    snprintf(text, sizeof(text), "<function=%s></function>", name);
    no_qwen(text);

    qwen("<function=a.b-c_1/d></function>", "[a.b-c_1/d {}]");
    static const char *const bad[] = {"", " ", "a b", "a\n", "a\"", "a\\", "a<", "{a}", "\x7F", "é"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        snprintf(text, sizeof(text), "<function=%s></function>", bad[i]);
        no_qwen(text);
    }
}

/* Every beginning of a call is none. */
static void test_what_is_cut_short(void **state) {
    static const char
        whole[] = "<tool_call><function=f><parameter=p>1</parameter></function>",
        whole_dsml[] = "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"p\" string=\"false\">1</｜DSML｜parameter>"
                       "</｜DSML｜invoke>";
    char part[sizeof(whole_dsml)];
    qwen(whole, "[f {\"p\": 1}]");
    for (int n = 0; n < (int)strlen(whole); n++) {
        snprintf(part, sizeof(part), "%.*s", n, whole);
        no_qwen(part);
    }
    dsml(whole_dsml, "[f {\"p\": 1}]");
    for (int n = 0; n < (int)strlen(whole_dsml); n++) {
        snprintf(part, sizeof(part), "%.*s", n, whole_dsml);
        no_dsml(part);
    }
    no_qwen("<function=f><parameter=>1</parameter></function>");
    no_qwen("<function=f>1</function>");
    no_qwen(whole_dsml);
    no_dsml(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_schema_decides),
        cmocka_unit_test(test_without_a_type_json_is_json),
        cmocka_unit_test(test_tools_may_be_anything),
        cmocka_unit_test(test_line_breaks_around_a_value),
        cmocka_unit_test(test_dsml_says_what_is_json),
        cmocka_unit_test(test_text_cannot_leave_its_string),
        cmocka_unit_test(test_all_or_none),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
