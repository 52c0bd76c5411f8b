/* Where connections come from; see listener.h.
 *
 * Two rules keep the socket file honest. Nothing is unlinked that we have not looked at: a live socket (somebody
 * accepts connections there) is an error, a dead one of our own is replaced, and at the end only the very inode that we
 * bound is removed, so that a successor's socket survives our exit. And while we look and bind we hold a lock on the
 * folder, so that two daemons that start together do not unlink each other's; a folder that somebody else keeps locked
 * does not stop us, for then anyone could. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "listener.h"

#define BACKLOG         1024
#define ACCEPT_BURST    64  /* connections taken per event, so that a flood of them does not starve the rest */
#define ACCEPT_PAUSE_MS 100 /* after EMFILE and the like, when trying again at once would spin */

typedef struct Listening {
    Listener *listener; /* borrowed */
    uv_poll_t poll;
    int fd; /* owned */
} Listening;

struct Listener {
    ListenerAccept accepted;
    void *userdata;
    char *path; /* owned; NULL: the socket is systemd's */
    dev_t dev;  /* of the file that we bound */
    ino_t ino;
    uv_timer_t pause;
    Listening *sockets; /* owned, n */
    size_t n;
    size_t n_handles; /* uv handles not closed yet; the memory goes with the last */
};

static void on_closed(uv_handle_t *handle) {
    Listener *l = handle->data;
    if (--l->n_handles > 0)
        return;
    free(l->sockets);
    free(l->path);
    free(l);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer) {
    Listener *l = timer->data;
    for (size_t i = 0; i < l->n; i++)
        uv_poll_start(&l->sockets[i].poll, UV_READABLE, on_readable);
}

static void pause_accepting(Listener *l) {
    for (size_t i = 0; i < l->n; i++)
        uv_poll_stop(&l->sockets[i].poll);
    uv_timer_start(&l->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static bool peer_uid(int fd, uid_t *ret) {
    struct ucred cred;
    socklen_t size = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 || size != sizeof(cred))
        return false;
    *ret = cred.uid;
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    Listening *s = (Listening *)((char *)poll - offsetof(Listening, poll));
    Listener *l = s->listener;

    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN)
                pause_accepting(l);
            return;
        }
        uid_t uid;
        if (!peer_uid(fd, &uid)) {
            close(fd);
            continue;
        }
        l->accepted(l->userdata, fd, uid);
    }
}

/* Makes the folder that the socket goes into, one level deep: what lies above is the system's. */
static int make_folder(const char *folder, mode_t socket_mode, Error *e) {
    if (mkdir(folder, socket_mode & S_IROTH ? 0755 : 0700) < 0 && errno != EEXIST)
        return error_set(e, -errno, "Cannot make the folder %s for the socket: %s.", folder, strerror(errno));
    return 0;
}

/* 0: the path is free (a dead socket of ours has been removed). */
static int clear_path(const char *path, const struct sockaddr_un *addr, Error *e) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set(e, -errno, "Cannot look at %s: %s.", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, -EEXIST, "%s exists and is not a socket: remove it or choose another --socket.", path);

    _cleanup_(closep) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set(e, -errno, "Cannot make a socket: %s.", strerror(errno));
    /* EAGAIN: its backlog is full, so it lives */
    if (connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) >= 0 || errno == EAGAIN)
        return error_set(e, -EADDRINUSE, "Another inferd is listening on %s.", path);
    if (errno != ECONNREFUSED && errno != ENOENT)
        return error_set(e, -errno, "Cannot tell who uses the socket %s: %s.", path, strerror(errno));
    if (st.st_uid != geteuid())
        return error_set(e, -EEXIST, "The socket %s belongs to another user (uid %u).", path, (unsigned)st.st_uid);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(e, -errno, "Cannot remove the stale socket %s: %s.", path, strerror(errno));
    return 0;
}

