/* The syntax tree of a template. Nodes live in the template's arena and never change after parsing. */
#pragma once

#include "template.h"

typedef struct Node Node;
typedef struct Str Str;
typedef struct List List;
typedef struct Callable Callable;
typedef struct Loop Loop;

typedef enum ValueType {
    VALUE_ABSENT_TYPE, /* an argument that was not given; never seen by a template */
    VALUE_UNDEFINED,
    VALUE_NONE_TYPE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST, /* also tuples, generators, ranges, views: see ListKind */
    VALUE_DICT, /* also namespaces */
    VALUE_CALLABLE,
    VALUE_LOOP,
} ValueType;

typedef struct Value {
    ValueType type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        const Str *string;
        List *list;
        Dict *dict;
        Callable *callable;
        Loop *loop;
        const char *hint; /* undefined: the name that was looked up, or NULL */
    };
} Value;

typedef enum NodeKind {
    /* expressions */
    NODE_CONST,     /* value */
    NODE_NAME,      /* name */
    NODE_LIST,      /* items */
    NODE_TUPLE,     /* items */
    NODE_DICT,      /* items: key, value, key, value, ... */
    NODE_NEGATE,    /* a */
    NODE_POSITIVE,  /* a */
    NODE_NOT,       /* a */
    NODE_BINARY,    /* a op b */
    NODE_AND,       /* a, b */
    NODE_OR,        /* a, b */
    NODE_COMPARE,   /* items: operands; ops: between them */
    NODE_CONCAT,    /* items */
    NODE_COND,      /* a if b else c (c may be NULL) */
    NODE_ATTRIBUTE, /* a.name */
    NODE_ITEM,      /* a[b] */
    NODE_SLICE,     /* a[items[0]:items[1]:items[2]], each may be NULL */
    NODE_CALL,      /* a(items..., names=named...) */
    NODE_FILTER,    /* a | filter(items..., names=named...); a is NULL in blocks */
    NODE_TEST,      /* a is [not] test(items...) */
    /* statements */
    NODE_TEMPLATE,     /* body */
    NODE_TEXT,         /* value */
    NODE_PRINT,        /* a */
    NODE_FOR,          /* for a in b if c: body, else: alternative */
    NODE_IF,           /* if a: body, else: alternative */
    NODE_SET,          /* a = b */
    NODE_SET_BLOCK,    /* a = body, through filter b (may be NULL) */
    NODE_MACRO,        /* name, parameters (names, items: defaults), body */
    NODE_CALL_BLOCK,   /* call a with body as caller; parameters in names */
    NODE_FILTER_BLOCK, /* b applied to body */
    NODE_WITH,         /* items: targets and values alternating; body */
    NODE_BLOCK,        /* body, in a scope of its own; name: one that sees only the template's variables */
    NODE_BREAK,
    NODE_CONTINUE,
} NodeKind;

typedef enum Operator {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
} Operator;

struct Node {
    NodeKind kind;
    unsigned line;
    Operator op;
    bool negated;                                   /* NODE_TEST */
    bool recursive;                                 /* NODE_FOR */
    bool takes_varargs, takes_kwargs, takes_caller; /* NODE_MACRO: the body asks for what it has no parameter for */
    const Node *a, *b, *c;
    const Str *name;
    Value value;
    const Node **items;
    size_t n_items;
    const Str **names; /* keyword arguments, parameters */
    const Node **named;
    size_t n_named;
    const Node *star, *star_star; /* f(*a, **b) */
    Operator *ops;
    const Node **body;
    size_t n_body;
    const Node **alternative;
    size_t n_alternative;
    void *function; /* NODE_FILTER, NODE_TEST: resolved when parsed */
};

/* ---- lexer.c → parser.c */

typedef enum LexemeKind {
    LEXEME_END,
    LEXEME_TEXT,
    LEXEME_BLOCK_BEGIN,
    LEXEME_BLOCK_END,
    LEXEME_PRINT_BEGIN,
    LEXEME_PRINT_END,
    LEXEME_NAME,
    LEXEME_STRING, /* escapes resolved */
    LEXEME_INT,
    LEXEME_FLOAT,
    LEXEME_OPERATOR, /* text is the operator itself */
} LexemeKind;

typedef struct Lexeme {
    LexemeKind kind;
    unsigned line;
    const char *text;
    size_t size;
    int64_t integer;
    double number;
} Lexeme;

/* All lexemes of a source, in the run's arena; ends with LEXEME_END. Fails through run_fail(). */
Lexeme *lexer_run(Run *run, const char *source, size_t size);
const Node *parser_run(Run *run, const Lexeme *lexemes);
