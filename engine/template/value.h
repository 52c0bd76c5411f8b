/* The values of a rendering. They live in an arena that is dropped whole when the rendering ends; a failure anywhere
 * leaves through run_fail(), which jumps out of the rendering, so nothing here holds any other resource and functions
 * return plain values. */
#pragma once

#include <setjmp.h>

#include "ast.h"
#include "template.h"

/* A string and the origin of its bytes: `trust` has one flag a byte, or is NULL when all bytes are alike. Always
 * NUL-terminated. */
struct Str {
    const char *data;
    size_t size;
    const uint8_t *trust;
    bool trusted; /* when trust is NULL */
    bool markup;  /* went through safe or escape: what is added to it is escaped */
};

typedef enum ListKind {
    LIST_LIST,
    LIST_TUPLE,
    LIST_GENERATOR, /* true, no length, can be walked once */
    LIST_RANGE,
    LIST_KEYS, /* views of a dictionary */
    LIST_VALUES,
    LIST_ITEMS,
} ListKind;

typedef struct List {
    Value *items;
    size_t n, allocated;
    ListKind kind;
    bool spent;                /* a generator that has been walked */
    bool is_group;             /* a row of groupby: also .grouper and .list */
    int64_t start, stop, step; /* of a range, as it prints itself */
} List;

typedef struct DictEntry {
    Value key, value;
} DictEntry;

/* In order of insertion, as Python's. */
struct Dict {
    DictEntry *entries;
    size_t n, allocated;
    bool is_namespace;
};

typedef struct Arguments {
    Value *positional;
    size_t n_positional;
    const Str **names;
    Value *named;
    size_t n_named;
} Arguments;

typedef Value (*Builtin)(Run *run, Value self, const Arguments *args);

typedef struct Scope Scope;

typedef struct Callable {
    const char *name;
    Builtin builtin;   /* a method, a global, a method of loop; or NULL: */
    const Node *macro; /* a macro, or the body of a call block */
    Scope *scope;      /* where the macro was defined */
    Value self;
} Callable;

typedef struct Loop {
    const List *items;
    size_t index;
    unsigned depth;
    const Node *node; /* for a recursive loop */
    Scope *scope;     /* around the loop */
    Value last_changed;
    bool has_changed;
    bool recursive;
} Loop;

/* Variables of one block; a lookup goes outward. */
struct Scope {
    Scope *parent;
    Dict variables;
};

typedef struct Block Block; /* of the arena */

struct Run {
    jmp_buf escape;
    Error *error;
    int code;
    Block *blocks;
    size_t memory; /* bytes taken so far */
    uint64_t steps;
    unsigned depth;
    const struct tm *now;
    unsigned line; /* of the statement being executed */
};

#define RUN_MAX_MEMORY (64u << 20)
#define RUN_MAX_STEPS  20000000u
#define RUN_MAX_DEPTH  1000u
#define RUN_MAX_RANGE  100000

/* ---- the rendering itself (run.c) */

_Noreturn void run_fail(Run *run, const char *format, ...)
    _printf_(2, 3); /* the template's or the request's fault: -EINVAL */
_Noreturn void run_exceeded(Run *run, const char *format, ...) _printf_(2, 3); /* a limit: -E2BIG */
void *run_alloc(Run *run, size_t size);                                        /* zeroed, aligned for any value */
void run_step(Run *run, size_t n);                                             /* counts work; fails beyond the limit */
void run_enter(Run *run);                                                      /* around everything that recurses */
void run_leave(Run *run);

/* ---- making values */

Value value_undefined(const char *hint);
#define VALUE_NONE   ((Value){.type = VALUE_NONE_TYPE})
#define VALUE_ABSENT ((Value){.type = VALUE_ABSENT_TYPE})
Value value_bool(bool b);
Value value_int(int64_t i);
Value value_float(double f);
Value value_string(Run *run, const char *data, size_t size, bool trusted); /* copies */
Value value_text(Run *run, const char *text);                              /* trusted, copies */
Value value_of(const Str *s);
Value value_list(List *l);
Value value_dict(Dict *d);
Value value_callable(Run *run, const char *name, Builtin builtin, Value self);

List *list_new(Run *run, ListKind kind);
void list_append(Run *run, List *l, Value v);
Dict *dict_new(Run *run);
void dict_set(Run *run, Dict *d, Value key, Value value);
void dict_append(Run *run, Dict *d, Value key, Value value); /* the caller knows that the key is new */
void dict_set_text(Run *run, Dict *d, const char *key, Value value);
bool dict_get(Run *run, const Dict *d, Value key, Value *ret);

/* ---- asking values (value.c) */

bool value_true(Value v);
bool value_equal(Run *run, Value a, Value b);
int value_compare(Run *run, Value a, Value b, const char *op); /* <0, 0, >0; fails for what has no order */
const char *value_type_name(Value v);                          /* as Python names it */
bool value_is_number(Value v);                                 /* int, float, bool */
double value_number(Value v);
bool value_contains(Run *run, Value container, Value item);
void value_require_hashable(Run *run, Value v);
_Noreturn void value_fail_undefined(Run *run, Value v); /* says what is not defined */
size_t value_length(Run *run, Value v);
/* The elements of anything that can be walked: list, tuple, dict (keys), string (characters), undefined (nothing). */
const List *value_iterate(Run *run, Value v);
Value value_attribute(Run *run, Value v, const Str *name); /* v.name */
Value value_item(Run *run, Value v, Value key);            /* v[key] */
Value value_attribute_path(Run *run, Value v, Value path); /* "a.b.0" or an integer, as filters take it */

