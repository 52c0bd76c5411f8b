/* Pages, reference counts and eviction; see kv-pool.h.
 *
 * Everything is an index into arrays sized once. Cached pages hang on a list per owner, oldest first, and the owners
 * hang on lists by the number of pages they have cached. That number changes by one at a time, so the largest is
 * followed with a single step up or down. */
#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "kv-pool.h"

#define NONE UINT32_MAX

typedef struct Page {
    uint32_t refs;
    uint32_t prev, next; /* free: next free page; cached: neighbours in the owner's list */
    uint32_t slot;       /* cached: the owner's slot */
    uint64_t owner;      /* kept: who will have it cached */
    bool kept;
} Page;

/* An owner with at least one cached page, so there are never more of them than pages. */
typedef struct Owner {
    uint64_t id;
    uint32_t n_cached;
    uint32_t oldest, newest; /* pages */
    uint32_t hash_next;      /* in a chain of `heads`, or the next free slot */
    uint32_t prev, next;     /* owners with the same n_cached */
} Owner;

struct KvPool {
    uint32_t n_pages;
    size_t page_bytes;
    uint8_t *arena; /* owned, mmap */
    Page *pages;    /* owned, [n_pages] */
    uint32_t first_free;
    uint32_t n_free;
    uint32_t n_cached;

    Owner *owners; /* owned, [n_pages] */
    uint32_t first_free_owner;
    uint32_t *heads;    /* owned, [n_pages]: chains of owners by hash of id */
    uint32_t *by_count; /* owned, [n_pages + 1]: lists of owners by n_cached */
    uint32_t most;      /* the largest n_cached of any owner */

    KvEvict evict;
    void *userdata; /* borrowed */
};

int kv_pool_new(uint32_t n_pages, size_t page_bytes, KvPool **ret, Error *e) {
    size_t size;
    if (n_pages == 0 || n_pages >= NONE / 2 || page_bytes == 0 || __builtin_mul_overflow(n_pages, page_bytes, &size))
        return error_set(
            e, -EINVAL, "a KV pool of %u pages of %zu bytes is not possible; choose another size", n_pages, page_bytes);

    _cleanup_(kv_pool_freep) KvPool *p = calloc(1, sizeof(*p));
    if (!p)
        return error_set(e, -ENOMEM, "out of memory for the KV pool");
    p->n_pages = n_pages;
    p->page_bytes = page_bytes;
    p->pages = calloc(n_pages, sizeof(*p->pages));
    p->owners = calloc(n_pages, sizeof(*p->owners));
    p->heads = calloc(n_pages, sizeof(*p->heads));
    p->by_count = calloc((size_t)n_pages + 1, sizeof(*p->by_count));
    if (!p->pages || !p->owners || !p->heads || !p->by_count)
        return error_set(e, -ENOMEM, "out of memory for the table of %u KV pages", n_pages);

    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        return error_set(e, -ENOMEM, "no room for a KV pool of %zu MiB; choose a smaller one", size >> 20);
    p->arena = arena;
    madvise(arena, size, MADV_HUGEPAGE); /* a long context lies in more small pages than a core knows the places of */

    /* lowest pages first, and the last freed first again: what was never needed is never touched */
    for (uint32_t i = 0; i < n_pages; i++) {
        p->pages[i].next = i + 1 < n_pages ? i + 1 : NONE;
        p->owners[i].hash_next = i + 1 < n_pages ? i + 1 : NONE;
        p->heads[i] = NONE;
        p->by_count[i] = NONE;
    }
    p->by_count[n_pages] = NONE;
    p->n_free = n_pages;
    *ret = TAKE_PTR(p);
    return 0;
}

KvPool *kv_pool_free(KvPool *p) {
    if (!p)
        return NULL;
    if (p->arena) {
        assert(p->n_free + p->n_cached == p->n_pages); /* a reference has leaked otherwise */
        munmap(p->arena, (size_t)p->n_pages * p->page_bytes);
    }
    free(p->pages);
    free(p->owners);
    free(p->heads);
    free(p->by_count);
    free(p);
    return NULL;
}

void kv_pool_set_evict(KvPool *p, KvEvict evict, void *userdata) {
    p->evict = evict;
    p->userdata = userdata;
}

uint8_t *kv_pool_arena(KvPool *p) {
    return p->arena;
}

uint8_t *kv_pool_page(KvPool *p, uint32_t page) {
    assert(page < p->n_pages);
    return p->arena + (size_t)page * p->page_bytes;
}

uint32_t kv_pool_n_pages(const KvPool *p) {
    return p->n_pages;
}

uint32_t kv_pool_n_free(const KvPool *p) {
    return p->n_free;
}

uint32_t kv_pool_n_cached(const KvPool *p) {
    return p->n_cached;
}

uint32_t kv_pool_n_available(const KvPool *p) {
    return p->n_free + p->n_cached;
}

