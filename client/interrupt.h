/* Ctrl-C while an answer comes: a descriptor to poll beside the others, so that no signal is lost between looking and
 * waiting. */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "macros.h"

typedef struct Interrupt {
    int fd; /* owned; readable once Ctrl-C has been pressed */
    sigset_t previous;
} Interrupt;

/* From here to interrupt_end() SIGINT does nothing else. */
int interrupt_begin(Interrupt *i);
void interrupt_end(Interrupt *i);

/* Waits until fd has one of `events` (poll.h), for at most timeout_usec (UINT64_MAX: for ever). 1: it has, 0: time is
 * up, -EINTR: Ctrl-C has been pressed. i may be NULL. */
int interrupt_wait(const Interrupt *i, int fd, short events, uint64_t timeout_usec);
