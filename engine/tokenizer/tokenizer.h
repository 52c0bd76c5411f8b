/* Text to token ids and back, as the model file's metadata describes it. Immutable after tokenizer_new(), usable from
 * any thread. */
#pragma once

#include "engine.h"
#include "gguf.h"

typedef struct Tokenizer Tokenizer;

/* Reads tokenizer.ggml.*. -EBADMSG names the key; -EOPNOTSUPP names an unknown model or pre-tokenizer. Copies what it
 * needs. */
int tokenizer_new(const Gguf *g, Tokenizer **ret, Error *e);
Tokenizer *tokenizer_free(Tokenizer *t);
DEFINE_CLEANUP(Tokenizer *, tokenizer_free)

/* Linear in the text's size. User-defined tokens (type 4) are found everywhere, control tokens (type 3) and unknown (2)
 * only where all of their bytes are trusted. */
int tokenizer_encode(
    const Tokenizer *t, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e);
/* The whole text of a run of tokens, with the clean-ups the metadata asks for. Ids must be < n_vocab. */
int tokenizer_decode(const Tokenizer *t, const Token *tokens, size_t n, bool special, char **ret, size_t *ret_size);

uint32_t tokenizer_n_vocab(const Tokenizer *t);
/* The raw bytes that a token adds to the text while streaming (borrowed; "" for control tokens when !special). */
const char *tokenizer_piece(const Tokenizer *t, Token token, bool special, size_t *ret_size);
Token tokenizer_find(const Tokenizer *t, const char *text); /* token whose text is exactly this; TOKEN_NONE */
Token tokenizer_bos(const Tokenizer *t);                    /* TOKEN_NONE if there is none */
Token tokenizer_eos(const Tokenizer *t);
bool tokenizer_is_end(const Tokenizer *t, Token token); /* any token that ends a generation: eos, eot, eom */
