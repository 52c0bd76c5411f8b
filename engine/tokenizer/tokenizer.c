/* One tokenizer for all vocabularies: special tokens are taken out of the text, what lies between goes to the model
 * that the file names, BOS and EOS are put where it wants them. See tokenizer.h. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "bpe.h"
#include "pretokenizer.h"
#include "special.h"
#include "spm.h"
#include "tokenizer.h"
#include "unigram.h"
#include "wordpiece.h"

#define KEY(name) "tokenizer.ggml." name

#define MAX_TEXT_SIZE ((size_t)INT_MAX / 4) /* spaces may grow threefold */

struct Tokenizer {
    Vocab vocab;
    Specials specials;
    Pretokenizer *pretokenizer; /* owned; of the two BPEs */
    Bpe *bpe;                   /* owned; the same */
    Spm spm;
    WordPiece wordpiece;
    Unigram unigram;

    bool add_bos, add_eos;
    bool add_space_prefix; /* encoding puts a space before the text, decoding takes it away */
    bool clean_spaces;
    bool whole_pieces;
};

/* ------------------------------------------------------------------------------------------------ reading */

Tokenizer *tokenizer_free(Tokenizer *t) {
    if (!t)
        return NULL;
    unigram_done(&t->unigram);
    wordpiece_done(&t->wordpiece);
    spm_done(&t->spm);
    bpe_free(t->bpe);
    pretokenizer_free(t->pretokenizer);
    specials_done(&t->specials);
    vocab_done(&t->vocab);
    free(t);
    return NULL;
}

static int read_model(const Gguf *g, VocabModel *ret, Error *e) {
    static const struct {
        const char *name;
        VocabModel model;
    } models[] = {
        {"llama", VOCAB_SPM},
        {"gpt2", VOCAB_BPE},
        {"gemma4", VOCAB_BPE_RAW},
        {"bert", VOCAB_WORDPIECE},
        {"t5", VOCAB_UNIGRAM},
    };
    GgufString name;
    int r = gguf_get_string(g, KEY("model"), &name, e);
    if (r < 0)
        return r;
    if (r == 0)
        return error_set(e, -EBADMSG, "key " KEY("model") ": is missing, the file has no tokenizer");
    for (size_t i = 0; i < ELEMENTSOF(models); i++)
        if (strlen(models[i].name) == name.size && memcmp(models[i].name, name.data, name.size) == 0) {
            *ret = models[i].model;
            return 0;
        }
    char text[GGUF_PRINTABLE_SIZE];
    return error_set(
        e, -EOPNOTSUPP, "tokenizer \"%s\" (" KEY("model") ") is not supported", gguf_printable(name, text));
}

/* The defaults for what files may say. */
static int read_pretokenizer(Tokenizer *t, VocabModel *model, const Gguf *g, Error *e) {
    GgufString name = {};
    int r = gguf_get_string(g, KEY("pre"), &name, e);
    if (r < 0)
        return r;
    if (*model == VOCAB_BPE_RAW)
        name = (GgufString){.data = "gemma4", .size = strlen("gemma4")};
    r = pretokenizer_new(name, &t->pretokenizer, e);
    if (r < 0)
        return r;

    const PretokenizerTraits *traits = pretokenizer_traits(t->pretokenizer);
    t->add_bos = traits->add_bos;
    t->clean_spaces = traits->clean_spaces;
    t->whole_pieces = traits->whole_pieces;
    if (traits->raw)
        *model = VOCAB_BPE_RAW;
    return 0;
}

static int read_flags(Tokenizer *t, const Gguf *g, Error *e) {
    const struct {
        const char *key;
        bool *flag;
        Token needs;
        const char *needs_key;
    } flags[] = {
        {KEY("add_bos_token"), &t->add_bos, t->vocab.bos, KEY("bos_token_id")},
        {KEY("add_eos_token"), &t->add_eos, t->vocab.eos, KEY("eos_token_id")},
        {KEY("add_space_prefix"), &t->add_space_prefix, 0, NULL},
    };
    for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
        int r = gguf_get_bool(g, flags[i].key, flags[i].flag, e);
        if (r < 0)
            return r;
        if (r > 0 && *flags[i].flag && flags[i].needs == TOKEN_NONE)
            return error_set(e, -EBADMSG, "key %s: is missing although %s is true", flags[i].needs_key, flags[i].key);
    }
    return 0;
}

