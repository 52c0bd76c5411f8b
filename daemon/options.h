/* The options of a generation: one vocabulary for D-Bus, HTTP and the configuration's defaults. options.c holds the
 * table of names, types and ranges; the transports only translate their own spelling into these setters. */
#pragma once

#include <stdio.h>

#include "engine.h"

typedef struct Options {
    char *system;           /* owned; NULL: none */
    uint32_t max_tokens;    /* ENGINE_UNLIMITED: until the context is full */
    SamplerOptions sampler; /* logit_bias owned here */
    bool temperature_given; /* else the one that the model's authors recommend, if they do */
    bool seed_given;        /* else a random seed is drawn when the request starts */
    char **stop;            /* owned, NULL-terminated; NULL: none */
    int top_logprobs;       /* -1: none */
    char *tools;            /* owned; JSON array as OpenAI's API has it; NULL: none */
    char *template;         /* owned; JSON object of variables that the model's chat template reads; NULL: none */
    /* "none" 0, "low" 512, "medium" 2048, "high" 8192, or a number; ENGINE_UNLIMITED: not set */
    uint32_t reasoning_budget;
    EnginePriority priority;
    uint64_t timeout_usec; /* 0: the configuration's */
} Options;

void options_init(Options *o); /* the engine's defaults */
void options_done(Options *o);
int options_copy(Options *dst, const Options *src, Error *e); /* dst need not be initialised; untouched on failure */

/* By the vocabulary's names ("max-tokens", "temperature", ...). -EINVAL names the option and says what is accepted;
 * unknown names likewise, -EOPNOTSUPP where the name is known but not supported. Each accepts only values of its own
 * type, except that integers are accepted where a double is wanted and whole doubles where an integer is. */
int options_set_string(Options *o, const char *name, const char *value, Error *e);
int options_set_int(Options *o, const char *name, int64_t value, Error *e);
int options_set_double(Options *o, const char *name, double value, Error *e);
int options_set_strings(Options *o, const char *name, const char *const *values, size_t n, Error *e);
/* "logit-bias"; -100..100 each, copied */
int options_set_logit_bias(Options *o, const LogitBias *biases, size_t n, Error *e);
/* Any type from text, as configuration files write it. */
int options_parse(Options *o, const char *name, const char *text, Error *e);
/* For a value of a type that no setter takes: returns the error that a setter would. */
int options_refuse(const char *name, Error *e);
/* Whether the name belongs to the vocabulary and is supported. */
bool options_known(const char *name);
/* Every option that text can express, as options_parse() reads it. */
void options_print(const Options *o, FILE *f);
