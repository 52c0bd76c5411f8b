/* org.inferd.Inference1.Session: a conversation that belongs to one unique name and dies with it. */
#pragma once

#include "bus-service.h"

/* Registers the session objects with the connection. */
int bus_session_add_vtable(BusService *s);
/* A handler for Manager.CreateSession. */
int bus_session_create(BusService *s, BusOwner *o, sd_bus_message *m, Error *e);
/* Ends the sessions of an owner, of all owners with NULL; their turns are cancelled. */
void bus_session_free_owned(BusService *s, const BusOwner *o);
