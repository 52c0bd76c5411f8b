/* From the bytes of tokens to the text that a client gets: reasoning and answer apart, nothing of a stop string, whole
 * UTF-8 characters only.
 *
 * Whatever could still become part of a tag, of a stop string or of a character is held back until the next tokens
 * decide; so the concatenated text never depends on how it was cut into tokens.
 *
 * Reasoning: `<think>` counts only at the very beginning (after white space), `</think>` only inside reasoning. The
 * tags are not delivered, nor the line breaks right after either and right before `</think>`. Stop strings are looked
 * for in the answer alone: like OpenAI's, they are about the text that the client asked for, and a stop at a blank line
 * must not end a chain of thought. Without split_reasoning all text is answer.
 *
 * Tool calls leave the answer before stop strings are looked for (tool-calls.h). Models that write channels have them
 * taken apart instead of the tags (harmony.h). */
#pragma once

#include "engine.h"

typedef struct Output Output;

typedef struct OutputOptions {
    const char *const *stop; /* copied */
    size_t n_stop;           /* none of them empty */
    bool split_reasoning;
    bool reasoning_open;
    EngineSyntax syntax;
    bool tool_calls;
    const char *tools; /* OpenAI's array, for the types of arguments, or NULL; not kept */
} OutputOptions;

int output_new(const OutputOptions *o, Output **ret);
Output *output_free(Output *u);
DEFINE_CLEANUP(Output *, output_free)

/* Text that has become certain. `logprobs` are those of the tokens that it ends. */
typedef struct OutputText {
    EngineTextKind kind;
    char *text; /* owned, NUL-terminated */
    size_t size;
    char *tool_name;        /* owned; of a tool call */
    TokenLogprob *logprobs; /* owned */
    size_t n_logprobs;
} OutputText;
void output_text_done(OutputText *t);

/* Adds a token's bytes and its log-probability (NULL: none wanted). *ret_stopped: a stop string is complete; nothing
 * may be added any more. -ENOMEM. */
int output_push(Output *u, const char *piece, size_t size, const TokenLogprob *logprob, bool *ret_stopped);
/* The text is over: what was held back is text after all, unless a stop string ended it. */
int output_finish(Output *u);
/* Takes the next piece of certain text, in order; between tool calls first reasoning, then answer. 1, 0 if there is
 * none, -ENOMEM. A piece may have log-probabilities and no text. */
int output_take(Output *u, OutputText *ret);

bool output_in_reasoning(const Output *u); /* the next token's text will be reasoning, as far as one can know */
