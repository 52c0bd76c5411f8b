/* See special.h. Each place where a token starts enters a heap with its longest token. When it comes out, all longer
 * tokens of the whole text have their places: if the token still fits it takes its place, else the next shorter one
 * that starts there waits for its turn. */
#include <ctype.h>
#include <errno.h>

#include "heap.h"
#include "special.h"

/* per byte of the text */
#define TRUSTED 1
#define TAKEN   2

int specials_init(Specials *s, const Vocab *v) {
    *s = (Specials){.vocab = v};
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += v->types[i] == TOKEN_CONTROL || v->types[i] == TOKEN_USER_DEFINED || v->types[i] == TOKEN_UNKNOWN;

    _cleanup_(freep) uint32_t *ids = malloc((n + 1) * sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        if (v->types[i] == TOKEN_CONTROL || v->types[i] == TOKEN_USER_DEFINED || v->types[i] == TOKEN_UNKNOWN)
            ids[n++] = i;
    return trie_init(&s->trie, v->texts, ids, n);
}

void specials_done(Specials *s) {
    trie_done(&s->trie);
    free(s->strip);
    *s = (Specials){};
}

int specials_strip(Specials *s, const char *only, uint8_t sides) {
    const Vocab *v = s->vocab;
    if (!s->strip)
        s->strip = calloc(v->n, sizeof(*s->strip));
    if (!s->strip)
        return -ENOMEM;

    if (only) {
        Token token = vocab_find(v, only);
        if (token != TOKEN_NONE)
            s->strip[token] = sides;
    } else
        for (uint32_t i = 0; i < v->n; i++)
            s->strip[i] = sides;
    return 0;
}

static bool may_stand(const Vocab *v, Token token, bool trusted) {
    return v->types[token] == TOKEN_USER_DEFINED || trusted;
}

/* The longest token of fewer than `limit` bytes that may start here, or TOKEN_NONE. */
static Token longest_at(const Specials *s, const char *text, const uint8_t *flags, uint32_t n, uint32_t limit) {
    Token longest = TOKEN_NONE;
    bool trusted = true;
    uint32_t node = TRIE_ROOT;
    for (uint32_t i = 0; i < n && i + 1 < limit; i++) {
        node = trie_step(&s->trie, node, (unsigned char)text[i]);
        if (node == TRIE_ROOT)
            break;
        trusted = trusted && (flags[i] & TRUSTED);
        Token token = trie_id(&s->trie, node);
        if (token != TOKEN_NONE && may_stand(s->vocab, token, trusted))
            longest = token;
    }
    return longest;
}

static int add_fragment(Fragments *f, Token token, uint32_t start, uint32_t size) {
    if (f->n == f->allocated) {
        size_t allocated = MAX(f->allocated * 2, (size_t)16);
        Fragment *items = reallocarray(f->items, allocated, sizeof(*items));
        if (!items)
            return -ENOMEM;
        f->items = items;
        f->allocated = allocated;
    }
    f->items[f->n++] = (Fragment){.token = token, .start = start, .size = size};
    return 0;
}

/* Fills `found` with the tokens' places, in the order in which they were taken. */
static int find_tokens(const Specials *s, const char *text, uint8_t *flags, uint32_t n, Heap *heap, Fragments *found) {
    const Text *texts = s->vocab->texts;
    int r = 0;
    for (uint32_t i = 0; r >= 0 && i < n; i++) {
        Token token = longest_at(s, text + i, flags + i, n - i, UINT32_MAX);
        if (token != TOKEN_NONE)
            r = heap_push(heap, UINT32_MAX - texts[token].size, i);
    }

    uint32_t priority, at;
    while (r >= 0 && heap_pop(heap, &priority, &at)) {
        uint32_t size = UINT32_MAX - priority;
        if (flags[at] & TAKEN)
            continue;
        if (flags[at + size - 1] & TAKEN) { /* what is taken is at least as long, so its ends tell */
            Token token = longest_at(s, text + at, flags + at, n - at, size);
            if (token != TOKEN_NONE)
                r = heap_push(heap, UINT32_MAX - texts[token].size, at);
            continue;
        }
        Token token = longest_at(s, text + at, flags + at, n - at, size + 1);
        for (uint32_t i = at; i < at + size; i++)
            flags[i] |= TAKEN;
        r = add_fragment(found, token, at, size);
    }
    return r;
}

static int by_start(const void *a, const void *b) {
    uint32_t x = ((const Fragment *)a)->start, y = ((const Fragment *)b)->start;
    return x < y ? -1 : x > y;
}

static uint8_t strips(const Specials *s, Token token) {
    return s->strip && token != TOKEN_NONE ? s->strip[token] : 0;
}

/* The text between two tokens (TOKEN_NONE: the ends of all text), without what they strip. */
static int add_text(
    const Specials *s, Fragments *f, const char *text, Token before, Token after, uint32_t from, uint32_t to) {
    if (strips(s, before) & STRIP_RIGHT)
        while (from < to && isspace((unsigned char)text[from]))
            from++;
    if (strips(s, after) & STRIP_LEFT)
        while (from < to && isspace((unsigned char)text[to - 1]))
            to--;
    return from < to ? add_fragment(f, TOKEN_NONE, from, to - from) : 0;
}

int specials_split(const Specials *s, const char *text, uint8_t *trusted, uint32_t n, Fragments *ret) {
    Heap heap = {};
    Fragments found = {}, all = {};
    int r = find_tokens(s, text, trusted, n, &heap, &found);
    if (r >= 0 && found.n > 0)
        qsort(found.items, found.n, sizeof(*found.items), by_start);

    uint32_t at = 0;
    Token before = TOKEN_NONE;
    for (size_t i = 0; r >= 0 && i < found.n; i++) {
        const Fragment *token = &found.items[i];
        r = add_text(s, &all, text, before, token->token, at, token->start);
        if (r >= 0)
            r = add_fragment(&all, token->token, token->start, token->size);
        at = token->start + token->size;
        before = token->token;
    }
    if (r >= 0)
        r = add_text(s, &all, text, before, TOKEN_NONE, at, n);

    heap_done(&heap);
    fragments_done(&found);
    if (r < 0)
        fragments_done(&all);
    else
        *ret = all;
    return r;
}

void fragments_done(Fragments *f) {
    free(f->items);
    *f = (Fragments){};
}
