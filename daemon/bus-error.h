/* Errors as D-Bus names them: org.inferd.Inference1.Error.*, with a sentence for a person. */
#pragma once

#include <systemd/sd-bus.h>

#include "macros.h"

const char *bus_error_name(int code); /* of a negative errno */
/* For a method handler: fills the sd_bus_error and returns its errno. */
int bus_error_set(sd_bus_error *ret, const Error *e);
/* For an answer that comes later. */
int bus_error_reply(sd_bus_message *call, const Error *e);
