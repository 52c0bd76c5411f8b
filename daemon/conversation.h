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
    bool no_content; /* content is "": the message only calls tools */
    char *fields;    /* owned; further members as a JSON object (tool_calls, tool_call_id, ...); NULL: none */
} Message;

typedef struct Conversation {
    Message *messages; /* owned */
    size_t n;
    size_t n_allocated;
    size_t bytes; /* sum of the sizes of contents and fields */
} Conversation;

/* -EINVAL names the role that is unknown, -EMSGSIZE when a bound is reached. */
int conversation_append(Conversation *c, const char *role, const char *content, size_t content_size, Error *e);
/* content NULL: none; fields may be NULL, else a JSON object, which is not checked here. */
int conversation_append_message(
    Conversation *c, const char *role, const char *content, size_t content_size, const char *fields, Error *e);
int conversation_copy(Conversation *dst, const Conversation *src, Error *e); /* dst is overwritten on success only */
/* Forgets the last messages until n are left. */
void conversation_truncate(Conversation *c, size_t n);
void conversation_done(Conversation *c);
