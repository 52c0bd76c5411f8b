/* Request bodies: JSON from people we do not know, and fields read out of it with errors that name the field. A field
 * that is missing or null leaves *ret as it was, for many clients write null for "not set". */
#pragma once

#include <jansson.h>

#include "http-error.h"

/* The body must be one JSON object without duplicate keys; 400 otherwise. */
int http_json_parse(const char *body, size_t size, json_t **ret, HttpError *he);

bool http_json_has(const json_t *object, const char *key); /* there and not null */
int http_json_bool(const json_t *object, const char *key, bool *ret, HttpError *he);
/* Whole numbers may be written as 3.0. */
int http_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret, HttpError *he);
int http_json_double(const json_t *object, const char *key, double *ret, HttpError *he);
int http_json_string(const json_t *object, const char *key, const char **ret, size_t *ret_size, HttpError *he);
/* One number as whole: 0 also for 3.0; -EINVAL otherwise. */
int http_json_whole(const json_t *value, int64_t *ret);

/* How answers are written: nine digits are all that a float has. */
#define HTTP_JSON_FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* A JSON string of any bytes: those that are not UTF-8 become U+FFFD. NULL: out of memory. */
json_t *http_json_text(const char *text, size_t size);
