/* See unigram.h. */
#include <endian.h>
#include <errno.h>
#include <float.h>
#include <string.h>

#include "unigram.h"
#include "utf8.h"

#define KEY_CHARSMAP "tokenizer.ggml.precompiled_charsmap"

#define MAX_REPLACEMENT                                                                                                \
    1024 /* bytes; the longest in use are a few dozen. Bounds what a file can blow a text up to.                       \
          */

#define UNKNOWN_PENALTY 10.0f /* SentencePiece's: below the worst token */

/* ------------------------------------------------------------------------------------------------ reading */

static int damaged(Error *e) {
    return error_set(e, -EBADMSG, "key " KEY_CHARSMAP ": is damaged");
}

static int out_of_memory(Error *e) {
    return error_set(e, -ENOMEM, "out of memory while reading the vocabulary");
}

/* A length, that many bytes of double array, and strings up to the end. What the units point to is checked as it is
 * followed. */
static int read_charsmap(Unigram *u, const Gguf *g, Error *e) {
    GgufArray a;
    int r = gguf_get_array(g, KEY_CHARSMAP, GGUF_U8, &a, NULL);
    if (r < 0)
        r = gguf_get_array(g, KEY_CHARSMAP, GGUF_I8, &a, e);
    if (r <= 0 || a.n == 0)
        return MIN(r, 0);

    uint32_t size;
    if (a.n < sizeof(size))
        return damaged(e);
    memcpy(&size, a.data, sizeof(size));
    size = le32toh(size);
    if (size > a.n - sizeof(size) || size % sizeof(*u->units) != 0)
        return damaged(e);

    u->n_units = size / sizeof(*u->units);
    u->replacements_size = a.n - sizeof(size) - size;
    u->units = malloc(size + 1);
    u->replacements = malloc(u->replacements_size + 1);
    if (!u->units || !u->replacements)
        return out_of_memory(e);
    memcpy(u->units, a.data + sizeof(size), size);
    for (uint32_t i = 0; i < u->n_units; i++)
        u->units[i] = le32toh(u->units[i]);
    memcpy(u->replacements, a.data + sizeof(size) + size, u->replacements_size);
    u->replacements[u->replacements_size] = '\0';
    for (size_t i = 0, length; i < u->replacements_size; i += length + 1) {
        length = strlen(u->replacements + i);
        if (length > MAX_REPLACEMENT)
            return damaged(e);
    }
    return 0;
}

static int index_tokens(Unigram *u) {
    const Vocab *v = u->vocab;
    _cleanup_(freep) uint32_t *all = malloc(v->n * sizeof(*all));
    _cleanup_(freep) uint32_t *user_defined = malloc(v->n * sizeof(*user_defined));
    if (!all || !user_defined)
        return -ENOMEM;

    uint32_t n = 0, n_user_defined = 0;
    float worst = FLT_MAX;
    for (uint32_t i = 0; i < v->n; i++) {
        if (!vocab_is_text(v, i))
            continue;
        all[n++] = i;
        if (v->types[i] == TOKEN_USER_DEFINED)
            user_defined[n_user_defined++] = i;
        if (v->types[i] == TOKEN_NORMAL)
            worst = MIN(worst, v->scores[i]);
    }
    u->unknown_score = (worst == FLT_MAX ? 0 : worst) - UNKNOWN_PENALTY;
    int r = trie_init(&u->tokens, v->texts, all, n);
    return r < 0 ? r : trie_init(&u->user_defined, v->texts, user_defined, n_user_defined);
}

int unigram_init(Unigram *u, const Vocab *v, const Gguf *g, bool add_space_prefix, Error *e) {
    *u = (Unigram){.vocab = v, .add_space_prefix = add_space_prefix};
    if (v->unk == TOKEN_NONE)
        return error_set(e, -EBADMSG, "key tokenizer.ggml.unknown_token_id: is missing, a unigram vocabulary needs it");
    int r = gguf_get_bool(g, "tokenizer.ggml.remove_extra_whitespaces", &u->merge_spaces, e);
    if (r >= 0)
        r = read_charsmap(u, g, e);
    if (r >= 0 && index_tokens(u) < 0)
        r = out_of_memory(e);
    if (r < 0)
        unigram_done(u);
    return MIN(r, 0);
}

void unigram_done(Unigram *u) {
    trie_done(&u->tokens);
    trie_done(&u->user_defined);
    free(u->units);
    free(u->replacements);
    *u = (Unigram){};
}

/* ------------------------------------------------------------------------------------------------ normalising */

typedef struct Normalised {
    char *bytes; /* owned */
    size_t n, allocated;
} Normalised;

static int append(Normalised *out, const char *s, size_t n) {
    if (n > out->allocated - out->n) {
        size_t allocated = MAX(out->allocated * 2, out->n + n + 64);
        char *bytes = realloc(out->bytes, allocated);
        if (!bytes)
            return -ENOMEM;
        out->bytes = bytes;
        out->allocated = allocated;
    }
    memcpy(out->bytes + out->n, s, n);
    out->n += n;
    return 0;
}

/* The longest prefix of s that the charsmap replaces: its length, 0 if there is none.
 *
 * The double array is Darts': a unit holds the byte that leads to it, an offset to its children, and whether it ends a
 * key, in which case child 0 holds the value (S. Kanda 2018, "Space- and time-efficient string dictionaries"). */
