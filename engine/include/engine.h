/* The engine's boundary, and the only thing the daemon sees of it.
 *
 *   Model    one GGUF file: mapped, checked, bound. Immutable and reference counted; every function on a const Model
 * may be called from any thread. Engine   one thread that owns a KV pool, a scheduler and the sequences being generated
 * with one Model.
 *
 * Requests go in with engine_submit(), everything that happens to them comes back as events: any number of deltas, then
 * exactly one finished event, whatever happens. Functions return 0 or a negative errno; `Error *e` may be NULL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

typedef uint32_t Token;
#define TOKEN_NONE UINT32_MAX

/* ------------------------------------------------------------------------------------------------ models */

typedef struct Model Model;

/* What a model file says of itself. All strings are valid UTF-8 and owned; a string that the file lacks is NULL. */
typedef struct ModelInfo {
    char *path;
    char *name;         /* general.name, else the file's name without .gguf */
    char *architecture; /* general.architecture */
    char *quantisation; /* the type most weights have, as people write it: "Q4_K_M", "F16" */
    char *license;
    char *author;
    char *description;
    uint64_t file_bytes; /* of all parts */
    uint64_t n_parameters;
    uint32_t context_size; /* positions the model was trained for */
    uint32_t embedding_size;
    uint32_t n_layers;
    uint32_t n_vocab;
    float temperature; /* that its authors recommend (general.sampling.temp); -1: the file does not say */
    bool encoder;      /* of a loaded model: it computes embeddings and generates no text; the others the reverse */
} ModelInfo;

/* Reads and checks metadata and tensor table only, no weights. A split model is read whole, by its first part. */
int model_info_read(const char *path, ModelInfo **ret, Error *e);
ModelInfo *model_info_free(ModelInfo *info);
DEFINE_CLEANUP(ModelInfo *, model_info_free)

/* Maps the file, checks every tensor against the architecture and builds the tokenizer. May take 100 ms for a large
 * vocabulary, reads no weight bytes. Of a split model the path is its first part's; the others lie beside it. */
int model_load(const char *path, Model **ret, Error *e);
Model *model_ref(Model *m);
Model *model_unref(Model *m); /* returns NULL */
DEFINE_CLEANUP(Model *, model_unref)
const ModelInfo *model_info(const Model *m);

/* ------------------------------------------------------------------------------------------------ tokens and chat */

/* Text whose origin is known. Control tokens (`<｜User｜>`) are recognised only where they lie wholly in trusted spans,
 * so that what a user typed can never forge a turn. Spans are joined before they are tokenized: a boundary does not
 * break a word. */
typedef struct TextSpan {
    const char *text; /* borrowed, may hold NUL, need not be valid UTF-8 */
    size_t size;      /* bytes */
    bool trusted;
} TextSpan;

typedef struct TokenArray {
    Token *items; /* owned, malloc */
    size_t n;
} TokenArray;
void token_array_done(TokenArray *a);

/* add_special: put BOS/EOS where the file's metadata asks for it. */
int model_tokenize(const Model *m, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e);
/* special: write control tokens as their text instead of leaving them out. The text may end inside a UTF-8 character.
 * -EINVAL for an id outside the vocabulary. *ret is NUL-terminated beyond *ret_size. */
int model_detokenize(
    const Model *m, const Token *tokens, size_t n, bool special, char **ret, size_t *ret_size, Error *e);

typedef struct ChatMessage {
    const char *role;    /* "system", "user", "assistant", "tool"; anything else is -EINVAL */
    const char *content; /* NULL: none, as in a message that only calls tools */
    size_t content_size;
    const char
        *fields; /* further members of the message as a JSON object (tool_calls, tool_call_id, name, ...), or NULL */
} ChatMessage;

typedef struct ChatOptions {
    const char *tools;     /* JSON array as OpenAI's API has it, or NULL */
    const char *variables; /* JSON object: variables that the model's template reads (enable_thinking, ...), or NULL */
} ChatOptions;

/* How a model writes what is not plain text: tool calls, and channels instead of <think>. See tool-calls.h, harmony.h.
 */
typedef enum EngineSyntax {
    ENGINE_SYNTAX_PLAIN,
    ENGINE_SYNTAX_HERMES,
    ENGINE_SYNTAX_DEEPSEEK,
    ENGINE_SYNTAX_LLAMA3,
    ENGINE_SYNTAX_MISTRAL,
    ENGINE_SYNTAX_GRANITE,
    ENGINE_SYNTAX_HARMONY,
    ENGINE_SYNTAX_QWEN_XML,
    ENGINE_SYNTAX_DSML,
    N_ENGINE_SYNTAXES,
} EngineSyntax;

typedef struct Prompt {
    TokenArray tokens;
    bool reasoning_open; /* the template has already written <think> */
    EngineSyntax syntax; /* of the model's answer, by its template */
} Prompt;
void prompt_done(Prompt *p);

