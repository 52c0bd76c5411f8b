/* See split-name.h. */
#include <stdio.h>
#include <string.h>

#include "split-name.h"

#define TAIL "-00001-of-00003.gguf"

/* Five digits, which is how they are written also where fewer would do. */
static bool read_number(const char *s, uint32_t *ret) {
    uint32_t n = 0;
    for (int i = 0; i < 5; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(s[i] - '0');
    }
    *ret = n;
    return true;
}

bool split_name_parse(const char *path, SplitName *ret) {
    const size_t size = strlen(path), tail_size = strlen(TAIL);
    if (size <= tail_size || path[size - tail_size - 1] == '/')
        return false;
    const char *tail = path + size - tail_size;
    SplitName s = {.stem = size - tail_size};
    if (tail[0] != '-' || !read_number(tail + 1, &s.no) || memcmp(tail + 6, "-of-", 4) != 0 ||
        !read_number(tail + 10, &s.count) || strcmp(tail + 15, ".gguf") != 0)
        return false;
    if (s.no < 1 || s.no > s.count || s.count > SPLIT_PARTS_MAX)
        return false;
    *ret = s;
    return true;
}

char *split_name_path(const char *path, const SplitName *s, uint32_t no) {
    char *other;
    return asprintf(&other, "%.*s-%05u-of-%05u.gguf", (int)s->stem, path, no, s->count) < 0 ? NULL : other;
}
