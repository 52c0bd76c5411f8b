/* org.inferd.Inference1.Manager: what everybody shares. */
#pragma once

#include "bus-service.h"

int bus_manager_add_vtable(BusService *s);
/* Emits PropertiesChanged for what differs from s->sent. */
void bus_manager_emit_changes(BusService *s);
