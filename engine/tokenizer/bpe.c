/* See bpe.h.
 *
 * Everything a merge speaks of is numbered once: tokens keep their ids, other strings get ids from n_vocab up. A merge
 * is then a pair of numbers found in a hash table, and a piece is encoded without touching a string again. */
#include <errno.h>
#include <string.h>

#include "bpe.h"
#include "utf8.h"

#define KEY_MERGES "tokenizer.ggml.merges"

typedef struct Merge {
    uint32_t left, right, result; /* symbols; the index is the rank */
} Merge;

struct Bpe {
    const Vocab *vocab; /* borrowed */
    bool raw;

    Text *symbols; /* owned, [n_symbols]: the bytes of each; the first vocab->n are the tokens' */
    uint32_t n_symbols, symbols_allocated;
    StringMap by_text; /* of those that merges or whole pieces may give */
    char *arena;       /* owned; the bytes of symbols that are no tokens */
    size_t arena_size;
    uint32_t byte_symbols[256];

    Merge *merges;   /* owned, [n_merges] */
    uint32_t *slots; /* owned, [mask + 1]: hash table of (left, right) → rank, ID_NONE: free */
    uint32_t mask;
    uint64_t seed;
};

Bpe *bpe_free(Bpe *b) {
    if (!b)
        return NULL;
    free(b->symbols);
    string_map_done(&b->by_text);
    free(b->arena);
    free(b->merges);
    free(b->slots);
    free(b);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ building */

static int number_tokens(Bpe *b) {
    const Vocab *v = b->vocab;
    b->symbols_allocated = b->n_symbols = v->n;
    b->symbols = malloc(v->n * sizeof(*b->symbols));
    if (!b->symbols || string_map_init(&b->by_text, v->n) < 0)
        return -ENOMEM;

    memcpy(b->symbols, b->raw ? v->texts : v->pieces, v->n * sizeof(*b->symbols));
    for (uint32_t i = 0; i < v->n; i++) {
        /* Tokens found before the text is split are no pieces of words, and in byte-level files they are spelled
         * plainly, so that one's spelling may be another one's bytes. */
        bool is_word = v->types[i] == TOKEN_NORMAL || v->types[i] == TOKEN_UNUSED;
        int r = is_word && b->symbols[i].size > 0 ? string_map_add(&b->by_text, b->symbols, i) : 1;
        if (r < 0)
            return r;
        if (r > 0)
            b->symbols[i].size = 0; /* never to be found */
    }
    for (unsigned byte = 0; byte < 256; byte++)
        b->byte_symbols[byte] = string_map_find(&b->by_text, b->symbols, (char[]){(char)byte}, 1);
    return 0;
}

/* The symbol of these bytes, a new one if need be. *ret is a guess on entry. */
static int intern(Bpe *b, const char *bytes, size_t size, uint32_t *ret) {
    uint32_t id = *ret;
    if (id < b->vocab->n && b->symbols[id].size == size && memcmp(b->symbols[id].data, bytes, size) == 0)
        return 0;
    id = string_map_find(&b->by_text, b->symbols, bytes, size);
    if (id == ID_NONE) {
        if (b->n_symbols == b->symbols_allocated) {
            uint32_t allocated = b->symbols_allocated + b->symbols_allocated / 2 + 64;
            Text *symbols = reallocarray(b->symbols, allocated, sizeof(*symbols));
            if (!symbols)
                return -ENOMEM;
            b->symbols = symbols;
            b->symbols_allocated = allocated;
        }
        id = b->n_symbols++;
        b->symbols[id] = (Text){.data = b->arena + b->arena_size, .size = (uint32_t)size};
        memcpy(b->arena + b->arena_size, bytes, size);
        b->arena_size += size;
        if (string_map_add(&b->by_text, b->symbols, id) < 0)
            return -ENOMEM;
        if (size == 1 && !b->raw)
            b->byte_symbols[(unsigned char)bytes[0]] = id;
    }
    *ret = id;
    return 0;
}

static uint32_t *pair_slot(const Bpe *b, uint32_t left, uint32_t right) {
    uint32_t at = (uint32_t)hash_mix(b->seed ^ left, 0xA0761D6478BD642Fu ^ ((uint64_t)right << 20)) & b->mask;
    for (; b->slots[at] != ID_NONE; at = (at + 1) & b->mask) {
        const Merge *m = &b->merges[b->slots[at]];
        if (m->left == left && m->right == right)
            break;
    }
    return &b->slots[at];
}

static int add_merge(Bpe *b, uint32_t rank, const GgufString *text, char *buffer, Error *e) {
    /* a space may be the first half, so the one between is not looked for at the very start */
    const char *space = text->size > 1 ? memchr(text->data + 1, ' ', text->size - 1) : NULL;
    if (!space || space + 1 == text->data + text->size)
        return error_set(e, -EBADMSG, "key " KEY_MERGES ": merge %u has no two halves with a space between", rank);

    size_t size_left = (size_t)(space - text->data), size_right = text->size - size_left - 1;
    if (b->raw) {
        memcpy(buffer, text->data, size_left);
        memcpy(buffer + size_left, space + 1, size_right);
    } else {
        ssize_t n_left = byte_level_decode(text->data, size_left, buffer);
        ssize_t n_right = n_left < 0 ? -1 : byte_level_decode(space + 1, size_right, buffer + n_left);
        if (n_right < 0) {
            b->merges[rank] = (Merge){ID_NONE, ID_NONE, ID_NONE}; /* of characters that no byte is written as */
            return 0;
        }
        size_left = (size_t)n_left;
        size_right = (size_t)n_right;
    }

    /* results mostly follow each other, as vocabularies list them in the order in which they were found */
    Merge *m = &b->merges[rank];
    *m = (Merge){ID_NONE, ID_NONE, rank > 0 && m[-1].result != ID_NONE ? m[-1].result + 1 : ID_NONE};
    int r = intern(b, buffer, size_left, &m->left);
    if (r >= 0)
        r = intern(b, buffer + size_left, size_right, &m->right);
    if (r >= 0)
        r = intern(b, buffer, size_left + size_right, &m->result);
    if (r < 0)
        return r;

    uint32_t *slot = pair_slot(b, m->left, m->right);
    if (*slot == ID_NONE)
        *slot = rank;
    return 0;
}

static int read_merges(Bpe *b, const Gguf *g, Error *e) {
    GgufArray a;
    int r = gguf_get_array(g, KEY_MERGES, GGUF_STRING, &a, e);
    if (r < 0)
        return r;
    if (r == 0)
        return error_set(e, -EBADMSG, "key " KEY_MERGES ": is missing, a BPE vocabulary needs its merges");

    size_t total = 0, longest = 0;
    for (uint64_t i = 0; i < a.n; i++) {
        total += a.strings[i].size * 2;
        longest = MAX(longest, (size_t)a.strings[i].size);
    }
    if (a.n > UINT32_MAX / 8 || longest > UINT32_MAX / 4)
        return error_set(e, -EBADMSG, "key " KEY_MERGES ": is too large");

    uint32_t n_slots = 16;
    while (n_slots / 2 < a.n)
        n_slots *= 2;
    b->mask = n_slots - 1;
    b->seed = hash_seed();
    b->merges = malloc(a.n * sizeof(*b->merges) + 1);
    b->slots = malloc(n_slots * sizeof(*b->slots));
    b->arena = malloc(total + 1); /* touched only as far as halves and results are no tokens */
    _cleanup_(freep) char *buffer = malloc(longest + 1);
    if (!b->merges || !b->slots || !b->arena || !buffer)
        return -ENOMEM;

    memset(b->slots, 0xFF, n_slots * sizeof(*b->slots));
    for (uint32_t rank = 0; rank < a.n; rank++) {
        r = add_merge(b, rank, &a.strings[rank], buffer, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int bpe_new(const Vocab *v, const Gguf *g, Bpe **ret, Error *e) {
    _cleanup_(bpe_freep) Bpe *b = calloc(1, sizeof(*b));
    if (b) {
        b->vocab = v;
        b->raw = v->model == VOCAB_BPE_RAW;
    }
    int r = b ? number_tokens(b) : -ENOMEM;
    if (r >= 0)
        r = read_merges(b, g, e);
    if (r == -ENOMEM)
        return error_set(e, r, "out of memory while reading the merges");
    if (r < 0)
        return r;
    *ret = TAKE_PTR(b);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ encoding */

static bool lookup(const void *userdata, const char *text, const Symbol *left, const Symbol *right,
    uint32_t *ret_priority, uint32_t *ret_id) {
    const Bpe *b = userdata;
    if (left->id == ID_NONE || right->id == ID_NONE)
        return false;
    uint32_t rank = *pair_slot(b, left->id, right->id);
    if (rank == ID_NONE)
        return false;
    *ret_priority = rank;
    *ret_id = b->merges[rank].result;
    return true;
}

/* What merged into no token is written byte by byte; a byte without a token becomes the unknown token where the file
 * names one, else it is left out. */
static int add_bytes(const Bpe *b, const char *s, size_t n, TokenBuffer *out) {
    const Vocab *v = b->vocab;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        unsigned char byte = (unsigned char)s[i];
        Token token = b->raw ? v->bytes[byte] : b->byte_symbols[byte];
        if (token >= v->n)
            token = v->unk;
        if (token != TOKEN_NONE)
            r = token_buffer_add(out, token);
    }
    return r;
}

int bpe_encode(const Bpe *b, const char *piece, size_t size, bool whole, Merger *scratch, TokenBuffer *out) {
    if (whole) {
        uint32_t id = string_map_find(&b->by_text, b->symbols, piece, size);
        if (id < b->vocab->n)
            return token_buffer_add(out, id);
    }

    int r = 0;
    merger_reset(scratch);
    for (size_t at = 0, length; r >= 0 && at < size; at += length) {
        length = b->raw ? utf8_length(piece + at, size - at) : 1;
        uint32_t id = b->raw ? string_map_find(&b->by_text, b->symbols, piece + at, length)
                             : b->byte_symbols[(unsigned char)piece[at]];
        r = merger_add(scratch, id, (uint32_t)length);
    }
    if (r >= 0)
        r = merger_run(scratch, piece, lookup, b);

    for (uint32_t i = 0; r >= 0 && scratch->n > 0 && i != ID_NONE; i = scratch->symbols[i].next) {
        const Symbol *s = &scratch->symbols[i];
        r = s->id < b->vocab->n ? token_buffer_add(out, s->id) : add_bytes(b, piece + s->start, s->size, out);
    }
    return r;
}
