/* Expressions. Operators do what Python's do with the same types. */
#include <math.h>
#include <string.h>

#include "value.h"

/* ---- variables */

bool scope_get(Run *run, Scope *scope, const Str *name, Value *ret) {
    for (; scope; scope = scope->parent)
        if (dict_get(run, &scope->variables, value_of(name), ret))
            return true;
    return false;
}

void scope_set(Run *run, Scope *scope, const Str *name, Value v) {
    dict_set(run, &scope->variables, value_of(name), v);
}

/* ---- arithmetic */

static const char *const operator_names[] = {
    [OP_ADD] = "+",
    [OP_SUB] = "-",
    [OP_MUL] = "*",
    [OP_DIV] = "/",
    [OP_FLOORDIV] = "//",
    [OP_MOD] = "%",
    [OP_POW] = "**",
    [OP_EQ] = "==",
    [OP_NE] = "!=",
    [OP_LT] = "<",
    [OP_LE] = "<=",
    [OP_GT] = ">",
    [OP_GE] = ">=",
};

static _Noreturn void bad_operands(Run *run, Operator op, Value a, Value b) {
    for (int i = 0; i < 2; i++) {
        Value v = i ? b : a;
        if (v.type == VALUE_UNDEFINED)
            value_fail_undefined(run, v);
    }
    if (op == OP_ADD && (a.type == VALUE_STRING || a.type == VALUE_LIST))
        run_fail(run, "can only concatenate %s (not \"%s\") to %s", value_type_name(a), value_type_name(b),
            value_type_name(a));
    run_fail(run, "unsupported operand type(s) for %s: '%s' and '%s'", operator_names[op], value_type_name(a),
        value_type_name(b));
}

static Value repeat(Run *run, Value v, int64_t times) {
    size_t size = v.type == VALUE_STRING ? v.string->size : v.list->n;
    if (times > 0 && size > RUN_MAX_MEMORY / (uint64_t)times)
        run_exceeded(run, "a repetition in the chat template is too long");
    if (v.type == VALUE_STRING) {
        Builder b = {.run = run};
        for (int64_t i = 0; i < times && size > 0; i++)
            builder_add(&b, v.string);
        return value_of(v.string->markup ? str_marked(run, builder_end(&b)) : builder_end(&b));
    }
    List *l = list_new(run, v.list->kind);
    for (int64_t i = 0; i < times && size > 0; i++)
        for (size_t j = 0; j < v.list->n; j++)
            list_append(run, l, v.list->items[j]);
    return value_list(l);
}

static bool is_sequence(Value v) {
    return v.type == VALUE_LIST && (v.list->kind == LIST_LIST || v.list->kind == LIST_TUPLE);
}

static Value add(Run *run, Value a, Value b) {
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        Builder out = {.run = run};
        bool markup = a.string->markup || b.string->markup;
        builder_add(&out, markup ? str_escape(run, a.string) : a.string);
        builder_add(&out, markup ? str_escape(run, b.string) : b.string);
        const Str *sum = builder_end(&out);
        return value_of(markup ? str_marked(run, sum) : sum);
    }
    if (!is_sequence(a) || !is_sequence(b) || a.list->kind != b.list->kind)
        bad_operands(run, OP_ADD, a, b);
    List *l = list_new(run, a.list->kind);
    for (size_t i = 0; i < a.list->n; i++)
        list_append(run, l, a.list->items[i]);
    for (size_t i = 0; i < b.list->n; i++)
        list_append(run, l, b.list->items[i]);
    return value_list(l);
}

static int64_t power(Run *run, int64_t base, int64_t exponent) {
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            run_fail(run, "integer overflow");
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            run_fail(run, "integer overflow");
    }
    return result;
}

static double real_power(Run *run, double a, double b) {
    if (a == 0 && b < 0)
        run_fail(run, "0.0 cannot be raised to a negative power");
    double result = pow(a, b);
    if (isnan(result) && !isnan(a) && !isnan(b))
        run_fail(run, "a negative number has no such power");
    if (isinf(result) && !isinf(a) && !isinf(b))
        run_fail(run, "Numerical result out of range");
    return result;
}