static bool contains(GgufString s, const char *part) {
    size_t size = strlen(part);
    for (uint64_t i = 0; i + size <= s.size; i++)
        if (strncasecmp(s.data + i, part, size) == 0)
            return true;
    return false;
}

/* Which tokens take the spaces beside them with them is said in no key; these are the models that need it. */
static int read_strips(Tokenizer *t, const Gguf *g, Error *e) {
    static const struct {
        const char *key, *contains;
        const char *token; /* NULL: all special ones */
        uint8_t sides;
    } rules[] = {
        {"general.name", "phi-3", NULL, STRIP_RIGHT},
        {"general.name", "phi3", NULL, STRIP_RIGHT},
        {"general.name", "phi", "<unk>", 0},
        {"general.name", "phi", "<s>", 0},
        {"general.name", "phi", "<|endoftext|>", 0},
        {"general.name", "modern-bert", "[MASK]", STRIP_LEFT},
        {"general.architecture", "nomic-bert-moe", "<mask>", STRIP_LEFT},
        {"general.architecture", "jina-bert-v3", "<mask>", STRIP_LEFT},
        {KEY("pre"), "jina-v2-", "<mask>", STRIP_LEFT},
    };
    for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
        GgufString value;
        int r = gguf_get_string(g, rules[i].key, &value, e);
        if (r < 0)
            return r;
        if (r > 0 && contains(value, rules[i].contains) &&
            specials_strip(&t->specials, rules[i].token, rules[i].sides) < 0)
            return error_set(e, -ENOMEM, "out of memory while reading the vocabulary");
    }
    return 0;
}

static int read_tokenizer(Tokenizer *t, const Gguf *g, Error *e) {
    VocabModel model = VOCAB_SPM;
    int r = read_model(g, &model, e);
    if (r < 0)
        return r;
    if (model == VOCAB_BPE || model == VOCAB_BPE_RAW)
        r = read_pretokenizer(t, &model, g, e);
    if (r >= 0)
        r = vocab_init(&t->vocab, model, g, e);
    if (r < 0)
        return r;

    t->add_bos = t->add_bos || model == VOCAB_SPM;
    t->add_eos = model == VOCAB_UNIGRAM;
    t->add_space_prefix = model == VOCAB_SPM;
    t->clean_spaces = t->clean_spaces || model == VOCAB_WORDPIECE;
    r = read_flags(t, g, e);
    if (r < 0)
        return r;

    switch (model) {
    case VOCAB_SPM: r = spm_init(&t->spm, &t->vocab, e); break;
    case VOCAB_BPE:
    case VOCAB_BPE_RAW: r = bpe_new(&t->vocab, g, &t->bpe, e); break;
    case VOCAB_WORDPIECE: r = wordpiece_init(&t->wordpiece, &t->vocab, g, e); break;
    case VOCAB_UNIGRAM: r = unigram_init(&t->unigram, &t->vocab, g, t->add_space_prefix, e); break;
    }
    if (r >= 0 && specials_init(&t->specials, &t->vocab) < 0)
        r = error_set(e, -ENOMEM, "out of memory while reading the vocabulary");
    return r < 0 ? r : read_strips(t, g, e);
}

