/* The embeddings of several texts, whatever transport they came by. Their requests run one after the other, so that a
 * long list takes no more of the engine's turns than somebody else's single text. Loop thread only. */
#pragma once

#include "request.h"

#define EMBEDDING_MAX_INPUTS 2048

typedef struct Embedding Embedding;

typedef struct EmbeddingInput {
    const char *text; /* NULL: tokens, as they are */
    size_t size;
    const Token *tokens;
    size_t n_tokens;
} EmbeddingInput;

/* Borrowed for the call of EmbeddingDone only. */
typedef struct EmbeddingResult {
    size_t n;
    size_t width;
    const float *values; /* [n][width], each of length 1 */
    uint64_t prompt_tokens;
    const char *model;
} EmbeddingResult;

/* Called once, never from inside embedding_start(); one of result and error is NULL. */
typedef void (*EmbeddingDone)(void *userdata, const EmbeddingResult *result, const Error *error);

/* 1 to EMBEDDING_MAX_INPUTS inputs; what they point to must live until the end. Fails like request_start(). */
int embedding_start(Daemon *d, RequestTransport transport, uint64_t owner, const Options *options,
    const EmbeddingInput *inputs, size_t n, EmbeddingDone done, void *userdata, Embedding **ret, Error *e);
/* Also before it is done, which it then never is; allowed inside EmbeddingDone. */
Embedding *embedding_free(Embedding *m);
