/* See vocab.h. Everything is checked here, once: whoever encodes or decodes later relies on ids below n, on pieces
 * that exist for every token and on byte tokens that are bytes. Texts may be empty or equal to each other; an empty
 * one is never found in a text, and of equal ones the first is. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "vocab.h"

#define MAX_TEXT_SIZE 65536u

#define KEY(name) "tokenizer.ggml." name

/* Tokens that are control tokens even where a file calls them ordinary or user-defined: nobody but the model may say
 * them. Those that end an answer do so whatever the metadata says: files name one such token, models use several. */
static const char *const end_texts[] = {
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<|EOT|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "<end_of_turn>",
    "<turn|>",
    "<|tool_response>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
};
static const char *const other_control_texts[] = {
    "<|im_start|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<fim_prefix>",
    "<fim_suffix>",
    "<fim_middle>",
    "<fim-prefix>",
    "<fim-suffix>",
    "<fim-middle>",
    "<｜fim▁begin｜>",
    "<｜fim▁hole｜>",
    "<｜fim▁end｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
};

/* Control tokens whose text belongs to the answer: whoever takes reasoning and tool calls apart has to see them. */
static const char *const visible_texts[] = {
    "<think>",
    "</think>",
    "[THINK]",
    "[/THINK]",
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[CALL_ID]",
    "<|python_tag|>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "｜DSML｜",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "<|start|>",
    "<|channel|>",
    "<|constrain|>",
    "<|message|>",
};

/* ------------------------------------------------------------------------------------------------ spelling */

ssize_t byte_level_decode(const char *s, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        unsigned char lead = (unsigned char)s[i];
        uint32_t c = lead;
        if (lead >= 0x80) {
            if ((lead & 0xE0) != 0xC0 || i + 1 >= n || (s[i + 1] & 0xC0) != 0x80)
                return -1;
            c = (lead & 0x1Fu) << 6 | (s[i + 1] & 0x3Fu);
        }
        i += lead < 0x80 ? 1 : 2;

        /* printable Latin-1 stands for itself, the other bytes are numbered from U+0100 in their order */
        if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD))
            out[size++] = (char)c;
        else if (c >= 0x100 && c <= 0x120)
            out[size++] = (char)(c - 0x100);
        else if (c >= 0x121 && c <= 0x142)
            out[size++] = (char)(c - 0x121 + 0x7F);
        else if (c == 0x143)
            out[size++] = (char)0xAD;
        else
            return -1;
    }
    return (ssize_t)size;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* `<0xXX>`, or -1. */
static int parse_byte(const Text *t) {
    if (t->size != 6 || memcmp(t->data, "<0x", 3) != 0 || t->data[5] != '>')
        return -1;
    int high = hex_digit(t->data[3]), low = hex_digit(t->data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static size_t spaces_unmarked(const Text *t, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < t->size;) {
        if (t->size - i >= SPACE_MARK_SIZE && memcmp(t->data + i, SPACE_MARK, SPACE_MARK_SIZE) == 0) {
            out[size++] = ' ';
            i += SPACE_MARK_SIZE;
        } else
            out[size++] = t->data[i++];
    }
    return size;
}

/* Writes the bytes that a token stands for, returns how many: never more than its text has. */
static size_t spell(VocabModel model, TokenType type, const Text *text, char *out) {
    ssize_t size = -1;
    if (type == TOKEN_BYTE) {
        out[0] = (char)parse_byte(text);
        return 1;
    }
    if (type == TOKEN_NORMAL || type == TOKEN_UNUSED) {
        if (model != VOCAB_BPE)
            return spaces_unmarked(text, out);
        size = byte_level_decode(text->data, text->size, out);
    }
    if (size >= 0)
        return (size_t)size;
    memcpy(out, text->data, text->size);
    return text->size;
}

/* ------------------------------------------------------------------------------------------------ reading */

static int out_of_memory(Error *e) {
    return error_set(e, -ENOMEM, "out of memory while reading the vocabulary");
}

/* Allocates the tables and copies the texts. */
static int read_texts(Vocab *v, const Gguf *g, Error *e) {
    GgufArray a;
    int r = gguf_get_array(g, KEY("tokens"), GGUF_STRING, &a, e);
    if (r < 0)
        return r;
    if (r == 0 || a.n == 0)
        return error_set(e, -EBADMSG, "key " KEY("tokens") ": is missing or empty: the file has no vocabulary");
    if (a.n >= TOKEN_NONE)
        return error_set(e, -EBADMSG, "key " KEY("tokens") ": has too many tokens (%llu)", (unsigned long long)a.n);

    size_t total = 0;
    for (uint64_t i = 0; i < a.n; i++) {
        if (a.strings[i].size > MAX_TEXT_SIZE)
            return error_set(e, -EBADMSG, "key " KEY("tokens") ": token %llu has %llu bytes, at most %u are possible",
                (unsigned long long)i, (unsigned long long)a.strings[i].size, MAX_TEXT_SIZE);
        total += a.strings[i].size + 1;
    }

    v->n = (uint32_t)a.n;
    v->texts = calloc(v->n, sizeof(*v->texts));
    v->pieces = calloc(v->n, sizeof(*v->pieces));
    v->scores = calloc(v->n, sizeof(*v->scores));
    v->types = calloc(v->n, sizeof(*v->types));
    v->is_end = calloc(v->n, sizeof(*v->is_end));
    v->visible = calloc(v->n, sizeof(*v->visible));
    v->arena = malloc(total * 2); /* the second half is for pieces, and only touched as far as they differ */
    if (!v->texts || !v->pieces || !v->scores || !v->types || !v->is_end || !v->visible || !v->arena)
        return out_of_memory(e);

    char *p = v->arena;
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t size = (uint32_t)a.strings[i].size;
        if (size > 0)
            memcpy(p, a.strings[i].data, size);
        p[size] = '\0';
        v->texts[i] = (Text){.data = p, .size = size};
        p += size + 1;
    }
    return 0;
}

