/* Every way of writing tool calls, through output.c as the engine uses it: however the text is cut, the same comes out,
 * and nothing is lost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "tool-calls.h"

#define BEGIN "<｜tool▁calls▁begin｜>"
#define ONE   "<｜tool▁call▁begin｜>"
#define SEP   "<｜tool▁sep｜>"
#define DONE  "<｜tool▁call▁end｜>"
#define END   "<｜tool▁calls▁end｜>"

/* Deliveries as one line: text as it is, reasoning in {}, calls as [name arguments]. */
typedef struct Collected {
    char text[4096];
    size_t n;
    int kind;
} Collected;

static void add(Collected *c, const char *text) {
    c->n += (size_t)snprintf(c->text + c->n, sizeof(c->text) - c->n, "%s", text);
}

static void collect(Output *u, Collected *c) {
    OutputText t;
    while (output_take(u, &t) > 0) {
        if (c->kind == ENGINE_TEXT_REASONING && t.kind != ENGINE_TEXT_REASONING)
            add(c, "}");
        if (t.kind == ENGINE_TEXT_REASONING && c->kind != ENGINE_TEXT_REASONING)
            add(c, "{");
        c->kind = t.kind;
        if (t.kind == ENGINE_TEXT_TOOL_CALL) {
            add(c, "[");
            add(c, t.tool_name);
            add(c, " ");
        } else
            assert_null(t.tool_name);
        add(c, t.text);
        if (t.kind == ENGINE_TEXT_TOOL_CALL)
            add(c, "]");
        output_text_done(&t);
    }
}

/* Cut after `first` bytes, then after every `step`. */
static Collected feed(const OutputOptions *o, const char *text, size_t first, size_t step) {
    Collected c = {};
    Output *u;
    bool stopped = false;
    size_t n = strlen(text);
    assert_int_equal(output_new(o, &u), 0);
    for (size_t i = 0, size = first; i < n && !stopped; i += size, size = step) {
        size = MIN(size, n - i);
        assert_int_equal(output_push(u, text + i, size, NULL, &stopped), 0);
        collect(u, &c);
    }
    assert_int_equal(output_finish(u), 0);
    collect(u, &c);
    if (c.kind == ENGINE_TEXT_REASONING)
        add(&c, "}");
    output_free(u);
    return c;
}

static void expect_with(const OutputOptions *o, const char *text, const char *wanted) {
    size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        Collected c = feed(o, text, cut, n + 1);
        assert_string_equal(c.text, wanted);
    }
    for (size_t step = 1; step < 9; step++) {
        Collected c = feed(o, text, step, step);
        assert_string_equal(c.text, wanted);
    }
}

static void expect(EngineSyntax syntax, const char *text, const char *wanted) {
    const OutputOptions o = {.split_reasoning = true, .syntax = syntax, .tool_calls = true};
    expect_with(&o, text, wanted);
}

/* What is no call arrives as it was written. */
static void expect_text(EngineSyntax syntax, const char *text) {
    expect(syntax, text, text);
}

static void test_detects_the_syntax_by_the_template(void **state) {
    static const struct {
        const char *text;
        EngineSyntax syntax;
    } rows[] = {
        {"{{ messages[0].content }}", ENGINE_SYNTAX_PLAIN},
        {"{{- '<tool_call>' }}", ENGINE_SYNTAX_HERMES},
        {"{{'" BEGIN ONE "'}}", ENGINE_SYNTAX_DEEPSEEK},
        {"{{- '<|python_tag|>' }}", ENGINE_SYNTAX_LLAMA3},
        {"{{- 'Respond in the format {\"name\": function name, \"parameters\": dictionary' }}", ENGINE_SYNTAX_LLAMA3},
        {"{{- '[TOOL_CALLS][' }}", ENGINE_SYNTAX_MISTRAL},
        {"{{- 'respond only with <|tool_call|>' }}", ENGINE_SYNTAX_GRANITE},
        {"{{- '<|tool|>' + tools + '<|/tool|>' }}", ENGINE_SYNTAX_GRANITE},
        {"{{- '<tool_call>\\n<function=example>\\n<parameter=x>' }}", ENGINE_SYNTAX_QWEN_XML},
        {"{%- set dsml_token = '｜DSML｜' -%}", ENGINE_SYNTAX_DSML},
        {"{{- '<|start|>assistant<|channel|>final<|message|>' }}", ENGINE_SYNTAX_HARMONY},
        {"", ENGINE_SYNTAX_PLAIN},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        assert_int_equal(tool_calls_detect(rows[i].text, strlen(rows[i].text)), rows[i].syntax);
}

static void test_hermes(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_HERMES;
    expect(s, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1.10}}\n</tool_call>", "[f {\"x\": 1.10}]");
    expect(s, "<think>\nhm\n</think>\n\nI look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n",
        "{hm}I look.[f {}]");
    expect(s,
        "<tool_call>{\"arguments\":{\"a\":[\"}\\\"</tool_call>\"]},\"name\":\"f\"}</tool_call>\n"
        "<tool_call>{\"name\":\"g\"}</tool_call>",
        "[f {\"a\":[\"}\\\"</tool_call>\"]}][g {}]");
    expect(s, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}</tool_call>", "[f {\"x\":1}]");
    expect(s, "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":2}}}</tool_call>",
        "[f {\"x\":2}]");
    expect(s, "<tool_call>{\"name\":\"f\",\"arguments\":{}}", "[f {}]"); /* all but the closing tag */
    expect(s, "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool", "[f {}]");
    expect(s, "<tool_call>\n<tool_call>\n{\"name\":\"f\",\"arguments\":{}}</tool_call>!", "<tool_call>\n[f {}]!");
}

