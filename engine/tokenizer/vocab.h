/* The tokens of a model file: their texts, kinds and scores, and which of them have a role. */
#pragma once

#include "string-map.h"
#include "token-buffer.h"
#include "tokenizer.h"

/* tokenizer.ggml.token_type */
typedef enum TokenType {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER_DEFINED,
    TOKEN_UNUSED,
    TOKEN_BYTE,
} TokenType;

/* tokenizer.ggml.model */
typedef enum VocabModel {
    VOCAB_SPM,       /* "llama": SentencePiece BPE */
    VOCAB_BPE,       /* "gpt2": byte-level BPE */
    VOCAB_BPE_RAW,   /* "gemma4": BPE over characters, spaces as ▁ */
    VOCAB_WORDPIECE, /* "bert" */
    VOCAB_UNIGRAM,   /* "t5": SentencePiece unigram */
} VocabModel;

typedef struct Vocab {
    VocabModel model;
    uint32_t n;
    Text *texts;    /* owned, [n]: as the file has them, NUL-terminated */
    Text *pieces;   /* owned, [n]: the bytes each stands for in a text, NUL-terminated */
    float *scores;  /* owned, [n] */
    uint8_t *types; /* owned, [n] */
    bool *is_end;   /* owned, [n] */
    bool *visible;  /* owned, [n]: part of the text also when control tokens are left out */
    char *arena;    /* owned; the texts and pieces */
    Token bos, eos, unk, sep;
    Token bytes[256]; /* `<0xXX>` tokens, or TOKEN_NONE */
} Vocab;

#define SPACE_MARK      "\xE2\x96\x81" /* U+2581, how SentencePiece writes a space */
#define SPACE_MARK_SIZE 3

/* Reads tokens, types, scores and ids; `model` says how pieces are spelled. */
int vocab_init(Vocab *v, VocabModel model, const Gguf *g, Error *e);
void vocab_done(Vocab *v);
/* The first token with this text, or TOKEN_NONE. Looks through all of them. */
Token vocab_find(const Vocab *v, const char *text);
/* May ordinary text become this token? Not so for control tokens, whose text only trusted text may name. */
bool vocab_is_text(const Vocab *v, Token token);

/* GPT-2 writes each byte as a printable character. Spells s[0..n) as the bytes meant into out (at most n bytes), or
 * returns -1 if it holds another character. */
ssize_t byte_level_decode(const char *s, size_t n, char *out);
