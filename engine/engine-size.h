/* How large a KV pool an engine gets, and how long a sequence may become. */
#pragma once

#include "engine.h"
#include "model.h"

uint64_t engine_size_memory(void); /* bytes that could be had now without swapping; 0: not known */

/* A size that was asked for is taken or refused (-ENOMEM says how much is missing); one that was not follows from the
 * other, from the model and from the memory there is. */
int engine_size_choose(const EngineOptions *o, const Config *c, size_t page_bytes, uint64_t memory, uint32_t *ret_pages,
    uint32_t *ret_context, Error *e);
