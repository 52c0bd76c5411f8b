/* What surrounds the command, without a terminal and without a bus daemon: standard streams that are files in memory,
 * and a peer in a thread that answers as the bus and as inferd at once. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "bus.h"
#include "dict.h"
#include "output.h"

#define INFERD_ERROR "org.inferd.Inference1.Error."
#define SESSION_PATH "/org/inferd/Inference1/session/7"

/* ------------------------------------------------------------------------------------------------ standard streams */

typedef struct Streams {
    int saved[3];
    char out[65536], err[2048]; /* what has been printed, after streams_end() */
} Streams;

static inline int streams_file(const char *bytes, size_t n) {
    int fd = memfd_create("stream", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* `input` becomes standard input and is closed; -1: there is none, and a peer's socket could take its place. Nothing
 * between this and streams_end() may fail by an assertion: its message would go into the file. */
static inline void streams_begin(Streams *s, int input) {
    int files[] = {input, streams_file("", 0), streams_file("", 0)};
    fflush(stdout);
    for (int fd = 0; fd < 3; fd++) {
        s->saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (files[fd] < 0)
            close(fd);
        else {
            dup2(files[fd], fd);
            close(files[fd]);
        }
    }
}

static inline void streams_end(Streams *s) {
    char *texts[] = {NULL, s->out, s->err};
    size_t sizes[] = {0, sizeof(s->out), sizeof(s->err)};

    fflush(stdout);
    for (int fd = 0; fd < 3; fd++) {
        if (texts[fd]) {
            ssize_t n = pread(fd, texts[fd], sizes[fd] - 1, 0);
            texts[fd][n < 0 ? 0 : n] = '\0';
        }
        if (s->saved[fd] >= 0) {
            dup2(s->saved[fd], fd);
            close(s->saved[fd]);
        } else
            close(fd);
    }
}

#define WORDS(...) .words = (char *[]){__VA_ARGS__, NULL}, .n_words = (int)ELEMENTSOF(((char *[]){__VA_ARGS__}))
#define NO_WORDS   .words = (char *[]){NULL}, .n_words = 0

/* Runs a verb with `input` (NULL: nothing in it) as its standard input; returns its exit code. */
static inline int run_verb(int (*verb)(Options *), Options o, const char *input, Streams *s) {
    o.bus = BUS_USER;
    streams_begin(s, streams_file(input ? input : "", input ? strlen(input) : 0));
    int code = verb(&o);
    streams_end(s);
    return code;
}

/* ------------------------------------------------------------------------------------------------ peer */

typedef struct Peer Peer;
struct Peer {
    int (*answer)(Peer *p, sd_bus_message *call); /* in the peer's thread: without assertions */
    bool hangs_up;                                /* set by answer: leave the bus */
    char heard[1024]; /* the members that were called and what peer_note() adds; to be read after peer_end() */
    pthread_t thread;
    int listener;      /* owned */
    int n_descriptors; /* that were open before */
};

static inline void _printf_(2, 3) peer_note(Peer *p, const char *format, ...) {
    size_t n = strlen(p->heard);
    va_list ap;
    va_start(ap, format);
    vsnprintf(p->heard + n, sizeof(p->heard) - n, format, ap);
    va_end(ap);
}

static inline bool peer_has(const char *path, const char *interface) {
    if (strcmp(path, SESSION_PATH) == 0)
        return strcmp(interface, BUS_SESSION) == 0;
    return strcmp(path, BUS_PATH) == 0 &&
           (strcmp(interface, BUS_MANAGER) == 0 || strcmp(interface, "org.freedesktop.DBus.Properties") == 0);
}

static inline int peer_take(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    Peer *p = userdata;
    if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "Hello"))
        return sd_bus_reply_method_return(m, "s", ":1.1");
    if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "NameHasOwner"))
        return sd_bus_reply_method_return(m, "b", 1);
    if (!sd_bus_message_is_method_call(m, NULL, NULL) || strcmp(sd_bus_message_get_destination(m), BUS_NAME) != 0)
        return 1;
    peer_note(p, "%s%s", *p->heard ? " " : "", sd_bus_message_get_member(m));
    if (!peer_has(sd_bus_message_get_path(m), sd_bus_message_get_interface(m)))
        return 0;
    return p->answer(p, m);
}

