/* The `infer` command: a table of verbs, and whatever is none of them is a prompt. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "help.h"
#include "options.h"
#include "output.h"
#include "verbs.h"

typedef struct Verb {
    const char *name;
    int min_words, max_words;
    bool generates; /* takes the options of a generation */
    bool json;
    int (*run)(Options *o);
} Verb;

#define ANY_NUMBER 0x7FFFFFFF

static const Verb ask = {"infer", 0, ANY_NUMBER, true, true, verb_ask};

static const Verb verbs[] = {
    {"chat", 0, 0, true, false, verb_chat},
    {"embed", 0, ANY_NUMBER, false, true, verb_embed},
    {"models", 0, 0, false, true, verb_models},
    {"load", 1, 1, false, false, verb_load},
    {"unload", 0, 0, false, false, verb_unload},
    {"status", 0, 0, false, true, verb_status},
    {"tokens", 0, ANY_NUMBER, false, true, verb_tokens},
};

static const Verb *find_verb(const Options *o) {
    for (size_t i = 0; !o->literal && o->n_words > 0 && i < ELEMENTSOF(verbs); i++)
        if (strcmp(o->words[0], verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

/* 0 or, having complained, an exit code. */
static int check(const Verb *verb, const Options *o) {
    if (o->n_words < verb->min_words)
        return complain(EX_USAGE, "%s needs a name; see infer %s --help", verb->name, verb->name);
    if (o->n_words > verb->max_words)
        return complain(EX_USAGE, "%s takes no \"%s\"; to ask about it, put -- before the prompt: infer -- %s %s",
            verb->name, o->words[verb->max_words], verb->name, o->words[0]);
    if (o->given && !verb->generates)
        return complain(EX_USAGE, "--%s has no meaning for infer %s", o->given, verb->name);
    if (o->json && !verb->json)
        return complain(EX_USAGE, "--json has no meaning for infer %s", verb->name);
    return 0;
}

static int run(Options *o) {
    const Verb *verb = find_verb(o);

    if (o->version) {
        puts("infer " INFERD_VERSION);
        return 0;
    }
    if (o->help) {
        help_print(verb ? verb->name : NULL);
        return 0;
    }
    if (!verb && o->n_words == 0 && isatty(STDIN_FILENO)) {
        help_print(NULL);
        return EX_USAGE;
    }
    if (verb) {
        o->words++;
        o->n_words--;
    }
    int code = check(verb ? verb : &ask, o);
    return code ? code : (verb ? verb : &ask)->run(o);
}

int main(int argc, char **argv) {
    Options options = {};
    Error error = {};

    /* widths and line editing need to know what a character is; prompts are UTF-8 whatever the locale says */
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");

    int code =
        options_parse(&options, argc, argv, &error) < 0 ? complain(EX_USAGE, "%s", error.message) : run(&options);
    options_done(&options);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = complain(EX_IOERR, "cannot write to standard output");
    return code;
}
