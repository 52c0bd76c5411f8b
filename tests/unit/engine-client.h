/* A client of an engine over a model without weights, for tests of the engine. */
#pragma once

#include "engine.h"
#include "fake-model.h"

#define PAGE (32 * sizeof(uint64_t)) /* of the fake */

/* What has come of one request. */
typedef struct Result {
    uint64_t id;
    char text[2][8192]; /* by kind */
    size_t size[2];
    unsigned n_deltas, n_logprobs;
    bool done;
    EngineFinish finish;
    Error error;
    EngineUsage usage;
} Result;

typedef struct Client {
    FakeModel model;
    Engine *engine;
    int wake; /* eventfd */
    Result results[128];
    size_t n_results;
    bool keep_credit; /* never gives credit back */
    unsigned n_wakes;
} Client;

void client_wake(void *userdata); /* of a Client; on the engine's thread */
void client_start(Client *c, const EngineOptions *o);
void client_stop(Client *c);
Result *client_find(Client *c, uint64_t id);
void client_read(Client *c, int timeout_msec);
void client_wait(Client *c, uint64_t id);
uint64_t client_submit(Client *c, const EngineRequest *r);
int client_refused(Client *c, const EngineRequest *r, Error *e);

EngineRequest client_request(const Token *prompt, size_t n, uint32_t max_tokens);
void client_prompt(Token *prompt, size_t n, unsigned seed); /* letters */