/* Formats a conversation by the model's own chat template, ready for the assistant's turn, and tokenizes it. -EINVAL
 * with the template's own words when it refuses the conversation. options may be NULL. */
int model_format_chat(
    const Model *m, const ChatMessage *messages, size_t n_messages, const ChatOptions *options, Prompt *ret, Error *e);

/* ------------------------------------------------------------------------------------------------ requests */

typedef struct LogitBias {
    Token token;
    float bias;
} LogitBias;

typedef struct SamplerOptions {
    float temperature;    /* 0: greedy */
    uint32_t top_k;       /* 0: off */
    float top_p;          /* 1: off */
    float min_p;          /* 0: off */
    float repeat_penalty; /* 1: off; over the last repeat_last_n tokens, prompt included */
    uint32_t repeat_last_n;
    float presence_penalty; /* over the tokens generated so far, as OpenAI defines it */
    float frequency_penalty;
    uint64_t seed; /* same seed, same text */
    const LogitBias *logit_bias;
    size_t n_logit_bias;
} SamplerOptions;
#define SAMPLER_OPTIONS_DEFAULT                                                                                        \
    ((SamplerOptions){.temperature = 0.8f,                                                                             \
        .top_k = 40,                                                                                                   \
        .top_p = 0.95f,                                                                                                \
        .min_p = 0.05f,                                                                                                \
        .repeat_penalty = 1.0f,                                                                                        \
        .repeat_last_n = 64})

/* 0 or -EINVAL naming the option that is out of range (also NaN). */
int sampler_options_check(const SamplerOptions *o, Error *e);

typedef enum EnginePriority {
    ENGINE_PRIORITY_INTERACTIVE,
    ENGINE_PRIORITY_NORMAL,
    ENGINE_PRIORITY_BACKGROUND,
} EnginePriority;

#define ENGINE_MAX_STOP         16
#define ENGINE_MAX_TOP_LOGPROBS 20
#define ENGINE_UNLIMITED        UINT32_MAX

/* Copied by engine_submit(): nothing here needs to outlive the call. */
typedef struct EngineRequest {
    bool embed; /* no text is wanted but the prompt's embedding: only of an encoder, which takes nothing else. Options
                 * of generation are not looked at; the longest prompt is the context, and is computed in one step */
    uint64_t owner; /* prefixes in the KV pool are shared only between requests of one owner */
    EnginePriority priority;
    const Token *prompt;
    size_t n_prompt;     /* at least 1 */
    uint32_t max_tokens; /* ENGINE_UNLIMITED: until the context is full; 0: only read the prompt into the KV pool, then
                          * ENGINE_FINISH_LENGTH */
    SamplerOptions sampler;
    const char *const *stop; /* the answer ends before the first of these; no part of one is ever delivered. Reasoning
                              * that is split off is not looked at: a stop at a blank line must not end a thought */
    size_t n_stop;
    int top_logprobs;          /* -1: no log-probabilities, else how many alternatives to report (0..20) */
    bool split_reasoning;      /* deliver <think>...</think> as ENGINE_TEXT_REASONING, without the tags */
    bool reasoning_open;       /* Prompt.reasoning_open */
    EngineSyntax syntax;       /* Prompt.syntax; HARMONY concerns split_reasoning, too */
    bool tool_calls;           /* deliver tool calls as ENGINE_TEXT_TOOL_CALL, what only looks like one as text */
    const char *tools;         /* ChatOptions.tools, for the types of arguments, or NULL */
    uint32_t reasoning_budget; /* with split_reasoning: tokens of reasoning after which the engine closes it;
                                * ENGINE_UNLIMITED: none */
    uint64_t timeout_usec;     /* from submission to the last token; 0: none */
} EngineRequest;

typedef enum EngineTextKind {
    ENGINE_TEXT_ANSWER,
    ENGINE_TEXT_REASONING,
    ENGINE_TEXT_TOOL_CALL, /* one whole call: the text is its arguments, a JSON object as the model wrote it */
    N_ENGINE_TEXT_KINDS,
} EngineTextKind;

typedef struct TokenLogprob {
    Token token;
    float logprob; /* natural logarithm, of the model's own distribution (before temperature and filters); at least
                    * -9999 */
    uint32_t n_top;
    struct {
        Token token;
        float logprob;
    } top[ENGINE_MAX_TOP_LOGPROBS];
} TokenLogprob;

typedef enum EngineFinish {
    ENGINE_FINISH_STOP,      /* end token or stop string */
    ENGINE_FINISH_LENGTH,    /* max_tokens or context full */
    ENGINE_FINISH_CANCELLED, /* engine_cancel() */
    ENGINE_FINISH_ERROR,     /* see error */
} EngineFinish;

