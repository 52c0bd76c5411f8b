/* One turn of a session: a request whose text goes to the session's owner, as signals or through a pipe. */
#pragma once

#include "bus-service.h"
#include "request.h"

/* Called once when the turn has ended by itself, before the last event is sent; answer is what the model said, without
 * reasoning; tool_calls what stands between the brackets of a message's "tool_calls", "" if there are none. Not called
 * after bus_turn_abandon(). */
typedef void (*BusTurnEnded)(BusTurn *t, const RequestResult *result, const char *answer, size_t answer_size,
    const char *tool_calls, void *userdata);

typedef struct BusTurnSpec {
    uint64_t id;            /* within the session */
    const char *path;       /* of the session; borrowed, copied */
    const char *owner_name; /* borrowed, copied */
    RequestSpec request;
    bool stream;
    BusTurnEnded ended;
    void *userdata; /* borrowed */
} BusTurnSpec;

/* ret_fd: the reading end for the client, owned by the caller; -1 without stream. */
int bus_turn_start(BusService *s, const BusTurnSpec *spec, BusTurn **ret, int *ret_fd, Error *e);
void bus_turn_cancel(BusTurn *t);
/* The session is gone: the request is cancelled, nothing more is sent, the turn frees itself. */
void bus_turn_abandon(BusTurn *t);
uint64_t bus_turn_id(const BusTurn *t);
/* Sends what has gathered; true if some turn still has to be tried again. */
bool bus_turn_flush_all(BusService *s);
void bus_turn_free_all(BusService *s);
