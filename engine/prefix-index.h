/* Finds pages of the KV pool by what they hold, so that a request can start on what an earlier one has computed.
 *
 * The pages form a tree: a page's key is its parent page and its KV_PAGE_TOKENS tokens, and at the root stands the
 * owner, so that no owner can find (or time) another's prefixes. A hit compares the parent and the tokens themselves; a
 * hash only says where to look. Only full pages are here, and a full page is never written again: what is shared needs
 * no copy on write.
 *
 * Whoever references a page references all of its ancestors and lets go of them last. So an ancestor is always more
 * recently used than its descendants, eviction takes leaves first, and no entry ever outlives its parent. */
#pragma once

#include "engine.h"
#include "kv-pool.h"

typedef struct PrefixIndex PrefixIndex;

/* Borrows the pool and sets its evict function. page_tokens: tokens of a page. */
int prefix_index_new(KvPool *pool, uint32_t page_tokens, PrefixIndex **ret, Error *e);
PrefixIndex *prefix_index_free(PrefixIndex *x);
DEFINE_CLEANUP(PrefixIndex *, prefix_index_free)

/* The page that holds `tokens` after `parent` (KV_PAGE_NONE: at the beginning of a sequence), or KV_PAGE_NONE. Takes no
 * reference. */
uint32_t prefix_index_find(const PrefixIndex *x, uint64_t owner, uint32_t parent, const Token *tokens);
/* Makes `page` findable; the caller holds references to it and to `parent`. If an equal page is known already nothing
 * changes and that page is returned: the caller should go on with it instead. */
uint32_t prefix_index_insert(PrefixIndex *x, uint64_t owner, uint32_t parent, const Token *tokens, uint32_t page);
