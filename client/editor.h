/* Lines from a person: with libedit and a history at a terminal, plainly from anything else. */
#pragma once

#include "macros.h"

typedef struct Editor Editor;

/* `history`: file to keep lines in, NULL: none. `interactive`: prompt and edit. */
int editor_new(bool interactive, const char *history, Editor **ret);
Editor *editor_free(Editor *ed);

/* The next input, several lines joined where they end in a backslash; a NUL in it becomes the byte 0xFF, which is no
 * text either. 1: *ret is set, 0: the end, -EINTR: Ctrl-C. */
int editor_read(Editor *ed, char **ret);
