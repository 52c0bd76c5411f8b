/* Statements: one function for each word that can begin a block, one table of them. */
#include <string.h>

#include "parser.h"

static const Node *parse_target_item(Parser *p, bool attribute) {
    if (parser_accept(p, "(")) {
        NodeList l = {};
        do
            parser_append(p, &l, parse_target_item(p, false));
        while (parser_accept(p, ",") && !parser_is(p, ")"));
        parser_expect(p, ")");
        Node *tuple = parser_node(p, NODE_TUPLE);
        tuple->items = l.items;
        tuple->n_items = l.n;
        return tuple;
    }
    static const char *const constants[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < ELEMENTSOF(constants); i++)
        if (parser_is_word(p, constants[i]))
            run_fail(p->run, "line %u: can't assign to '%s'", p->at->line, constants[i]);
    Node *n = parser_node(p, NODE_NAME);
    n->name = parser_expect_name(p);
    if (p->fors > 0 && str_is(n->name, "loop"))
        run_fail(p->run, "line %u: Can't assign to special loop variable in for-loop target", n->line);
    if (!attribute || !parser_accept(p, "."))
        return n;
    Node *a = parser_node(p, NODE_ATTRIBUTE);
    a->a = n;
    a->name = parser_expect_name(p);
    return a;
}

static const Node *parse_target(Parser *p, bool attribute) {
    const Node *first = parse_target_item(p, attribute);
    if (!parser_is(p, ","))
        return first;

    NodeList l = {};
    parser_append(p, &l, first);
    while (parser_accept(p, ",") && (p->at->kind == LEXEME_NAME || parser_is(p, "(")) && !parser_is_word(p, "in"))
        parser_append(p, &l, parse_target_item(p, attribute));
    Node *tuple = parser_node(p, NODE_TUPLE);
    tuple->items = l.items;
    tuple->n_items = l.n;
    return tuple;
}

static void set_body(Node *n, NodeList l) {
    n->body = l.items;
    n->n_body = l.n;
}

static void parse_body_to(Parser *p, Node *n, const char *end) {
    NodeList l = {};
    unsigned branches = p->branches;
    p->branches = 0;
    parse_body(p, (const char *const[]){end, NULL}, end + 3, &l);
    p->branches = branches;
    p->at++; /* the end word */
    set_body(n, l);
}

static const Node *parse_for(Parser *p) {
    Node *n = parser_node(p, NODE_FOR);
    NodeList body = {}, alternative = {};
    unsigned branches = p->branches;

    p->fors++;
    n->a = parse_target(p, false);
    parser_expect_word(p, "in");
    n->b = parse_tuple(p, false, "recursive");
    if (parser_accept_word(p, "if"))
        n->c = parse_expression(p, true);
    n->recursive = parser_accept_word(p, "recursive");
    parser_expect_body(p);

    p->branches = 0;
    p->loops++;
    parse_body(p, (const char *const[]){"endfor", "else", NULL}, "for", &body);
    p->loops--;
    set_body(n, body);
    if (parser_accept_word(p, "else")) {
        parser_expect_body(p);
        parse_body(p, (const char *const[]){"endfor", NULL}, "for", &alternative);
        n->alternative = alternative.items;
        n->n_alternative = alternative.n;
    }
    p->branches = branches;
    p->fors--;
    p->at++;
    return n;
}

static const Node *parse_if(Parser *p) {
    Node *first = parser_node(p, NODE_IF), *n = first;

    p->branches++;
    for (;;) {
        NodeList body = {}, alternative = {};
        n->a = parse_tuple(p, false, NULL);
        parser_expect_body(p);
        parse_body(p, (const char *const[]){"elif", "else", "endif", NULL}, "if", &body);
        set_body(n, body);
        if (parser_accept_word(p, "elif")) {
            Node *next = parser_node(p, NODE_IF);
            parser_append(p, &alternative, next);
            n->alternative = alternative.items;
            n->n_alternative = 1;
            n = next;
            continue;
        }
        if (parser_accept_word(p, "else")) {
            parser_expect_body(p);
            parse_body(p, (const char *const[]){"endif", NULL}, "if", &alternative);
            n->alternative = alternative.items;
            n->n_alternative = alternative.n;
        }
        p->at++;
        p->branches--;
        return first;
    }
}

