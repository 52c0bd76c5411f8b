/* Byte-pair encoding of one piece of text by a list of ranked merges. Byte-level: symbols begin as bytes. Raw (Gemma
 * 4): they begin as characters, spaces are written ▁, and what has no token falls back to byte tokens. */
#pragma once

#include "merge.h"
#include "vocab.h"

typedef struct Bpe Bpe;

/* v is borrowed. -EBADMSG when merges are missing or malformed. A merge may name strings that are not tokens: they are
 * steps on the way to some that are. */
int bpe_new(const Vocab *v, const Gguf *g, Bpe **ret, Error *e);
Bpe *bpe_free(Bpe *b);
DEFINE_CLEANUP(Bpe *, bpe_free)

/* whole: where all of the piece is one token, take that and do not ask the merges. 0 or -ENOMEM. */
int bpe_encode(const Bpe *b, const char *piece, size_t size, bool whole, Merger *scratch, TokenBuffer *out);
