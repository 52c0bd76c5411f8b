/* See fake-requests.h. */
#include <errno.h>

#include "fake-requests.h"

Request *next_request;

int request_start(
    Daemon *d, const RequestSpec *spec, const RequestSink *sink, void *userdata, Request **ret, Error *e) {
    if (!next_request)
        return error_set(e, -EDQUOT, "No more.");
    *next_request = (Request){.sink = sink, .userdata = userdata};
    *ret = next_request;
    return 0;
}

void request_cancel(Request *r, int code, const char *message) {
    r->n_cancelled++;
    r->code = code;
}

void request_abandon(Request *r) {
    r->abandoned = true;
}

void request_consumed(Request *r, size_t size) {
    r->consumed += size;
}

/* Of no use here, but without them the linker would add request.c. */
uint64_t request_owner_of_uid(uid_t uid) {
    return uid;
}

void request_cancel_all(Daemon *d, int code, const char *message) {
}
