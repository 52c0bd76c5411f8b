/* WordPiece ("bert"): the text is normalised and cut at spaces, punctuation and ideographs, and each word is covered
 * from its start by the longest tokens there are (Devlin et al. 2018). GGUF files spell the start of a word ▁ and leave
 * the ## of continuations out. */
#pragma once

#include "trie.h"
#include "vocab.h"

typedef struct WordPiece {
    const Vocab *vocab; /* borrowed */
    Trie trie;
    bool lowercase, strip_accents;
} WordPiece;

int wordpiece_init(WordPiece *w, const Vocab *v, const Gguf *g, Error *e);
void wordpiece_done(WordPiece *w);
/* 0 or -ENOMEM. */
int wordpiece_encode(const WordPiece *w, const char *text, size_t n, TokenBuffer *out);