static size_t match_charsmap(const Unigram *u, const char *s, size_t n, uint32_t *ret_value) {
    size_t longest = 0;
    uint32_t at = 0;
    if (u->n_units == 0)
        return 0;
    at ^= u->units[0] >> 10 << ((u->units[0] & 0x200) >> 6);
    for (size_t i = 0; i < n && s[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)s[i];
        at ^= byte;
        if (at >= u->n_units || (u->units[at] & 0x800000FFu) != byte)
            break;
        uint32_t unit = u->units[at];
        at ^= unit >> 10 << ((unit & 0x200) >> 6);
        if (!(unit & 0x100))
            continue;
        if (at >= u->n_units)
            break;
        *ret_value = u->units[at] & 0x7FFFFFFFu;
        longest = i + 1;
    }
    return longest;
}

static size_t match_user_defined(const Unigram *u, const char *s, size_t n) {
    size_t longest = 0;
    uint32_t node = TRIE_ROOT;
    for (size_t i = 0; i < n; i++) {
        node = trie_step(&u->user_defined, node, (unsigned char)s[i]);
        if (node == TRIE_ROOT)
            break;
        if (trie_id(&u->user_defined, node) != ID_NONE)
            longest = i + 1;
    }
    return longest;
}

/* What the text at s becomes, and how much of it. */
static size_t normalise_prefix(const Unigram *u, const char *s, size_t n, const char **ret, size_t *ret_size) {
    uint32_t value;
    size_t length = match_user_defined(u, s, n);
    *ret = s;
    *ret_size = length;
    if (length > 0)
        return length;

    length = match_charsmap(u, s, n, &value);
    if (length > 0 && value < u->replacements_size) {
        *ret = u->replacements + value;
        *ret_size = strlen(*ret);
        return length;
    }

    bool valid;
    utf8_decode(s, n, &length, &valid);
    *ret = valid ? s : "\xEF\xBF\xBD";
    *ret_size = valid ? length : 3;
    return length;
}

/* Spaces become ▁; one stands before the text if the file asks for it; runs of them shrink to one if it asks for that,
 * and vanish at the ends. */
static int normalise(const Unigram *u, const char *text, size_t n, Normalised *out) {
    bool in_word = false, prefixed = false;
    int r = 0;
    for (size_t at = 0; r >= 0 && at < n;) {
        const char *s;
        size_t size;
        at += normalise_prefix(u, text + at, n - at, &s, &size);
        for (size_t i = 0; r >= 0 && i < size; i++) {
            if (s[i] == ' ') {
                in_word = false;
                if (!u->merge_spaces)
                    r = append(out, SPACE_MARK, SPACE_MARK_SIZE);
                continue;
            }
            if (!in_word && (u->merge_spaces || (u->add_space_prefix && !prefixed)))
                r = append(out, SPACE_MARK, SPACE_MARK_SIZE);
            in_word = prefixed = true;
            if (r >= 0)
                r = append(out, s + i, 1);
        }
    }
    return r;
}

/* ------------------------------------------------------------------------------------------------ encoding */

/* The best way to cover the text up to here. */
typedef struct Step {
    double score; /* double, as SentencePiece sums; unreached: -DBL_MAX */
    Token token;  /* the last one */
    uint32_t size;
} Step;

static void offer(Step *step, double score, Token token, size_t size) {
    if (score > step->score)
        *step = (Step){.score = score, .token = token, .size = (uint32_t)size};
}

/* Viterbi, forwards. steps[i] is about text[0..i). */
static void find_best(const Unigram *u, const char *text, size_t n, Step *steps) {
    const Vocab *v = u->vocab;
    for (size_t i = 1; i <= n; i++)
        steps[i] = (Step){.score = -DBL_MAX};
    steps[0] = (Step){};

    for (size_t at = 0, length; at < n; at += length) {
        bool covered = false; /* does some token end with this character? */
        length = utf8_length(text + at, n - at);
        uint32_t node = TRIE_ROOT;
        for (size_t i = at; i < n; i++) {
            node = trie_step(&u->tokens, node, (unsigned char)text[i]);
            if (node == TRIE_ROOT)
                break;
            Token token = trie_id(&u->tokens, node);
            if (token == TOKEN_NONE)
                continue;
            double score = v->types[token] == TOKEN_USER_DEFINED ? 0 : (double)v->scores[token];
            offer(&steps[i + 1], steps[at].score + score, token, i + 1 - at);
            covered = covered || i + 1 - at == length;
        }
        if (!covered)
            offer(&steps[at + length], steps[at].score + (double)u->unknown_score, v->unk, length);
    }
}

int unigram_encode(const Unigram *u, const char *text, size_t n, TokenBuffer *out) {
    Normalised normalised = {};
    int r = normalise(u, text, n, &normalised);
    Step *steps = r >= 0 ? calloc(normalised.n + 1, sizeof(*steps)) : NULL;
    if (!steps)
        r = -ENOMEM;
    else
        find_best(u, normalised.bytes, normalised.n, steps);

    /* from the end back to the start; neighbouring unknown characters are one unknown token */
    size_t first = out->n;
    for (size_t at = normalised.n; r >= 0 && at > 0 && steps[at].size > 0; at -= steps[at].size)
        if (steps[at].token != u->vocab->unk || out->n == first || out->items[out->n - 1] != u->vocab->unk)
            r = token_buffer_add(out, steps[at].token);
    for (size_t i = first, k = out->n; r >= 0 && i + 1 < k; i++, k--) {
        Token swap = out->items[i];
        out->items[i] = out->items[k - 1];
        out->items[k - 1] = swap;
    }

    free(steps);
    free(normalised.bytes);
    return r;
}
