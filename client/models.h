/* The installed models, as ListModels reports them. */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

/* ListModels' reply as an array of objects, each with the name under "name". */
int models_read(sd_bus_message *reply, json_t **ret);
