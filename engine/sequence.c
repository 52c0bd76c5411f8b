/* A sequence and its pages; see sequence.h. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "forward.h"
#include "sequence.h"

uint32_t sequence_pages_for(uint32_t n_positions) {
    return n_positions / KV_PAGE_TOKENS + (n_positions % KV_PAGE_TOKENS > 0);
}

int sequence_init(
    Sequence *s, uint64_t owner, EnginePriority priority, const Token *prompt, uint32_t n_prompt, uint32_t capacity) {
    assert(n_prompt > 0 && n_prompt <= capacity);
    *s = (Sequence){
        .owner = owner, .priority = priority, .n_tokens = n_prompt, .n_prompt = n_prompt, .capacity = capacity};
    s->tokens = reallocarray(NULL, capacity, sizeof(*s->tokens));
    s->pages = reallocarray(NULL, sequence_pages_for(capacity), sizeof(*s->pages));
    if (!s->tokens || !s->pages) {
        sequence_done(s);
        return -ENOMEM;
    }
    memcpy(s->tokens, prompt, n_prompt * sizeof(*prompt));
    return 0;
}

void sequence_done(Sequence *s) {
    assert(s->n_pages == 0);
    free(s->tokens);
    free(s->pages);
    *s = (Sequence){};
}

void sequence_append(Sequence *s, Token token) {
    assert(s->n_tokens < s->capacity);
    s->tokens[s->n_tokens++] = token;
}

bool sequence_is_decoding(const Sequence *s) {
    return s->n_computed + 1 == s->n_tokens && s->n_tokens > s->n_prompt;
}

void sequence_adopt(Sequence *s, KvPool *pool, const PrefixIndex *index) {
    for (uint32_t i = s->n_computed / KV_PAGE_TOKENS; (i + 1) * KV_PAGE_TOKENS < s->n_tokens; i++) {
        uint32_t parent = i > 0 ? s->pages[i - 1] : KV_PAGE_NONE;
        uint32_t page = prefix_index_find(index, s->owner, parent, s->tokens + (size_t)i * KV_PAGE_TOKENS);
        if (page == KV_PAGE_NONE)
            break;
        kv_pool_ref(pool, page);
        if (i < s->n_pages) /* its own one, not yet full */
            kv_pool_unref(pool, s->pages[i]);
        else
            s->n_pages++;
        s->pages[i] = page;
        s->n_computed = (i + 1) * KV_PAGE_TOKENS;
    }
}

int sequence_reserve(Sequence *s, KvPool *pool, uint32_t n_positions) {
    assert(n_positions <= s->capacity);
    while (s->n_pages < sequence_pages_for(n_positions)) {
        uint32_t page = kv_pool_alloc(pool);
        if (page == KV_PAGE_NONE)
            return -ENOSPC;
        s->pages[s->n_pages++] = page;
    }
    return 0;
}

void sequence_advance(Sequence *s, KvPool *pool, PrefixIndex *index, uint32_t n) {
    uint32_t full = s->n_computed / KV_PAGE_TOKENS;
    s->n_cached += s->n_computed - MIN(s->n_computed, s->n_reached);
    s->n_computed += n;
    assert(s->n_computed <= s->n_tokens);
    s->n_reached = MAX(s->n_reached, s->n_computed);

    for (; full < s->n_computed / KV_PAGE_TOKENS; full++) {
        uint32_t parent = full > 0 ? s->pages[full - 1] : KV_PAGE_NONE;
        uint32_t page = s->pages[full];
        uint32_t known = prefix_index_insert(index, s->owner, parent, s->tokens + (size_t)full * KV_PAGE_TOKENS, page);
        if (known == page)
            continue;
        /* somebody computed the same at the same time: one copy is enough */
        kv_pool_ref(pool, known);
        kv_pool_unref(pool, page);
        s->pages[full] = known;
    }
}

void sequence_release(Sequence *s, KvPool *pool) {
    /* the last first, so that eviction will take a prefix's end before its beginning */
    while (s->n_pages > 0)
        kv_pool_unref(pool, s->pages[--s->n_pages]);
    s->n_computed = 0;
}
