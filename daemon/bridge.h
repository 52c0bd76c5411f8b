/* The only crossing between the loop and the engine's thread, and the sole user of uv_async: requests go in by id,
 * events come back on the loop thread and are handed to the receiver of that id. */
#pragma once

#include <uv.h>

#include "engine.h"

typedef struct Bridge Bridge;

typedef void (*BridgeReceiver)(void *userdata, const EngineEvent *event); /* after FINISHED the receiver is forgotten */

/* Starts an engine on the model. */
int bridge_new(uv_loop_t *loop, Model *m, const EngineOptions *o, Bridge **ret, Error *e);
/* Ends the engine; receivers that are still waiting get a FINISHED event with `code` and `message` first. The engine's
 * thread is joined off the loop thread; the loop must run on until that is done. Allowed inside a receiver. */
Bridge *bridge_free(Bridge *b, int code, const char *message);

int bridge_submit(
    Bridge *b, const EngineRequest *r, BridgeReceiver receiver, void *userdata, uint64_t *ret_id, Error *e);
void bridge_cancel(Bridge *b, uint64_t id, int code, const char *message);
void bridge_consumed(Bridge *b, uint64_t id, size_t size);
uint32_t bridge_n_active(const Bridge *b);
void bridge_stats(Bridge *b, EngineStats *ret);
/* Called when the last receiver is gone. */
void bridge_on_idle(Bridge *b, void (*idle)(void *userdata), void *userdata);
