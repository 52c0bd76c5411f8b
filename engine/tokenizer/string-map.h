/* A hash table from strings to 32-bit ids. The strings stay where their owner keeps them, in an array indexed by id.
 *
 * Vocabularies come from files that nobody vouches for, so the hash is seeded: a file cannot be built to make lookups
 * slow. */
#pragma once

#include "macros.h"

#define ID_NONE UINT32_MAX

typedef struct Text {
    const char *data; /* borrowed, any bytes */
    uint32_t size;
} Text;

typedef struct StringMap {
    struct StringSlot *slots; /* owned, [mask + 1] */
    uint32_t mask;
    uint32_t n;
    uint64_t seed;
} StringMap;

/* Room for n strings without growing. 0 or -ENOMEM. */
int string_map_init(StringMap *m, uint32_t n);
void string_map_done(StringMap *m);
/* Adds texts[id] and returns 0, unless an equal string is there already: then 1, and the first one stays. -ENOMEM. */
int string_map_add(StringMap *m, const Text *texts, uint32_t id);
/* The id of s[0..n), or ID_NONE. */
uint32_t string_map_find(const StringMap *m, const Text *texts, const char *s, size_t n);

uint64_t hash_seed(void);

/* Folds the 128-bit product: every bit of both arguments reaches every bit of the result. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