static void test_hermes_malformed(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_HERMES;
    expect_text(s, "no call");
    expect_text(s, "a < b <tool\n\n<tool_cal");
    expect_text(s, "The tag <tool_call> opens one.\n\nEnd\n");
    expect_text(s, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}\n</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\"");
    expect_text(s, "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": 1}</tool_call>");
    expect_text(s, "<tool_call>{name: f}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\"]}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\nx\"}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\", \"name\": \"g\"}</tool_call>");
    expect_text(s, "<tool_call>{\"name\": \"f\"} or so</tool_call>");
    expect_text(s, "<tool_call>[]</tool_call>");
    expect_text(s, "<tool_call></tool_call>");
    expect(s, "<tool_call>{\"name\": \"\xFF\"}</tool_call>", "<tool_call>{\"name\": \"\xEF\xBF\xBD\"}</tool_call>");
    expect(
        s, "<tool_call>oops</tool_call>\n<tool_call>{\"name\":\"f\"}</tool_call>", "<tool_call>oops</tool_call>[f {}]");
}

static void test_deepseek(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_DEEPSEEK;
    expect(s,
        "Let me see.\n\n" BEGIN ONE "function" SEP "f\n```json\n{\"x\": \"a\\nb\"}\n```" DONE "\n" ONE "function" SEP
        "g\n```json\n{}\n```" DONE END,
        "Let me see.[f {\"x\": \"a\\nb\"}][g {}]");
    expect(s, BEGIN ONE "f" SEP "{\"x\":1}" DONE ONE "g" SEP "{}" DONE END, "[f {\"x\":1}][g {}]");
    expect(s, ONE "function" SEP "f\n```json\n{}\n```\n" DONE "\n" END "\n", "[f {}]");
    expect(s, BEGIN ONE "function" SEP "f\n```json\n{}", "[f {}]");

    expect_text(s, BEGIN " nothing " END);
    expect_text(s, BEGIN ONE "function" SEP "f\n```python\n{}\n```" DONE END);
    expect_text(s, BEGIN ONE "function" SEP "f\n```json\n{\"x\": }\n```" DONE END);
    expect_text(s, BEGIN ONE "function" SEP "f\n```json\n[1]\n```" DONE END);
    expect_text(s, BEGIN ONE "a name" SEP "{}" DONE END);
    expect_text(s, BEGIN ONE SEP "{}" DONE);
    expect_text(s, BEGIN ONE "f" SEP "{\"x\":");
    expect_text(s, "<｜tool▁outputs▁begin｜>");
    char longer[1000] = BEGIN ONE;
    memset(longer + strlen(longer), 'n', 400);
    expect_text(s, longer);
}

static void test_llama3(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_LLAMA3;
    expect(s, "{\"name\": \"f\", \"parameters\": {\"x\": \"1\"}}", "[f {\"x\": \"1\"}]");
    expect(s, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "[f {}]");
    expect(s, "\n{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}\n", "[f {}]");
    expect(s, "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}", "[f {}][g {}]");

    expect_text(s, "{\"name\": \"f\", \"parameters\": {}} is how to call it");
    expect_text(s, "Answer: {\"name\": \"f\", \"parameters\": {}}");
    expect_text(s, "{\"city\": \"Paris\"}");
    expect_text(s, "<|python_tag|>print(1)");
    expect_text(s, "{\"name\": \"f\", \"parameters\": {}}; {\"name\"");
    expect_text(s, "{\"name\": \"f\", \"parameters\": {}}; {\"name\": 1}");
}

