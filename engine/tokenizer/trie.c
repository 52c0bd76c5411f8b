/* Built breadth first from the sorted strings: a node is a range of strings that share a prefix, and its children are
 * appended together. No pointers, 12 bytes a node. */
#include <errno.h>
#include <string.h>

#include "trie.h"

typedef struct TrieNode {
    uint32_t first_child;
    uint32_t id;
    uint16_t n_children; /* up to 256 */
    unsigned char byte;
} TrieNode;

/* The strings [from, to) below a node, which share their first `depth` bytes. */
typedef struct Range {
    uint32_t from, to, depth;
} Range;

typedef struct Builder {
    const Text *texts;
    const uint32_t *ids;
    TrieNode *nodes;
    Range *ranges; /* [allocated], beside nodes */
    uint32_t n, allocated;
} Builder;

static int compare(const void *a, const void *b, void *userdata) {
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const Text *x = &((const Text *)userdata)[i], *y = &((const Text *)userdata)[k];
    int order = memcmp(x->data, y->data, MIN(x->size, y->size));
    if (order == 0)
        order = x->size != y->size ? (x->size < y->size ? -1 : 1) : (i < k ? -1 : i > k);
    return order;
}

static int add_node(Builder *b, unsigned char byte, Range range) {
    if (b->n == b->allocated) {
        if (b->allocated > UINT32_MAX / 2)
            return -ENOMEM;
        uint32_t allocated = MAX(b->allocated * 2, 1024u);
        TrieNode *nodes = reallocarray(b->nodes, allocated, sizeof(*nodes));
        if (!nodes)
            return -ENOMEM;
        b->nodes = nodes;
        Range *ranges = reallocarray(b->ranges, allocated, sizeof(*ranges));
        if (!ranges)
            return -ENOMEM;
        b->ranges = ranges;
        b->allocated = allocated;
    }
    b->nodes[b->n] = (TrieNode){.id = ID_NONE, .byte = byte};
    b->ranges[b->n++] = range;
    return 0;
}

/* Splits a node's strings by their next byte. */
static int add_children(Builder *b, uint32_t node) {
    Range r = b->ranges[node];
    /* those that end here sort before all others */
    for (; r.from < r.to && b->texts[b->ids[r.from]].size == r.depth; r.from++)
        if (b->nodes[node].id == ID_NONE && r.depth > 0)
            b->nodes[node].id = b->ids[r.from];

    b->nodes[node].first_child = b->n;
    while (r.from < r.to) {
        unsigned char byte = (unsigned char)b->texts[b->ids[r.from]].data[r.depth];
        uint32_t to = r.from + 1;
        while (to < r.to && (unsigned char)b->texts[b->ids[to]].data[r.depth] == byte)
            to++;
        int result = add_node(b, byte, (Range){.from = r.from, .to = to, .depth = r.depth + 1});
        if (result < 0)
            return result;
        b->nodes[node].n_children++;
        r.from = to;
    }
    return 0;
}

int trie_init(Trie *t, const Text *texts, uint32_t *ids, uint32_t n) {
    if (n > 0)
        qsort_r(ids, n, sizeof(*ids), compare, (void *)texts);

    Builder b = {.texts = texts, .ids = ids};
    int r = add_node(&b, 0, (Range){.to = n});
    for (uint32_t node = 0; r >= 0 && node < b.n; node++)
        r = add_children(&b, node);
    free(b.ranges);
    if (r < 0) {
        free(b.nodes);
        return r;
    }

    *t = (Trie){.nodes = b.nodes, .n_nodes = b.n};
    for (uint32_t i = 0; i < b.nodes[TRIE_ROOT].n_children; i++) {
        uint32_t child = b.nodes[TRIE_ROOT].first_child + i;
        t->first[b.nodes[child].byte] = child;
    }
    return 0;
}

void trie_done(Trie *t) {
    free(t->nodes);
    *t = (Trie){};
}

uint32_t trie_step(const Trie *t, uint32_t node, unsigned char byte) {
    if (node == TRIE_ROOT)
        return t->first[byte];

    uint32_t low = t->nodes[node].first_child, high = low + t->nodes[node].n_children;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->nodes[middle].byte == byte)
            return middle;
        if (t->nodes[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return TRIE_ROOT;
}

uint32_t trie_id(const Trie *t, uint32_t node) {
    return t->nodes[node].id;
}
