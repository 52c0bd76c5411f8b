/* What a request brings reaches the template: a vocabulary of bytes, and templates of one line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "model.h"
#include "tiny-vocab.h"

static const TinyToken tokens[] = {{"<unk>", TOKEN_UNKNOWN, 0}};

/* The prompt as text; NULL and *e when the template refuses. */
static char *render(const char *source, EngineSyntax syntax, const ChatMessage *messages, size_t n,
    const ChatOptions *options, Error *e) {
    const TinyVocab vocab = {
        .model = "gpt2", .pre = "gpt-2", .tokens = tokens, .n_tokens = ELEMENTSOF(tokens), .all_bytes = true};
    Model m = {.syntax = syntax};
    Prompt p = {};
    char *text = NULL;
    size_t size;

    Gguf *g = tiny_vocab_gguf(&vocab);
    assert_int_equal(tokenizer_new(g, &m.tokenizer, e), 0);
    assert_int_equal(template_parse(source, strlen(source), &m.chat_template, e), 0);
    if (model_format_chat(&m, messages, n, options, &p, e) >= 0) {
        bool described = options && options->tools && syntax == ENGINE_SYNTAX_PLAIN;
        assert_int_equal(p.syntax, described ? ENGINE_SYNTAX_HERMES : syntax);
        assert_int_equal(tokenizer_decode(m.tokenizer, p.tokens.items, p.tokens.n, true, &text, &size), 0);
    }
    prompt_done(&p);
    template_free(m.chat_template);
    tokenizer_free(m.tokenizer);
    gguf_free(g);
    return text;
}

