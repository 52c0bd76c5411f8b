/* What the completion endpoints of all API families have in common: one or more generations (choices) that answer one
 * exchange, either all at once or as a stream of events. The families only say how things look in JSON. */
#pragma once

#include "http-exchange.h"
#include "request.h"
#include "tool-call.h"

typedef struct HttpGeneration HttpGeneration;
typedef struct HttpEvent HttpEvent;

/* Tokens of log-probabilities, kept beside the text that they belong to. */
typedef struct HttpLogprobs {
    TokenLogprob *items; /* owned */
    size_t n, allocated;
} HttpLogprobs;

/* A piece of one choice's text, on its way to the client, or one tool call: the text is its arguments. */
typedef struct HttpPiece {
    EngineTextKind kind;
    HttpBuffer text;
    HttpLogprobs logprobs;
    char *tool_name; /* owned; of a tool call, else NULL */
    char tool_id[TOOL_CALL_ID_SIZE];
    unsigned tool_index; /* among the calls of its choice */
} HttpPiece;

typedef struct HttpChoice {
    HttpGeneration *generation; /* borrowed */
    unsigned index;
    HttpBuffer echo;       /* text that precedes the answer */
    Request *request;      /* borrowed; NULL: not started, or finished */
    HttpBuffer text[2];    /* by EngineTextKind, answer and reasoning; everything so far, unless it is streamed */
    HttpLogprobs logprobs; /* of the answer, likewise */
    HttpPiece *calls;      /* owned, [n_calls]; likewise */
    unsigned n_calls;      /* counted when streamed, too */
    size_t n_characters;   /* of tokens already reported with log-probabilities, for text_offset */
    bool finished;
    RequestResult result;
    HttpEvent *pending; /* borrowed; its last piece, while that waits to be written */
    size_t n_untaken;   /* bytes of text written to the client and not taken yet */
} HttpChoice;

/* Each returns a new JSON value, or NULL for want of memory. */
typedef struct HttpFormat {
    json_t *(*start)(const HttpChoice *c); /* first event of a choice; NULL: there is none */
    json_t *(*piece)(HttpChoice *c, const HttpPiece *p);
    json_t *(*end)(const HttpChoice *c);
    json_t *(*usage)(const HttpGeneration *g);
    json_t *(*whole)(HttpGeneration *g); /* the answer when nothing is streamed */
} HttpFormat;

struct HttpGeneration {
    HttpExchange *exchange; /* borrowed */
    const HttpFormat *format;
    bool stream;
    bool include_usage;
    bool logprobs;
    char id[40];
    int64_t created;    /* seconds since the epoch */
    char *wanted_model; /* owned; as the client named it, NULL: whichever is loaded */

    /* from the moment that the first request was accepted */
    char *model_name; /* owned */
    Model *model;     /* owned */

    HttpChoice *choices; /* owned */
    unsigned n_choices;
    unsigned per_prompt; /* choices that answer the same prompt */
    unsigned n_finished;

    /* private to http-generation.c */
    struct HttpSse *sse;
    HttpEvent *events, *last_event; /* owned; not written yet */
    bool started;                   /* a request was accepted */
    bool answered;                  /* the reply is complete, as far as we are concerned */
};

/* The exchange owns the generation from now on: it goes when the exchange ends, and takes its requests with it. */
int http_generation_new(
    HttpExchange *x, const HttpFormat *format, const char *id_prefix, unsigned n_choices, HttpGeneration **ret);
/* One call for each choice, in order. spec->owner and transport are filled in here. On failure *he is set, and the
 * caller replies with it. */
int http_generation_start(HttpGeneration *g, unsigned index, RequestSpec *spec, HttpError *he);

/* Usage of all choices together; each prompt counts once. */
EngineUsage http_generation_usage(const HttpGeneration *g);
const char *http_finish_reason(const HttpChoice *c); /* "stop", "length", "tool_calls" */
