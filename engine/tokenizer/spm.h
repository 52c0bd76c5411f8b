/* SentencePiece's BPE ("llama"): neighbours are joined while the result is a token, best score first; characters that
 * have no token become byte tokens. */
#pragma once

#include "merge.h"
#include "vocab.h"

typedef struct Spm {
    const Vocab *vocab;   /* borrowed */
    StringMap tokens;     /* those that ordinary text may become */
    uint32_t longest;     /* bytes of the longest of them */
    bool words_are_apart; /* no token goes on from a word into the next */
} Spm;

int spm_init(Spm *s, const Vocab *v, Error *e);
void spm_done(Spm *s);
/* text[0..n) with spaces written ▁. 0 or -ENOMEM. */
int spm_encode(const Spm *s, const char *text, size_t n, Merger *scratch, TokenBuffer *out);