int tokenizer_new(const Gguf *g, Tokenizer **ret, Error *e) {
    _cleanup_(tokenizer_freep) Tokenizer *t = calloc(1, sizeof(*t));
    if (!t)
        return error_set(e, -ENOMEM, "out of memory");
    int r = read_tokenizer(t, g, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(t);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ encoding */

/* What one call of tokenizer_encode() works with. */
typedef struct Encoding {
    const Tokenizer *t;
    TokenBuffer out;
    Merger merger;
    char *marked; /* a fragment with spaces written ▁ */
} Encoding;

/* Returns how many bytes of `marked` are used, or -ENOMEM. */
static ssize_t mark_spaces(Encoding *en, const char *text, size_t n, bool prefix) {
    free(en->marked);
    en->marked = malloc((n + 1) * SPACE_MARK_SIZE);
    if (!en->marked)
        return -ENOMEM;

    size_t size = 0;
    if (prefix) {
        memcpy(en->marked, SPACE_MARK, SPACE_MARK_SIZE);
        size = SPACE_MARK_SIZE;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ') {
            memcpy(en->marked + size, SPACE_MARK, SPACE_MARK_SIZE);
            size += SPACE_MARK_SIZE;
        } else
            en->marked[size++] = text[i];
    }
    return (ssize_t)size;
}

static int encode_bpe(Encoding *en, const char *text, size_t n) {
    const Tokenizer *t = en->t;
    bool raw = t->vocab.model == VOCAB_BPE_RAW;
    if (raw) {
        ssize_t size = mark_spaces(en, text, n, false);
        if (size < 0)
            return (int)size;
        text = en->marked;
        n = (size_t)size;
    }

    Pieces pieces = {};
    int r = pretokenizer_split(t->pretokenizer, text, (uint32_t)n, &pieces);
    uint32_t from = 0;
    for (size_t i = 0; r >= 0 && i < pieces.n; i++) {
        /* blank lines are whole tokens that raw vocabularies have no merges for */
        bool whole = t->whole_pieces || (raw && text[from] == '\n');
        r = bpe_encode(t->bpe, text + from, pieces.ends[i] - from, whole, &en->merger, &en->out);
        from = pieces.ends[i];
    }
    pieces_done(&pieces);
    return r;
}

static int encode_text(Encoding *en, const char *text, size_t n, bool after_special) {
    const Tokenizer *t = en->t;
    switch (t->vocab.model) {
    case VOCAB_SPM: {
        ssize_t size = mark_spaces(en, text, n, t->add_space_prefix && after_special);
        return size < 0 ? (int)size : spm_encode(&t->spm, en->marked, (size_t)size, &en->merger, &en->out);
    }
    case VOCAB_BPE:
    case VOCAB_BPE_RAW: return encode_bpe(en, text, n);
    case VOCAB_WORDPIECE: return wordpiece_encode(&t->wordpiece, text, n, &en->out);
    case VOCAB_UNIGRAM: return unigram_encode(&t->unigram, text, n, &en->out);
    }
    return 0;
}

static int encode_fragments(Encoding *en, const char *text, const Fragments *fragments, bool add_special) {
    const Vocab *v = &en->t->vocab;
    bool pair = v->model == VOCAB_WORDPIECE; /* [CLS] and [SEP] always */
    int r = 0;
    if (add_special && (en->t->add_bos || pair) && v->bos != TOKEN_NONE)
        r = token_buffer_add(&en->out, v->bos);

    bool after_special = true;
    for (size_t i = 0; r >= 0 && i < fragments->n; i++) {
        const Fragment *f = &fragments->items[i];
        r = f->token != TOKEN_NONE ? token_buffer_add(&en->out, f->token)
                                   : encode_text(en, text + f->start, f->size, after_special);
        after_special = f->token != TOKEN_NONE;
    }

    Token last = pair ? v->sep : en->t->add_eos ? v->eos : TOKEN_NONE;
    if (r >= 0 && add_special && last != TOKEN_NONE)
        r = token_buffer_add(&en->out, last);
    return r;
}

/* Joins the spans, and says of each byte whether it is trusted. */
static int join_spans(
    const TextSpan *spans, size_t n_spans, char **ret_text, uint8_t **ret_trusted, size_t *ret_size, Error *e) {
    size_t size = 0;
    for (size_t i = 0; i < n_spans; i++)
        if (__builtin_add_overflow(size, spans[i].size, &size) || size > MAX_TEXT_SIZE)
            return error_set(
                e, -EMSGSIZE, "the text is too long to be tokenized, %zu bytes are possible", MAX_TEXT_SIZE);

    char *text = malloc(size + 1);
    uint8_t *trusted = malloc(size + 1);
    if (!text || !trusted) {
        free(text);
        free(trusted);
        return error_set(e, -ENOMEM, "out of memory while tokenizing");
    }
    size_t at = 0;
    for (size_t i = 0; i < n_spans; i++) {
        if (spans[i].size == 0)
            continue;
        memcpy(text + at, spans[i].text, spans[i].size);
        memset(trusted + at, spans[i].trusted, spans[i].size);
        at += spans[i].size;
    }
    *ret_text = text;
    *ret_trusted = trusted;
    *ret_size = size;
    return 0;
}

int tokenizer_encode(
    const Tokenizer *t, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e) {
    _cleanup_(freep) char *text = NULL;
    _cleanup_(freep) uint8_t *trusted = NULL;
    size_t size = 0;
    int r = join_spans(spans, n_spans, &text, &trusted, &size, e);
    if (r < 0)
        return r;

    Encoding en = {.t = t};
    Fragments fragments = {};
    r = specials_split(&t->specials, text, trusted, (uint32_t)size, &fragments);
    if (r >= 0)
        r = encode_fragments(&en, text, &fragments, add_special);
    fragments_done(&fragments);
    merger_done(&en.merger);
    free(en.marked);
    if (r < 0) {
        token_buffer_done(&en.out);
        return error_set(e, r, "out of memory while tokenizing");
    }
    *ret = (TokenArray){.items = en.out.items, .n = en.out.n};
    return 0;
}

void token_array_done(TokenArray *a) {
    free(a->items);
    *a = (TokenArray){};
}

/* ------------------------------------------------------------------------------------------------ decoding */

static bool is_hidden(const Vocab *v, Token token, bool special) {
    return !special && !v->visible[token] && (v->types[token] == TOKEN_CONTROL || v->types[token] == TOKEN_UNKNOWN);
}

const char *tokenizer_piece(const Tokenizer *t, Token token, bool special, size_t *ret_size) {
    bool hidden = token >= t->vocab.n || is_hidden(&t->vocab, token, special);
    *ret_size = hidden ? 0 : t->vocab.pieces[token].size;
    return hidden ? "" : t->vocab.pieces[token].data;
}

/* Takes back the spaces that tokenization put before punctuation, as the models' own decoders do. Three rules, one
 * after the other over the whole text. Returns the new size. */
static size_t clean_spaces(char *s, size_t n) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' || i + 1 == n || !strchr("?!.,", s[i + 1]) || s[i + 1] == '\0')
            s[k++] = s[i];
    n = k;

    k = 0;
    for (size_t i = 0; i < n; i++) {
        if (n - i >= 3 && memcmp(s + i, " ' ", 3) == 0) {
            s[k++] = '\'';
            i += 2;
        } else
            s[k++] = s[i];
    }
    n = k;

    k = 0;
    for (size_t i = 0; i < n; i++) {
        bool suffix = n - i >= 3 && s[i] == ' ' && s[i + 1] == '\'' &&
                      (s[i + 2] == 's' || s[i + 2] == 'm' ||
                          (n - i >= 4 && (s[i + 2] == 'r' || s[i + 2] == 'v') && s[i + 3] == 'e'));
        if (!suffix)
            s[k++] = s[i];
    }
    return k;
}

