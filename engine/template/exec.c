/* Statements: what they print goes to a builder, what they set to a scope. `for`, `with`, macros and call blocks open a
 * scope of their own, `if` does not. */
#include <string.h>

#include "value.h"

typedef enum Flow {
    FLOW_NEXT,
    FLOW_BREAK,
    FLOW_CONTINUE,
} Flow;

static Flow exec(Run *run, Scope *scope, const Node *n, Builder *out);

static Flow exec_all(Run *run, Scope *scope, const Node *const *body, size_t n, Builder *out) {
    for (size_t i = 0; i < n; i++) {
        Flow flow = exec(run, scope, body[i], out);
        if (flow != FLOW_NEXT)
            return flow;
    }
    return FLOW_NEXT;
}

const Str *exec_body(Run *run, Scope *scope, const Node *const *body, size_t n) {
    Builder out = {.run = run};
    exec_all(run, scope, body, n, &out);
    return builder_end(&out);
}

static Scope *scope_new(Run *run, Scope *parent) {
    Scope *s = run_alloc(run, sizeof(*s));
    s->parent = parent;
    return s;
}

/* ---- assignment */

static void assign(Run *run, Scope *scope, const Node *target, Value v) {
    if (target->kind == NODE_NAME) {
        scope_set(run, scope, target->name, v);
        return;
    }
    if (target->kind == NODE_ATTRIBUTE) {
        Value of;
        if (!scope_get(run, scope, target->a->name, &of) || of.type != VALUE_DICT || !of.dict->is_namespace)
            run_fail(run, "cannot assign attribute on non-namespace object");
        dict_set(run, of.dict, value_of(target->name), v);
        return;
    }
    const List *l = value_iterate(run, v);
    if (l->n != target->n_items)
        run_fail(run, "cannot unpack %zu values into %zu", l->n, target->n_items);
    for (size_t i = 0; i < l->n; i++)
        assign(run, scope, target->items[i], l->items[i]);
}

static void exec_set_block(Run *run, Scope *scope, const Node *n) {
    Value v = value_of(exec_body(run, scope_new(run, scope), n->body, n->n_body));
    /* the innermost filter has no operand of its own */
    assign(run, scope, n->a, n->b ? apply_block_filter(run, scope, n->b, v) : v);
}

/* ---- loops */

static const List *loop_items(Run *run, Scope *scope, const Node *n, Value iterable) {
    const List *all = value_iterate(run, iterable);
    if (!n->c)
        return all;

    List *kept = list_new(run, LIST_LIST);
    for (size_t i = 0; i < all->n; i++) {
        Scope *inner = scope_new(run, scope);
        assign(run, inner, n->a, all->items[i]);
        if (value_true(eval(run, inner, n->c)))
            list_append(run, kept, all->items[i]);
    }
    return kept;
}

static Flow exec_loop(Run *run, Scope *scope, const Node *n, Value iterable, unsigned depth, Builder *out) {
    Loop *loop = run_alloc(run, sizeof(*loop));
    *loop = (Loop){.items = loop_items(run, scope, n, iterable),
        .depth = depth,
        .node = n,
        .scope = scope,
        .recursive = n->recursive};

    const Str *loop_name = value_text(run, "loop").string;
    bool completed = false;
    for (; loop->index < loop->items->n; loop->index++) {
        Scope *inner = scope_new(run, scope);
        scope_set(run, inner, loop_name, (Value){.type = VALUE_LOOP, .loop = loop});
        assign(run, inner, n->a, loop->items->items[loop->index]);
        Flow flow = exec_all(run, inner, n->body, n->n_body, out);
        completed |= flow == FLOW_NEXT;
        if (flow == FLOW_BREAK)
            break;
    }
    /* Jinja's `else` also follows a loop that was left, or skipped, in every pass */
    return completed ? FLOW_NEXT : exec_all(run, scope_new(run, scope), n->alternative, n->n_alternative, out);
}

Value call_loop(Run *run, Loop *loop, const Arguments *args) {
    if (!loop->recursive)
        run_fail(run, "the loop must have the 'recursive' marker to be called recursively");
    if (args->n_positional != 1)
        run_fail(run, "loop() takes one argument");
    Builder out = {.run = run};
    exec_loop(run, loop->scope, loop->node, args->positional[0], loop->depth + 1, &out);
    return value_of(builder_end(&out));
}

/* ---- macros */

static Value make_macro(Run *run, Scope *scope, const Node *n) {
    Value v = value_callable(run, n->name->data, NULL, VALUE_ABSENT);
    v.callable->macro = n;
    v.callable->scope = scope;
    return v;
}

static bool find_named(const Arguments *args, const Str *name, Value *ret) {
    for (size_t i = 0; i < args->n_named; i++)
        if (str_equal(args->names[i], name)) {
            *ret = args->named[i];
            return true;
        }
    return false;
}

static bool is_parameter(const Node *n, const Str *name) {
    for (size_t i = 0; i < n->n_named; i++)
        if (str_equal(n->names[i], name))
            return true;
    return false;
}

