/* Who is behind a unique name on the bus: the user, asked for once, and whether the name is still there. */
#pragma once

#include <systemd/sd-bus.h>
#include <sys/types.h>

#include "macros.h"

typedef struct BusService BusService;
typedef struct BusOwner BusOwner;

struct BusOwner {
    BusOwner *next;
    BusService *service; /* borrowed */
    char *name;          /* owned; unique, ":1.42" */
    bool known;          /* uid is valid */
    uid_t uid;
    uint32_t n_users;           /* sessions and calls */
    sd_bus_slot *match;         /* owned; NameOwnerChanged */
    sd_bus_slot *query;         /* owned; GetConnectionUnixUser */
    struct BusWaiting *waiting; /* owned; messages that came before the answer */
};

/* Goes on with a method call when its sender is known. Negative with *e filled: the error is the reply. */
typedef int (*BusHandler)(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);

/* Calls the handler at once, or later when the bus has told who the sender is. In order of arrival. */
int bus_owner_with(BusService *s, sd_bus_message *m, BusHandler handler);
/* Runs a handler and replies with its error, if any. */
int bus_owner_run(BusOwner *o, sd_bus_message *m, BusHandler handler);
BusOwner *bus_owner_free(BusOwner *o);
/* Whoever waits for the bus to say who it is gets `error`; NULL: all have left. */
void bus_owner_free_all(BusService *s, const Error *error);
