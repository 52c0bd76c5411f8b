/* Splits text into the pieces that merges may not cross, by the expressions that each model family was trained with.
 * Files name them (tokenizer.ggml.pre). */
#pragma once

#include "gguf.h"

typedef struct Pretokenizer Pretokenizer;

/* What else comes with a name. */
typedef struct PretokenizerTraits {
    bool whole_pieces; /* a piece that is a token is taken as it is, whatever the merges say */
    bool add_bos;      /* unless the file says otherwise */
    bool clean_spaces; /* decoding takes spaces before punctuation back */
    bool raw;          /* merges join characters, with spaces written ▁, not bytes */
} PretokenizerTraits;

/* -EOPNOTSUPP naming the unknown name. An empty name is that of files which say nothing. */
int pretokenizer_new(GgufString name, Pretokenizer **ret, Error *e);
Pretokenizer *pretokenizer_free(Pretokenizer *p);
DEFINE_CLEANUP(Pretokenizer *, pretokenizer_free)
const PretokenizerTraits *pretokenizer_traits(const Pretokenizer *p);

/* Offsets where pieces end, ascending, the last one is the text's size. */
typedef struct Pieces {
    uint32_t *ends; /* owned */
    size_t n, allocated;
} Pieces;
void pieces_done(Pieces *p);

/* text[0..n), n < 2^31, any bytes; those that are no UTF-8 count as control characters. Linear time, any thread. 0 or
 * -ENOMEM. */
int pretokenizer_split(const Pretokenizer *p, const char *text, uint32_t n, Pieces *ret);
