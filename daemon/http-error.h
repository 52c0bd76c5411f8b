/* What went wrong, in the shape that OpenAI's clients understand:
 *     {"error": {"message": ..., "type": ..., "param": ..., "code": ...}} */
#pragma once

#include <jansson.h>

#include "engine.h"

typedef struct HttpError {
    unsigned status;      /* 0: no error */
    const char *code;     /* static; NULL: null */
    char param[64];       /* the field at fault; empty: null */
    char message[500];    /* a sentence for a person */
    unsigned retry_after; /* seconds; 0: no header */
} HttpError;

/* Fill *he and return a negative errno, so that `return http_error_...(...)` works. `param` and `code` may be NULL. */
int http_error_set(HttpError *he, unsigned status, const char *code, const char *param, const char *format, ...)
    _printf_(5, 6);
/* 400 about one field of the request. */
int http_error_field(HttpError *he, const char *param, const char *format, ...) _printf_(3, 4);
/* Translates the daemon's own errors: their code decides the status. Returns e->code. */
int http_error_from(HttpError *he, const Error *e, const char *param);

json_t *http_error_to_json(const HttpError *he); /* NULL: out of memory */
