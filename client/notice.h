/* The remark that the built-in model is a toy, once per user. */
#pragma once

#include "bus.h"

/* $XDG_STATE_HOME/inferd/NAME; creates the folder. */
int state_path(const char *name, char **ret);

/* After an answer: says so on standard error if the model that gave it is the built-in one. */
void notice_embedded(Bus *b);