static int wrong_length(const char *key, uint64_t n, uint32_t n_tokens, Error *e) {
    return error_set(e, -EBADMSG, "key %s: has %llu elements for %u tokens", key, (unsigned long long)n, n_tokens);
}

static int read_types(Vocab *v, const Gguf *g, Error *e) {
    GgufArray a;
    int r = gguf_get_array(g, KEY("token_type"), GGUF_I32, &a, e);
    if (r < 0)
        return r;
    if (r > 0 && a.n != v->n)
        return wrong_length(KEY("token_type"), a.n, v->n, e);

    for (uint32_t i = 0; i < v->n; i++) {
        int32_t type = r > 0 ? gguf_array_i32(&a, i) : TOKEN_NORMAL;
        if (type < 0 || type > TOKEN_BYTE)
            return error_set(e, -EBADMSG, "key " KEY("token_type") ": token %u has the unknown type %d", i, type);
        v->types[i] = type == 0 ? TOKEN_NORMAL : (uint8_t)type; /* 0: undefined */
        if (type == TOKEN_BYTE && parse_byte(&v->texts[i]) < 0) {
            char text[GGUF_PRINTABLE_SIZE];
            gguf_printable((GgufString){.data = v->texts[i].data, .size = v->texts[i].size}, text);
            return error_set(
                e, -EBADMSG, "key " KEY("tokens") ": byte token %u must look like <0x0A>, not \"%s\"", i, text);
        }
    }
    return 0;
}

static int read_scores(Vocab *v, const Gguf *g, Error *e) {
    GgufArray a;
    int r = gguf_get_array(g, KEY("scores"), GGUF_F32, &a, e);
    if (r <= 0)
        return r;
    if (a.n != v->n)
        return wrong_length(KEY("scores"), a.n, v->n, e);
    for (uint32_t i = 0; i < v->n; i++) {
        v->scores[i] = gguf_array_f32(&a, i);
        if (isnan(v->scores[i]))
            return error_set(e, -EBADMSG, "key " KEY("scores") ": the score of token %u is not a number", i);
    }
    return 0;
}

static void find_bytes(Vocab *v) {
    memset(v->bytes, 0xFF, sizeof(v->bytes)); /* TOKEN_NONE */
    for (uint32_t i = 0; i < v->n; i++) {
        int byte = v->types[i] == TOKEN_BYTE || v->types[i] == TOKEN_NORMAL ? parse_byte(&v->texts[i]) : -1;
        if (byte >= 0 && v->bytes[byte] == TOKEN_NONE)
            v->bytes[byte] = i;
    }
}

static void spell_pieces(Vocab *v) {
    const Text *last = &v->texts[v->n - 1];
    char *p = v->arena + (last->data + last->size + 1 - v->arena);
    for (uint32_t i = 0; i < v->n; i++) {
        const Text *text = &v->texts[i];
        size_t size = spell(v->model, v->types[i], text, p);
        if (size == text->size && memcmp(p, text->data, size) == 0) {
            v->pieces[i] = *text;
            continue;
        }
        p[size] = '\0';
        v->pieces[i] = (Text){.data = p, .size = (uint32_t)size};
        p += size + 1;
    }
}

/* ------------------------------------------------------------------------------------------------ roles */

/* The token that a key names; `fallback` where the key is absent and there is such a token. */
static int read_id(const Vocab *v, const Gguf *g, const char *key, Token fallback, Token *ret, Error *e) {
    Token token;
    int r = gguf_get_u32(g, key, &token, e);
    if (r < 0)
        return r;
    if (r == 0)
        token = fallback < v->n ? fallback : TOKEN_NONE;
    else if (token >= v->n)
        return error_set(e, -EBADMSG, "key %s: token %u does not exist, the vocabulary has %u", key, token, v->n);
    *ret = token;
    return 0;
}

