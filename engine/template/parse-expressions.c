/* Expressions by recursive descent; the grammar and its precedences are Jinja's (jinja.palletsprojects.com, "Template
 * Designer Documentation"): ~ binds tighter than +, filters and tests tighter than every operator. */
#include <string.h>

#include "parser.h"

static const Node *constant(Parser *p, Value v) {
    Node *n = parser_node(p, NODE_CONST);
    n->value = v;
    return n;
}

/* ---- primary expressions */

static const Node *parse_name(Parser *p) {
    static const struct {
        const char *word;
        Value value;
    } constants[] = {
        {"true", {.type = VALUE_BOOL, .boolean = true}},
        {"True", {.type = VALUE_BOOL, .boolean = true}},
        {"false", {.type = VALUE_BOOL}},
        {"False", {.type = VALUE_BOOL}},
        {"none", {.type = VALUE_NONE_TYPE}},
        {"None", {.type = VALUE_NONE_TYPE}},
    };

    for (size_t i = 0; i < ELEMENTSOF(constants); i++)
        if (parser_accept_word(p, constants[i].word))
            return constant(p, constants[i].value);
    Node *n = parser_node(p, NODE_NAME);
    p->saw_varargs |= parser_is_word(p, "varargs");
    p->saw_kwargs |= parser_is_word(p, "kwargs");
    p->saw_caller |= parser_is_word(p, "caller");
    n->name = parser_expect_name(p);
    return n;
}

static const Node *parse_string(Parser *p) {
    Builder b = {.run = p->run};
    for (; p->at->kind == LEXEME_STRING; p->at++) /* adjacent ones are one */
        builder_add_bytes(&b, p->at->text, p->at->size, true);
    return constant(p, value_of(builder_end(&b)));
}

static const Node *parse_list(Parser *p) {
    NodeList l = {};
    Node *n = parser_node(p, NODE_LIST);

    parser_expect(p, "[");
    while (!parser_is(p, "]")) {
        parser_append(p, &l, parse_expression(p, true));
        if (!parser_accept(p, ","))
            break;
    }
    parser_expect(p, "]");
    n->items = l.items;
    n->n_items = l.n;
    return n;
}

static const Node *parse_dict(Parser *p) {
    NodeList l = {};
    Node *n = parser_node(p, NODE_DICT);

    parser_expect(p, "{");
    while (!parser_is(p, "}")) {
        parser_append(p, &l, parse_expression(p, true));
        parser_expect(p, ":");
        parser_append(p, &l, parse_expression(p, true));
        if (!parser_accept(p, ","))
            break;
    }
    parser_expect(p, "}");
    n->items = l.items;
    n->n_items = l.n;
    return n;
}

static const Node *parse_parentheses(Parser *p) {
    parser_expect(p, "(");
    if (parser_accept(p, ")"))
        return parser_node(p, NODE_TUPLE);
    const Node *n = parse_tuple(p, true, NULL);
    parser_expect(p, ")");
    return n;
}

static const Node *parse_primary(Parser *p) {
    switch (p->at->kind) {
    case LEXEME_NAME: return parse_name(p);
    case LEXEME_STRING: return parse_string(p);
    case LEXEME_INT: return constant(p, value_int((p->at++)->integer));
    case LEXEME_FLOAT: return constant(p, value_float((p->at++)->number));
    default: break;
    }
    if (parser_is(p, "("))
        return parse_parentheses(p);
    if (parser_is(p, "["))
        return parse_list(p);
    if (parser_is(p, "{"))
        return parse_dict(p);
    parser_unexpected(p, NULL);
}

/* ---- calls, subscripts, filters, tests */

