/* sd-bus driven by a libuv loop. */
#pragma once

#include <systemd/sd-bus.h>
#include <uv.h>

#include "macros.h"

typedef struct LoopBus LoopBus;

/* Processes the connection until loop_bus_free(). `lost` is called once, outside of any sd-bus callback, when the
 * connection has ended; then the only thing left to do is to free. */
int loop_bus_new(uv_loop_t *loop, sd_bus *bus, void (*lost)(void *userdata, int error), void *userdata, LoopBus **ret);
LoopBus *loop_bus_free(LoopBus *l); /* the memory goes when the loop has closed the handles */