static inline void peer_serve(Peer *p, int fd) {
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_fd(bus, fd, fd);
    if (r >= 0)
        r = sd_bus_set_server(bus, true, SD_ID128_MAKE(69, 6e, 66, 65, 72, 64, 69, 6e, 66, 65, 72, 64, 69, 6e, 66, 65));
    if (r >= 0)
        r = sd_bus_negotiate_fds(bus, true);
    if (r >= 0)
        r = sd_bus_add_filter(bus, NULL, peer_take, p);
    if (r >= 0)
        r = sd_bus_start(bus);
    while (r >= 0 && !p->hangs_up) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    }
    sd_bus_flush_close_unref(bus);
}

static inline void *peer_run(void *userdata) {
    Peer *p = userdata;
    for (int fd; (fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
        peer_serve(p, fd);
    return NULL;
}

static inline int count_descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* From here to peer_end() it is what answers on the session bus. */
static inline void peer_start(Peer *p, int (*answer)(Peer *p, sd_bus_message *call)) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);
    char bus[64];
    sigset_t all, previous;

    *p = (Peer){.answer = answer,
        .n_descriptors = count_descriptors(),
        .listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(p->listener >= 0);
    /* the kernel chooses a free name that no file stands for */
    assert_int_equal(bind(p->listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(bus, sizeof(bus), "unix:abstract=%.*s", (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
        address.sun_path + 1);
    assert_int_equal(setenv("DBUS_SESSION_BUS_ADDRESS", bus, 1), 0);

    sigfillset(&all); /* Ctrl-C is for the command */
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
}

static inline void peer_end(Peer *p) {
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    assert_true(count_descriptors() <= p->n_descriptors);
}

/* Runs a verb against `answer`; returns its exit code. */
static inline int run_against(int (*answer)(Peer *, sd_bus_message *), int (*verb)(Options *), Options o,
    const char *input, Peer *p, Streams *s) {
    peer_start(p, answer);
    int code = run_verb(verb, o, input, s);
    peer_end(p);
    return code;
}

/* ------------------------------------------------------------------------------------------------ sessions */

#define EVENT_TEXT(text)      "{\"type\":\"delta\",\"kind\":\"text\",\"text\":\"" text "\"}\n"
#define EVENT_REASONING(text) "{\"type\":\"delta\",\"kind\":\"reasoning\",\"text\":\"" text "\"}\n"
#define EVENT_FINISHED        "{\"type\":\"finished\",\"finish-reason\":\"stop\"}\n"
#define EVENT_FAILED(name, message)                                                                                    \
    "{\"type\":\"finished\",\"finish-reason\":\"error\",\"error\":{\"name\":\"" INFERD_ERROR name                      \
    "\",\"message\":\"" message "\"}}\n"

/* Notes the string, if there is one, and the options with which CreateSession or RespondStream was called. */
static inline int peer_note_arguments(Peer *p, sd_bus_message *call) {
    const char *prompt = "";
    json_t *options = NULL;
    int r = sd_bus_message_has_signature(call, "sa{sv}") ? sd_bus_message_read(call, "s", &prompt) : 0;
    if (r >= 0)
        r = dict_read(call, &options);
    if (r < 0)
        return r;
    _cleanup_(freep) char *text = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
    peer_note(p, "(%s%s)", prompt, json_object_size(options) > 0 && text ? text : "");
    json_decref(options);
    return 0;
}

/* Replies to RespondStream with all events of a turn. */
static inline int peer_stream(sd_bus_message *call, const char *events) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    ssize_t n = write(fds[1], events, strlen(events));
    close(fds[1]);
    int r = n < 0 ? -EIO : sd_bus_reply_method_return(call, "th", UINT64_C(1), fds[0]);
    close(fds[0]);
    return r;
}

/* Answers what belongs to a conversation; a turn has these events. */
static inline int peer_converse(Peer *p, sd_bus_message *call, const char *events) {
    if (sd_bus_message_is_method_call(call, BUS_MANAGER, "CreateSession")) {
        int r = peer_note_arguments(p, call);
        return r < 0 ? r : sd_bus_reply_method_return(call, "o", SESSION_PATH);
    }
    if (sd_bus_message_is_method_call(call, BUS_SESSION, "RespondStream")) {
        int r = peer_note_arguments(p, call);
        return r < 0 ? r : peer_stream(call, events);
    }
    return sd_bus_message_is_method_call(call, BUS_SESSION, "Close");
}
