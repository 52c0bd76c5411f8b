/* Keys of a GGUF file with their values, for tests that vary several. */
#pragma once

#include "gguf-builder.h"

typedef struct GgufSetting {
    const char *key; /* NULL: none */
    GgufType type;   /* GGUF_TYPE_COUNT: the key shall be absent */
    double number;
    const char *text;
    uint32_t n;          /* elements of an array, */
    uint32_t numbers[4]; /* its first; the others are 0 */
    GgufType of;         /* GGUF_U32 or GGUF_BOOL */
} GgufSetting;

#define U32(key_, v_)                                                                                                  \
    { .key = (key_), .type = GGUF_U32, .number = (v_) }
#define F32(key_, v_)                                                                                                  \
    { .key = (key_), .type = GGUF_F32, .number = (v_) }
#define BOOL(key_, v_)                                                                                                 \
    { .key = (key_), .type = GGUF_BOOL, .number = (v_) }
#define TEXT(key_, v_)                                                                                                 \
    { .key = (key_), .type = GGUF_STRING, .text = (v_) }
#define ARRAY(key_, n_, ...)                                                                                           \
    { .key = (key_), .type = GGUF_ARRAY, .n = (n_), .numbers = {__VA_ARGS__}, .of = GGUF_U32 }
#define BOOLS(key_, n_, ...)                                                                                           \
    { .key = (key_), .type = GGUF_ARRAY, .n = (n_), .numbers = {__VA_ARGS__}, .of = GGUF_BOOL }
#define WITHOUT(key_)                                                                                                  \
    { .key = (key_), .type = GGUF_TYPE_COUNT }

/* Several, or none, as two arguments of a function. */
#define SETTINGS(...)                                                                                                  \
    (const GgufSetting[]){{}, __VA_ARGS__}, sizeof((const GgufSetting[]){{}, __VA_ARGS__}) / sizeof(GgufSetting)

/* Adds n settings, but those alone whose keys are not among the others. */
void builder_set(GgufBuilder *b, const GgufSetting *s, size_t n, const GgufSetting *others, size_t n_others);
