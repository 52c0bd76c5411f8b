/* A file mapped read-only, that survives the file being truncated or its disk failing.
 *
 * A read of a page that the kernel cannot fetch raises SIGBUS, which would kill the daemon and everybody's requests for
 * the fault of one file. The handler puts zeros where the mapping was and marks it failed; the reader goes on with
 * zeros, and whoever owns the mapping asks mapping_failed() before it trusts what it has computed. A SIGBUS elsewhere
 * goes to whoever handled it before. */
#pragma once

#include "macros.h"

typedef struct Mapping Mapping;

/* Regular files only; symbolic links are followed. -ENOENT, -EACCES, -EBADMSG when empty, -EINVAL when not a regular
 * file. Any thread. */
int mapping_open(const char *path, Mapping **ret, Error *e);
Mapping *mapping_free(Mapping *m);
DEFINE_CLEANUP(Mapping *, mapping_free)

const uint8_t *mapping_bytes(const Mapping *m, size_t *ret_size);
bool mapping_failed(const Mapping *m); /* any thread */
