/* How a generation ended, as the dictionary that Generate returns and Finished carries, and as the last line of a
 * stream. */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "request.h"

/* "stop", "tool-calls", "length", "cancelled" or "error" */
const char *bus_finish_reason(const RequestResult *result);
/* Appends an a{sv}; `reasoning` NULL: left out; `tool_calls`: what stands between the brackets of a JSON array, "":
 * left out. */
int bus_result_append(sd_bus_message *m, const RequestResult *result, const char *reasoning, const char *tool_calls);
/* The same keys in an object with "type": "finished"; NULL when out of memory. */
json_t *bus_result_to_json(uint64_t id, const RequestResult *result, const char *tool_calls);