/* The filters of a block's text, to the end of its tag. They must exist even where the block may never run. */
static const Node *parse_block_filters(Parser *p) {
    unsigned branches = p->branches;
    const Node *n = parse_filter(p, NULL);

    while (parser_accept(p, "|"))
        n = parse_filter(p, n);
    p->branches = 0;
    parser_expect_body(p);
    p->branches = branches;
    return n;
}

static const Node *parse_set(Parser *p) {
    Node *n = parser_node(p, NODE_SET);
    n->a = parse_target(p, true);
    if (parser_accept(p, "=")) {
        n->b = parse_tuple(p, true, NULL);
        return n;
    }

    n->kind = NODE_SET_BLOCK;
    if (parser_accept(p, "|"))
        n->b = parse_block_filters(p);
    else
        parser_expect_body(p);
    parse_body_to(p, n, "endset");
    return n;
}

/* (a, b=1) of a macro or a call block: names and, for the last ones, defaults. */
static void parse_parameters(Parser *p, Node *n) {
    NodeList defaults = {};
    const Str **names = NULL;
    size_t n_names = 0;
    bool comma = false;

    parser_expect(p, "(");
    while (comma || !parser_is(p, ")")) {
        for (size_t i = 0; i < n_names; i++)
            if (parser_is_word(p, names[i]->data))
                run_fail(p->run, "line %u: duplicate argument '%s'", p->at->line, names[i]->data);
        const Str **grown = run_alloc(p->run, (n_names + 1) * sizeof(*grown));
        if (n_names)
            memcpy(grown, names, n_names * sizeof(*grown));
        names = grown;
        names[n_names++] = parser_expect_name(p);
        if (parser_accept(p, "="))
            parser_append(p, &defaults, parse_expression(p, true));
        else if (defaults.n > 0)
            run_fail(p->run, "line %u: non-default argument follows default argument", p->at->line);
        if (defaults.n == 0 && str_is(names[n_names - 1], "caller"))
            run_fail(p->run, "line %u: the argument 'caller' must have a default", p->at->line);
        comma = parser_accept(p, ",");
        if (!comma)
            break;
    }
    parser_expect(p, ")");
    n->names = names;
    n->n_named = n_names;
    n->items = defaults.items;
    n->n_items = defaults.n;
}

/* The body of something that is called: loops around it do not count, and what it asks of its caller is its own. */
static void parse_callable_body(Parser *p, Node *n, const char *end) {
    Parser outside = *p;

    parser_expect_body(p);
    p->loops = 0;
    p->saw_varargs = p->saw_kwargs = p->saw_caller = false;
    parse_body_to(p, n, end);
    n->takes_varargs = p->saw_varargs;
    n->takes_kwargs = p->saw_kwargs;
    n->takes_caller = p->saw_caller;
    p->loops = outside.loops;
    p->saw_varargs |= outside.saw_varargs; /* what a macro inside asks for counts outside, too */
    p->saw_kwargs |= outside.saw_kwargs;
    p->saw_caller |= outside.saw_caller;
}

static const Node *parse_macro(Parser *p) {
    Node *n = parser_node(p, NODE_MACRO);
    n->name = parser_expect_name(p);
    parse_parameters(p, n);
    parse_callable_body(p, n, "endmacro");
    return n;
}

static const Node *parse_call_block(Parser *p) {
    Node *n = parser_node(p, NODE_CALL_BLOCK);

    n->name = value_text(p->run, "caller").string;
    if (parser_is(p, "("))
        parse_parameters(p, n);
    n->a = parse_unary(p, true);
    if (n->a->kind != NODE_CALL)
        run_fail(p->run, "line %u: expected call", n->line);
    parse_callable_body(p, n, "endcall");
    return n;
}

static const Node *parse_filter_block(Parser *p) {
    Node *n = parser_node(p, NODE_FILTER_BLOCK);
    n->b = parse_block_filters(p);
    parse_body_to(p, n, "endfilter");
    return n;
}

