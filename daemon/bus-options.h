/* Option dictionaries, a{sv}, read into Options. */
#pragma once

#include <systemd/sd-bus.h>

#include "conversation.h"
#include "options.h"

/* Reads the a{sv} at which m stands on top of what *o holds. With `messages` not NULL the key "messages", a(ss), is
 * accepted too. only: the names that mean something here, NULL-terminated; NULL: all do. -EINVAL names the key and says
 * what it wants; other errors are those of a broken message. */
int bus_options_read(sd_bus_message *m, Options *o, Conversation *messages, const char *const *only, Error *e);
/* Reads the a(ss) at which m stands: role and text of each. */
int bus_messages_read(sd_bus_message *m, Conversation *c, Error *e);