static void test_mistral(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_MISTRAL;
    expect(s,
        "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"x\": [1, 2]}, \"id\": \"123456789\"}, {\"name\": \"g\"}]",
        "[f {\"x\": [1, 2]}][g {}]");
    expect(s, "So: [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}]", "So: [f {}]");
    expect(s, "[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}", "[f {\"x\": 1}][g {}]");

    expect_text(s, "[1, 2] and [TOOL_CALL");
    expect_text(s, "[TOOL_CALLS][{\"name\": \"f\"}, {\"x\": 1}]"); /* all or none */
    expect_text(s, "[TOOL_CALLS][{\"name\": \"f\"}");
    expect_text(s, "[TOOL_CALLS]f[ARGS][1]");
    expect_text(s, "[TOOL_CALLS]f");
    expect_text(s, "[TOOL_CALLS][1]");
}

static void test_granite(void **state) {
    expect(ENGINE_SYNTAX_GRANITE, "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]", "[f {\"x\": 1}]");
    expect_text(ENGINE_SYNTAX_GRANITE, "<|tool_call|>[{\"name\"");
    expect(ENGINE_SYNTAX_GRANITE, "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]<|/tool_call|>",
        "[f {}]"); /* Phi-4 */
}

#define ANALYSIS "<|channel|>analysis<|message|>"
#define FINAL    "<|channel|>final<|message|>"
#define ME       "<|start|>assistant"

static void test_harmony(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_HARMONY;
    expect(s, ANALYSIS "hm <b>\n\n<|end|>" ME FINAL "yes", "{hm <b>\n\n}yes");
    expect(s, FINAL "yes<|return|>", "yes");
    expect(s,
        ANALYSIS "hm<|end|>" ME "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"x\": 1}<|call|>",
        "{hm}[f {\"x\": 1}]");
    expect(s, " to=functions.f<|channel|>commentary json<|message|>{\"x\": 1}", "[f {\"x\": 1}]");
    expect(s, "<|channel|>commentary<|message|>I look.<|end|>" ME " to=f<|channel|>commentary<|message|>",
        "I look.[f {}]");
    expect(s, ANALYSIS "a<|end|>" ME FINAL "b<|end|>" ME ANALYSIS "c<|end|>" ME FINAL "d", "{a}b{c}d");
    expect(s, "plain, 1 < 2 <| no header", "plain, 1 < 2 <| no header");

    expect_text(s, "<|channel|>commentary to=functions.f<|message|>{\"x\": <|call|>");
    expect_text(s, "<|channel|>commentary to=functions.f<|message|>[1]");
    expect_text(s, "<|channel|>commentary to=functions.<|message|>{}");
    expect_text(s, "<|channel|>final");
    expect(s, "", "");

    const OutputOptions no_tools = {.split_reasoning = true, .syntax = s};
    const char *call = "<|channel|>commentary to=functions.f<|message|>{}<|call|>";
    expect_with(&no_tools, call, call);
    expect_with(&no_tools, ANALYSIS "hm<|end|>" ME FINAL "yes", "{hm}yes");
    const OutputOptions plain = {.syntax = s};
    expect_with(&plain, FINAL "yes", FINAL "yes");
}

static void test_stop_strings_are_about_text_alone(void **state) {
    static const char *const stop[] = {"\n\n", "STOP"};
    OutputOptions o = {
        .stop = stop, .n_stop = 2, .split_reasoning = true, .syntax = ENGINE_SYNTAX_HERMES, .tool_calls = true};
    expect_with(&o, "a ST<tool_call>\n\n{\"name\":\"f\",\"arguments\":{\"x\":\"STOP\"}}</tool_call>OP",
        "a ST[f {\"x\":\"STOP\"}]OP");
    expect_with(&o, "a STOP <tool_call>{\"name\":\"f\"}</tool_call>", "a ");
    expect_with(&o, "a\n\nb", "a");
    expect_with(&o, "<tool_call>STOP</tool_call>", "<tool_call>");
    o.syntax = ENGINE_SYNTAX_HARMONY;
    expect_with(&o, ANALYSIS "x\n\ny STOP<|end|>" ME FINAL "a ST<|end|>" ME ANALYSIS "OP<|end|>" ME FINAL "b STOP c",
        "{x\n\ny STOP}a ST{OP}b ");
}

