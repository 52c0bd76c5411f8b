/* See merge.h. A heap entry is never removed when its pair changes: it is compared with the pair that stands there when
 * it comes out, which is enough, since equal priority at an equal place means an equal turn. */
#include <errno.h>

#include "merge.h"

void merger_done(Merger *m) {
    free(m->symbols);
    heap_done(&m->heap);
    *m = (Merger){};
}

void merger_reset(Merger *m) {
    m->n = 0;
    m->heap.n = 0;
}

int merger_add(Merger *m, uint32_t id, uint32_t size) {
    if (m->n == m->allocated) {
        size_t allocated = MAX(m->allocated * 2, (size_t)64);
        Symbol *symbols = reallocarray(m->symbols, allocated, sizeof(*symbols));
        if (!symbols)
            return -ENOMEM;
        m->symbols = symbols;
        m->allocated = allocated;
    }
    Symbol *previous = m->n > 0 ? &m->symbols[m->n - 1] : NULL;
    m->symbols[m->n] = (Symbol){
        .id = id,
        .start = previous ? previous->start + previous->size : 0,
        .size = size,
        .next = ID_NONE,
        .prev = previous ? (uint32_t)m->n - 1 : ID_NONE,
        .merged = ID_NONE,
    };
    if (previous)
        previous->next = (uint32_t)m->n;
    m->n++;
    return 0;
}

/* Works out the pair that starts at symbol i. */
static int pair_up(Merger *m, uint32_t i, const char *text, MergeLookup lookup, const void *userdata) {
    Symbol *s = &m->symbols[i];
    s->merged = ID_NONE;
    if (s->next == ID_NONE)
        return 0;
    if (!lookup(userdata, text, s, &m->symbols[s->next], &s->priority, &s->merged)) {
        s->merged = ID_NONE;
        return 0;
    }
    return heap_push(&m->heap, s->priority, i);
}

int merger_run(Merger *m, const char *text, MergeLookup lookup, const void *userdata) {
    int r;
    for (uint32_t i = 0; i + 1 < m->n; i++) {
        r = pair_up(m, i, text, lookup, userdata);
        if (r < 0)
            return r;
    }

    uint32_t priority, at;
    while (heap_pop(&m->heap, &priority, &at)) {
        Symbol *left = &m->symbols[at];
        if (left->merged == ID_NONE || left->priority != priority)
            continue;

        Symbol *right = &m->symbols[left->next];
        left->id = left->merged;
        left->size += right->size;
        left->next = right->next;
        right->merged = ID_NONE; /* swallowed: its entries in the heap are void */
        if (left->next != ID_NONE)
            m->symbols[left->next].prev = at;

        r = pair_up(m, at, text, lookup, userdata);
        if (r >= 0 && left->prev != ID_NONE)
            r = pair_up(m, left->prev, text, lookup, userdata);
        if (r < 0)
            return r;
    }
    return 0;
}
