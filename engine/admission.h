/* What a request must be before the engine takes it: whatever a client may have made up is refused here, with a
 * sentence that names it. */
#pragma once

#include "engine.h"
#include "model.h"

/* -EINVAL, -EMSGSIZE when it is longer than the context, -EOPNOTSUPP when the model is of the other kind. */
int admission_check(const EngineRequest *r, const Config *c, uint32_t context_size, Error *e);
