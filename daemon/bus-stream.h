/* The writing end of a pipe to a client that may read slowly, or not at all. */
#pragma once

#include <uv.h>

#include "macros.h"

typedef struct BusStream BusStream;

typedef struct BusStreamEvents {
    void (*written)(void *userdata); /* everything that was pushed has left */
    void (*closed)(void *userdata);  /* the reader is gone; nothing more will be written */
} BusStreamEvents;

/* Takes the descriptor over, whatever happens. */
int bus_stream_new(uv_loop_t *loop, int fd, const BusStreamEvents *events, void *userdata, BusStream **ret);
/* Closes at once, what is unwritten is lost. */
BusStream *bus_stream_free(BusStream *s);
/* Writes what the pipe takes now and keeps the rest. Calls nobody back. */
int bus_stream_push(BusStream *s, const char *data, size_t n);
bool bus_stream_is_busy(const BusStream *s); /* something is unwritten */
/* No more is pushed: the descriptor closes when all is written, at the latest after stall_usec. From now on only
 * `closed` is called. */
void bus_stream_end(BusStream *s, uint64_t stall_usec);
