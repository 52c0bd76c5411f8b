#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tiny-vocab.h"

#define KEY(name) "tokenizer.ggml." name

/* A byte as a token's text: a printable character in byte-level vocabularies, else `<0xXX>`. */
static void byte_text(const TinyVocab *v, unsigned byte, char out[8]) {
    if (strcmp(v->model, "gpt2") != 0) {
        snprintf(out, 8, "<0x%02X>", byte);
        return;
    }
    unsigned c = byte, others = 0;
    for (unsigned i = 0; i <= byte; i++) {
        bool printable = (i >= 0x21 && i <= 0x7E) || (i >= 0xA1 && i != 0xAD);
        if (i == byte)
            c = printable ? byte : 256 + others;
        others += !printable;
    }
    if (c < 0x80)
        snprintf(out, 8, "%c", (char)c);
    else
        snprintf(out, 8, "%c%c", (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)));
}

void tiny_vocab_write(const TinyVocab *v, GgufBuilder *b) {
    size_t n_bytes = v->all_bytes ? 256 : 0, n = v->n_tokens + n_bytes;
    bool byte_level = strcmp(v->model, "gpt2") == 0;
    builder_string(b, KEY("model"), v->model);
    if (v->pre)
        builder_string(b, KEY("pre"), v->pre);

    builder_array(b, KEY("tokens"), GGUF_STRING, n);
    for (size_t i = 0; i < v->n_tokens; i++)
        blob_string(&b->keys, v->tokens[i].text);
    for (unsigned byte = 0; byte < n_bytes; byte++) {
        char text[8];
        byte_text(v, byte, text);
        blob_string(&b->keys, text);
    }
    builder_array(b, KEY("token_type"), GGUF_I32, n);
    for (size_t i = 0; i < n; i++)
        blob_u32(&b->keys, i < v->n_tokens ? (v->tokens[i].type ?: TOKEN_NORMAL)
                           : byte_level    ? TOKEN_NORMAL
                                           : TOKEN_BYTE);
    builder_array(b, KEY("scores"), GGUF_F32, n);
    for (size_t i = 0; i < n; i++)
        blob_f32(&b->keys, i < v->n_tokens ? v->tokens[i].score : 0);
    if (byte_level || v->merges)
        builder_strings(b, KEY("merges"), v->merges, v->n_merges);
    if (v->more)
        v->more(b);
}

Gguf *tiny_gguf(GgufBuilder *b) {
    static uint8_t *bytes;
    size_t size;
    Gguf *g = NULL;
    Error e = {};
    free(bytes);
    bytes = builder_finish(b, &size);
    if (gguf_parse(bytes, size, false, &g, &e) < 0)
        fail_msg("%s", e.message);
    return g;
}

Gguf *tiny_vocab_gguf(const TinyVocab *v) {
    GgufBuilder b = GGUF_BUILDER;
    tiny_vocab_write(v, &b);
    return tiny_gguf(&b);
}
