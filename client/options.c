/* The options of a generation are the daemon's vocabulary, so a row here gives only name, kind and help: the client
 * checks that a number is a number and leaves ranges to the daemon, whose sentence names the option. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "text.h"

const OptionSpec generation_specs[] = {
    {"system", OPTION_TEXT, "TEXT", "what the model shall be or heed"},
    {"max-tokens", OPTION_COUNT, "N", "stop after N tokens"},
    {"temperature", OPTION_NUMBER, "T", "0 always takes the likeliest token; higher is more varied"},
    {"top-k", OPTION_COUNT, "K", "choose among the K likeliest tokens (0: all)"},
    {"top-p", OPTION_NUMBER, "P", "choose among the likeliest tokens that reach probability P together"},
    {"min-p", OPTION_NUMBER, "P", "leave out tokens below P times the likeliest one"},
    {"repeat-penalty", OPTION_NUMBER, "X", "make recent tokens less likely (1: off)"},
    {"presence-penalty", OPTION_NUMBER, "X", "make tokens that occurred less likely"},
    {"frequency-penalty", OPTION_NUMBER, "X", "the same, growing with each occurrence"},
    {"seed", OPTION_SEED, "N", "the same seed gives the same answer"},
    {"stop", OPTION_LIST, "TEXT", "end before TEXT; may be given several times"},
    {"reasoning", OPTION_LEVEL, "LEVEL", "none, low, medium, high, or a number of tokens"},
    {"priority", OPTION_TEXT, "CLASS", "interactive, normal or background"},
    {"timeout", OPTION_TIME, "TIME", "give up after so long: seconds, or a time such as 2min"},
};
const size_t n_generation_specs = ELEMENTSOF(generation_specs);
_Static_assert(ELEMENTSOF(generation_specs) <= GENERATION_MAX, "Generation is too small");

static int spec_find(const char *name) {
    for (size_t i = 0; i < n_generation_specs; i++)
        if (strcmp(generation_specs[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int parse_whole(const char *s, uint64_t max, uint64_t *ret) {
    /* strtoull() takes a sign and wraps */
    if (*s < '0' || *s > '9')
        return -EINVAL;

    char *end;
    errno = 0;
    uint64_t value = strtoull(s, &end, 10);
    if (errno || *end || value > max)
        return -EINVAL;
    *ret = value;
    return 0;
}

static int parse_number(const char *s, double *ret) {
    char *end;
    errno = 0;
    double value = strtod(s, &end);
    if (errno || end == s || *end || !isfinite(value))
        return -EINVAL;
    *ret = value;
    return 0;
}

static int value_check(const OptionSpec *spec, const char *value, Error *e) {
    uint64_t whole;
    double number;

    switch (spec->kind) {
    case OPTION_COUNT:
        if (parse_whole(value, UINT32_MAX, &whole) < 0)
            return error_set(
                e, -EINVAL, "%s takes a whole number from 0 to %u, not \"%s\"", spec->name, UINT32_MAX, value);
        return 0;
    case OPTION_SEED:
        if (parse_whole(value, INT64_MAX, &whole) < 0)
            return error_set(e, -EINVAL, "%s takes a whole number, 0 or more, not \"%s\"", spec->name, value);
        return 0;
    case OPTION_NUMBER:
        if (parse_number(value, &number) < 0)
            return error_set(e, -EINVAL, "%s takes a number, not \"%s\"", spec->name, value);
        return 0;
    case OPTION_LEVEL:
    case OPTION_TIME:
    case OPTION_TEXT:
    case OPTION_LIST: return 0;
    }
    return 0;
}

static char **strings_free(char **strings) {
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
    return NULL;
}

/* As text that a message can hold. */
static int strings_append(char ***strings, const char *value) {
    _cleanup_(text_done) Text text = {};
    size_t n = 0;
    while (*strings && (*strings)[n])
        n++;
    int r = text_from_bytes(value, strlen(value), &text);
    if (r < 0)
        return r;
    char **grown = reallocarray(*strings, n + 2, sizeof(char *));
    if (!grown)
        return -ENOMEM;
    grown[n] = TAKE_PTR(text.bytes);
    grown[n + 1] = NULL;
    *strings = grown;
    return 0;
}