static void bind_extra(Run *run, Scope *inner, const Node *n, const Arguments *args) {
    static const char no_caller[] = "No caller defined";
    List *varargs = list_new(run, LIST_TUPLE);
    Dict *kwargs = dict_new(run);
    const Str *caller = value_text(run, "caller").string;

    if (n->takes_caller && !is_parameter(n, caller))
        scope_set(run, inner, caller, value_undefined(no_caller));
    if (args->n_positional > n->n_named && !n->takes_varargs)
        run_fail(run, "macro '%s' takes not more than %zu argument(s)", n->name->data, n->n_named);
    for (size_t i = n->n_named; i < args->n_positional; i++)
        list_append(run, varargs, args->positional[i]);
    for (size_t i = 0; i < args->n_named; i++) {
        if (is_parameter(n, args->names[i]))
            continue;
        if (n->takes_caller && str_is(args->names[i], "caller"))
            scope_set(run, inner, args->names[i], args->named[i]);
        else if (n->takes_kwargs)
            dict_set(run, kwargs, value_of(args->names[i]), args->named[i]);
        else
            run_fail(run, "macro '%s' takes no keyword argument '%s'", n->name->data, args->names[i]->data);
    }
    if (n->takes_varargs)
        scope_set(run, inner, value_text(run, "varargs").string, value_list(varargs));
    if (n->takes_kwargs)
        scope_set(run, inner, value_text(run, "kwargs").string, value_dict(kwargs));
}

Value call_macro(Run *run, const Callable *macro, const Arguments *args) {
    const Node *n = macro->macro;
    Scope *inner = scope_new(run, macro->scope);
    size_t first_default = n->n_named - n->n_items;
    Value v;

    for (size_t i = 0; i < n->n_named; i++) /* a default does not see what is outside under a later parameter's name */
        scope_set(run, inner, n->names[i], value_undefined(n->names[i]->data));
    for (size_t i = 0; i < n->n_named; i++) {
        bool named = find_named(args, n->names[i], &v);
        if (i < args->n_positional) {
            if (named)
                run_fail(run, "macro '%s' got two values for argument '%s'", n->name->data, n->names[i]->data);
            v = args->positional[i];
        } else if (!named)
            v = i >= first_default ? eval(run, inner, n->items[i - first_default]) : value_undefined(n->names[i]->data);
        scope_set(run, inner, n->names[i], v);
    }
    bind_extra(run, inner, n, args);
    return value_of(exec_body(run, inner, n->body, n->n_body));
}

/* ---- everything */

static Flow exec_if(Run *run, Scope *scope, const Node *n, Builder *out) {
    while (!value_true(eval(run, scope, n->a))) {
        if (n->n_alternative != 1 || n->alternative[0]->kind != NODE_IF)
            return exec_all(run, scope, n->alternative, n->n_alternative, out);
        n = n->alternative[0]; /* elif, or an if alone in an else: the same */
        run->line = n->line;
    }
    return exec_all(run, scope, n->body, n->n_body, out);
}

static Flow exec_with(Run *run, Scope *scope, const Node *n, Builder *out) {
    Scope *inner = scope_new(run, scope);
    for (size_t i = 0; i < n->n_items; i += 2)
        assign(run, inner, n->items[i], eval(run, scope, n->items[i + 1]));
    return exec_all(run, inner, n->body, n->n_body, out);
}

static void exec_block(Run *run, Scope *scope, const Node *n, Builder *out) {
    while (n->name && scope->parent && scope->parent->parent)
        scope = scope->parent;
    exec_all(run, scope_new(run, scope), n->body, n->n_body, out);
}

static Flow exec_node(Run *run, Scope *scope, const Node *n, Builder *out) {
    Value v;

    switch (n->kind) {
    case NODE_TEXT: builder_add(out, n->value.string); break;
    case NODE_PRINT: builder_add(out, value_str(run, eval(run, scope, n->a))); break;
    case NODE_FOR: return exec_loop(run, scope, n, eval(run, scope, n->b), 0, out);
    case NODE_IF: return exec_if(run, scope, n, out);
    case NODE_SET: assign(run, scope, n->a, eval(run, scope, n->b)); break;
    case NODE_SET_BLOCK: exec_set_block(run, scope, n); break;
    case NODE_MACRO: scope_set(run, scope, n->name, make_macro(run, scope, n)); break;
    case NODE_CALL_BLOCK:
        v = call_with_caller(run, scope, n->a, make_macro(run, scope, n));
        builder_add(out, value_str(run, v));
        break;
    case NODE_FILTER_BLOCK:
        v = value_of(exec_body(run, scope_new(run, scope), n->body, n->n_body));
        builder_add(out, value_str(run, apply_block_filter(run, scope, n->b, v)));
        break;
    case NODE_WITH: return exec_with(run, scope, n, out);
    case NODE_BLOCK: exec_block(run, scope, n, out); break;
    case NODE_BREAK: return FLOW_BREAK;
    case NODE_CONTINUE: return FLOW_CONTINUE;
    default: break; /* expressions */
    }
    return FLOW_NEXT;
}

static Flow exec(Run *run, Scope *scope, const Node *n, Builder *out) {
    run_enter(run);
    run->line = n->line;
    Flow flow = exec_node(run, scope, n, out);
    run_leave(run);
    return flow;
}

void exec_template(Run *run, Scope *scope, const Node *root, Builder *out) {
    exec_all(run, scope, root->body, root->n_body, out);
}
