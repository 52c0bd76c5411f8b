/* A binary min-heap of (priority, position) packed into 64 bits, so that equal priorities come out in the order of
 * the text. Merges and special tokens are both chosen this way. */
#pragma once

#include <errno.h>

#include "macros.h"

typedef struct Heap {
    uint64_t *items; /* owned */
    size_t n, allocated;
} Heap;

static inline void heap_done(Heap *h) {
    free(h->items);
    *h = (Heap){};
}

static inline int heap_push(Heap *h, uint32_t priority, uint32_t position) {
    if (h->n == h->allocated) {
        size_t allocated = MAX(h->allocated * 2, (size_t)64);
        uint64_t *items = reallocarray(h->items, allocated, sizeof(*items));
        if (!items)
            return -ENOMEM;
        h->items = items;
        h->allocated = allocated;
    }
    uint64_t item = (uint64_t)priority << 32 | position;
    size_t i = h->n++;
    for (; i > 0 && h->items[(i - 1) / 2] > item; i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = item;
    return 0;
}

static inline bool heap_pop(Heap *h, uint32_t *ret_priority, uint32_t *ret_position) {
    if (h->n == 0)
        return false;
    *ret_priority = (uint32_t)(h->items[0] >> 32);
    *ret_position = (uint32_t)h->items[0];

    uint64_t last = h->items[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->items[child + 1] < h->items[child])
            child++;
        if (h->items[child] >= last)
            break;
        h->items[i] = h->items[child];
    }
    h->items[i] = last;
    return true;
}
