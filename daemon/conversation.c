/* See conversation.h. */
#include <errno.h>
#include <string.h>

#include "conversation.h"

static const char *const known_roles[] = {"system", "user", "assistant", "tool"};

static bool role_is_known(const char *role) {
    for (size_t i = 0; i < ELEMENTSOF(known_roles); i++)
        if (strcmp(known_roles[i], role) == 0)
            return true;
    return false;
}

static int reserve(Conversation *c, size_t n, Error *e) {
    if (n <= c->n_allocated)
        return 0;
    size_t want = MAX(n, c->n_allocated * 2);
    Message *m = reallocarray(c->messages, want, sizeof(Message));
    if (!m)
        return error_set(e, -ENOMEM, "Out of memory.");
    c->messages = m;
    c->n_allocated = want;
    return 0;
}

int conversation_append(Conversation *c, const char *role, const char *content, size_t content_size, Error *e) {
    return conversation_append_message(c, role, content ? content : "", content_size, NULL, e);
}

int conversation_append_message(
    Conversation *c, const char *role, const char *content, size_t content_size, const char *fields, Error *e) {
    size_t bytes = content_size + (fields ? strlen(fields) : 0);
    if (!role_is_known(role))
        return error_set(
            e, -EINVAL, "Unknown role \"%.40s\": a message is from system, user, assistant or tool.", role);
    if (c->n >= CONVERSATION_MAX_MESSAGES)
        return error_set(e, -EMSGSIZE, "A conversation holds at most %u messages.", CONVERSATION_MAX_MESSAGES);
    if (content_size > CONVERSATION_MAX_BYTES || bytes > CONVERSATION_MAX_BYTES ||
        c->bytes > CONVERSATION_MAX_BYTES - bytes)
        return error_set(e, -EMSGSIZE, "A conversation holds at most %u bytes of text.", CONVERSATION_MAX_BYTES);

    int r = reserve(c, c->n + 1, e);
    if (r < 0)
        return r;
    _cleanup_(freep) char *role_copy = strdup(role);
    _cleanup_(freep) char *content_copy = malloc(content_size + 1);
    _cleanup_(freep) char *fields_copy = fields ? strdup(fields) : NULL;
    if (!role_copy || !content_copy || (fields && !fields_copy))
        return error_set(e, -ENOMEM, "Out of memory.");
    if (content_size)
        memcpy(content_copy, content, content_size);
    content_copy[content_size] = '\0';

    c->messages[c->n++] = (Message){.role = TAKE_PTR(role_copy),
        .content = TAKE_PTR(content_copy),
        .content_size = content_size,
        .no_content = !content,
        .fields = TAKE_PTR(fields_copy)};
    c->bytes += bytes;
    return 0;
}

int conversation_copy(Conversation *dst, const Conversation *src, Error *e) {
    Conversation copy = {};

    int r = reserve(&copy, src->n, e);
    for (size_t i = 0; i < src->n && r >= 0; i++) {
        const Message *m = &src->messages[i];
        r = conversation_append_message(
            &copy, m->role, m->no_content ? NULL : m->content, m->content_size, m->fields, e);
    }
    if (r < 0) {
        conversation_done(&copy);
        return r;
    }
    *dst = copy;
    return 0;
}

void conversation_truncate(Conversation *c, size_t n) {
    while (c->n > n) {
        Message *m = &c->messages[--c->n];
        c->bytes -= m->content_size + (m->fields ? strlen(m->fields) : 0);
        free(m->fields);
        free(m->role);
        free(m->content);
    }
}

void conversation_done(Conversation *c) {
    conversation_truncate(c, 0);
    free(c->messages);
    *c = (Conversation){};
}
