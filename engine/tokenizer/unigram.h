/* SentencePiece's unigram model ("t5"): the text is normalised, and of all ways to cover it with tokens the one with
 * the best sum of scores is taken (Kudo 2018). */
#pragma once

#include "trie.h"
#include "vocab.h"

typedef struct Unigram {
    const Vocab *vocab; /* borrowed */
    Trie tokens;
    Trie user_defined; /* these pass the normaliser untouched */
    float unknown_score;

    bool add_space_prefix;
    bool merge_spaces;

    /* SentencePiece's precompiled_charsmap: a double array of prefixes and the strings that replace them */
    uint32_t *units; /* owned, [n_units] */
    uint32_t n_units;
    char *replacements; /* owned, [replacements_size], NUL after each */
    size_t replacements_size;
} Unigram;

int unigram_init(Unigram *u, const Vocab *v, const Gguf *g, bool add_space_prefix, Error *e);
void unigram_done(Unigram *u);
/* 0 or -ENOMEM. */
int unigram_encode(const Unigram *u, const char *text, size_t n, TokenBuffer *out);