static void parse_arguments(Parser *p, Node *n) {
    NodeList positional = {}, named = {};
    const Str **names = NULL;
    size_t n_names = 0, allocated = 0;

    parser_expect(p, "(");
    while (!parser_is(p, ")")) {
        if (n->star_star)
            parser_unexpected(p, ")");
        if (!n->star && parser_accept(p, "*"))
            n->star = parse_expression(p, true);
        else if (parser_accept(p, "**"))
            n->star_star = parse_expression(p, true);
        else if (p->at->kind == LEXEME_NAME && p->at[1].kind == LEXEME_OPERATOR && p->at[1].size == 1 &&
                 *p->at[1].text == '=') {
            for (size_t i = 0; i < n_names; i++)
                if (parser_is_word(p, names[i]->data))
                    run_fail(p->run, "line %u: keyword argument repeated: %s", p->at->line, names[i]->data);
            if (n_names == allocated) {
                allocated = allocated ? 2 * allocated : 4;
                const Str **grown = run_alloc(p->run, allocated * sizeof(*grown));
                if (n_names)
                    memcpy(grown, names, n_names * sizeof(*grown));
                names = grown;
            }
            names[n_names++] = parser_expect_name(p);
            parser_expect(p, "=");
            parser_append(p, &named, parse_expression(p, true));
        } else {
            if (named.n > 0 || n->star)
                parser_unexpected(p, "a keyword argument");
            parser_append(p, &positional, parse_expression(p, true));
        }
        if (!parser_accept(p, ","))
            break;
    }
    parser_expect(p, ")");
    n->items = positional.items;
    n->n_items = positional.n;
    n->names = names;
    n->named = named.items;
    n->n_named = named.n;
}

static const Node *parse_call(Parser *p, const Node *callee) {
    Node *n = parser_node(p, NODE_CALL);
    n->a = callee;
    parse_arguments(p, n);
    return n;
}

static const Node *parse_subscript(Parser *p, const Node *of) {
    Node *n = parser_node(p, NODE_SLICE);
    const Node *parts[3] = {};
    size_t i = 0;
    bool slice = false;

    parser_expect(p, "[");
    for (;; i++) {
        if (!parser_is(p, ":") && !parser_is(p, "]") && !parser_is(p, ","))
            parts[i] = parse_expression(p, true);
        if (i == 2 || !parser_accept(p, ":"))
            break;
        slice = true;
    }
    if (!slice && parser_is(p, ",")) { /* v[a, b]: a tuple as key */
        NodeList l = {};
        parser_append(p, &l, parts[0]);
        while (parser_accept(p, ","))
            parser_append(p, &l, parse_expression(p, true));
        Node *tuple = parser_node(p, NODE_TUPLE);
        tuple->items = l.items;
        tuple->n_items = l.n;
        parts[0] = tuple;
    }
    parser_expect(p, "]");
    if (!slice && !parts[0])
        parser_unexpected(p, "a subscript");
    n->a = of;
    if (slice) {
        n->items = run_alloc(p->run, sizeof(parts));
        memcpy(n->items, parts, sizeof(parts));
        n->n_items = 3;
    } else {
        n->kind = NODE_ITEM;
        n->b = parts[0];
    }
    return n;
}

static const Node *parse_attribute(Parser *p, const Node *of) {
    parser_expect(p, ".");
    Node *n = parser_node(p, p->at->kind == LEXEME_INT ? NODE_ITEM : NODE_ATTRIBUTE);
    n->a = of;
    if (p->at->kind == LEXEME_INT)
        n->b = constant(p, value_int((p->at++)->integer));
    else
        n->name = parser_expect_name(p);
    return n;
}

static const Node *parse_postfix(Parser *p, const Node *n) {
    for (;;) {
        if (parser_is(p, "."))
            n = parse_attribute(p, n);
        else if (parser_is(p, "["))
            n = parse_subscript(p, n);
        else if (parser_is(p, "("))
            n = parse_call(p, n);
        else
            return n;
    }
}

static const Str *dotted_name(Parser *p) {
    Builder b = {.run = p->run};
    builder_add(&b, parser_expect_name(p));
    while (parser_accept(p, ".")) {
        builder_add_text(&b, ".");
        builder_add(&b, parser_expect_name(p));
    }
    return builder_end(&b);
}

