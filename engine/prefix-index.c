/* The prefix index; see prefix-index.h. One entry for each page of the pool, in a hash table with chains. Which tokens
 * are looked up is up to clients, so the hash is keyed (SipHash-2-4, Aumasson and Bernstein 2012) with a secret of this
 * process, or they could make every lookup walk one long chain. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "prefix-index.h"

typedef struct Entry {
    uint64_t owner;
    uint32_t parent;
    uint32_t n_children;
    uint32_t next; /* in the chain */
    bool used;
} Entry;

struct PrefixIndex {
    KvPool *pool; /* borrowed */
    uint32_t page_tokens;
    uint32_t n_pages;
    Entry *entries;  /* owned, [n_pages], by page */
    Token *tokens;   /* owned, [n_pages][page_tokens] */
    uint32_t *heads; /* owned, [n_heads] */
    uint32_t n_heads;
    uint64_t key[2];
};

static inline uint64_t rotl(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

/* SipHash-2-4 of owner, parent and tokens as 64-bit words; the length is fixed, so its usual last word is left out. */
static uint32_t *chain(const PrefixIndex *x, uint64_t owner, uint32_t parent, const Token *tokens) {
    uint64_t v[4] = {
        x->key[0] ^ 0x736f6d6570736575u,
        x->key[1] ^ 0x646f72616e646f6du,
        x->key[0] ^ 0x6c7967656e657261u,
        x->key[1] ^ 0x7465646279746573u,
    };
    sip_word(v, owner);
    uint64_t low = parent;
    for (uint32_t i = 0; i < x->page_tokens; i++) {
        if (i % 2 == 0)
            sip_word(v, low | (uint64_t)tokens[i] << 32);
        else
            low = tokens[i];
    }
    if (x->page_tokens % 2 == 0)
        sip_word(v, low);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return &x->heads[(v[0] ^ v[1] ^ v[2] ^ v[3]) % x->n_heads];
}

static Token *entry_tokens(const PrefixIndex *x, uint32_t page) {
    return x->tokens + (size_t)page * x->page_tokens;
}

static void evicted(void *userdata, uint32_t page) {
    PrefixIndex *x = userdata;
    Entry *en = &x->entries[page];
    assert(en->used && en->n_children == 0);

    uint32_t *link = chain(x, en->owner, en->parent, entry_tokens(x, page));
    while (*link != page)
        link = &x->entries[*link].next;
    *link = en->next;
    en->used = false;
    if (en->parent != KV_PAGE_NONE)
        x->entries[en->parent].n_children--;
}

int prefix_index_new(KvPool *pool, uint32_t page_tokens, PrefixIndex **ret, Error *e) {
    _cleanup_(prefix_index_freep) PrefixIndex *x = calloc(1, sizeof(*x));
    if (!x)
        return error_set(e, -ENOMEM, "out of memory for the prefix index");
    x->page_tokens = page_tokens;
    x->n_pages = kv_pool_n_pages(pool);
    x->n_heads = x->n_pages;
    x->entries = calloc(x->n_pages, sizeof(*x->entries));
    x->tokens = calloc(x->n_pages, page_tokens * sizeof(*x->tokens));
    x->heads = malloc(x->n_heads * sizeof(*x->heads));
    if (!x->entries || !x->tokens || !x->heads)
        return error_set(e, -ENOMEM, "out of memory for the prefix index of %u KV pages", x->n_pages);
    for (uint32_t i = 0; i < x->n_heads; i++)
        x->heads[i] = KV_PAGE_NONE;
    if (getrandom(x->key, sizeof(x->key), 0) != sizeof(x->key))
        return error_set(e, -errno, "cannot get random bytes from the kernel");

    x->pool = pool;
    kv_pool_set_evict(pool, evicted, x);
    *ret = TAKE_PTR(x);
    return 0;
}

PrefixIndex *prefix_index_free(PrefixIndex *x) {
    if (!x)
        return NULL;
    if (x->pool)
        kv_pool_set_evict(x->pool, NULL, NULL);
    free(x->entries);
    free(x->tokens);
    free(x->heads);
    free(x);
    return NULL;
}

static uint32_t find_in(const PrefixIndex *x, uint32_t head, uint64_t owner, uint32_t parent, const Token *tokens) {
    for (uint32_t page = head; page != KV_PAGE_NONE; page = x->entries[page].next) {
        const Entry *en = &x->entries[page];
        if (en->owner == owner && en->parent == parent &&
            memcmp(entry_tokens(x, page), tokens, x->page_tokens * sizeof(*tokens)) == 0)
            return page;
    }
    return KV_PAGE_NONE;
}

uint32_t prefix_index_find(const PrefixIndex *x, uint64_t owner, uint32_t parent, const Token *tokens) {
    return find_in(x, *chain(x, owner, parent, tokens), owner, parent, tokens);
}

uint32_t prefix_index_insert(PrefixIndex *x, uint64_t owner, uint32_t parent, const Token *tokens, uint32_t page) {
    uint32_t *head = chain(x, owner, parent, tokens);
    uint32_t known = find_in(x, *head, owner, parent, tokens);
    if (known != KV_PAGE_NONE)
        return known;

    Entry *en = &x->entries[page];
    assert(!en->used);
    assert(parent == KV_PAGE_NONE || x->entries[parent].used);
    *en = (Entry){.owner = owner, .parent = parent, .next = *head, .used = true};
    memcpy(entry_tokens(x, page), tokens, x->page_tokens * sizeof(*tokens));
    *head = page;
    if (parent != KV_PAGE_NONE)
        x->entries[parent].n_children++;
    kv_pool_keep(x->pool, page, owner);
    return page;
}
