/* Small things every part of inferd uses: cleanup attributes, ownership helpers, and the error that a person reads. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/param.h> /* has a MIN and MAX of its own, which evaluate twice */
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#undef MIN
#undef MAX
#define MIN(a, b)                                                                                                      \
    ({                                                                                                                 \
        typeof(a) _a = (a);                                                                                            \
        typeof(b) _b = (b);                                                                                            \
        _a < _b ? _a : _b;                                                                                             \
    })
#define MAX(a, b)                                                                                                      \
    ({                                                                                                                 \
        typeof(a) _a = (a);                                                                                            \
        typeof(b) _b = (b);                                                                                            \
        _a > _b ? _a : _b;                                                                                             \
    })

/* Hands ownership on: evaluates to the pointer and leaves NULL behind, so that a cleanup attribute does nothing. */
#define TAKE_PTR(p)                                                                                                    \
    ({                                                                                                                 \
        typeof(p) *_pp = &(p);                                                                                         \
        typeof(p) _value = *_pp;                                                                                       \
        *_pp = NULL;                                                                                                   \
        _value;                                                                                                        \
    })

/* Defines NAMEp() for _cleanup_(NAMEp) from a destructor that accepts NULL and returns NULL. */
#define DEFINE_CLEANUP(type, name)                                                                                     \
    static inline void name##p(type *p) {                                                                              \
        if (*p)                                                                                                        \
            *p = name(*p);                                                                                             \
    }

static inline void freep(void *p) {
    free(*(void **)p);
}

static inline void closep(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

/* Why something failed. `code` is a negative errno (0: nothing happened), `message` one sentence for a person that says
 * what was wrong and, where it helps, what to do. The transports translate codes to their own names: -EINVAL bad
 * argument, -EMSGSIZE longer than the context, -ENOENT no such thing, -EBADMSG damaged file, -EOPNOTSUPP known but
 * unsupported, -ENOMEM does not fit, -ENOSPC KV pool exhausted until the deadline, -EBUSY queue full, -ETIMEDOUT
 * deadline, -ECANCELED cancelled, -ENOTCONN no model loaded, -ESHUTDOWN stopping, -EACCES not allowed, -EIO model file
 * failed under us, -EPIPE a reader that did not read, -EDQUOT a limit of this owner. */
typedef struct Error {
    int code;
    char message[500];
} Error;

/* Fills *e unless it is NULL, cutting the message at a character boundary; returns `code`, so that `return
 * error_set(...)` works. */
int error_set(Error *e, int code, const char *format, ...) _printf_(3, 4);
int error_setv(Error *e, int code, const char *format, va_list ap);
