/* What to ask: the words of the command line and, as their context, standard input. */
#pragma once

#include "options.h"
#include "text.h"

/* Joins the words by spaces and puts standard input before them, unless that is a terminal. `-` alone: standard input
 * is all there is. Returns 0 or, having complained, an exit code; nothing but white space is an error. */
int prompt_gather(const Options *o, char **ret);

/* All of standard input, with a remark if it is not all text. Returns 0 or, having complained, an exit code. */
int prompt_read_input(Text *ret);
