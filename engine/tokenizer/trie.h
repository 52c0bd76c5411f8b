/* A set of strings to be found at a place in a text, longest or all of them, walking one byte at a time. */
#pragma once

#include "string-map.h"

#define TRIE_ROOT 0u

typedef struct Trie {
    struct TrieNode *nodes; /* owned, [n_nodes]; a node's children lie together, sorted by byte */
    uint32_t n_nodes;
    uint32_t first[256]; /* the root's children by byte; TRIE_ROOT: none */
} Trie;

/* Holds the strings texts[ids[i]], which need not live on; ids is sorted on the way. Of equal strings the lowest id
 * counts, empty ones are left out. 0 or -ENOMEM. */
int trie_init(Trie *t, const Text *texts, uint32_t *ids, uint32_t n);
void trie_done(Trie *t);

/* From a node to the one that a further byte leads to; TRIE_ROOT: no string goes on like this. */
uint32_t trie_step(const Trie *t, uint32_t node, unsigned char byte);
/* The string that ends here, or ID_NONE. */
uint32_t trie_id(const Trie *t, uint32_t node);