typedef struct EngineUsage {
    uint32_t prompt_tokens;
    uint32_t cached_tokens; /* of the prompt, found in the KV pool */
    uint32_t completion_tokens;
    uint32_t reasoning_tokens; /* of the completion */
    uint64_t queue_usec;       /* submission to first work */
    uint64_t prefill_usec;     /* first work to first token */
    uint64_t decode_usec;      /* first token to last */
} EngineUsage;

typedef enum EngineEventType {
    ENGINE_EVENT_DELTA,
    ENGINE_EVENT_FINISHED,
} EngineEventType;

typedef struct EngineEvent EngineEvent;
struct EngineEvent {
    EngineEvent *next;
    uint64_t id; /* of the request */
    EngineEventType type;

    /* DELTA: whole UTF-8 characters only (invalid bytes arrive as U+FFFD); size may be 0 when only log-probabilities
     * come */
    EngineTextKind kind;
    char *text; /* owned, NUL-terminated */
    size_t size;
    char *tool_name;        /* owned; of a tool call, else NULL */
    TokenLogprob *logprobs; /* owned, one per token that this text ends */
    size_t n_logprobs;

    /* FINISHED */
    EngineFinish finish;
    Error error;
    EngineUsage usage;
    float *embedding; /* owned, of length 1: what `embed` asked for, with ENGINE_FINISH_STOP; else NULL */
    size_t n_embedding;
};
EngineEvent *engine_event_free(EngineEvent *ev); /* this one only; returns the next */

/* ------------------------------------------------------------------------------------------------ the engine */

typedef struct Engine Engine;

typedef enum EngineKvType {
    ENGINE_KV_F16,
    ENGINE_KV_F32,
    ENGINE_KV_Q8_0, /* half the room of f16 */
} EngineKvType;

typedef struct EngineOptions {
    unsigned n_threads;  /* 0: one per physical core, fewer for a small model */
    uint64_t pool_bytes; /* size of the KV pool; 0: enough for four of the longest sequences, at most a quarter of the
                          * free memory */
    EngineKvType kv_type;
    uint32_t context_size;        /* longest sequence; 0: the model's own, as far as the pool has room */
    uint32_t step_tokens;         /* a step's budget, and so the longest chunk of a prompt; 0: 256 */
    uint32_t max_running;         /* sequences in one step; 0: 32 */
    uint32_t max_queued;          /* requests waiting beyond these; more are refused with -EBUSY; 0: 1024 */
    uint32_t outbox_bytes;        /* text a request may have undelivered before it is skipped; 0: 64 KiB */
    uint64_t stall_usec;          /* a reader that leaves its outbox full for so long is failed with -EPIPE; 0: 30 s */
    uint64_t queue_usec;          /* a request that gets no pages for so long is failed with -ENOSPC; 0: 60 s */
    void (*wake)(void *userdata); /* called on the engine thread when the outbox stops being empty */
    void *userdata;
} EngineOptions;

/* Starts the thread. Takes a reference to the model. -ENOMEM with a sentence saying how much is missing when the pool
 * does not fit. */
int engine_new(Model *m, const EngineOptions *o, Engine **ret, Error *e);
/* Ends every request (no more events are delivered), joins the thread. */
Engine *engine_free(Engine *en);
DEFINE_CLEANUP(Engine *, engine_free)

/* Any thread. Refuses at once (-EINVAL, -EMSGSIZE saying by how much the prompt is too long, -EBUSY); after 0 exactly
 * one FINISHED event with *ret_id will come. */
int engine_submit(Engine *en, const EngineRequest *r, uint64_t *ret_id, Error *e);
/* Any thread. The request ends within one chunk; unknown and finished ids are ignored. `code` 0:
 * ENGINE_FINISH_CANCELLED, else ENGINE_FINISH_ERROR with that code and message. */
void engine_cancel(Engine *en, uint64_t id, int code, const char *message);
/* Any thread. Returns credit for text that the client has taken; without it the outbox fills and the sequence is
 * skipped. */
void engine_consumed(Engine *en, uint64_t id, size_t bytes);
/* Detaches everything that has happened since the last call, oldest first; NULL if nothing. One reader thread. */
EngineEvent *engine_take_events(Engine *en);

typedef struct EngineStats {
    uint32_t context_size; /* longest sequence that will be accepted */
    uint32_t page_tokens;
    uint32_t pages_total;
    uint32_t pages_used;   /* referenced by running sequences */
    uint32_t pages_cached; /* kept for their prefix only */
    uint32_t running;
    uint32_t queued;
    uint64_t prompt_tokens; /* totals since the start */
    uint64_t cached_tokens;
    uint64_t completion_tokens;
    uint64_t steps;
    bool model_failed; /* the mapping failed under us: every request is refused until another model is loaded */
} EngineStats;
void engine_stats(Engine *en, EngineStats *ret);
