/* The template engine: a few of its rules read as examples, where text comes from, and what a hostile template or
 * request cannot do. The language itself is held against recorded cases by golden-templates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "template/value.h"

/* One variable, `x`, as a request would bring it. */
static void define_x(Run *run, Dict *variables, void *userdata) {
    if (userdata)
        dict_set_text(run, variables, "x", value_string(run, userdata, strlen(userdata), false));
}

static int render(const char *source, const char *x, TemplateText *ret, Error *e) {
    Template *t = NULL;
    struct tm now = {.tm_year = 126, .tm_mday = 2};
    int r = template_parse(source, strlen(source), &t, e);
    if (r >= 0)
        r = template_render(t, define_x, (void *)x, &now, ret, e);
    template_free(t);
    return r;
}

static void expect_text(const char *source, const char *x, const char *want) {
    TemplateText text = {};
    Error e = {};
    if (render(source, x, &text, &e) < 0)
        fail_msg("%s: %s", source, e.message);
    assert_string_equal(text.text, want);
    template_text_done(&text);
}

static void expect_failure(const char *source, int code, const char *words) {
    TemplateText text = {};
    Error e = {};
    assert_int_equal(render(source, "x", &text, &e), code);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
    assert_null(text.text);
}

/* The bytes that count as the template's own, the others as dots. */
static void expect_trusted(const char *source, const char *x, const char *want) {
    TemplateText text = {};
    Error e = {};
    if (render(source, x, &text, &e) < 0)
        fail_msg("%s: %s", source, e.message);
    for (size_t i = 0; i < text.n_spans; i++)
        if (!text.spans[i].trusted)
            memset(text.text + (text.spans[i].text - text.text), '.', text.spans[i].size);
    assert_string_equal(text.text, want);
    template_text_done(&text);
}

static void test_renders(void **state) {
    expect_text("{% for m in [1, 2] %}{{ m * 2 }};{% endfor %}", NULL, "2;4;");
    expect_text("a{%- if x %} b {%- endif %}", "y", "a b");
    expect_text("{{ '%s' % x ~ 1 }}", "y", "y1");
}

static void test_origins_follow_the_text(void **state) {
    expect_trusted("<u>{{ x }}</u>", "abc", "<u>...</u>");
    expect_trusted("{{ ('<a>' + x + '</a>') | trim | replace('b', '(b)') }}", "abc", "<a>.(b).</a>");
    expect_trusted("{{ x.split('b')[1] ~ '!' }}", "abc", ".!");
    expect_trusted("{{ x | upper }}|{{ [x, 'k'] | join('-') }}", "abc", "...|...-k");
    expect_trusted("{% set y %}[{{ x }}]{% endset %}{{ y[0:3] }}", "abc", "[..");
    expect_trusted("{{ x | tojson }}", "a\n", "\".\\n\"");
    expect_trusted("{% macro m(a) %}({{ a }}){% endmacro %}{{ m(x) }}{{ '{}~{}'.format(x, 1) }}", "a", "(.).~1");
}

static void test_syntax_errors_name_their_line(void **state) {
    expect_failure("a\n{{ 1 + }}", -EBADMSG, "line 2");
    expect_failure("{% if x %}", -EBADMSG, "'if'");
    expect_failure("{{ x | frobnicate }}", -EBADMSG, "frobnicate");
    expect_failure("{% include 'x' %}", -EBADMSG, "include");
    expect_failure("{{ 99999999999999999999 }}", -EBADMSG, "64 bits");
}

static void test_refusals_reach_the_user(void **state) {
    expect_failure("{{ raise_exception('No system role') }}", -EINVAL, "No system role");
}

static void test_endless_recursion(void **state) {
    expect_failure("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", -E2BIG, "deep");
    expect_failure("{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", -E2BIG, "deep");
}

static void test_huge_ranges_and_numbers(void **state) {
    expect_failure("{% for i in range(1000000000) %}{% endfor %}", -E2BIG, "range");
    expect_failure("{{ range(-9223372036854775807, 9223372036854775807) | length }}", -E2BIG, "range");
    expect_failure("{{ 10 ** 100 }}", -EINVAL, "overflow");
    expect_failure("{{ -9223372036854775807 - 2 }}", -EINVAL, "overflow");
    expect_text("{{ (-9223372036854775807 - 1) % -1 }}", NULL, "0");
    expect_failure("{{ (-9223372036854775807 - 1) // -1 }}", -EINVAL, "overflow");
}

static void test_nested_parentheses(void **state) {
    char source[1024] = "{{ ";
    for (int i = 0; i < 150; i++)
        strcat(source, "(");
    strcat(source, "1");
    for (int i = 0; i < 150; i++)
        strcat(source, ")");
    strcat(source, " }}");
    expect_failure(source, -EBADMSG, "deep");
}

static void test_growing_text(void **state) {
    expect_failure(
        "{% set ns = namespace(s='x') %}{% for i in range(100000) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", -E2BIG,
        "memory");
    expect_failure("{{ 'x' * 1000000000000 }}", -E2BIG, "too long");
    expect_failure("{{ '%1000000000d' % 1 }}", -E2BIG, "memory");
    expect_failure("{{ 'x'.center(1000000000) }}", -E2BIG, "");
}

static void test_endless_work(void **state) {
    expect_failure("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", -E2BIG, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renders),
        cmocka_unit_test(test_origins_follow_the_text),
        cmocka_unit_test(test_syntax_errors_name_their_line),
        cmocka_unit_test(test_refusals_reach_the_user),
        cmocka_unit_test(test_endless_recursion),
        cmocka_unit_test(test_huge_ranges_and_numbers),
        cmocka_unit_test(test_nested_parentheses),
        cmocka_unit_test(test_growing_text),
        cmocka_unit_test(test_endless_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