int tokenizer_decode(const Tokenizer *t, const Token *tokens, size_t n, bool special, char **ret, size_t *ret_size) {
    size_t allocated = 1, size = 0, piece_size;
    for (size_t i = 0; i < n; i++) {
        tokenizer_piece(t, tokens[i], special, &piece_size);
        if (__builtin_add_overflow(allocated, piece_size, &allocated))
            return -ENOMEM;
    }
    char *text = malloc(allocated);
    if (!text)
        return -ENOMEM;

    bool strip = t->add_space_prefix;
    for (size_t i = 0; i < n; i++) {
        const char *piece = tokenizer_piece(t, tokens[i], special, &piece_size);
        if (piece_size == 0)
            continue;
        size_t skip = strip && piece[0] == ' ';
        memcpy(text + size, piece + skip, piece_size - skip);
        size += piece_size - skip;
        strip = false;
    }
    if (t->clean_spaces)
        size = clean_spaces(text, size);
    text[size] = '\0';
    *ret = text;
    *ret_size = size;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ asking */

uint32_t tokenizer_n_vocab(const Tokenizer *t) {
    return t->vocab.n;
}

Token tokenizer_find(const Tokenizer *t, const char *text) {
    return vocab_find(&t->vocab, text);
}

Token tokenizer_bos(const Tokenizer *t) {
    return t->vocab.bos;
}

Token tokenizer_eos(const Tokenizer *t) {
    return t->vocab.eos;
}

bool tokenizer_is_end(const Tokenizer *t, Token token) {
    return token < t->vocab.n && t->vocab.is_end[token];
}
