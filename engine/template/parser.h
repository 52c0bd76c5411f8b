/* What the two halves of the parser share: the place in the lexemes and small steps along them. Everything fails
 * through run_fail(). */
#pragma once

#include "value.h"

#define PARSER_MAX_NESTING 200

typedef struct Parser {
    Run *run;
    const Lexeme *at;
    unsigned nesting;
    unsigned loops; /* around the statement being parsed, not counting those outside a macro */
    unsigned fors;  /* the same, counting all of them */
    bool saw_varargs, saw_kwargs, saw_caller; /* in the macro being parsed */
    const Node *unresolved;                   /* a filter or test that does not exist, in the expression being parsed */
    unsigned
        branches; /* of `if` around: what stands there may never run, so an unknown filter fails only when it does */
} Parser;

typedef struct NodeList {
    const Node **items;
    size_t n, allocated;
} NodeList;

Node *parser_node(Parser *p, NodeKind kind);
void parser_append(Parser *p, NodeList *l, const Node *n);
bool parser_is(const Parser *p, const char *op);
bool parser_is_word(const Parser *p, const char *word);
bool parser_accept(Parser *p, const char *op);
bool parser_accept_word(Parser *p, const char *word);
void parser_expect(Parser *p, const char *op);
void parser_expect_word(Parser *p, const char *word);
void parser_expect_block_end(Parser *p);
const Str *parser_expect_name(Parser *p);
const Str *parser_text(Parser *p, const Lexeme *l);
_Noreturn void parser_unexpected(Parser *p, const char *wanted); /* wanted may be NULL */
void parser_expect_body(Parser *p);                              /* the end of a block that has a body */
void parser_check_resolved(Parser *p);                           /* at the end of an expression's tag */
void parser_enter(Parser *p);                                    /* one level deeper; p->nesting-- leaves it */

/* parse-expressions.c */
const Node *parse_expression(Parser *p, bool conditional); /* conditional: `a if b else c` may follow */
const Node *parse_tuple(Parser *p, bool conditional, const char *stop_word);
const Node *parse_unary(Parser *p, bool filters);
const Node *parse_filter(Parser *p, const Node *of); /* after the bar; of is NULL in a block */

/* parse-statements.c: statements up to a block that begins with one of `ends`, which stays the next lexeme; NULL: up to
 * the end. */
void parse_body(Parser *p, const char *const *ends, const char *opened_by, NodeList *ret);
