/* Text and tokens of a model; the tokenizer does the work. */
#include <errno.h>

#include "model.h"

int model_tokenize(const Model *m, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e) {
    return tokenizer_encode(m->tokenizer, spans, n_spans, add_special, ret, e);
}

int model_detokenize(
    const Model *m, const Token *tokens, size_t n, bool special, char **ret, size_t *ret_size, Error *e) {
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= m->config.n_vocab)
            return error_set(
                e, -EINVAL, "token %u is outside the vocabulary of %u tokens", tokens[i], m->config.n_vocab);
    int r = tokenizer_decode(m->tokenizer, tokens, n, special, ret, ret_size);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}