static int read_roles(Vocab *v, const Gguf *g, Error *e) {
    static const struct {
        Token bos, eos, unk, sep;
    } defaults[] = {
        [VOCAB_SPM] = {1, 2, 0, TOKEN_NONE},
        [VOCAB_BPE] = {TOKEN_NONE, TOKEN_NONE, TOKEN_NONE, TOKEN_NONE},
        [VOCAB_BPE_RAW] = {TOKEN_NONE, TOKEN_NONE, TOKEN_NONE, TOKEN_NONE},
        [VOCAB_WORDPIECE] = {101, TOKEN_NONE, 100, 102},
        [VOCAB_UNIGRAM] = {TOKEN_NONE, 1, 2, TOKEN_NONE},
    };
    Token cls = TOKEN_NONE, eot = TOKEN_NONE, eom = TOKEN_NONE;
    const struct {
        const char *key;
        Token fallback;
        Token *ret;
    } ids[] = {
        {KEY("cls_token_id"), TOKEN_NONE, &cls},
        {KEY("bos_token_id"), defaults[v->model].bos, &v->bos},
        {KEY("eos_token_id"), defaults[v->model].eos, &v->eos},
        {KEY("unknown_token_id"), defaults[v->model].unk, &v->unk},
        {KEY("seperator_token_id"), defaults[v->model].sep, &v->sep},
        {KEY("eot_token_id"), TOKEN_NONE, &eot},
        {KEY("eom_token_id"), TOKEN_NONE, &eom},
    };
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        int r = read_id(v, g, ids[i].key, ids[i].fallback, ids[i].ret, e);
        if (r < 0)
            return r;
    }

    if (v->model == VOCAB_WORDPIECE && cls != TOKEN_NONE)
        v->bos = cls;
    const Token ends[] = {v->eos, eot, eom};
    for (size_t i = 0; i < ELEMENTSOF(ends); i++)
        if (ends[i] != TOKEN_NONE)
            v->is_end[ends[i]] = true;
    return 0;
}

static bool equals(const Text *t, const char *s) {
    return strlen(s) == t->size && memcmp(t->data, s, t->size) == 0;
}

static bool is_one_of(const Text *t, const char *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (equals(t, texts[i]))
            return true;
    return false;
}

/* Cheap to ask of every token, as the lists are not. */
static bool may_be_control(const Vocab *v, uint32_t i) {
    const Text *t = &v->texts[i];
    return v->types[i] == TOKEN_CONTROL ||
           ((v->types[i] == TOKEN_NORMAL || v->types[i] == TOKEN_USER_DEFINED) && t->size > 2 &&
               strchr("<[_", t->data[0]) && strchr(">[]", t->data[t->size - 1]));
}

static void assign_roles_by_text(Vocab *v) {
    Token end = TOKEN_NONE;
    bool ends_by_call = false, ends_by_return = false;
    for (uint32_t i = 0; i < v->n; i++) {
        const Text *t = &v->texts[i];
        if (!may_be_control(v, i))
            continue;
        bool ends = is_one_of(t, end_texts, ELEMENTSOF(end_texts));
        if (ends || is_one_of(t, other_control_texts, ELEMENTSOF(other_control_texts)))
            v->types[i] = TOKEN_CONTROL;
        v->is_end[i] = v->is_end[i] || ends;
        v->visible[i] = is_one_of(t, visible_texts, ELEMENTSOF(visible_texts));
        if (equals(t, "<|end|>"))
            end = i;
        ends_by_call = ends_by_call || equals(t, "<|call|>") || equals(t, "<|calls|>");
        ends_by_return = ends_by_return || equals(t, "<|return|>") || equals(t, "<|flush|>");
    }

    /* In the harmony format <|end|> closes one message of several, and only <|return|> and <|call|> end the answer. */
    if (end != TOKEN_NONE && ends_by_call && ends_by_return) {
        v->is_end[end] = false;
        v->visible[end] = true;
    }
}

int vocab_init(Vocab *v, VocabModel model, const Gguf *g, Error *e) {
    *v = (Vocab){.model = model};
    int r = read_texts(v, g, e);
    if (r >= 0)
        r = read_types(v, g, e);
    if (r >= 0)
        r = read_scores(v, g, e);
    if (r >= 0)
        r = read_roles(v, g, e);
    if (r < 0) {
        vocab_done(v);
        return r;
    }
    assign_roles_by_text(v);
    spell_pieces(v);
    find_bytes(v);
    return 0;
}

void vocab_done(Vocab *v) {
    free(v->texts);
    free(v->pieces);
    free(v->scores);
    free(v->types);
    free(v->is_end);
    free(v->visible);
    free(v->arena);
    *v = (Vocab){};
}

Token vocab_find(const Vocab *v, const char *text) {
    for (uint32_t i = 0; i < v->n; i++)
        if (equals(&v->texts[i], text))
            return i;
    return TOKEN_NONE;
}

bool vocab_is_text(const Vocab *v, Token token) {
    return v->types[token] == TOKEN_NORMAL || v->types[token] == TOKEN_USER_DEFINED || v->types[token] == TOKEN_UNUSED;
}
