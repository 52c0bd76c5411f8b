/* See interrupt.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>

#include "interrupt.h"

int interrupt_begin(Interrupt *i) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);

    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    sigprocmask(SIG_BLOCK, &mask, &i->previous);
    i->fd = fd;
    return 0;
}

void interrupt_end(Interrupt *i) {
    struct signalfd_siginfo info;
    while (read(i->fd, &info, sizeof(info)) > 0) /* pressed, and dealt with: not again when it is unblocked */
        ;
    close(i->fd);
    i->fd = -1;
    sigprocmask(SIG_SETMASK, &i->previous, NULL);
}

int interrupt_wait(const Interrupt *i, int fd, short events, uint64_t timeout_usec) {
    struct pollfd fds[] = {{.fd = i ? i->fd : -1, .events = POLLIN}, {.fd = fd, .events = events}};
    struct timespec ts = {.tv_sec = timeout_usec / 1000000, .tv_nsec = timeout_usec % 1000000 * 1000};

    for (;;) {
        int n = ppoll(fds, ELEMENTSOF(fds), timeout_usec == UINT64_MAX ? NULL : &ts, NULL);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            return fds[0].revents ? -EINTR : 1;
    }
}
