/* See spm.h. The merges of a text depend on all of it in principle. But where no token has a ▁ after another
 * character, as in every vocabulary that SentencePiece makes by default, nothing is ever joined across the start of a
 * word, and words are encoded one by one: small heaps instead of one over the whole text. */
#include <string.h>

#include "spm.h"
#include "utf8.h"

static bool is_mark(const char *s, size_t n) {
    return n >= SPACE_MARK_SIZE && memcmp(s, SPACE_MARK, SPACE_MARK_SIZE) == 0;
}

/* Where the word that starts here ends: before the next ▁ that follows another character. */
static size_t word_size(const char *s, size_t n) {
    size_t i = 0;
    while (is_mark(s + i, n - i))
        i += SPACE_MARK_SIZE;
    while (i < n && !is_mark(s + i, n - i))
        i++;
    return i;
}

int spm_init(Spm *s, const Vocab *v, Error *e) {
    *s = (Spm){.vocab = v, .words_are_apart = true};
    int r = string_map_init(&s->tokens, v->n);
    for (uint32_t i = 0; r >= 0 && i < v->n; i++) {
        uint32_t size = v->texts[i].size;
        if (size == 0 || !vocab_is_text(v, i))
            continue;
        r = string_map_add(&s->tokens, v->texts, i);
        s->longest = MAX(s->longest, size);
        s->words_are_apart = s->words_are_apart && word_size(v->texts[i].data, size) == size;
    }
    return r < 0 ? error_set(e, r, "out of memory while reading the vocabulary") : 0;
}

void spm_done(Spm *s) {
    string_map_done(&s->tokens);
    *s = (Spm){};
}

/* Floats as integers that sort the other way round. */
static uint32_t descending(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof(bits));
    return bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
}

static bool lookup(const void *userdata, const char *text, const Symbol *left, const Symbol *right,
    uint32_t *ret_priority, uint32_t *ret_id) {
    const Spm *s = userdata;
    uint32_t size = left->size + right->size;
    if (size > s->longest)
        return false;
    Token token = string_map_find(&s->tokens, s->vocab->texts, text + left->start, size);
    if (token == TOKEN_NONE)
        return false;
    *ret_priority = descending(s->vocab->scores[token]);
    *ret_id = token;
    return true;
}

static int add_bytes(const Vocab *v, const char *s, size_t n, TokenBuffer *out) {
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        Token token = v->bytes[(unsigned char)s[i]];
        if (token == TOKEN_NONE)
            token = v->unk;
        if (token != TOKEN_NONE)
            r = token_buffer_add(out, token);
    }
    return r;
}

static int encode_word(const Spm *s, const char *text, size_t n, Merger *scratch, TokenBuffer *out) {
    int r = 0;
    merger_reset(scratch);
    for (size_t at = 0, length; r >= 0 && at < n; at += length) {
        length = utf8_length(text + at, n - at);
        Token token = string_map_find(&s->tokens, s->vocab->texts, text + at, length);
        r = merger_add(scratch, token, (uint32_t)length);
    }
    if (r >= 0)
        r = merger_run(scratch, text, lookup, s);

    for (uint32_t i = 0; r >= 0 && scratch->n > 0 && i != ID_NONE; i = scratch->symbols[i].next) {
        const Symbol *symbol = &scratch->symbols[i];
        r = symbol->id != TOKEN_NONE ? token_buffer_add(out, symbol->id)
                                     : add_bytes(s->vocab, text + symbol->start, symbol->size, out);
    }
    return r;
}

int spm_encode(const Spm *s, const char *text, size_t n, Merger *scratch, TokenBuffer *out) {
    int r = 0;
    for (size_t at = 0, size; r >= 0 && at < n; at += size) {
        size = s->words_are_apart ? word_size(text + at, n - at) : n - at;
        r = encode_word(s, text + at, size, scratch, out);
    }
    return r;
}
