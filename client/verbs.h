/* What the words after `infer` do. Each returns an exit code and has complained when that is not 0. */
#pragma once

#include "options.h"

int verb_ask(Options *o);
int verb_chat(Options *o);
int verb_embed(Options *o);
int verb_models(Options *o);
int verb_load(Options *o);
int verb_unload(Options *o);
int verb_status(Options *o);
int verb_tokens(Options *o);
