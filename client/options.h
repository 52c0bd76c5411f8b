/* What the command line and the REPL's /set accept, from one table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "macros.h"

typedef enum OptionKind {
    OPTION_TEXT,
    OPTION_COUNT,  /* a whole number, sent as u */
    OPTION_SEED,   /* a whole number, sent as t */
    OPTION_NUMBER, /* sent as d */
    OPTION_LEVEL,  /* a whole number, sent as u, or a word */
    OPTION_TIME,   /* a number of seconds, sent as d, or a word */
    OPTION_LIST,   /* may be given several times, sent as as */
} OptionKind;

typedef struct OptionSpec {
    const char *name; /* as the daemon and the command line spell it */
    OptionKind kind;
    const char *argument;
    const char *help;
} OptionSpec;

extern const OptionSpec generation_specs[];
extern const size_t n_generation_specs;
#define GENERATION_MAX 16 /* at least n_generation_specs */

/* Values the user has given; the daemon knows the defaults and the ranges. */
typedef struct Generation {
    char **values[GENERATION_MAX]; /* owned, NULL-terminated; NULL: not given */
} Generation;

/* -EINVAL with a sentence for an unknown name or a value that is not of the option's kind. A list grows, anything else
 * is replaced; NULL takes the option back. */
int generation_set(Generation *g, const char *name, const char *value, Error *e);
const char *generation_get(const Generation *g, const char *name); /* the first value, or NULL */
/* Somebody who waits at a terminal goes first, unless another priority was asked for. */
void generation_prefer_interactive(Generation *g, int fd);
void generation_done(Generation *g);
/* Appends an a{sv} of the options for which `wanted` is true. */
int generation_append(sd_bus_message *m, const Generation *g, bool (*wanted)(const char *name));

typedef enum BusChoice {
    BUS_AUTO,
    BUS_SYSTEM,
    BUS_USER,
} BusChoice;

typedef enum ReasoningDisplay {
    REASONING_AUTO, /* dimmed on a terminal, left out elsewhere */
    REASONING_SHOW,
    REASONING_HIDE,
} ReasoningDisplay;

typedef struct Options {
    Generation generation;
    BusChoice bus;
    ReasoningDisplay reasoning;
    bool json;
    bool no_stream;
    bool no_color;
    bool help;
    bool version;
    bool literal; /* "--" came before the first word: it is a prompt, whatever it says */
    char **words; /* borrowed from argv, NULL-terminated */
    int n_words;
    const char *given; /* a generation option's name, to name when the verb takes none; NULL */
} Options;

/* Reorders argv so that options may follow words. -EINVAL with a sentence. */
int options_parse(Options *o, int argc, char **argv, Error *e);
void options_done(Options *o);
