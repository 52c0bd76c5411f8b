/* One rendering: its arena, its limits, and the way out when something fails.
 *
 * A failure in the middle of nested expressions leaves by longjmp: everything a rendering holds is in its arena, so
 * there is nothing to unwind, and a hundred small functions can return values instead of error codes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

struct Block {
    Block *next;
    size_t size, used;
    max_align_t data[];
};

struct Template {
    Run arena; /* of the syntax tree */
    const Lexeme *lexemes;
    const Node *root;
};

#define BLOCK_BYTES (32u << 10)

static void arena_free(Run *run) {
    for (Block *b = run->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    run->blocks = NULL;
}

void run_fail(Run *run, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    run->code = error_setv(run->error, -EINVAL, format, ap);
    va_end(ap);
    longjmp(run->escape, 1);
}

void run_exceeded(Run *run, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    run->code = error_setv(run->error, -E2BIG, format, ap);
    va_end(ap);
    longjmp(run->escape, 1);
}

void *run_alloc(Run *run, size_t size) {
    if (size > RUN_MAX_MEMORY || run->memory + size > RUN_MAX_MEMORY)
        run_exceeded(run, "the chat template needs more than %u MiB of memory", RUN_MAX_MEMORY >> 20);

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    Block *b = run->blocks;
    if (!b || b->size - b->used < size) {
        size_t data = MAX(size, (size_t)BLOCK_BYTES);
        b = malloc(sizeof(Block) + data);
        if (!b) {
            run->code = error_set(run->error, -ENOMEM, "out of memory");
            longjmp(run->escape, 1);
        }
        b->size = data;
        b->used = 0;
        b->next = run->blocks;
        run->blocks = b;
    }
    void *p = (char *)b->data + b->used;
    b->used += size;
    run->memory += size;
    return memset(p, 0, size);
}

void run_step(Run *run, size_t n) {
    run->steps += n;
    if (run->steps > RUN_MAX_STEPS)
        run_exceeded(run, "the chat template takes too many steps (more than %u)", RUN_MAX_STEPS);
}

void run_enter(Run *run) {
    run_step(run, 1);
    if (++run->depth > RUN_MAX_DEPTH)
        run_exceeded(run, "the chat template nests too deeply (more than %u levels)", RUN_MAX_DEPTH);
}

void run_leave(Run *run) {
    run->depth--;
}

/* ---- the public face */

int template_parse(const char *source, size_t size, Template **ret, Error *e) {
    Template *t = calloc(1, sizeof(*t));
    if (!t)
        return error_set(e, -ENOMEM, "out of memory");

    Error error = {};
    t->arena.error = &error;
    if (setjmp(t->arena.escape) != 0) {
        int code = t->arena.code == -EINVAL ? -EBADMSG : t->arena.code;
        template_free(t);
        return error_set(e, code, "chat template: %s", error.message);
    }
    t->lexemes = lexer_run(&t->arena, source, size);
    t->root = parser_run(&t->arena, t->lexemes);
    t->arena.error = NULL;
    *ret = t;
    return 0;
}

Template *template_free(Template *t) {
    if (t)
        arena_free(&t->arena);
    free(t);
    return NULL;
}

bool template_mentions(const Template *t, const char *name) {
    for (const Lexeme *l = t->lexemes; l->kind != LEXEME_END; l++)
        if (l->kind == LEXEME_NAME && l->size == strlen(name) && memcmp(l->text, name, l->size) == 0)
            return true;
    return false;
}

void template_text_done(TemplateText *t) {
    free(t->text);
    free(t->spans);
    *t = (TemplateText){};
}

/* Copies a string out of the arena and lists the runs of bytes with the same origin. */
static int text_from_str(const Str *s, TemplateText *ret) {
    size_t n = s->size > 0;
    for (size_t i = 1; s->trust && i < s->size; i++)
        n += s->trust[i] != s->trust[i - 1];

    TemplateText t = {.text = malloc(s->size + 1), .size = s->size, .spans = calloc(n ? n : 1, sizeof(TextSpan))};
    if (!t.text || !t.spans) {
        template_text_done(&t);
        return -ENOMEM;
    }
    memcpy(t.text, s->data, s->size);
    t.text[s->size] = '\0';

    for (size_t from = 0, to; from < s->size; from = to) {
        for (to = from + 1; to < s->size && (!s->trust || s->trust[to] == s->trust[from]); to++)
            ;
        t.spans[t.n_spans++] =
            (TextSpan){.text = t.text + from, .size = to - from, .trusted = s->trust ? s->trust[from] : s->trusted};
    }
    *ret = t;
    return 0;
}

int template_render(
    const Template *t, TemplateVariables variables, void *userdata, const struct tm *now, TemplateText *ret, Error *e) {
    Run run = {.error = e, .now = now};
    int r = 0;

    if (setjmp(run.escape) == 0) {
        Scope globals = {}, *top = run_alloc(&run, sizeof(Scope));
        Builder out = {.run = &run};
        globals_define(&run, &globals.variables);
        variables(&run, &globals.variables, userdata);
        top->parent = &globals;
        exec_template(&run, top, t->root, &out);
        r = text_from_str(builder_end(&out), ret);
        if (r < 0)
            error_set(e, r, "out of memory");
    } else
        r = run.code;
    arena_free(&run);
    return r;
}
