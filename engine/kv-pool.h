/* The KV pool: one arena of equal pages with reference counts. It does not know what a page holds.
 *
 * A page is free, used (somebody holds a reference) or cached: nobody holds it, but the prefix index can still find it
 * by its content. Cached pages are what eviction takes when nothing is free: the least recently used page of the owner
 * who has the most of them, so that one owner's flood pushes out the flood and not everybody else's prefixes.
 *
 * Every operation is O(1) and allocates nothing. One thread. */
#pragma once

#include <stdint.h>

#include "macros.h"

#define KV_PAGE_NONE UINT32_MAX

typedef struct KvPool KvPool;

/* Called before a cached page becomes free: whoever finds it by its content must forget it. */
typedef void (*KvEvict)(void *userdata, uint32_t page);

/* The arena is mapped but not touched: memory is used as pages are first written. */
int kv_pool_new(uint32_t n_pages, size_t page_bytes, KvPool **ret, Error *e);
KvPool *kv_pool_free(KvPool *p);
DEFINE_CLEANUP(KvPool *, kv_pool_free)
void kv_pool_set_evict(KvPool *p, KvEvict evict, void *userdata);

uint8_t *kv_pool_arena(KvPool *p); /* [n_pages][page_bytes] */
uint8_t *kv_pool_page(KvPool *p, uint32_t page);

/* A page with one reference, its content undefined; evicts if it must. KV_PAGE_NONE if every page is used. */
uint32_t kv_pool_alloc(KvPool *p);
void kv_pool_ref(KvPool *p, uint32_t page); /* used or cached */
void kv_pool_unref(KvPool *p, uint32_t page);
/* From now on the page becomes cached, for `owner`, instead of free when its last reference goes. Only for used pages.
 */
void kv_pool_keep(KvPool *p, uint32_t page, uint64_t owner);

uint32_t kv_pool_n_pages(const KvPool *p);
uint32_t kv_pool_n_free(const KvPool *p);
uint32_t kv_pool_n_cached(const KvPool *p);
uint32_t kv_pool_n_available(const KvPool *p); /* free or cached: what can be allocated */
uint32_t kv_pool_n_refs(const KvPool *p, uint32_t page);
