/* The parts of a split model: each a u16 of its size and its bytes, one after the other; the first is asked for. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gguf-parts.h"

#define MAX_PARTS 16

static volatile uint64_t sink; /* keeps the reads */

static void read_all(const Gguf *g) {
    for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
        const GgufTensor *t = gguf_tensor_at(g, i);
        char name[65];
        memcpy(name, t->name.data, t->name.size);
        name[t->name.size] = '\0';
        sink += t->data[0] + t->data[t->size - 1];
        sink += gguf_find_tensor(g, name) == t;
    }
}

static uint32_t parse_parts(const uint8_t *data, size_t size, Gguf **parts) {
    uint32_t n = 0;
    while (n < MAX_PARTS && size >= 2) {
        size_t part_size = MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);
        if (gguf_parse(data + 2, part_size, true, &parts[n], NULL) < 0)
            break;
        n++;
        data += 2 + part_size;
        size -= 2 + part_size;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Gguf *parts[MAX_PARTS];
    GgufSplit s;
    Error e;
    uint32_t n = parse_parts(data, size, parts);
    if (n > 0 && gguf_split(parts[0], &s, &e) > 0 && s.no == 0 && s.count <= n && gguf_join(parts, s.count, &e) >= 0)
        read_all(parts[0]);
    for (uint32_t i = 0; i < n; i++)
        gguf_free(parts[i]);
    return 0;
}
