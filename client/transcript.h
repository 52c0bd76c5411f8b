/* What has been said, kept by the client too: a conversation can then be set up again when the daemon has restarted,
 * when its last turn is taken back, or when its system prompt changes. */
#pragma once

#include <systemd/sd-bus.h>

#include "macros.h"

typedef struct Exchange {
    char *prompt, *answer; /* owned */
} Exchange;

typedef struct Transcript {
    Exchange *exchanges; /* owned */
    size_t n;
} Transcript;
void transcript_done(Transcript *t);

int transcript_add(Transcript *t, const char *prompt, const char *answer);
/* Takes the last exchange back; its prompt goes to *ret_prompt, owned by the caller. -ENOENT if there is none. */
int transcript_pop(Transcript *t, char **ret_prompt);
/* Appends the messages as a(ss), role and text. */
int transcript_append_to(const Transcript *t, sd_bus_message *m);
