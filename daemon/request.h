/* A generation, whatever transport it came by: text is formatted and tokenized off the loop thread, waits for the model
 * if that is being loaded, runs in the engine, and reports to a sink.
 *
 * The life of a request: request_start() → any number of delta() → exactly one finished(), after which the pointer is
 * dead. Neither is ever called from inside request_start() or request_cancel(). Everything runs on the loop thread. */
#pragma once

#include "conversation.h"
#include "engine.h"
#include "options.h"

typedef struct Daemon Daemon;
typedef struct Request Request;

typedef enum RequestTransport {
    REQUEST_TRANSPORT_DBUS,
    REQUEST_TRANSPORT_HTTP,
    N_REQUEST_TRANSPORTS,
} RequestTransport;

typedef struct RequestDelta {
    EngineTextKind kind;
    const char
        *text; /* borrowed, NUL-terminated, whole UTF-8 characters; of a tool call the arguments, a JSON object */
    size_t size;
    const char *tool_name; /* borrowed; of a tool call, else NULL */
    const char *tool_id;   /* borrowed; likewise */
    const TokenLogprob *logprobs;
    size_t n_logprobs;
} RequestDelta;

typedef struct RequestResult {
    EngineFinish finish;
    Error error; /* when finish is ENGINE_FINISH_ERROR */
    EngineUsage usage;
    uint32_t n_tool_calls;
    const char *model;      /* borrowed; name of the model that answered, NULL if none did */
    const float *embedding; /* borrowed, for the call of finished() only: of a request that asked for it; else NULL */
    size_t n_embedding;
} RequestResult;

typedef struct RequestSink {
    void (*delta)(Request *r, const RequestDelta *delta, void *userdata);
    void (*finished)(Request *r, const RequestResult *result, void *userdata);
    /* the engine has it: what could be refused was not; may be NULL */
    void (*accepted)(Request *r, void *userdata);
} RequestSink;

typedef struct RequestSpec {
    RequestTransport transport; /* for metrics and the journal */
    uint64_t owner;             /* see request_owner_of_uid() */
    const Options *options;     /* borrowed, copied */
    /* borrowed, copied; NULL: a plain completion of `prompt`. options->system goes first. */
    const Conversation *conversation;
    const char *prompt; /* plain text, control tokens not recognised; BOS added as the model wants it */
    size_t prompt_size;
    const Token *prompt_tokens; /* instead of prompt: ids as they are */
    size_t n_prompt_tokens;
    bool embed;        /* the prompt's embedding is wanted, no text */
    bool prefill_only; /* read the prompt into the KV pool and finish: no text, no token */
} RequestSpec;

uint64_t request_owner_of_uid(uid_t uid);

/* Fails at once on bad arguments, when the service is stopping, when the owner has too many requests (-EDQUOT), or when
 * no model is installed; everything later comes through finished(). Loads the model if it is installed but not loaded
 * (idle unload). */
int request_start(Daemon *d, const RequestSpec *spec, const RequestSink *sink, void *userdata, Request **ret, Error *e);
/* The only door for stopping: client gone, name vanished, explicit Cancel, shutdown. code 0: cancelled by the client.
 */
void request_cancel(Request *r, int code, const char *message);
/* The client is gone: cancels, and the sink is never called again. Allowed inside delta(). */
void request_abandon(Request *r);
/* The client has taken `size` bytes of text: lets the engine go on (backpressure). */
void request_consumed(Request *r, size_t size);

uint64_t request_id(const Request *r); /* unique in this process; in the journal as REQUEST_ID */
/* What every request of the process gets at shutdown. */
void request_cancel_all(Daemon *d, int code, const char *message);
