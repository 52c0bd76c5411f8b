/* What a chat request says to the model: http-openai-messages.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "http-json.h"
#include "http-openai-messages.h"

static int parse_messages(const char *messages, Conversation *c, HttpError *he) {
    char body[1000];
    json_t *json = NULL;
    snprintf(body, sizeof(body), "{\"messages\":%s}", messages);
    *he = (HttpError){};
    assert_int_equal(http_json_parse(body, strlen(body), &json, he), 0);
    int r = http_openai_messages_parse(json, c, he);
    json_decref(json);
    return r;
}

static int parse_tools(const char *body, Options *o, HttpError *he) {
    json_t *json = NULL;
    *he = (HttpError){};
    assert_int_equal(http_json_parse(body, strlen(body), &json, he), 0);
    int r = http_openai_tools_parse(json, o, he);
    json_decref(json);
    return r;
}

/* Whether two JSON texts mean the same; NULL only equals NULL. */
static void assert_same_json(const char *is, const char *expected) {
    if (!is || !expected) {
        assert_ptr_equal(is, expected);
        return;
    }
    json_t *a = json_loads(is, 0, NULL), *b = json_loads(expected, 0, NULL);
    assert_non_null(b);
    if (!json_equal(a, b))
        fail_msg("%s is not %s", is, expected);
    json_decref(a);
    json_decref(b);
}

static void test_roles_and_contents(void **state) {
    static const struct {
        const char *message, *role, *content;
    } rows[] = {
        {"{\"role\":\"system\",\"content\":\"a\"}", "system", "a"},
        {"{\"role\":\"developer\",\"content\":\"a\"}", "system", "a"},
        {"{\"role\":\"user\",\"content\":\"\",\"name\":null,\"tool_calls\":null}", "user", ""},
        {"{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[],\"function_call\":{}}", "assistant", "a"},
        {"{\"role\":\"tool\",\"content\":[]}", "tool", ""},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}",
            "user", "ab"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Conversation c = {};
        HttpError he;
        char messages[300];
        snprintf(messages, sizeof(messages), "[{\"role\":\"user\",\"content\":\"first\"},%s]", rows[i].message);
        assert_int_equal(parse_messages(messages, &c, &he), 0);
        assert_int_equal(c.n, 2);
        assert_string_equal(c.messages[0].content, "first");
        assert_string_equal(c.messages[1].role, rows[i].role);
        assert_string_equal(c.messages[1].content, rows[i].content);
        assert_false(c.messages[1].no_content);
        assert_null(c.messages[1].fields);
        conversation_done(&c);
    }
}

static void test_content_may_hold_any_character(void **state) {
    Conversation c = {};
    HttpError he;
    assert_int_equal(parse_messages("[{\"role\":\"user\",\"content\":\"a\\u0000b\"},{\"role\":\"user\",\"content\":"
                                    "[{\"type\":\"text\",\"text\":\"c\\u0000d\"}]}]",
                         &c, &he),
        0);
    assert_int_equal(c.messages[0].content_size, 3);
    assert_memory_equal(c.messages[0].content, "a\0b", 3);
    assert_int_equal(c.messages[1].content_size, 3);
    assert_memory_equal(c.messages[1].content, "c\0d", 3);
    conversation_done(&c);
}

#define CALLS "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]"

static void test_keeps_the_fields_that_templates_read(void **state) {
    static const struct {
        const char *message, *fields;
        bool no_content;
    } rows[] = {
        {"{\"role\":\"assistant\"," CALLS "}", "{" CALLS "}", true},
        {"{\"role\":\"assistant\",\"content\":null," CALLS "}", "{" CALLS "}", true},
        {"{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"hm\"," CALLS "}",
            "{\"reasoning_content\":\"hm\"," CALLS "}", false},
        {"{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"20\"}],\"tool_call_id\":\"1\",\"name\":\"f\"}",
            "{\"tool_call_id\":\"1\",\"name\":\"f\"}", false},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]}",
            "{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]}", true},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}",
            "{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}", true},
        {"{\"role\":\"user\",\"content\":\"x\",\"weight\":1}", NULL, false},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Conversation c = {};
        HttpError he;
        char messages[400];
        snprintf(messages, sizeof(messages), "[%s]", rows[i].message);
        assert_int_equal(parse_messages(messages, &c, &he), 0);
        assert_same_json(c.messages[0].fields, rows[i].fields);
        assert_int_equal(c.messages[0].no_content, rows[i].no_content);
        conversation_done(&c);
    }
}

