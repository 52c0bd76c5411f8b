/* Tokens as text, for whoever reports them one by one. */
#pragma once

#include "engine.h"

/* What the token adds to a text in the middle of which it stands; *ret is malloc()ed and NUL-terminated beyond
 * *ret_size, and may end inside a character. -EINVAL for an id outside the vocabulary. Any thread. */
int http_token_piece(const Model *m, Token token, char **ret, size_t *ret_size);
