/* The options of a generation: one vocabulary for D-Bus, HTTP and the configuration's defaults. options.c holds the
 * table of names, types and ranges; the transports only translate their own spelling into these setters. */
#pragma once

#include "engine.h"

typedef struct Options {
    char *system;           /* owned; NULL: none */
    uint32_t max_tokens;    /* ENGINE_UNLIMITED: until the context is full */
    SamplerOptions sampler; /* logit_bias owned here */
    bool seed_given;        /* else a random seed is drawn when the request starts */
    char **stop;            /* owned, NULL-terminated; NULL: none */
    int top_logprobs;       /* -1: none */
    uint32_t
        reasoning_budget; /* "none" 0, "low" 512, "medium" 2048, "high" 8192, or a number; ENGINE_UNLIMITED: not set */
    EnginePriority priority;
    uint64_t timeout_usec; /* 0: the configuration's */
} Options;

void options_init(Options *o); /* the engine's defaults */
void options_done(Options *o);
int options_copy(Options *dst, const Options *src, Error *e);

/* By the vocabulary's names ("max-tokens", "temperature", ...). -EINVAL names the option and says what is accepted;
 * unknown names likewise. Integers are accepted where a double is wanted and whole doubles where an integer is. */
int options_set_string(Options *o, const char *name, const char *value, Error *e);
int options_set_int(Options *o, const char *name, int64_t value, Error *e);
int options_set_double(Options *o, const char *name, double value, Error *e);
int options_set_strings(Options *o, const char *name, const char *const *values, size_t n, Error *e);
