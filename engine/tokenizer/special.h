/* Finds the tokens that are taken out of a text before it is split into words: user-defined tokens everywhere, control
 * tokens where the text is trusted. Longer tokens first, wherever they are; equally long ones from the left. */
#pragma once

#include "trie.h"
#include "vocab.h"

typedef struct Specials {
    const Vocab *vocab; /* borrowed */
    Trie trie;
    uint8_t *strip; /* owned, [vocab->n]: which of the text's spaces beside it a token takes with it; NULL: none */
} Specials;

#define STRIP_LEFT  1
#define STRIP_RIGHT 2

/* A token, or a stretch of text between two. */
typedef struct Fragment {
    Token token; /* TOKEN_NONE: text */
    uint32_t start, size;
} Fragment;

typedef struct Fragments {
    Fragment *items; /* owned */
    size_t n, allocated;
} Fragments;

int specials_init(Specials *s, const Vocab *v);
void specials_done(Specials *s);
/* Every special token (or one of this text) strips spaces. 0 or -ENOMEM. */
int specials_strip(Specials *s, const char *only, uint8_t sides);

/* Cuts text[0..n), n < 2^31. trusted[i] says whether byte i may be part of a control token; changed on the way. 0 or
 * -ENOMEM. */
int specials_split(const Specials *s, const char *text, uint8_t *trusted, uint32_t n, Fragments *ret);
void fragments_done(Fragments *f);