const Node *parse_filter(Parser *p, const Node *of) {
    Node *n = parser_node(p, NODE_FILTER);
    n->a = of;
    n->name = dotted_name(p);
    n->function = filter_find(n->name->data, n->name->size);
    if (!n->function && !p->unresolved)
        p->unresolved = n;
    if (parser_is(p, "("))
        parse_arguments(p, n);
    return n;
}

static const Node *parse_test(Parser *p, const Node *of) {
    Node *n = parser_node(p, NODE_TEST);
    n->a = of;
    n->negated = parser_accept_word(p, "not");
    n->name = dotted_name(p);
    n->function = test_find(n->name->data, n->name->size);
    if (!n->function && !p->unresolved)
        p->unresolved = n;

    bool word = p->at->kind == LEXEME_NAME && !parser_is_word(p, "else") && !parser_is_word(p, "or") &&
                !parser_is_word(p, "and");
    if (parser_is(p, "("))
        parse_arguments(p, n);
    else if (word || p->at->kind == LEXEME_STRING || p->at->kind == LEXEME_INT || p->at->kind == LEXEME_FLOAT ||
             parser_is(p, "[") || parser_is(p, "{")) {
        if (parser_is_word(p, "is"))
            run_fail(p->run, "line %u: You cannot chain multiple tests with is", n->line);
        n->items = run_alloc(p->run, sizeof(*n->items));
        n->items[0] = parse_postfix(p, parse_primary(p));
        n->n_items = 1;
    }
    return n;
}

static const Node *parse_filters(Parser *p, const Node *n) {
    for (;;) {
        if (parser_accept(p, "|"))
            n = parse_filter(p, n);
        else if (parser_accept_word(p, "is"))
            n = parse_test(p, n);
        else if (parser_is(p, "("))
            n = parse_call(p, n);
        else
            return n;
    }
}

/* ---- operators, loosest last */

const Node *parse_unary(Parser *p, bool filters) {
    const Node *n;

    parser_enter(p);
    if (parser_is(p, "-") || parser_is(p, "+")) {
        Node *sign = parser_node(p, parser_is(p, "-") ? NODE_NEGATE : NODE_POSITIVE);
        p->at++;
        sign->a = parse_unary(p, false);
        n = sign;
    } else
        n = parse_postfix(p, parse_primary(p));
    if (filters)
        n = parse_filters(p, parse_postfix(p, n));
    p->nesting--;
    return n;
}

static const Node *binary(Parser *p, Operator op, const Node *a, const Node *b) {
    Node *n = parser_node(p, NODE_BINARY);
    n->op = op;
    n->a = a;
    n->b = b;
    return n;
}

static const Node *parse_power(Parser *p) {
    const Node *n = parse_unary(p, true);
    while (parser_accept(p, "**"))
        n = binary(p, OP_POW, n, parse_unary(p, true));
    return n;
}

static const Node *parse_product(Parser *p) {
    const Node *n = parse_power(p);
    for (;;) {
        if (parser_accept(p, "*"))
            n = binary(p, OP_MUL, n, parse_power(p));
        else if (parser_accept(p, "/"))
            n = binary(p, OP_DIV, n, parse_power(p));
        else if (parser_accept(p, "//"))
            n = binary(p, OP_FLOORDIV, n, parse_power(p));
        else if (parser_accept(p, "%"))
            n = binary(p, OP_MOD, n, parse_power(p));
        else
            return n;
    }
}

static const Node *parse_concat(Parser *p) {
    const Node *first = parse_product(p);
    if (!parser_is(p, "~"))
        return first;

    NodeList l = {};
    parser_append(p, &l, first);
    while (parser_accept(p, "~"))
        parser_append(p, &l, parse_product(p));
    Node *n = parser_node(p, NODE_CONCAT);
    n->items = l.items;
    n->n_items = l.n;
    return n;
}

