/* Method calls of the manager that are answered later. */
#pragma once

#include "bus-service.h"

int bus_call_generate(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
int bus_call_embed(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
int bus_call_count_tokens(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
int bus_call_prewarm(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
int bus_call_load_model(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
/* Cancels the calls of an owner (NULL: of all). Those who wait get `error`; NULL: they have left. */
void bus_call_drop_owned(BusService *s, const BusOwner *o, const Error *error);
void bus_call_free_all(BusService *s);
