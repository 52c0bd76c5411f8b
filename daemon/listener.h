/* Where connections come from: the sockets that systemd passed, or one made at a path from the configuration. */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <uv.h>

#include "engine.h"

typedef struct Listener Listener;

/* `fd` is non-blocking and the callee's from now on; `uid` is who connected. */
typedef void (*ListenerAccept)(void *userdata, int fd, uid_t uid);

/* Sockets passed by systemd come first, then `path`; with neither *ret is NULL. A stale socket file of ours is
 * replaced; -EADDRINUSE when somebody is listening there, -ENAMETOOLONG saying what the limit is, -EEXIST when
 * something else lies at the path. A missing parent folder is made. `mode` is the socket's: 0666 for everyone, 0600 for
 * one user. */
int listener_new(
    uv_loop_t *loop, const char *path, mode_t mode, ListenerAccept accepted, void *userdata, Listener **ret, Error *e);
/* Stops listening and removes the socket file that we made. The memory goes when the loop has closed the handles. */
Listener *listener_free(Listener *l);
DEFINE_CLEANUP(Listener *, listener_free)
