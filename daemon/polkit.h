/* Asking polkit whether a caller may do something that concerns everybody. */
#pragma once

#include "bus-service.h"

/* Calls `next` when the caller of m may manage models: root, on a session bus the user, otherwise whom polkit lets,
 * perhaps after it has asked for a password. Else the caller gets NotAuthorized. */
int polkit_check(BusService *s, BusOwner *o, sd_bus_message *m, BusHandler next, Error *e);
/* Withdraws what is asked for an owner (NULL: for all). Those who wait get `error`; NULL: they have left. */
void polkit_drop_owned(BusService *s, const BusOwner *o, const Error *error);
