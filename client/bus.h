/* The daemon as seen over the message bus. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "macros.h"
#include "options.h"

#define BUS_NAME    "org.inferd.Inference1"
#define BUS_PATH    "/org/inferd/Inference1"
#define BUS_MANAGER "org.inferd.Inference1.Manager"
#define BUS_SESSION "org.inferd.Inference1.Session"

/* Long enough for a large model to be read from a slow disk. */
#define BUS_LOAD_TIMEOUT_USEC ((uint64_t)600 * 1000000)

typedef struct Bus {
    sd_bus *connection; /* owned */
    bool user;          /* the session bus */
} Bus;

static inline void message_unrefp(sd_bus_message **m) {
    sd_bus_message_unref(*m);
}

/* Connects to the bus on which the daemon runs or would be started: one that a user has started for himself goes before
 * the shared one, and that before one that could be started. Returns 0 or, having complained, an exit code. */
int bus_open(Bus *b, BusChoice choice);
void bus_done(Bus *b);

/* Calls a method. Returns 0 and the reply or, having complained, an exit code. */
int bus_call(Bus *b, sd_bus_message *m, sd_bus_message **ret_reply);
int bus_new_call(Bus *b, const char *path, const char *interface, const char *member, sd_bus_message **ret);

/* Says what went wrong and what to do, and returns the exit code for it. Either of error and r tells. */
int bus_complain(const Bus *b, const sd_bus_error *error, int r);
/* The same from the name and the sentence alone, as they arrive at the end of a stream. */
int bus_complain_name(const Bus *b, const char *name, const char *message);
/* The session, or the daemon that held it, is gone. */
bool bus_error_is_lost_session(const sd_bus_error *error);