static void expect_typed(EngineSyntax syntax, const char *text, const char *wanted) {
    const OutputOptions o = {.syntax = syntax,
        .tool_calls = true,
        .tools =
            "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{"
            "\"s\":{\"type\":\"string\"},\"b\":{\"type\":\"boolean\"},\"n\":{\"type\":[\"integer\",\"null\"]}}}}}]"};
    expect_with(&o, text, wanted);
}

static void test_qwen_xml(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_QWEN_XML;
    expect(s, "I look.\n<tool_call>\n<function=f>\n<parameter=city>\nHà Nội\n</parameter>\n</function>\n</tool_call>",
        "I look.[f {\"city\": \"Hà Nội\"}]");
    expect(s,
        "<tool_call>\n<function=f>\n<parameter=x>\n1.10\n</parameter>\n<parameter=y>\n{\"a\": [1]}\n</parameter>\n"
        "<parameter=z>\n\nline\n\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=g>\n</function>\n</"
        "tool_call>",
        "[f {\"x\": 1.10, \"y\": {\"a\": [1]}, \"z\": \"\\nline\\n\"}][g {}]");
    /* the schema decides */
    expect_typed(s,
        "<tool_call><function=f><parameter=s>42</parameter><parameter=b>True</parameter><parameter=n>None</parameter>"
        "<parameter=other>True</parameter></function></tool_call>",
        "[f {\"s\": \"42\", \"b\": true, \"n\": null, \"other\": \"True\"}]");
    /* without the tag around it, with two calls in it, with JSON in it, without its closing tag */
    expect(s, "<function=f>\n</function>\n</tool_call>!", "[f {}]!");
    expect(s, "<tool_call><function=f></function><function=g></function></tool_call>", "[f {}][g {}]");
    expect(s, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", "[f {}]");
    expect(s, "<tool_call>\n<function=f>\n</function>\n", "[f {}]");

    expect_text(s, "<tool_call>\n<function=f>\n<parameter=x>\n1\n</function>\n</tool_call>");
    expect_text(
        s, "<tool_call>\n<function=f>\n<parameter=x>1</parameter><parameter=x>2</parameter></function></tool_call>");
    expect_text(s, "<tool_call>\n<function=>\n</function></tool_call>");
    expect_text(s, "<tool_call>\n<function=f g></function></tool_call> and more");
    expect_text(s, "<tool_call>\nno call</tool_call>");
    expect_text(s, "<tool_call>\n<function=f>\n<parameter=x>\n1");
    expect_text(s, "a < b, <function, <functions>");
}

static void test_dsml(void **state) {
    const EngineSyntax s = ENGINE_SYNTAX_DSML;
    const char *call = "Yes.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n"
                       "<｜DSML｜parameter name=\"city\" string=\"true\">\"Hà\" Nội\n</｜DSML｜parameter>\n"
                       "<｜DSML｜parameter name=\"days\" string=\"false\">[1, 2.50]</｜DSML｜parameter>\n"
                       "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"g\">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>";
    expect(s, call, "Yes.[f {\"city\": \"\\\"Hà\\\" Nội\\n\", \"days\": [1, 2.50]}][g {}]");
    expect(s, "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"></｜DSML｜invoke></｜DSML｜tool_calls>", "[f {}]");
    expect(s, "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"></｜DSML｜invoke>", "[f {}]");

    expect_text(s, "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"></｜DSML｜tool_calls>");
    expect_text(s, "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" string=\"false\">{"
                   "</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜tool_calls>");
    expect_text(s, "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\">1</｜DSML｜parameter>"
                   "</｜DSML｜invoke></｜DSML｜tool_calls>");
    expect_text(s, "<｜DSML｜tool_calls></｜DSML｜tool_calls>");
    expect_text(s, "<｜DSML｜what> and <｜DSML");
}

static void test_without_tools_all_is_text(void **state) {
    const OutputOptions o = {.split_reasoning = true, .syntax = ENGINE_SYNTAX_HERMES};
    const char *text = "<tool_call>{\"name\":\"f\"}</tool_call>";
    expect_with(&o, text, text);
    expect(ENGINE_SYNTAX_PLAIN, text, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detects_the_syntax_by_the_template),
        cmocka_unit_test(test_hermes),
        cmocka_unit_test(test_hermes_malformed),
        cmocka_unit_test(test_deepseek),
        cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_granite),
        cmocka_unit_test(test_qwen_xml),
        cmocka_unit_test(test_dsml),
        cmocka_unit_test(test_harmony),
        cmocka_unit_test(test_stop_strings_are_about_text_alone),
        cmocka_unit_test(test_without_tools_all_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
