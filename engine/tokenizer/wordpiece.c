/* See wordpiece.h. */
#include <errno.h>
#include <string.h>

#include "unicode.h"
#include "utf8.h"
#include "wordpiece.h"

/* The word being read: ▁ and its characters. */
typedef struct Word {
    char *bytes; /* owned, room for all of the text */
    size_t n;
} Word;

int wordpiece_init(WordPiece *w, const Vocab *v, const Gguf *g, Error *e) {
    *w = (WordPiece){.vocab = v, .lowercase = true};
    int r = gguf_get_bool(g, "tokenizer.ggml.normalizer.lowercase", &w->lowercase, e);
    if (r < 0)
        return r;
    w->strip_accents = w->lowercase; /* as BERT has it where nothing else is said */
    r = gguf_get_bool(g, "tokenizer.ggml.normalizer.strip_accents", &w->strip_accents, e);
    if (r < 0)
        return r;

    uint32_t n = 0;
    _cleanup_(freep) uint32_t *ids = malloc(v->n * sizeof(*ids));
    for (uint32_t i = 0; ids && i < v->n; i++)
        if (vocab_is_text(v, i))
            ids[n++] = i;
    r = ids ? trie_init(&w->trie, v->texts, ids, n) : -ENOMEM;
    return r < 0 ? error_set(e, r, "out of memory while reading the vocabulary") : 0;
}

void wordpiece_done(WordPiece *w) {
    trie_done(&w->trie);
    *w = (WordPiece){};
}

/* The longest token at the start of s, or TOKEN_NONE. */
static Token longest_token(const WordPiece *w, const char *s, size_t n, size_t *ret_size) {
    Token longest = TOKEN_NONE;
    uint32_t node = TRIE_ROOT;
    for (size_t i = 0; i < n; i++) {
        node = trie_step(&w->trie, node, (unsigned char)s[i]);
        if (node == TRIE_ROOT)
            break;
        Token token = trie_id(&w->trie, node);
        if (token != TOKEN_NONE) {
            longest = token;
            *ret_size = i + 1;
        }
    }
    return longest;
}

/* A word that its tokens cannot cover is unknown as a whole. */
static int end_word(const WordPiece *w, Word *word, TokenBuffer *out) {
    if (word->n <= SPACE_MARK_SIZE)
        return 0;

    size_t before = out->n, size = 0;
    int r = 0;
    for (size_t at = 0; r >= 0 && at < word->n; at += size) {
        Token token = longest_token(w, word->bytes + at, word->n - at, &size);
        if (token == TOKEN_NONE) {
            out->n = before;
            r = w->vocab->unk != TOKEN_NONE ? token_buffer_add(out, w->vocab->unk) : 0;
            break;
        }
        r = token_buffer_add(out, token);
    }
    word->n = SPACE_MARK_SIZE;
    return r;
}

static bool is_ideograph(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || /* BERT's own range begins too late, and vocabularies depend on it */
           (c >= 0x2F800 && c <= 0x2FA1F);
}

/* $ + < = > ^ ` | count as punctuation, other symbols do not */
static bool is_ascii_symbol(uint32_t c) {
    return c == '$' || c == '+' || (c >= '<' && c <= '>') || c == '^' || c == '`' || c == '|' || c == '~';
}

static int add_character(const WordPiece *w, Word *word, uint32_t c, TokenBuffer *out) {
    if (w->strip_accents)
        c = unicode_base(c);
    UnicodeClass class = unicode_class(c);
    if (class == UNICODE_SPACE)
        return end_word(w, word, out);
    if (class == UNICODE_CONTROL || c == UTF8_INVALID || (class == UNICODE_MARK && w->strip_accents))
        return 0;

    bool alone = class == UNICODE_PUNCTUATION || is_ascii_symbol(c) || is_ideograph(c);
    int r = alone ? end_word(w, word, out) : 0;
    if (r >= 0) {
        word->n += utf8_encode(w->lowercase ? unicode_lower(c) : c, word->bytes + word->n);
        r = alone ? end_word(w, word, out) : 0;
    }
    return r;
}

int wordpiece_encode(const WordPiece *w, const char *text, size_t n, TokenBuffer *out) {
    /* a character may grow when it is normalised, to four bytes at most */
    Word word = {.bytes = malloc(SPACE_MARK_SIZE + 4 * n), .n = SPACE_MARK_SIZE};
    if (!word.bytes)
        return -ENOMEM;
    memcpy(word.bytes, SPACE_MARK, SPACE_MARK_SIZE);

    int r = 0;
    for (size_t at = 0, length; r >= 0 && at < n; at += length) {
        bool valid;
        r = add_character(w, &word, utf8_decode(text + at, n - at, &length, &valid), out);
    }
    if (r >= 0)
        r = end_word(w, &word, out);
    free(word.bytes);
    return r;
}