static int bind_path(Listener *l, mode_t mode, int *ret, Error *e) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t size = strlen(l->path);
    if (size == 0 || size >= sizeof(addr.sun_path))
        return error_set(e, -ENAMETOOLONG, "The socket path %s is %zu bytes long: it must be between 1 and %zu.",
            l->path, size, sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, l->path, size + 1);

    char copy[sizeof(addr.sun_path)];
    memcpy(copy, l->path, size + 1);
    const char *folder = dirname(copy);
    int r = make_folder(folder, mode, e);
    if (r < 0)
        return r;
    _cleanup_(closep) int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0)
        (void)!flock(lock, LOCK_EX | LOCK_NB);

    r = clear_path(l->path, &addr, e);
    if (r < 0)
        return r;

    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(e, -errno, "Cannot make a socket: %s.", strerror(errno));
    /* before bind(), so that the file never exists with a wider mode; after it, because the umask narrows it */
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return error_set(e, -errno, "Cannot make the socket %s: %s.", l->path, strerror(errno));
    struct stat st;
    if (chmod(l->path, mode) < 0 || lstat(l->path, &st) < 0 || listen(fd, BACKLOG) < 0) {
        r = error_set(e, -errno, "Cannot listen on the socket %s: %s.", l->path, strerror(errno));
        unlink(l->path);
        return r;
    }
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    *ret = fd;
    fd = -1;
    return 0;
}

static int watch(Listener *l, uv_loop_t *loop, int fd, Error *e) {
    Listening *s = &l->sockets[l->n];
    int r = uv_poll_init(loop, &s->poll, fd);
    if (r < 0)
        return error_set(e, r, "Cannot watch a listening socket: %s.", uv_strerror(r));
    s->listener = l;
    s->poll.data = l;
    s->fd = fd;
    l->n++;
    l->n_handles++;
    r = uv_poll_start(&s->poll, UV_READABLE, on_readable);
    return r < 0 ? error_set(e, r, "Cannot watch a listening socket: %s.", uv_strerror(r)) : 0;
}

static int watch_passed(Listener *l, uv_loop_t *loop, int n_passed, Error *e) {
    for (int i = 0; i < n_passed; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
            return error_set(
                e, -EINVAL, "Descriptor %d that systemd passed is not a listening Unix stream socket.", fd);
        int r = watch(l, loop, fd, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int listener_new(
    uv_loop_t *loop, const char *path, mode_t mode, ListenerAccept accepted, void *userdata, Listener **ret, Error *e) {
    int n_passed = sd_listen_fds(0);
    if (n_passed < 0)
        return error_set(e, n_passed, "Cannot take the sockets from systemd: %s.", strerror(-n_passed));
    if (n_passed == 0 && !path) {
        *ret = NULL;
        return 0;
    }

    Listener *made = calloc(1, sizeof(*made));
    Listening *sockets = calloc(MAX(n_passed, 1), sizeof(*sockets));
    char *path_copy = n_passed > 0 ? NULL : strdup(path);
    if (!made || !sockets || (n_passed == 0 && !path_copy)) {
        free(path_copy);
        free(sockets);
        free(made);
        return error_set(e, -ENOMEM, "Out of memory.");
    }
    _cleanup_(listener_freep) Listener *l = made;
    *l = (Listener){.accepted = accepted, .userdata = userdata, .sockets = sockets, .path = path_copy};
    uv_timer_init(loop, &l->pause);
    l->pause.data = l;
    l->n_handles = 1;

    int r;
    if (n_passed > 0)
        r = watch_passed(l, loop, n_passed, e);
    else {
        _cleanup_(closep) int fd = -1;
        r = bind_path(l, mode, &fd, e);
        if (r >= 0)
            r = watch(l, loop, fd, e);
        if (l->n > 0)
            fd = -1;
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

Listener *listener_free(Listener *l) {
    if (!l)
        return NULL;
    if (l->path && l->ino != 0) {
        struct stat st;
        if (lstat(l->path, &st) >= 0 && st.st_dev == l->dev && st.st_ino == l->ino)
            unlink(l->path);
    }
    for (size_t i = 0; i < l->n; i++) {
        Listening *s = &l->sockets[i];
        uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_closed);
        close(s->fd);
    }
    uv_close((uv_handle_t *)&l->pause, on_closed);
    return NULL;
}
