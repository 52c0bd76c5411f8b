/* The events of a turn as RespondStream writes them: one JSON object a line. */
#pragma once

#include <jansson.h>

#include "macros.h"

typedef enum StreamEventType {
    STREAM_NOTHING, /* an event of a kind that this version does not know */
    STREAM_REASONING,
    STREAM_ANSWER,
    STREAM_FINISHED,
} StreamEventType;

typedef struct StreamEvent {
    StreamEventType type;
    const char *text; /* borrowed from object; may hold NUL */
    size_t size;
    json_t *object; /* owned */
} StreamEvent;
void stream_event_done(StreamEvent *ev);

/* -EBADMSG if the line is not such an object. */
int stream_event_parse(const char *line, size_t n, StreamEvent *ret);

/* Cuts a byte stream into lines. */
#define STREAM_LINE_MAX ((size_t)4 * 1024 * 1024)
typedef struct StreamBuffer {
    char *bytes; /* owned */
    size_t size, room, taken;
} StreamBuffer;
void stream_buffer_done(StreamBuffer *b);
/* One read(); returns the bytes read, 0 at the end, negative errno; -EMSGSIZE if a line grows beyond STREAM_LINE_MAX.
 */
ssize_t stream_buffer_fill(StreamBuffer *b, int fd);
/* The next whole line without its end, valid until the next fill; NULL if there is none yet. */
const char *stream_buffer_line(StreamBuffer *b, size_t *ret_size);