static const Node *parse_sum(Parser *p) {
    const Node *n = parse_concat(p);
    for (;;) {
        if (parser_accept(p, "+"))
            n = binary(p, OP_ADD, n, parse_concat(p));
        else if (parser_accept(p, "-"))
            n = binary(p, OP_SUB, n, parse_concat(p));
        else
            return n;
    }
}

static bool comparison_operator(Parser *p, Operator *ret) {
    static const struct {
        const char *text;
        Operator op;
    } ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE}, {"<", OP_LT}, {">", OP_GT}};

    for (size_t i = 0; i < ELEMENTSOF(ops); i++)
        if (parser_accept(p, ops[i].text)) {
            *ret = ops[i].op;
            return true;
        }
    if (parser_accept_word(p, "in")) {
        *ret = OP_IN;
        return true;
    }
    if (parser_is_word(p, "not") && p->at[1].kind == LEXEME_NAME && p->at[1].size == 2 &&
        memcmp(p->at[1].text, "in", 2) == 0) {
        p->at += 2;
        *ret = OP_NOT_IN;
        return true;
    }
    return false;
}

static const Node *parse_comparison(Parser *p) {
    const Node *first = parse_sum(p);
    NodeList l = {};
    Operator op, *ops = NULL;

    parser_append(p, &l, first);
    while (comparison_operator(p, &op)) {
        parser_append(p, &l, parse_sum(p));
        Operator *grown = run_alloc(p->run, (l.n - 1) * sizeof(*ops));
        if (l.n > 2)
            memcpy(grown, ops, (l.n - 2) * sizeof(*ops));
        ops = grown;
        ops[l.n - 2] = op;
    }
    if (l.n == 1)
        return first;
    Node *n = parser_node(p, NODE_COMPARE);
    n->items = l.items;
    n->n_items = l.n;
    n->ops = ops;
    return n;
}

static const Node *parse_not(Parser *p) {
    if (!parser_is_word(p, "not"))
        return parse_comparison(p);
    Node *n = parser_node(p, NODE_NOT);
    p->at++;
    parser_enter(p);
    n->a = parse_not(p);
    p->nesting--;
    return n;
}

static const Node *logical(Parser *p, NodeKind kind, const Node *a, const Node *b) {
    Node *n = parser_node(p, kind);
    n->a = a;
    n->b = b;
    return n;
}

static const Node *parse_and(Parser *p) {
    const Node *n = parse_not(p);
    while (parser_accept_word(p, "and"))
        n = logical(p, NODE_AND, n, parse_not(p));
    return n;
}

static const Node *parse_or(Parser *p) {
    const Node *n = parse_and(p);
    while (parser_accept_word(p, "or"))
        n = logical(p, NODE_OR, n, parse_and(p));
    return n;
}

const Node *parse_expression(Parser *p, bool conditional) {
    const Node *unresolved = p->unresolved;
    parser_enter(p);
    const Node *value = parse_or(p);
    while (conditional && parser_accept_word(p, "if")) {
        Node *n = parser_node(p, NODE_COND);
        n->b = value;
        n->a = parse_or(p);
        n->c = parser_accept_word(p, "else") ? parse_expression(p, true) : NULL;
        value = n;
        p->unresolved = unresolved;
    }
    p->nesting--;
    return value;
}

/* One expression, or several with commas between them: a tuple. stop_word ends it after a comma. */
const Node *parse_tuple(Parser *p, bool conditional, const char *stop_word) {
    NodeList l = {};
    bool comma = false;

    for (;;) {
        if (l.n > 0 && !(comma = parser_accept(p, ",")))
            break;
        bool ended = p->at->kind == LEXEME_BLOCK_END || p->at->kind == LEXEME_PRINT_END || parser_is(p, ")") ||
                     (stop_word && parser_is_word(p, stop_word));
        if (l.n > 0 && ended)
            break;
        parser_append(p, &l, parse_expression(p, conditional));
    }
    if (l.n == 1 && !comma)
        return l.items[0];
    Node *n = parser_node(p, NODE_TUPLE);
    n->items = l.items;
    n->n_items = l.n;
    return n;
}
