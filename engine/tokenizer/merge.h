/* The loop that byte-pair encoding and SentencePiece's BPE share: a text cut into symbols, and of all neighbours that
 * may be joined the best pair first, the leftmost among equals, until none is left. O(n log n) in the symbols, no
 * recursion (Sennrich et al. 2016; the heap over a linked list is SentencePiece's). */
#pragma once

#include "heap.h"
#include "string-map.h"

typedef struct Symbol {
    uint32_t id; /* the caller's; ID_NONE: joins nothing */
    uint32_t start, size;
    uint32_t next, prev;       /* ID_NONE at the ends */
    uint32_t priority, merged; /* of the pair this symbol forms with the next one; merged = ID_NONE: none */
} Symbol;

typedef struct Merger {
    Symbol *symbols; /* owned; the first is always symbols[0], the others follow by next */
    size_t n, allocated;
    Heap heap;
} Merger;

/* May left and right, neighbours in text, be joined? Lower priorities go first. */
typedef bool (*MergeLookup)(const void *userdata, const char *text, const Symbol *left, const Symbol *right,
    uint32_t *ret_priority, uint32_t *ret_id);

void merger_done(Merger *m);
/* Starts a new text; scratch memory is kept. */
void merger_reset(Merger *m);
/* The next symbol of the text. 0 or -ENOMEM. */
int merger_add(Merger *m, uint32_t id, uint32_t size);
/* 0 or -ENOMEM. */
int merger_run(Merger *m, const char *text, MergeLookup lookup, const void *userdata);
