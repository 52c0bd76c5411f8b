/* What to ask: the words of the command line and, as their context, standard input. */
#pragma once

#include "options.h"

/* Joins the words by spaces and puts standard input before them, unless that is a terminal. `-` alone: standard input
 * is all there is. Returns 0 or, having complained, an exit code; nothing but white space is an error. */
int prompt_gather(const Options *o, char **ret);
