/* The daemon on a message bus: connection, name, and what the manager and the sessions share. The struct is open to
 * the other bus-*.c files. Loop thread only. */
#pragma once

#include <systemd/sd-bus.h>

#include "bus-owner.h"
#include "daemon.h"
#include "loop-bus.h"

#define BUS_NAME    "org.inferd.Inference1"
#define BUS_PATH    "/org/inferd/Inference1"
#define BUS_MANAGER "org.inferd.Inference1.Manager"
#define BUS_SESSION "org.inferd.Inference1.Session"

typedef struct BusSession BusSession;   /* bus-session.h */
typedef struct BusTurn BusTurn;         /* bus-turn.h */
typedef struct BusCall BusCall;         /* bus-call.h */
typedef struct BusQuestion BusQuestion; /* polkit.h */

/* Values that PropertiesChanged was last sent for. */
typedef struct BusProperties {
    const char *availability;
    char model[256];
    const void *loaded; /* the model, to compare only: it may be gone; NULL: none */
    uint32_t pages, pages_used, sessions, queue;
} BusProperties;

struct BusService {
    Daemon *d;     /* borrowed */
    sd_bus *bus;   /* owned; NULL while there is no connection */
    LoopBus *loop; /* owned */
    bool named;    /* the bus name is ours */
    uint64_t backoff_ms;
    uv_timer_t retry, properties_timer;
    uv_check_t flush; /* active while turns are dirty */
    unsigned n_handles;

    BusOwner *owners; /* owned */
    uint32_t n_owners;
    BusSession *sessions; /* owned */
    uint32_t n_sessions;
    uint64_t last_session_id;
    BusCall *calls;         /* owned */
    BusTurn *turns;         /* owned; running ones, and those whose stream is not yet read */
    BusQuestion *questions; /* owned */
    BusProperties sent;
    uint64_t sent_at; /* loop time, ms */
};

/* Never fails for want of a bus: it is tried again, less and less often. */
int bus_service_new(Daemon *d, BusService **ret, Error *e);
/* Leaves the bus: gives up the name, answers whoever has called until then, sends what is queued. The memory goes when
 * the loop has closed the handles. */
BusService *bus_service_free(BusService *s);
/* Gives up the name and handles what came by it, so that no call finds nobody there: from then on the bus starts
 * another inferd for a call, or says that there is none. Waits for the bus. */
void bus_service_release(BusService *s);
/* Takes a name that was given up again. */
void bus_service_claim(BusService *s);
/* Whether somebody has a session or waits for an answer. */
bool bus_service_is_used(const BusService *s);
/* Something that properties show may have changed: PropertiesChanged follows, at most about twice a second. */
void bus_service_touch(BusService *s);
/* The sessions and calls of an owner end (NULL: of all). Calls get `error`; NULL: those who made them have left. */
void bus_service_drop_owner(BusService *s, BusOwner *o, const Error *error);
/* A turn has text to send: it is flushed after this round of events. */
void bus_service_schedule_flush(BusService *s);
