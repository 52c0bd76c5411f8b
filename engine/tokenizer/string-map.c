/* Open addressing with linear probing, at most three quarters full; see string-map.h. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "string-map.h"

typedef struct StringSlot {
    uint32_t hash;
    uint32_t id; /* ID_NONE: free */
} StringSlot;

uint64_t hash_seed(void) {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
        seed = 0x9E3779B97F4A7C15u; /* early in the boot: worse, not wrong */
    return seed | 1;
}

static uint32_t hash_string(uint64_t seed, const char *s, size_t n) {
    uint64_t h = seed ^ n, word;
    for (; n >= sizeof(word); s += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, s, sizeof(word));
        h = hash_mix(h ^ word, 0xA0761D6478BD642Fu);
    }
    word = 0;
    memcpy(&word, s, n);
    h = hash_mix(h ^ word, 0xE7037ED1A0B428DBu) ^ seed;
    return (uint32_t)hash_mix(h, 0x8EBC6AF09C88C6E3u);
}

static int allocate(StringMap *m, uint32_t n_slots) {
    StringSlot *slots = malloc(n_slots * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    memset(slots, 0xFF, n_slots * sizeof(*slots));
    m->slots = slots;
    m->mask = n_slots - 1;
    return 0;
}

int string_map_init(StringMap *m, uint32_t n) {
    uint32_t n_slots = 16;
    while (n_slots < UINT32_C(1) << 31 && n_slots / 4 * 3 < n)
        n_slots *= 2;

    *m = (StringMap){.seed = hash_seed()};
    return allocate(m, n_slots);
}

void string_map_done(StringMap *m) {
    free(m->slots);
    *m = (StringMap){};
}

static int grow(StringMap *m) {
    StringSlot *old = m->slots;
    uint32_t n_old = m->mask + 1;
    if (n_old > UINT32_C(1) << 30 || allocate(m, n_old * 2) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < n_old; i++) {
        if (old[i].id == ID_NONE)
            continue;
        uint32_t at = old[i].hash & m->mask;
        while (m->slots[at].id != ID_NONE)
            at = (at + 1) & m->mask;
        m->slots[at] = old[i];
    }
    free(old);
    return 0;
}

/* The slot that holds the string, or the free one where it belongs. */
static StringSlot *locate(const StringMap *m, const Text *texts, const char *s, size_t n, uint32_t hash) {
    for (uint32_t at = hash & m->mask;; at = (at + 1) & m->mask) {
        StringSlot *slot = &m->slots[at];
        if (slot->id == ID_NONE)
            return slot;
        const Text *t = &texts[slot->id];
        if (slot->hash == hash && t->size == n && memcmp(t->data, s, n) == 0)
            return slot;
    }
}

int string_map_add(StringMap *m, const Text *texts, uint32_t id) {
    if (m->n >= (m->mask + 1) / 4 * 3) {
        int r = grow(m);
        if (r < 0)
            return r;
    }
    uint32_t hash = hash_string(m->seed, texts[id].data, texts[id].size);
    StringSlot *slot = locate(m, texts, texts[id].data, texts[id].size, hash);
    if (slot->id != ID_NONE)
        return 1;
    *slot = (StringSlot){.hash = hash, .id = id};
    m->n++;
    return 0;
}

uint32_t string_map_find(const StringMap *m, const Text *texts, const char *s, size_t n) {
    return locate(m, texts, s, n, hash_string(m->seed, s, n))->id;
}
