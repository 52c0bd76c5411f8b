/* See transcript.h. */
#include <errno.h>
#include <string.h>

#include "transcript.h"

static void exchange_done(Exchange *x) {
    free(x->prompt);
    free(x->answer);
}

void transcript_done(Transcript *t) {
    for (size_t i = 0; i < t->n; i++)
        exchange_done(&t->exchanges[i]);
    free(t->exchanges);
    *t = (Transcript){};
}

int transcript_add(Transcript *t, const char *prompt, const char *answer) {
    Exchange *grown = reallocarray(t->exchanges, t->n + 1, sizeof(Exchange));
    if (!grown)
        return -ENOMEM;
    t->exchanges = grown;

    Exchange x = {.prompt = strdup(prompt), .answer = strdup(answer)};
    if (!x.prompt || !x.answer) {
        exchange_done(&x);
        return -ENOMEM;
    }
    t->exchanges[t->n++] = x;
    return 0;
}

int transcript_pop(Transcript *t, char **ret_prompt) {
    if (t->n == 0)
        return -ENOENT;
    Exchange *last = &t->exchanges[--t->n];
    *ret_prompt = TAKE_PTR(last->prompt);
    free(last->answer);
    return 0;
}

int transcript_append_to(const Transcript *t, sd_bus_message *m) {
    int r = sd_bus_message_open_container(m, 'a', "(ss)");
    for (size_t i = 0; r >= 0 && i < t->n; i++) {
        r = sd_bus_message_append(m, "(ss)", "user", t->exchanges[i].prompt);
        if (r >= 0)
            r = sd_bus_message_append(m, "(ss)", "assistant", t->exchanges[i].answer);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}
