/* A message bus for tests, played by the test itself in the same thread: it gets the daemon's messages and answers them
 * when and how it likes, and speaks for everybody else who is on the bus. */
#pragma once

#include "test-daemon.h"

#include "bus-service.h"

#define FAKE_BUS_MAX  2048
#define FAKE_BUS_PATH "/test"

typedef struct FakeBus {
    sd_bus *peer;                           /* owned; NULL: not connected */
    sd_bus_message *received[FAKE_BUS_MAX]; /* owned; in order, NULL where answered */
    size_t n_received;
} FakeBus;

/* fd: the other end of the daemon's connection; taken over. */
void fake_bus_init(FakeBus *b, int fd);
void fake_bus_done(FakeBus *b);
/* Takes in what has arrived; Hello is answered at once. Returns how many messages there were. */
unsigned fake_bus_process(FakeBus *b);

/* The first of the daemon's calls and signals that is called so and not yet answered; NULL: none. Borrowed. */
sd_bus_message *fake_bus_find(const FakeBus *b, const char *member);
unsigned fake_bus_count(const FakeBus *b, const char *member);
/* Answers the first of them. */
void fake_bus_answer(FakeBus *b, const char *member, const char *types, ...);
void fake_bus_refuse(FakeBus *b, const char *member, const char *error, const char *text);
/* Never answers it. */
void fake_bus_forget(FakeBus *b, const char *member);

/* A call from a client on the bus; what is appended to it is up to the test. */
sd_bus_message *fake_bus_call(
    FakeBus *b, const char *sender, const char *path, const char *interface, const char *member);
/* Sends and consumes it. Returns its cookie. */
uint64_t fake_bus_send(FakeBus *b, sd_bus_message *m);
/* A client leaves the bus. */
void fake_bus_leave(FakeBus *b, const char *name);
/* The reply to a client's call; NULL: none yet. Borrowed. */
sd_bus_message *fake_bus_reply(const FakeBus *b, uint64_t cookie);
/* What the daemon's error is called, without the prefix, and what it says; "" without such a reply. */
const char *fake_bus_error(const FakeBus *b, uint64_t cookie);
const char *fake_bus_error_text(const FakeBus *b, uint64_t cookie);

/* A service on such a bus that has no manager: calls to FAKE_BUS_PATH go to a handler once their sender is known. */
typedef struct FakeService {
    TestDaemon t;
    FakeBus bus;
    BusService s;
    BusHandler handler;
} FakeService;

void fake_service_init(FakeService *f, BusHandler handler);
void fake_service_done(FakeService *f);
/* Both ends do what they can. */
void fake_service_run(FakeService *f);
/* A call to the handler, with or without the caller's leave to ask a person. */
uint64_t fake_service_call(FakeService *f, const char *sender, bool interactive);
/* The bus will tell when a sender leaves, the one whose match was asked for first; only then the match counts. */
void fake_service_grant_match(FakeService *f);
/* The bus tells a sender's user, the one who was asked for first, and has granted the matches. */
void fake_service_tell_uid(FakeService *f, uid_t uid);
/* Whether daemon_activity() was called since the last time: on it hangs when the process ends. */
bool fake_service_was_active(FakeService *f);