static Value whole_arithmetic(Run *run, Operator op, int64_t a, int64_t b) {
    int64_t result = 0;
    bool overflow = false;

    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        run_fail(run, op == OP_DIV ? "division by zero" : "integer division or modulo by zero");
    switch (op) {
    case OP_ADD: overflow = __builtin_add_overflow(a, b, &result); break;
    case OP_SUB: overflow = __builtin_sub_overflow(a, b, &result); break;
    case OP_MUL: overflow = __builtin_mul_overflow(a, b, &result); break;
    case OP_DIV: return value_float((double)a / (double)b);
    case OP_POW:
        if (b < 0)
            return value_float(real_power(run, (double)a, (double)b));
        return value_int(power(run, a, b));
    default: /* rounds towards minus infinity; INT64_MIN / -1 overflows */
        if (b == -1) {
            overflow = op == OP_FLOORDIV && __builtin_sub_overflow((int64_t)0, a, &result);
            break;
        }
        result = op == OP_FLOORDIV ? a / b : a % b;
        if (a % b != 0 && (a < 0) != (b < 0))
            result += op == OP_FLOORDIV ? -1 : b;
    }
    if (overflow)
        run_fail(run, "integer overflow");
    return value_int(result);
}

static Value real_arithmetic(Run *run, Operator op, double a, double b) {
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        run_fail(run, "float division by zero");
    switch (op) {
    case OP_ADD: return value_float(a + b);
    case OP_SUB: return value_float(a - b);
    case OP_MUL: return value_float(a * b);
    case OP_DIV: return value_float(a / b);
    case OP_FLOORDIV: return value_float(floor(a / b));
    case OP_MOD: {
        double m = fmod(a, b);
        return value_float(m == 0 ? copysign(0, b) : (m < 0) != (b < 0) ? m + b : m);
    }
    default: return value_float(real_power(run, a, b));
    }
}

