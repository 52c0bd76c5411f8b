/* A vocabulary and a text for it. One byte of flags, two of the text's size, the text, and the file.
 *
 * Holds: encoding never fails but for want of memory, tokens are of the vocabulary, decoding takes any of them. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    unsigned flags = data[0];
    size_t n = MIN((size_t)data[1] | (size_t)data[2] << 8, size - 3);
    const char *text = (const char *)data + 3;

    Gguf *g = NULL;
    Tokenizer *t = NULL;
    if (gguf_parse(text + n, size - 3 - n, false, &g, NULL) < 0)
        return 0;
    int r = tokenizer_new(g, &t, NULL);
    gguf_free(g);
    if (r < 0)
        return 0;

    size_t cut = n / 3;
    TextSpan spans[] = {{text, cut, flags & 1}, {text + cut, n - cut, flags & 2}};
    TokenArray tokens = {};
    r = tokenizer_encode(t, spans, 2, flags & 4, &tokens, NULL);
    assert(r == 0);
    for (size_t i = 0; i < tokens.n; i++) {
        assert(tokens.items[i] < tokenizer_n_vocab(t));
        tokenizer_is_end(t, tokens.items[i]);
    }

    char *back = NULL;
    size_t back_size;
    r = tokenizer_decode(t, tokens.items, tokens.n, flags & 8, &back, &back_size);
    assert(r == 0 && back[back_size] == '\0');
    free(back);
    token_array_done(&tokens);
    tokenizer_free(t);
    return 0;
}