int generation_set(Generation *g, const char *name, const char *value, Error *e) {
    int i = spec_find(name);
    if (i < 0)
        return error_set(e, -EINVAL, "there is no option \"%s\"", name);
    if (!value) {
        g->values[i] = strings_free(g->values[i]);
        return 0;
    }

    int r = value_check(&generation_specs[i], value, e);
    if (r < 0)
        return r;
    if (generation_specs[i].kind != OPTION_LIST)
        g->values[i] = strings_free(g->values[i]);
    r = strings_append(&g->values[i], value);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

const char *generation_get(const Generation *g, const char *name) {
    int i = spec_find(name);
    return i >= 0 && g->values[i] ? g->values[i][0] : NULL;
}

void generation_prefer_interactive(Generation *g, int fd) {
    if (isatty(fd) && !generation_get(g, "priority"))
        (void)generation_set(g, "priority", "interactive", NULL);
}

void generation_done(Generation *g) {
    for (size_t i = 0; i < n_generation_specs; i++)
        g->values[i] = strings_free(g->values[i]);
}

/* Values were checked by generation_set(). */
static int append_value(sd_bus_message *m, OptionKind kind, char **values) {
    uint64_t whole = 0;
    double number = 0;
    int r;

    switch (kind) {
    case OPTION_COUNT:
        (void)parse_whole(values[0], UINT32_MAX, &whole);
        return sd_bus_message_append(m, "v", "u", (uint32_t)whole);
    case OPTION_SEED: (void)parse_whole(values[0], INT64_MAX, &whole); return sd_bus_message_append(m, "v", "t", whole);
    case OPTION_NUMBER: (void)parse_number(values[0], &number); return sd_bus_message_append(m, "v", "d", number);
    case OPTION_LEVEL:
        if (parse_whole(values[0], UINT32_MAX, &whole) == 0)
            return sd_bus_message_append(m, "v", "u", (uint32_t)whole);
        return sd_bus_message_append(m, "v", "s", values[0]);
    case OPTION_TIME:
        if (parse_number(values[0], &number) == 0)
            return sd_bus_message_append(m, "v", "d", number);
        return sd_bus_message_append(m, "v", "s", values[0]);
    case OPTION_TEXT: return sd_bus_message_append(m, "v", "s", values[0]);
    case OPTION_LIST:
        r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
            r = sd_bus_message_append_strv(m, values);
        return r < 0 ? r : sd_bus_message_close_container(m);
    }
    return -EINVAL;
}

int generation_append(sd_bus_message *m, const Generation *g, bool (*wanted)(const char *name)) {
    int r = sd_bus_message_open_container(m, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < n_generation_specs; i++) {
        const OptionSpec *spec = &generation_specs[i];
        if (!g->values[i] || !wanted(spec->name))
            continue;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
            r = sd_bus_message_append(m, "s", spec->name);
        if (r >= 0)
            r = append_value(m, spec->kind, g->values[i]);
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ------------------------------------------------------------------------------------------------ command line */

enum {
    ARG_HELP = 'h',
    ARG_VERSION = 0x100,
    ARG_JSON,
    ARG_NO_STREAM,
    ARG_NO_COLOR,
    ARG_SHOW_REASONING,
    ARG_HIDE_REASONING,
    ARG_BUS,
    ARG_GENERATION, /* + index into generation_specs */
};

static const struct option general_options[] = {
    {"help", no_argument, NULL, ARG_HELP},
    {"version", no_argument, NULL, ARG_VERSION},
    {"json", no_argument, NULL, ARG_JSON},
    {"no-stream", no_argument, NULL, ARG_NO_STREAM},
    {"no-color", no_argument, NULL, ARG_NO_COLOR},
    {"show-reasoning", no_argument, NULL, ARG_SHOW_REASONING},
    {"hide-reasoning", no_argument, NULL, ARG_HIDE_REASONING},
    {"bus", required_argument, NULL, ARG_BUS},
};

static int parse_bus(const char *value, BusChoice *ret, Error *e) {
    if (strcmp(value, "system") == 0)
        *ret = BUS_SYSTEM;
    else if (strcmp(value, "user") == 0)
        *ret = BUS_USER;
    else
        return error_set(e, -EINVAL, "--bus takes user or system, not \"%s\"", value);
    return 0;
}

static int take_option(Options *o, int c, const char *value, Error *e) {
    switch (c) {
    case ARG_HELP: o->help = true; return 0;
    case ARG_VERSION: o->version = true; return 0;
    case ARG_JSON: o->json = true; return 0;
    case ARG_NO_STREAM: o->no_stream = true; return 0;
    case ARG_NO_COLOR: o->no_color = true; return 0;
    case ARG_SHOW_REASONING: o->reasoning = REASONING_SHOW; return 0;
    case ARG_HIDE_REASONING: o->reasoning = REASONING_HIDE; return 0;
    case ARG_BUS: return parse_bus(value, &o->bus, e);
    }

    const char *name = generation_specs[c - ARG_GENERATION].name;
    o->given = name;
    Error reason = {};
    int r = generation_set(&o->generation, name, value, &reason);
    return r < 0 ? error_set(e, r, "--%s", reason.message) : 0;
}

/* What getopt has just refused: a short option leaves its letter in optopt, a long one stands in argv before optind. */
static int refuse(int c, char **argv, Error *e) {
    const char *word = argv[optind - 1];
    if (c == ':')
        return error_set(e, -EINVAL, "%s needs a value", word);
    if (optopt && optopt < 0x100 && strncmp(word, "--", 2) != 0)
        return error_set(e, -EINVAL, "there is no option -%c; put -- before a prompt that begins with a dash", optopt);
    if (optopt)
        return error_set(e, -EINVAL, "%.*s takes no value", (int)strcspn(word, "="), word);
    return error_set(e, -EINVAL, "there is no option %s; see infer --help", word);
}

/* Whether the words begin behind a "--". Permutation has moved that in front of all of them, so `infer tokens -- -x`,
 * where the verb stood before it, differs from `infer -- tokens -x` only in the original order. */
static bool begins_behind_dashes(char *const *original, const Options *o, const char *dashes) {
    for (; *original; original++) {
        if (*original == dashes)
            return true;
        if (o->n_words > 0 && *original == o->words[0])
            return false;
    }
    return false;
}

int options_parse(Options *o, int argc, char **argv, Error *e) {
    _cleanup_(freep) char **original = calloc(argc + 1, sizeof(char *));
    if (!original)
        return error_set(e, -ENOMEM, "out of memory");
    memcpy(original, argv, argc * sizeof(char *));

    struct option table[ELEMENTSOF(general_options) + ELEMENTSOF(generation_specs) + 1] = {};
    memcpy(table, general_options, sizeof(general_options));
    for (size_t i = 0; i < n_generation_specs; i++)
        table[ELEMENTSOF(general_options) + i] =
            (struct option){generation_specs[i].name, required_argument, NULL, ARG_GENERATION + (int)i};

    optind = 0; /* start afresh, also in a test that parses several command lines */
    opterr = 0;
    for (;;) {
        int c = getopt_long(argc, argv, ":h", table, NULL);
        if (c == -1)
            break;
        if (c == '?' || c == ':')
            return refuse(c, argv, e);
        int r = take_option(o, c, optarg, e);
        if (r < 0)
            return r;
    }

    o->words = argv + optind;
    o->n_words = argc - optind;
    const char *last = argv[optind - 1];
    o->literal = optind > 1 && strcmp(last, "--") == 0 && begins_behind_dashes(original, o, last);
    return 0;
}

void options_done(Options *o) {
    generation_done(&o->generation);
}
