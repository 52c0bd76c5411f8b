/* Tokens as they are found. */
#pragma once

#include <errno.h>

#include "engine.h"

typedef struct TokenBuffer {
    Token *items; /* owned */
    size_t n, allocated;
} TokenBuffer;

static inline void token_buffer_done(TokenBuffer *b) {
    free(b->items);
    *b = (TokenBuffer){};
}

static inline int token_buffer_add(TokenBuffer *b, Token token) {
    if (b->n == b->allocated) {
        size_t allocated = MAX(b->allocated * 2, (size_t)64);
        Token *items = reallocarray(b->items, allocated, sizeof(*items));
        if (!items)
            return -ENOMEM;
        b->items = items;
        b->allocated = allocated;
    }
    b->items[b->n++] = token;
    return 0;
}
