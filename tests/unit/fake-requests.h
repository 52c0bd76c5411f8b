/* Requests that the test plays in place of request.c: what is started with them, given back and cancelled. */
#pragma once

#include "request.h"

struct Request {
    const RequestSink *sink;
    void *userdata;
    size_t consumed;
    unsigned n_cancelled;
    int code; /* that it was cancelled with */
    bool abandoned;
};

extern Request *next_request; /* what request_start() begins; NULL: it is refused */