uint32_t kv_pool_n_refs(const KvPool *p, uint32_t page) {
    assert(page < p->n_pages);
    return p->pages[page].refs;
}

/* ------------------------------------------------------------------------------------------------ owners */

static uint32_t *owner_head(KvPool *p, uint64_t id) {
    uint64_t h = id * 0x9E3779B97F4A7C15u; /* ids are few and given by the daemon, not by clients */
    return &p->heads[(h >> 32) % p->n_pages];
}

static void count_unlink(KvPool *p, uint32_t slot) {
    Owner *o = &p->owners[slot];
    if (o->prev != NONE)
        p->owners[o->prev].next = o->next;
    else
        p->by_count[o->n_cached] = o->next;
    if (o->next != NONE)
        p->owners[o->next].prev = o->prev;
}

static void count_link(KvPool *p, uint32_t slot) {
    Owner *o = &p->owners[slot];
    uint32_t *head = &p->by_count[o->n_cached];
    o->prev = NONE;
    o->next = *head;
    if (*head != NONE)
        p->owners[*head].prev = slot;
    *head = slot;
}

/* The owner's slot, new with n_cached 0 (and not yet on a count list) if it has none. */
static uint32_t owner_get(KvPool *p, uint64_t id) {
    uint32_t *head = owner_head(p, id);
    for (uint32_t i = *head; i != NONE; i = p->owners[i].hash_next)
        if (p->owners[i].id == id)
            return i;

    uint32_t slot = p->first_free_owner;
    assert(slot != NONE);
    Owner *o = &p->owners[slot];
    p->first_free_owner = o->hash_next;
    *o = (Owner){.id = id, .oldest = NONE, .newest = NONE, .hash_next = *head};
    *head = slot;
    return slot;
}

static void owner_drop(KvPool *p, uint32_t slot) {
    uint32_t *link = owner_head(p, p->owners[slot].id);
    while (*link != slot)
        link = &p->owners[*link].hash_next;
    *link = p->owners[slot].hash_next;
    p->owners[slot].hash_next = p->first_free_owner;
    p->first_free_owner = slot;
}

/* ------------------------------------------------------------------------------------------------ pages */

static void cache_push(KvPool *p, uint32_t page) {
    Page *g = &p->pages[page];
    uint32_t slot = owner_get(p, g->owner);
    Owner *o = &p->owners[slot];
    if (o->n_cached > 0)
        count_unlink(p, slot);
    o->n_cached++;
    count_link(p, slot);
    p->most = MAX(p->most, o->n_cached);

    g->slot = slot;
    g->prev = o->newest;
    g->next = NONE;
    if (o->newest != NONE)
        p->pages[o->newest].next = page;
    else
        o->oldest = page;
    o->newest = page;
    p->n_cached++;
}

static void cache_remove(KvPool *p, uint32_t page) {
    Page *g = &p->pages[page];
    Owner *o = &p->owners[g->slot];
    if (g->prev != NONE)
        p->pages[g->prev].next = g->next;
    else
        o->oldest = g->next;
    if (g->next != NONE)
        p->pages[g->next].prev = g->prev;
    else
        o->newest = g->prev;
    p->n_cached--;

    count_unlink(p, g->slot);
    if (o->n_cached == p->most && p->by_count[p->most] == NONE)
        p->most--;
    if (--o->n_cached > 0)
        count_link(p, g->slot);
    else
        owner_drop(p, g->slot);
}

static void free_push(KvPool *p, uint32_t page) {
    Page *g = &p->pages[page];
    g->kept = false;
    g->next = p->first_free;
    p->first_free = page;
    p->n_free++;
}

uint32_t kv_pool_alloc(KvPool *p) {
    if (p->n_free == 0) {
        if (p->n_cached == 0)
            return KV_PAGE_NONE;
        uint32_t victim = p->owners[p->by_count[p->most]].oldest;
        cache_remove(p, victim);
        if (p->evict)
            p->evict(p->userdata, victim);
        free_push(p, victim);
    }

    uint32_t page = p->first_free;
    p->first_free = p->pages[page].next;
    p->n_free--;
    p->pages[page].refs = 1;
    return page;
}

void kv_pool_ref(KvPool *p, uint32_t page) {
    assert(page < p->n_pages);
    Page *g = &p->pages[page];
    if (g->refs == 0) {
        assert(g->kept);
        cache_remove(p, page);
    }
    g->refs++;
}

void kv_pool_unref(KvPool *p, uint32_t page) {
    assert(page < p->n_pages);
    Page *g = &p->pages[page];
    assert(g->refs > 0);
    if (--g->refs > 0)
        return;
    if (g->kept)
        cache_push(p, page);
    else
        free_push(p, page);
}

void kv_pool_keep(KvPool *p, uint32_t page, uint64_t owner) {
    assert(page < p->n_pages);
    Page *g = &p->pages[page];
    assert(g->refs > 0);
    g->kept = true;
    g->owner = owner;
}
