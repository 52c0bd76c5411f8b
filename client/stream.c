/* The daemon is trusted, but a stream may be cut anywhere and a newer daemon may say more: what is not understood is
 * skipped, what is malformed is an error, and nothing grows without bound. */
#include <errno.h>
#include <string.h>

#include "stream.h"

void stream_event_done(StreamEvent *ev) {
    json_decref(ev->object);
    *ev = (StreamEvent){};
}

static StreamEventType type_of_kind(const char *kind) {
    if (kind && strcmp(kind, "reasoning") == 0)
        return STREAM_REASONING;
    if (kind && strcmp(kind, "text") == 0)
        return STREAM_ANSWER;
    return STREAM_NOTHING;
}

int stream_event_parse(const char *line, size_t n, StreamEvent *ret) {
    json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const char *type = json_string_value(json_object_get(object, "type"));
    StreamEvent ev = {.object = object};

    if (!type) {
        stream_event_done(&ev);
        return -EBADMSG;
    }
    if (strcmp(type, "finished") == 0)
        ev.type = STREAM_FINISHED;
    else if (strcmp(type, "delta") == 0) {
        const json_t *text = json_object_get(object, "text");
        ev.type = type_of_kind(json_string_value(json_object_get(object, "kind")));
        ev.text = json_string_value(text);
        ev.size = json_string_length(text);
        if (!ev.text) {
            stream_event_done(&ev);
            return -EBADMSG;
        }
    }
    *ret = ev;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ lines */

void stream_buffer_done(StreamBuffer *b) {
    free(b->bytes);
    *b = (StreamBuffer){};
}

ssize_t stream_buffer_fill(StreamBuffer *b, int fd) {
    if (b->taken > 0) {
        memmove(b->bytes, b->bytes + b->taken, b->size - b->taken);
        b->size -= b->taken;
        b->taken = 0;
    }
    if (b->size == b->room) {
        if (b->room >= STREAM_LINE_MAX)
            return -EMSGSIZE;
        size_t room = b->room ? b->room * 2 : 16 * 1024;
        char *grown = realloc(b->bytes, room);
        if (!grown)
            return -ENOMEM;
        b->bytes = grown;
        b->room = room;
    }
    ssize_t n = read(fd, b->bytes + b->size, b->room - b->size);
    if (n < 0)
        return -errno;
    b->size += (size_t)n;
    return n;
}

const char *stream_buffer_line(StreamBuffer *b, size_t *ret_size) {
    if (b->taken == b->size)
        return NULL;
    const char *start = b->bytes + b->taken;
    const char *end = memchr(start, '\n', b->size - b->taken);
    if (!end)
        return NULL;
    *ret_size = (size_t)(end - start);
    b->taken += *ret_size + 1;
    return start;
}