static const Node *parse_with(Parser *p) {
    Node *n = parser_node(p, NODE_WITH);
    NodeList l = {};

    while (p->at->kind != LEXEME_BLOCK_END) {
        if (l.n > 0)
            parser_expect(p, ",");
        parser_append(p, &l, parse_target(p, false));
        parser_expect(p, "=");
        parser_append(p, &l, parse_expression(p, true));
    }
    p->at++;
    n->items = l.items;
    n->n_items = l.n;
    parse_body_to(p, n, "endwith");
    return n;
}

static const Node *parse_generation(Parser *p) {
    Node *n = parser_node(p, NODE_BLOCK);
    unsigned loops = p->loops;
    p->loops = 0; /* transformers calls it as a macro */
    parser_expect_body(p);
    parse_body_to(p, n, "endgeneration");
    p->loops = loops;
    return n;
}

/* Nothing inherits from a chat template, so a named block is just its body; unless it is `scoped` it sees the
 * variables of the template alone. */
static const Node *parse_block(Parser *p) {
    Node *n = parser_node(p, NODE_BLOCK);
    const Str *name = parser_expect_name(p);
    unsigned loops = p->loops;
    n->name = parser_accept_word(p, "scoped") ? NULL : name;
    p->loops = 0;
    parser_expect_body(p);
    parse_body_to(p, n, "endblock");
    p->loops = loops;
    if (p->at->kind == LEXEME_NAME && !parser_accept_word(p, name->data))
        parser_unexpected(p, name->data);
    return n;
}

static const Node *parse_jump(Parser *p, NodeKind kind, const char *word) {
    if (p->loops == 0)
        run_fail(p->run, "line %u: '%s' outside loop", p->at->line, word);
    return parser_node(p, kind);
}

static const Node *parse_print(Parser *p) {
    Node *n = parser_node(p, NODE_PRINT);
    n->a = parse_tuple(p, true, NULL);
    return n;
}

static const Node *parse_break(Parser *p) {
    return parse_jump(p, NODE_BREAK, "break");
}

static const Node *parse_continue(Parser *p) {
    return parse_jump(p, NODE_CONTINUE, "continue");
}

static const struct {
    const char *word;
    const Node *(*parse)(Parser *p);
} statements[] = {
    {"if", parse_if},
    {"for", parse_for},
    {"set", parse_set},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"with", parse_with},
    {"generation", parse_generation},
    {"block", parse_block},
    {"break", parse_break},
    {"continue", parse_continue},
    {"print", parse_print},
};

static const Node *parse_statement(Parser *p, const char *opened_by) {
    for (size_t i = 0; i < ELEMENTSOF(statements); i++)
        if (parser_accept_word(p, statements[i].word)) {
            parser_enter(p);
            const Node *n = statements[i].parse(p);
            p->nesting--;
            parser_expect_block_end(p);
            return n;
        }
    run_fail(p->run, "line %u: Encountered unknown tag '%.*s'.%s%s%s", p->at->line, (int)MIN(p->at->size, (size_t)60),
        p->at->text ? p->at->text : "", opened_by ? " The innermost block that needs to be closed is '" : "",
        opened_by ? opened_by : "", opened_by ? "'." : "");
}

void parse_body(Parser *p, const char *const *ends, const char *opened_by, NodeList *ret) {
    for (;;) {
        Node *n;
        switch (p->at->kind) {
        case LEXEME_END:
            if (ends)
                run_fail(p->run,
                    "line %u: Unexpected end of template. The innermost block that needs to be closed is '%s'.",
                    p->at->line, opened_by);
            return;
        case LEXEME_TEXT:
            n = parser_node(p, NODE_TEXT);
            n->value = value_of(parser_text(p, p->at++));
            parser_append(p, ret, n);
            break;
        case LEXEME_PRINT_BEGIN:
            p->at++;
            parser_append(p, ret, parse_print(p));
            parser_check_resolved(p);
            if (p->at->kind != LEXEME_PRINT_END)
                parser_unexpected(p, "end of print statement");
            p->at++;
            break;
        case LEXEME_BLOCK_BEGIN:
            p->at++;
            for (size_t i = 0; ends && ends[i]; i++)
                if (parser_is_word(p, ends[i]))
                    return;
            parser_append(p, ret, parse_statement(p, opened_by));
            break;
        default: parser_unexpected(p, NULL);
        }
    }
}
