/* Vocabularies of a dozen tokens for tests of the tokenizer's parts. */
#pragma once

#include "gguf-builder.h"
#include "tokenizer/vocab.h"

typedef struct TinyToken {
    const char *text;
    TokenType type; /* 0: TOKEN_NORMAL */
    float score;
} TinyToken;

/* What a test says of its vocabulary. */
typedef struct TinyVocab {
    const char *model, *pre; /* pre may be NULL */
    const TinyToken *tokens;
    size_t n_tokens;
    const char *const *merges;
    size_t n_merges;
    bool all_bytes;              /* the 256 byte tokens follow the tokens given */
    void (*more)(GgufBuilder *); /* further keys; may be NULL */
} TinyVocab;

/* The keys of it. */
void tiny_vocab_write(const TinyVocab *v, GgufBuilder *b);
/* The same, parsed. The bytes live until the next call. */
Gguf *tiny_vocab_gguf(const TinyVocab *v);
Gguf *tiny_gguf(GgufBuilder *b);
