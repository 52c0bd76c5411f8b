/* Messages of a chat: what a session remembers, and what an HTTP request brings along. */
#pragma once

#include "macros.h"

/* Bounds of what one conversation may hold, far beyond any context that fits a desktop. */
#define CONVERSATION_MAX_BYTES    (16u * 1024 * 1024)
#define CONVERSATION_MAX_MESSAGES 16384u

typedef struct Message {
    char *role;    /* owned */
    char *content; /* owned, NUL-terminated beyond content_size */
    size_t content_size;
} Message;

typedef struct Conversation {
    Message *messages; /* owned */
    size_t n;
    size_t n_allocated;
    size_t bytes; /* sum of content sizes */
} Conversation;

/* -EINVAL names the role that is unknown, -EMSGSIZE when a bound is reached. */
int conversation_append(Conversation *c, const char *role, const char *content, size_t content_size, Error *e);
int conversation_copy(Conversation *dst, const Conversation *src, Error *e); /* dst is overwritten on success only */
/* Forgets the last messages until n are left. */
void conversation_truncate(Conversation *c, size_t n);
void conversation_done(Conversation *c);
