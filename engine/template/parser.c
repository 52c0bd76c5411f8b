/* Lexemes to a syntax tree: the steps that parse-expressions.c and parse-statements.c are made of. */
#include <string.h>

#include "parser.h"

Node *parser_node(Parser *p, NodeKind kind) {
    Node *n = run_alloc(p->run, sizeof(*n));
    n->kind = kind;
    n->line = p->at->line;
    return n;
}

void parser_append(Parser *p, NodeList *l, const Node *n) {
    if (l->n == l->allocated) {
        size_t allocated = l->allocated ? 2 * l->allocated : 4;
        const Node **items = run_alloc(p->run, allocated * sizeof(*items));
        if (l->n)
            memcpy(items, l->items, l->n * sizeof(*items));
        l->items = items;
        l->allocated = allocated;
    }
    l->items[l->n++] = n;
}

bool parser_is(const Parser *p, const char *op) {
    return p->at->kind == LEXEME_OPERATOR && p->at->size == strlen(op) && memcmp(p->at->text, op, p->at->size) == 0;
}

bool parser_is_word(const Parser *p, const char *word) {
    return p->at->kind == LEXEME_NAME && p->at->size == strlen(word) && memcmp(p->at->text, word, p->at->size) == 0;
}

bool parser_accept(Parser *p, const char *op) {
    if (!parser_is(p, op))
        return false;
    p->at++;
    return true;
}

bool parser_accept_word(Parser *p, const char *word) {
    if (!parser_is_word(p, word))
        return false;
    p->at++;
    return true;
}

_Noreturn void parser_unexpected(Parser *p, const char *wanted) {
    const Lexeme *l = p->at;
    static const char *const names[] = {"end of template", "text", "begin of statement block", "end of statement block",
        "begin of print statement", "end of print statement"};

    if (l->kind < LEXEME_NAME)
        run_fail(p->run, "line %u: unexpected %s%s%s", l->line, names[l->kind], wanted ? ", expected " : "",
            wanted ? wanted : "");
    run_fail(p->run, "line %u: unexpected \"%.*s\"%s%s", l->line, (int)MIN(l->size, (size_t)60), l->text,
        wanted ? ", expected " : "", wanted ? wanted : "");
}

void parser_expect(Parser *p, const char *op) {
    if (!parser_accept(p, op))
        parser_unexpected(p, op);
}

void parser_expect_word(Parser *p, const char *word) {
    if (!parser_accept_word(p, word))
        parser_unexpected(p, word);
}

void parser_expect_body(Parser *p) {
    parser_accept(p, ":"); /* as a Python programmer may write it */
    parser_expect_block_end(p);
}

void parser_expect_block_end(Parser *p) {
    parser_check_resolved(p);
    if (p->at->kind != LEXEME_BLOCK_END)
        parser_unexpected(p, "end of statement block");
    p->at++;
}

const Str *parser_text(Parser *p, const Lexeme *l) {
    return value_string(p->run, l->text, l->size, true).string;
}

const Str *parser_expect_name(Parser *p) {
    if (p->at->kind != LEXEME_NAME)
        parser_unexpected(p, "a name");
    return parser_text(p, p->at++);
}

/* What does not exist is an error at once, except where a condition may keep it from being reached. */
void parser_check_resolved(Parser *p) {
    const Node *n = p->unresolved;
    p->unresolved = NULL;
    if (n && p->branches == 0)
        run_fail(
            p->run, "line %u: No %s named '%s'.", n->line, n->kind == NODE_FILTER ? "filter" : "test", n->name->data);
}

void parser_enter(Parser *p) {
    if (++p->nesting > PARSER_MAX_NESTING)
        run_fail(p->run, "line %u: nested too deeply (more than %d levels)", p->at->line, PARSER_MAX_NESTING);
}

const Node *parser_run(Run *run, const Lexeme *lexemes) {
    Parser p = {.run = run, .at = lexemes};
    Node *n = parser_node(&p, NODE_TEMPLATE);
    NodeList l = {};
    parse_body(&p, NULL, NULL, &l);
    n->body = l.items;
    n->n_body = l.n;
    return n;
}