/* str() and repr() as Python writes them */
const Str *value_str(Run *run, Value v);
const Str *value_repr(Run *run, Value v);

/* ---- strings with origins (text.c) */

typedef struct Builder {
    Run *run;
    char *data;
    uint8_t *trust; /* NULL while all bytes are alike */
    size_t size, allocated;
    bool trusted;
} Builder;

void builder_add(Builder *b, const Str *s);
void builder_add_range(Builder *b, const Str *s, size_t from, size_t to);
void builder_add_text(Builder *b, const char *text); /* trusted */
void builder_add_bytes(Builder *b, const char *data, size_t size, bool trusted);
void builder_printf(Builder *b, const char *format, ...) _printf_(2, 3);
const Str *builder_end(Builder *b);

const Str *str_slice(Run *run, const Str *s, size_t from, size_t to); /* bytes */
const Str *str_marked(Run *run, const Str *s);                        /* a copy that is markup */
const Str *str_escape(Run *run, const Str *s);                        /* for HTML; markup is left as it is */
bool str_all_trusted(const Str *s);
bool str_is(const Str *s, const char *text);
bool str_equal(const Str *a, const Str *b);
size_t str_find(const Str *s, const Str *needle, size_t from); /* SIZE_MAX: not found */
size_t str_rfind(const Str *s, const Str *needle, size_t before);
size_t str_length(const Str *s);                   /* characters */
size_t str_offset(const Str *s, size_t character); /* bytes before it */
size_t utf8_width(const char *p, size_t left);     /* bytes of the character at p, at least 1 */
uint32_t utf8_decode(const char *p, size_t width);
size_t utf8_encode(uint32_t c, char out[4]);
uint32_t char_upper(uint32_t c);
uint32_t char_lower(uint32_t c);
uint32_t char_fold(uint32_t c); /* as lower case, and what else differs by case alone; for str_map_case() */
bool char_is_space(uint32_t c);
bool char_is_alpha(uint32_t c);
bool char_is_digit(uint32_t c);
bool char_is_assigned(uint32_t c);
typedef enum StripSide { STRIP_LEFT = 1, STRIP_RIGHT = 2, STRIP_BOTH = 3 } StripSide;
const Str *str_strip(Run *run, const Str *s, const Str *characters, StripSide side); /* characters NULL: white space */
const Str *str_replace(Run *run, const Str *s, const Str *from, const Str *to, int64_t count);
const Str *str_map_case(Run *run, const Str *s, uint32_t (*map)(uint32_t));
const Str *str_capitalize(Run *run, const Str *s);
List *str_lines(Run *run, const Str *s, bool keep_ends); /* as Python's splitlines() */

/* ---- formatting (repr.c, format.c, json.c) */

void format_float(double f, char out[40]); /* shortest text that reads back, as Python's repr */
const Str *format_percent(Run *run, const Str *format, Value args);
const Str *format_braces(Run *run, const Str *format, const Arguments *args);
void json_dump(Builder *out, Value v, const Str *indent, const Str *item_separator, const Str *key_separator,
    bool ascii, bool sort_keys);

/* ---- what a template can call */

/* Binds a call's arguments to parameter names: absent ones become VALUE_ABSENT; too many, unknown and doubled ones
 * fail. */
void arguments_bind(
    Run *run, const char *function, const Arguments *args, const char *const *names, size_t n, Value *ret);
int64_t argument_int(Run *run, const char *function, const char *name, Value v, int64_t when_absent);
bool argument_bool(Value v, bool when_absent);

typedef Value (*FilterFunction)(Run *run, Value input, const Arguments *args);
typedef bool (*TestFunction)(Run *run, Value input, const Arguments *args);
FilterFunction filter_find(const char *name, size_t size);            /* NULL: no such filter */
Value filter_from_json(Run *run, Value input, const Arguments *args); /* json-load.c */
FilterFunction filter_find_text(const char *name, size_t size);       /* of filters-text.c alone */
FilterFunction filter_find_layout(const char *name, size_t size);     /* of filters-layout.c alone */
TestFunction test_find(const char *name, size_t size);
Builtin method_find(Value self, const Str *name); /* NULL: no such method */

/* What the files of methods share. */
typedef struct Method {
    const char *name;
    Builtin method;
} Method;
Builtin method_lookup(const Method *table, size_t n, const Str *name);
Builtin method_find_text(const Str *name); /* of methods-text.c alone */
/* The one argument of a method that takes one. */
Value method_argument(Run *run, const char *method, const Arguments *args);
void globals_define(Run *run, Dict *globals);

/* ---- evaluation */

Value eval(Run *run, Scope *scope, const Node *node);
Value eval_add(Run *run, Value a, Value b); /* a + b */
Value call(Run *run, Value callee, const Arguments *args);
/* A call with the body of a {% call %} block, and the filters of a {% set %} or {% filter %} block. */
Value call_with_caller(Run *run, Scope *scope, const Node *call_node, Value caller);
Value apply_block_filter(Run *run, Scope *scope, const Node *filter, Value input);
Value call_macro(Run *run, const Callable *macro, const Arguments *args);
Value call_loop(Run *run, Loop *loop, const Arguments *args);
bool scope_get(Run *run, Scope *scope, const Str *name, Value *ret);
void scope_set(Run *run, Scope *scope, const Str *name, Value v);
const Str *exec_body(
    Run *run, Scope *scope, const Node *const *body, size_t n); /* runs statements, captures their output */
void exec_template(Run *run, Scope *scope, const Node *root, Builder *out);
