/* OpenAI's endpoints, and what they have in common. */
#pragma once

#include "http-exchange.h"
#include "http-generation.h"
#include "options.h"

void http_openai_chat(HttpExchange *x);
void http_openai_completions(HttpExchange *x);
void http_openai_embeddings(HttpExchange *x);
void http_openai_models(HttpExchange *x);
void http_openai_model(HttpExchange *x);

#define HTTP_OPENAI_MAX_CHOICES 8

/* The fields that chat and plain completions share. */
typedef struct HttpOpenaiRequest {
    Options options;
    char *model; /* owned; NULL: whichever is loaded */
    bool stream;
    bool include_usage;
    unsigned n;
} HttpOpenaiRequest;

/* Starts from the configuration's defaults. Fields that would change the answer in a way that is not supported are
 * refused by name (tools and template variables in a chat are http-openai-messages.h); unknown ones are ignored, since
 * clients send many that mean nothing here. */
int http_openai_request_parse(Daemon *d, const json_t *body, bool chat, HttpOpenaiRequest *ret, HttpError *he);
void http_openai_request_done(HttpOpenaiRequest *r);

/* 404 unless `name` is the model that everybody shares; while none is loaded any installed one will do. */
int http_openai_check_model(ModelHost *host, const char *name, HttpError *he);

/* What every answer and every event starts with. */
json_t *http_openai_head(const HttpGeneration *g, const char *object);
json_t *http_openai_usage(const EngineUsage *u);
char *http_openai_token_text(const HttpGeneration *g, Token token, size_t *ret_size); /* malloc; NULL: out of memory */
double http_openai_logprob(float logprob);
