/* A conversation and its turns, for `infer PROMPT` and `infer chat` alike. */
#pragma once

#include <jansson.h>

#include "bus.h"
#include "options.h"
#include "output.h"

typedef struct Conversation {
    Bus *bus;      /* borrowed */
    char *session; /* owned, object path; NULL: none */
} Conversation;

/* Returns 0 or, having complained, an exit code. Only the system prompt of `g` is used here. */
int conversation_open(Conversation *c, Bus *bus, const Generation *g);
void conversation_close(Conversation *c); /* never complains */

typedef struct TurnText {
    char *bytes; /* owned, NUL-terminated */
    size_t size;
} TurnText;

typedef struct Turn {
    TurnText answer, reasoning;
    json_t *result; /* owned; the last event: finish reason, usage, timings */
    bool lost;      /* the session was gone before the turn began: nothing has been said, a new one can be tried */
} Turn;
void turn_done(Turn *t);

/* Asks, and writes to `out` (NULL: nowhere) as the answer arrives. Ctrl-C cancels the turn; the conversation stays.
 * Returns 0 or, having complained, an exit code. */
int turn_run(Conversation *c, const char *prompt, const Generation *g, Output *out, Turn *ret);
