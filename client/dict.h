/* The a{sv} dictionaries in which the daemon describes models, as JSON objects: one representation serves the tables
 * for people and --json, and a key that a newer daemon adds appears by itself. */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "macros.h"

/* Reads the a{sv} at which m stands. Values of types that JSON does not have are left out. */
int dict_read(sd_bus_message *m, json_t **ret);

const char *dict_string(const json_t *dict, const char *key); /* "" if there is none */
uint64_t dict_uint(const json_t *dict, const char *key);      /* 0 if there is none */
bool dict_bool(const json_t *dict, const char *key);