static void test_refuses_messages_by_their_number(void **state) {
    static const struct {
        const char *message, *words;
    } rows[] = {
        {"3", "must be an object"},
        {"{\"content\":\"x\"}", "must be an object with 'role'"},
        {"{\"role\":1,\"content\":\"x\"}", "must be an object with 'role'"},
        {"{\"role\":\"king\",\"content\":\"x\"}", "\"king\""},
        {"{\"role\":\"user\"}", "needs 'content'"},
        {"{\"role\":\"user\",\"content\":null}", "needs 'content'"},
        {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}", "needs 'content'"},
        {"{\"role\":\"user\",\"content\":{}}", "needs 'content'"},
        {"{\"role\":\"assistant\",\"content\":7," CALLS "}", "needs 'content'"},
        {"{\"role\":\"user\",\"content\":[\"x\"]}", "must consist of parts"},
        {"{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}", "must consist of parts"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}", "must consist of parts"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\"}]}", "image_url"},
        {"{\"role\":\"user\",\"content\":\"x\",\"name\":1}", ".name' must be a string"},
        {"{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":1}", ".tool_call_id' must be a string"},
        {"{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":[]}", ".reasoning_content' must be"},
        {"{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":{}}", ".tool_calls' must be an array"},
        {"{\"role\":\"assistant\",\"tool_calls\":[7]}", ".tool_calls' must consist of"},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}", ".tool_calls' must consist of"},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":1}}]}",
            "must consist of"},
        {"{\"role\":\"assistant\",\"content\":\"\",\"function_call\":{\"name\":\"f\"}}", "use 'tool_calls'"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Conversation c = {};
        HttpError he;
        char messages[300];
        snprintf(messages, sizeof(messages), "[{\"role\":\"user\",\"content\":\"x\"},%s]", rows[i].message);
        assert_true(parse_messages(messages, &c, &he) < 0);
        assert_int_equal(he.status, 400);
        assert_string_equal(he.param, "messages[1]");
        if (!strstr(he.message, rows[i].words))
            fail_msg("\"%s\" does not contain \"%s\"", he.message, rows[i].words);
        conversation_done(&c);
    }
}

static void test_refuses_what_is_no_list_of_messages(void **state) {
    static const char *const rows[] = {"null", "[]", "{}", "\"x\""};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Conversation c = {};
        HttpError he;
        assert_true(parse_messages(rows[i], &c, &he) < 0);
        assert_string_equal(he.param, "messages");
    }
}

static void test_a_message_too_many_is_named(void **state) {
    json_t *messages = json_array(), *body = json_pack("{s:o}", "messages", messages);
    Conversation c = {};
    HttpError he = {};
    for (size_t i = 0; i <= CONVERSATION_MAX_MESSAGES; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", "x"));
    assert_true(http_openai_messages_parse(body, &c, &he) < 0);
    assert_int_equal(he.status, 400);
    assert_string_equal(he.param, "messages[16384]");
    json_decref(body);
    conversation_done(&c);
}

#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static void test_tools(void **state) {
    static const struct {
        const char *body;
        bool given;
    } rows[] = {
        {"{" TOOLS "}", true},
        {"{" TOOLS ",\"tool_choice\":\"auto\"}", true},
        {"{" TOOLS ",\"tool_choice\":null}", true},
        {"{" TOOLS ",\"tool_choice\":\"none\"}", false},
        {"{\"tools\":[]}", false},
        {"{\"tools\":null}", false},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Options o;
        HttpError he;
        options_init(&o);
        assert_int_equal(parse_tools(rows[i].body, &o, &he), 0);
        assert_same_json(o.tools, rows[i].given ? "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]" : NULL);
        options_done(&o);
    }
}

/* The request's own words go before the configuration's, and the most particular ones before the others. */
static void test_variables_of_the_template(void **state) {
    static const struct {
        const char *body, *expected;
    } rows[] = {
        {"{}", "{\"thinking\":true,\"date\":\"today\"}"},
        {"{\"thinking\":false,\"enable_thinking\":true,\"reasoning_effort\":\"low\"}",
            "{\"thinking\":false,\"enable_thinking\":true,\"reasoning_effort\":\"low\",\"date\":\"today\"}"},
        {"{\"thinking\":null,\"chat_template_kwargs\":null}", "{\"thinking\":true,\"date\":\"today\"}"},
        {"{\"thinking\":true,\"chat_template_kwargs\":{\"thinking\":false,\"date\":[1.5]}}",
            "{\"thinking\":false,\"date\":[1.5]}"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Options o;
        HttpError he;
        options_init(&o);
        assert_int_equal(options_set_string(&o, "template", "{\"thinking\":true,\"date\":\"today\"}", NULL), 0);
        assert_int_equal(parse_tools(rows[i].body, &o, &he), 0);
        assert_same_json(o.template, rows[i].expected);
        options_done(&o);
    }
}

static void test_refuses_tools_and_variables_by_name(void **state) {
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{" TOOLS ",\"tool_choice\":\"required\"}", "tool_choice"},
        {"{\"tool_choice\":{\"type\":\"function\"}}", "tool_choice"},
        {"{\"tools\":{}}", "tools"},
        {"{\"tools\":[7]}", "tools"},
        {"{\"tools\":[{\"function\":{\"name\":1}}]}", "tools"},
        {"{\"tools\":[{\"type\":\"web_search\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\"}", "tools"},
        {"{\"enable_thinking\":1}", "enable_thinking"},
        {"{\"thinking\":\"yes\"}", "thinking"},
        {"{\"chat_template_kwargs\":[]}", "chat_template_kwargs"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Options o;
        HttpError he;
        options_init(&o);
        assert_true(parse_tools(rows[i].body, &o, &he) < 0);
        assert_int_equal(he.status, 400);
        assert_string_equal(he.param, rows[i].param);
        options_done(&o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_and_contents),
        cmocka_unit_test(test_content_may_hold_any_character),
        cmocka_unit_test(test_keeps_the_fields_that_templates_read),
        cmocka_unit_test(test_refuses_messages_by_their_number),
        cmocka_unit_test(test_refuses_what_is_no_list_of_messages),
        cmocka_unit_test(test_a_message_too_many_is_named),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_variables_of_the_template),
        cmocka_unit_test(test_refuses_tools_and_variables_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