static int64_t as_whole(Value v) {
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

static Value arithmetic(Run *run, Operator op, Value a, Value b) {
    bool a_whole = a.type == VALUE_INT || a.type == VALUE_BOOL, b_whole = b.type == VALUE_INT || b.type == VALUE_BOOL;

    if (a_whole && b_whole)
        return whole_arithmetic(run, op, as_whole(a), as_whole(b));
    if (value_is_number(a) && value_is_number(b))
        return real_arithmetic(run, op, value_number(a), value_number(b));
    if (op == OP_MOD && a.type == VALUE_STRING)
        return value_of(format_percent(run, a.string, b));
    if (op == OP_MUL && (a.type == VALUE_STRING || is_sequence(a)) && b_whole)
        return repeat(run, a, as_whole(b));
    if (op == OP_MUL && (b.type == VALUE_STRING || is_sequence(b)) && a_whole)
        return repeat(run, b, as_whole(a));
    if (op == OP_ADD)
        return add(run, a, b);
    bad_operands(run, op, a, b);
}

Value eval_add(Run *run, Value a, Value b) {
    return arithmetic(run, OP_ADD, a, b);
}

static bool compare(Run *run, Operator op, Value a, Value b) {
    switch (op) {
    case OP_EQ: return value_equal(run, a, b);
    case OP_NE: return !value_equal(run, a, b);
    case OP_IN: return value_contains(run, b, a);
    case OP_NOT_IN: return !value_contains(run, b, a);
    default: break;
    }
    if ((a.type == VALUE_FLOAT && isnan(a.number)) || (b.type == VALUE_FLOAT && isnan(b.number)))
        return false;
    int c = value_compare(run, a, b, operator_names[op]);
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}

static Value eval_comparison(Run *run, Scope *scope, const Node *n) {
    Value left = eval(run, scope, n->items[0]);
    for (size_t i = 1; i < n->n_items; i++) {
        Value right = eval(run, scope, n->items[i]);
        if (!compare(run, n->ops[i - 1], left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

static Value eval_sign(Run *run, Scope *scope, const Node *n) {
    Value v = eval(run, scope, n->a);
    if (v.type == VALUE_FLOAT)
        return value_float(n->kind == NODE_NEGATE ? -v.number : v.number);
    if (v.type == VALUE_INT || v.type == VALUE_BOOL)
        return whole_arithmetic(run, n->kind == NODE_NEGATE ? OP_SUB : OP_ADD, 0, as_whole(v));
    if (v.type == VALUE_UNDEFINED)
        value_fail_undefined(run, v);
    run_fail(run, "bad operand type for unary %s: '%s'", n->kind == NODE_NEGATE ? "-" : "+", value_type_name(v));
}

/* ---- slices */

static int64_t slice_bound(Run *run, Scope *scope, const Node *n, int64_t when_absent) {
    if (!n)
        return when_absent;
    Value v = eval(run, scope, n);
    if (v.type == VALUE_NONE_TYPE)
        return when_absent;
    if (v.type != VALUE_INT && v.type != VALUE_BOOL)
        run_fail(run, "slice indices must be integers or None");
    return as_whole(v);
}

static int64_t clamp_bound(int64_t i, int64_t n, bool backward) {
    if (i < 0)
        i += n;
    if (i < 0)
        return backward ? -1 : 0;
    return i >= n ? (backward ? n - 1 : n) : i;
}

static Value eval_slice(Run *run, Scope *scope, const Node *n) {
    Value v = eval(run, scope, n->a);
    if (v.type == VALUE_UNDEFINED)
        value_fail_undefined(run, v);
    bool text = v.type == VALUE_STRING;
    if (!text && (v.type != VALUE_LIST || v.list->kind > LIST_RANGE || v.list->kind == LIST_GENERATOR)) {
        if (n->a->kind == NODE_CONST) /* Jinja looks constants' slices up as it compiles, and finds none */
            return value_undefined("slice");
        run_fail(run, "'%s' object is not subscriptable", value_type_name(v));
    }

    const List *items = value_iterate(run, v);
    int64_t size = (int64_t)items->n, step = slice_bound(run, scope, n->items[2], 1);
    if (step == 0)
        run_fail(run, "slice step cannot be zero");
    bool backward = step < 0;
    int64_t from = n->items[0] ? slice_bound(run, scope, n->items[0], backward ? size : 0) : backward ? size : 0;
    from = clamp_bound(from, size, backward);
    int64_t absent = backward ? -1 - size : size, to = slice_bound(run, scope, n->items[1], absent);
    to = clamp_bound(to, size, backward);

    Builder b = {.run = run};
    List *l = list_new(run, text ? LIST_LIST : v.list->kind);
    for (int64_t i = from; backward ? i > to : i < to; i += step) {
        if (text)
            builder_add(&b, items->items[i].string);
        else
            list_append(run, l, items->items[i]);
        if (step > size || step < -size)
            break;
    }
    if (!text && l->kind == LIST_RANGE) {
        l->start = v.list->start + from * v.list->step;
        l->stop = v.list->start + to * v.list->step;
        l->step = v.list->step * step;
    }
    if (!text)
        return value_list(l);
    return value_of(v.string->markup ? str_marked(run, builder_end(&b)) : builder_end(&b));
}

/* ---- calls */

static void eval_arguments(Run *run, Scope *scope, const Node *n, Arguments *ret) {
    List *positional = list_new(run, LIST_LIST);
    for (size_t i = 0; i < n->n_items; i++)
        list_append(run, positional, eval(run, scope, n->items[i]));
    if (n->star) {
        const List *more = value_iterate(run, eval(run, scope, n->star));
        for (size_t i = 0; i < more->n; i++)
            list_append(run, positional, more->items[i]);
    }

    Value extra = n->star_star ? eval(run, scope, n->star_star) : VALUE_ABSENT;
    if (n->star_star && extra.type != VALUE_DICT)
        run_fail(run, "argument after ** must be a mapping, not %s", value_type_name(extra));
    size_t n_extra = n->star_star ? extra.dict->n : 0;
    *ret = (Arguments){.positional = positional->items, .n_positional = positional->n};
    /* one more than needed: a call block adds its caller */
    ret->names = run_alloc(run, (n->n_named + n_extra + 1) * sizeof(*ret->names));
    ret->named = run_alloc(run, (n->n_named + n_extra + 1) * sizeof(*ret->named));
    for (size_t i = 0; i < n->n_named; i++) {
        ret->names[ret->n_named] = n->names[i];
        ret->named[ret->n_named++] = eval(run, scope, n->named[i]);
    }
    for (size_t i = 0; i < n_extra; i++) {
        for (size_t j = 0; j < n->n_named; j++)
            if (extra.dict->entries[i].key.type == VALUE_STRING &&
                str_equal(extra.dict->entries[i].key.string, n->names[j]))
                run_fail(run, "got multiple values for keyword argument '%s'", n->names[j]->data);
        ret->names[ret->n_named] = value_str(run, extra.dict->entries[i].key);
        ret->named[ret->n_named++] = extra.dict->entries[i].value;
    }
}

Value call(Run *run, Value callee, const Arguments *args) {
    Value result;

    run_enter(run);
    if (callee.type == VALUE_LOOP)
        result = call_loop(run, callee.loop, args);
    else if (callee.type == VALUE_CALLABLE && callee.callable->builtin)
        result = callee.callable->builtin(run, callee.callable->self, args);
    else if (callee.type == VALUE_CALLABLE)
        result = call_macro(run, callee.callable, args);
    else if (callee.type == VALUE_UNDEFINED)
        value_fail_undefined(run, callee);
    else
        run_fail(run, "'%s' object is not callable", value_type_name(callee));
    run_leave(run);
    return result;
}

static Value eval_call(Run *run, Scope *scope, const Node *n) {
    Arguments args;
    Value callee = eval(run, scope, n->a);
    eval_arguments(run, scope, n, &args);
    return call(run, callee, &args);
}

Value call_with_caller(Run *run, Scope *scope, const Node *call_node, Value caller) {
    Arguments args;
    Value callee = eval(run, scope, call_node->a);
    eval_arguments(run, scope, call_node, &args);
    args.names[args.n_named] = value_text(run, "caller").string;
    args.named[args.n_named++] = caller;
    return call(run, callee, &args);
}

static Value apply_filter(Run *run, Scope *scope, const Node *n, Value input) {
    Arguments args;
    eval_arguments(run, scope, n, &args);
    FilterFunction filter;
    if (!n->function)
        run_fail(run, "No filter named '%s'.", n->name->data);
    memcpy(&filter, &n->function, sizeof(filter));
    return filter(run, input, &args);
}

/* The chain of filters of a block: the innermost one has no operand, it gets the block's text. */
Value apply_block_filter(Run *run, Scope *scope, const Node *n, Value input) {
    run_enter(run);
    Value v = apply_filter(run, scope, n, n->a ? apply_block_filter(run, scope, n->a, input) : input);
    run_leave(run);
    return v;
}

static Value eval_test(Run *run, Scope *scope, const Node *n) {
    Arguments args;
    Value input = eval(run, scope, n->a);
    eval_arguments(run, scope, n, &args);
    TestFunction test;
    if (!n->function)
        run_fail(run, "No test named '%s'.", n->name->data);
    memcpy(&test, &n->function, sizeof(test));
    return value_bool(test(run, input, &args) != n->negated);
}

/* ---- the rest */

static Value eval_items(Run *run, Scope *scope, const Node *n, ListKind kind) {
    List *l = list_new(run, kind);
    for (size_t i = 0; i < n->n_items; i++)
        list_append(run, l, eval(run, scope, n->items[i]));
    return value_list(l);
}

static Value eval_dict(Run *run, Scope *scope, const Node *n) {
    Dict *d = dict_new(run);
    for (size_t i = 0; i < n->n_items; i += 2) {
        Value key = eval(run, scope, n->items[i]);
        dict_set(run, d, key, eval(run, scope, n->items[i + 1]));
    }
    return value_dict(d);
}

static Value eval_concat(Run *run, Scope *scope, const Node *n) {
    Builder b = {.run = run};
    for (size_t i = 0; i < n->n_items; i++)
        builder_add(&b, value_str(run, eval(run, scope, n->items[i])));
    return value_of(builder_end(&b));
}

static Value eval_name(Run *run, Scope *scope, const Node *n) {
    Value v;
    return scope_get(run, scope, n->name, &v) ? v : value_undefined(n->name->data);
}

static Value eval_logical(Run *run, Scope *scope, const Node *n) {
    Value v = eval(run, scope, n->a);
    return value_true(v) == (n->kind == NODE_OR) ? v : eval(run, scope, n->b);
}

static Value eval_condition(Run *run, Scope *scope, const Node *n) {
    if (value_true(eval(run, scope, n->a)))
        return eval(run, scope, n->b);
    return n->c ? eval(run, scope, n->c) : value_undefined("inline if without else");
}

static Value eval_node(Run *run, Scope *scope, const Node *n) {
    switch (n->kind) {
    case NODE_CONST: return n->value;
    case NODE_NAME: return eval_name(run, scope, n);
    case NODE_LIST: return eval_items(run, scope, n, LIST_LIST);
    case NODE_TUPLE: return eval_items(run, scope, n, LIST_TUPLE);
    case NODE_DICT: return eval_dict(run, scope, n);
    case NODE_NEGATE:
    case NODE_POSITIVE: return eval_sign(run, scope, n);
    case NODE_NOT: return value_bool(!value_true(eval(run, scope, n->a)));
    case NODE_BINARY: {
        Value a = eval(run, scope, n->a);
        return arithmetic(run, n->op, a, eval(run, scope, n->b));
    }
    case NODE_AND:
    case NODE_OR: return eval_logical(run, scope, n);
    case NODE_COMPARE: return eval_comparison(run, scope, n);
    case NODE_CONCAT: return eval_concat(run, scope, n);
    case NODE_COND: return eval_condition(run, scope, n);
    case NODE_ATTRIBUTE: return value_attribute(run, eval(run, scope, n->a), n->name);
    case NODE_ITEM: {
        Value of = eval(run, scope, n->a);
        return value_item(run, of, eval(run, scope, n->b));
    }
    case NODE_SLICE: return eval_slice(run, scope, n);
    case NODE_CALL: return eval_call(run, scope, n);
    case NODE_FILTER: return apply_filter(run, scope, n, eval(run, scope, n->a));
    case NODE_TEST: return eval_test(run, scope, n);
    default: break; /* statements */
    }
    return value_undefined(NULL);
}

Value eval(Run *run, Scope *scope, const Node *node) {
    run_enter(run);
    Value v = eval_node(run, scope, node);
    run_leave(run);
    return v;
}
