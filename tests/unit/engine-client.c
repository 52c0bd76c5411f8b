#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine-client.h"

void client_wake(void *userdata) {
    Client *c = userdata;
    uint64_t one = 1;
    assert_int_equal(write(c->wake, &one, sizeof(one)), sizeof(one));
}

void client_start(Client *c, const EngineOptions *o) {
    EngineOptions options = *o;
    options.wake = client_wake;
    options.userdata = c;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    Error e = {};
    if (engine_new(&c->model.model, &options, &c->engine, &e) < 0)
        fail_msg("%s", e.message);
}

void client_stop(Client *c) {
    c->engine = engine_free(c->engine);
    close(c->wake);
    assert_int_equal(c->model.model.n_ref, 1);
    c->n_results = 0;
}

Result *client_find(Client *c, uint64_t id) {
    for (size_t i = 0; i < c->n_results; i++)
        if (c->results[i].id == id)
            return &c->results[i];
    fail_msg("an event for request %llu, which does not exist", (unsigned long long)id);
    return NULL;
}

static void client_event(Client *c, const EngineEvent *ev) {
    Result *r = client_find(c, ev->id);
    assert_false(r->done);
    if (ev->type == ENGINE_EVENT_FINISHED) {
        r->done = true;
        r->finish = ev->finish;
        r->error = ev->error;
        r->usage = ev->usage;
        return;
    }
    assert_int_equal(strlen(ev->text), ev->size);
    assert_true(r->size[ev->kind] + ev->size < sizeof(r->text[0]));
    memcpy(r->text[ev->kind] + r->size[ev->kind], ev->text, ev->size + 1);
    r->size[ev->kind] += ev->size;
    r->n_deltas++;
    r->n_logprobs += (unsigned)ev->n_logprobs;
    if (!c->keep_credit)
        engine_consumed(c->engine, ev->id, ev->size);
}

void client_read(Client *c, int timeout_msec) {
    struct pollfd p = {.fd = c->wake, .events = POLLIN};
    if (poll(&p, 1, timeout_msec) > 0) {
        uint64_t n;
        assert_int_equal(read(c->wake, &n, sizeof(n)), sizeof(n));
        c->n_wakes++;
    }
    for (EngineEvent *ev = engine_take_events(c->engine); ev; ev = engine_event_free(ev))
        client_event(c, ev);
}

void client_wait(Client *c, uint64_t id) {
    for (int i = 0; i < 2000; i++) {
        if (client_find(c, id)->done)
            return;
        client_read(c, 10);
    }
    fail_msg("request %llu does not end", (unsigned long long)id);
}

uint64_t client_submit(Client *c, const EngineRequest *r) {
    uint64_t id = 0;
    Error e = {};
    assert_true(c->n_results < 128);
    Result *result = &c->results[c->n_results];
    if (engine_submit(c->engine, r, &id, &e) < 0)
        fail_msg("%s", e.message);
    *result = (Result){.id = id};
    c->n_results++;
    return id;
}

int client_refused(Client *c, const EngineRequest *r, Error *e) {
    uint64_t id = 4711;
    *e = (Error){};
    int x = engine_submit(c->engine, r, &id, e);
    assert_int_equal(id, 4711);
    assert_int_equal(x, e->code);
    return x;
}

EngineRequest client_request(const Token *prompt, size_t n, uint32_t max_tokens) {
    return (EngineRequest){
        .owner = 1,
        .priority = ENGINE_PRIORITY_NORMAL,
        .prompt = prompt,
        .n_prompt = n,
        .max_tokens = max_tokens,
        .sampler = SAMPLER_OPTIONS_DEFAULT,
        .top_logprobs = -1,
        .reasoning_budget = ENGINE_UNLIMITED,
    };
}

void client_prompt(Token *prompt, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++)
        prompt[i] = 'a' + (unsigned)(i * 7 + seed * 13 + i * i * seed) % 26;
}
