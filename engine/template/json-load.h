/* See json-load.c; apart from value.h so that only this needs jansson. */
#pragma once

#include <jansson.h>
#include <string.h>

#include "value.h"

/* trusted: the text comes from us, not from a request. */
Value value_from_json(Run *run, const json_t *json, bool trusted);
