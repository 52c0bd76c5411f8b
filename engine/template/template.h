/* Chat templates: the subset of Jinja 2 that model files use, as Hugging Face's transformers sets it up (sandboxed,
 * trim_blocks, lstrip_blocks, loop controls, `generation` blocks, tojson, raise_exception, strftime_now). Text in, text
 * out.
 *
 * A template comes from a model file and its variables from a request: neither is trusted. A rendering is bounded in
 * memory, steps, depth and output; what goes beyond fails with a sentence and costs nobody else anything. Every byte of
 * the result knows whether it comes from the template or from the request, so that text of a user can never become a
 * control token.
 *
 *   lexer.c parser.c   source → syntax tree (ast.h), once per model
 *   eval.c exec.c      expressions, statements
 *   filters.c tests.c methods.c globals.c   what a template can call, one table each
 *   value.c text.c     values in an arena, strings with the origin of each byte */
#pragma once

#include <time.h>

#include "engine.h"

typedef struct Template Template;
typedef struct Run Run;   /* one rendering, see value.h */
typedef struct Dict Dict; /* see value.h */

/* -EBADMSG with line and reason for a syntax error, an unknown filter or test, or nesting beyond the limit. */
int template_parse(const char *source, size_t size, Template **ret, Error *e);
Template *template_free(Template *t);
DEFINE_CLEANUP(Template *, template_free)

/* Whether the template mentions a variable of this name anywhere. */
bool template_mentions(const Template *t, const char *name);

/* Called at the start of a rendering to define the template's variables with the functions of value.h. */
typedef void (*TemplateVariables)(Run *run, Dict *variables, void *userdata);

typedef struct TemplateText {
    char *text; /* owned, NUL-terminated */
    size_t size;
    TextSpan *spans; /* owned; cover text, alternating in origin */
    size_t n_spans;
} TemplateText;
void template_text_done(TemplateText *t);

/* now: what strftime_now() formats. -EINVAL with the template's own message (raise_exception) or the reason why an
 * expression failed; -E2BIG when a limit was reached; -ENOMEM. */
int template_render(
    const Template *t, TemplateVariables variables, void *userdata, const struct tm *now, TemplateText *ret, Error *e);