static void expect(
    const char *source, EngineSyntax syntax, const ChatMessage *m, const ChatOptions *o, const char *want) {
    Error e = {};
    char *text = render(source, syntax, m, 1, o, &e);
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void test_variables_and_tools(void **state) {
    const ChatMessage m = {.role = "user", .content = "hi", .content_size = 2};
    const char *source = "{{ messages[0].content }}{% if enable_thinking is defined and enable_thinking is false %} off"
                         "{% endif %}{% if tools %} {{ tools[0].function.name }}{% endif %} {{ messages|length }}";
    expect(source, ENGINE_SYNTAX_PLAIN, &m, NULL, "hi 1");
    const ChatOptions o = {.tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
        .variables = "{\"enable_thinking\":false,\"messages\":[]}"}; /* which are not the request's to replace */
    expect(source, ENGINE_SYNTAX_HERMES, &m, &o, "hi off f 1");
}

#define CALLS                                                                                                          \
    "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}}],\"reasoning_content\":\"hm\"}"

static void test_arguments_are_what_the_template_wants(void **state) {
    const ChatMessage m = {.role = "assistant", .fields = CALLS};
    expect("{{ messages[0].tool_calls[0].function.arguments | tojson }}", ENGINE_SYNTAX_PLAIN, &m, NULL, "{\"x\": 1}");
    expect("{{ messages[0].tool_calls[0].function.arguments.x + 1 }}", ENGINE_SYNTAX_PLAIN, &m, NULL, "2");
    expect(
        "{{ '```' + messages[0].tool_calls[0].function.arguments }}", ENGINE_SYNTAX_PLAIN, &m, NULL, "```{\"x\": 1}");

    const ChatMessage none = {
        .role = "assistant", .fields = "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}"};
    expect("{{ messages[0].tool_calls[0].function.arguments | tojson }}", ENGINE_SYNTAX_PLAIN, &none, NULL, "{}");

    const ChatMessage broken = {
        .role = "assistant", .fields = "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{x\"}}]}"};
    expect("{{ messages[0].tool_calls[0].function.arguments }}", ENGINE_SYNTAX_PLAIN, &broken, NULL, "{x");
}

static void test_content_and_reasoning_of_calls(void **state) {
    const ChatMessage m = {.role = "assistant", .fields = CALLS};
    const char *source = "{{ messages[0].content is none }} {{ 'content' in messages[0] }} {{ messages[0].thinking }}";
    expect(source, ENGINE_SYNTAX_HERMES, &m, NULL, "True True ");
    expect(source, ENGINE_SYNTAX_HARMONY, &m, NULL, "False False hm");
}

#define DESCRIBED                                                                                                      \
    "You can call functions. To call one, answer with its name and arguments, written as\n<tool_call>\n{\"name\": "    \
    "\"NAME\", \"arguments\": {}}\n</tool_call>\nand wait for the result. Call one only where it helps. These are "    \
    "the functions, each with the JSON schema of its arguments:\n\n{\"name\": \"f\"}"

static const ChatOptions one_tool = {.tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"};

static void test_tools_that_the_template_does_not_read_are_described(void **state) {
    const ChatMessage m = {.role = "user", .content = "hi", .content_size = 2};
    const char *all = "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}";
    expect(all, ENGINE_SYNTAX_PLAIN, &m, &one_tool, "[system: " DESCRIBED "][user: hi]");
    /* no system message, or nobody reads it */
    expect("{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}",
        ENGINE_SYNTAX_PLAIN, &m, &one_tool, DESCRIBED "\n\nhi");
    expect("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", ENGINE_SYNTAX_PLAIN, &m, &one_tool,
        DESCRIBED "\n\nhi");
    const char *phrase = "You can call functions.";
    expect("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", ENGINE_SYNTAX_PLAIN,
        &(ChatMessage){.role = "user", .content = phrase, .content_size = strlen(phrase)}, &one_tool,
        DESCRIBED "\n\nYou can call functions.");
    /* none: nothing is said */
    expect(all, ENGINE_SYNTAX_HERMES, &m, &(ChatOptions){.tools = "[]"}, "[user: hi]");

    Error e = {};
    assert_null(render("{{ messages|length }}", ENGINE_SYNTAX_PLAIN, &m, 1, &one_tool, &e));
    assert_int_equal(e.code, -EINVAL);
    assert_null(render("x", ENGINE_SYNTAX_HARMONY, &m, 1, &one_tool, &e));
    assert_int_equal(e.code, -EINVAL);
}

static void test_turns_with_described_tools(void **state) {
    const ChatMessage turns[] = {
        {.role = "system", .content = "Be kind.", .content_size = 8},
        {.role = "user", .content = "hi", .content_size = 2},
        {.role = "assistant", .fields = CALLS},
        {.role = "tool", .content = "20", .content_size = 2, .fields = "{\"tool_call_id\":\"a\"}"},
        {.role = "tool", .content = "30", .content_size = 2, .fields = "{\"tool_call_id\":\"b\"}"},
    };
    Error e = {};
    char *text = render("{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}", ENGINE_SYNTAX_PLAIN,
        turns, ELEMENTSOF(turns), &one_tool, &e);
    assert_non_null(text);
    assert_string_equal(text,
        "[system: Be kind.\n\n" DESCRIBED
        "][user: hi][assistant: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
        "1}}\n</tool_call>][user: <tool_response>\n20\n</tool_response>\n\n<tool_response>\n30\n</tool_response>]");
    free(text);
}

static void test_refusals_are_the_templates_own_words(void **state) {
    const ChatMessage m = {.role = "assistant", .fields = CALLS};
    Error e = {};
    assert_null(render("{{ raise_exception('Only users here!') }}", ENGINE_SYNTAX_PLAIN, &m, 1, NULL, &e));
    assert_int_equal(e.code, -EINVAL);
    assert_non_null(strstr(e.message, "Only users here!"));

    const ChatOptions bad[] = {{.tools = "{}"}, {.tools = "[1"}, {.variables = "[]"}, {.variables = "x"}};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        assert_null(render("x", ENGINE_SYNTAX_PLAIN, &m, 1, &bad[i], &e));
        assert_int_equal(e.code, -EINVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables_and_tools),
        cmocka_unit_test(test_arguments_are_what_the_template_wants),
        cmocka_unit_test(test_content_and_reasoning_of_calls),
        cmocka_unit_test(test_tools_that_the_template_does_not_read_are_described),
        cmocka_unit_test(test_turns_with_described_tools),
        cmocka_unit_test(test_refusals_are_the_templates_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
