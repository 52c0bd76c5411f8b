/* The journal, with structured fields, when standard error leads there; plain lines otherwise. Never prompt text, never
 * answers: only ids, sizes, names and reasons. */
#pragma once

#include <sys/types.h>
#include <syslog.h>

#include "macros.h"

/* Fields of a line beside the message. Zero or NULL: left out. */
typedef struct LogFields {
    uint64_t request_id; /* REQUEST_ID= */
    const char *owner;   /* OWNER=, "uid 1000" */
    const char *transport;
    const char *model;
    const char *outcome;
    uint32_t prompt_tokens, completion_tokens; /* logged together when outcome is set */
} LogFields;

/* Messages less important than `max_priority` (LOG_ERR 3, LOG_WARNING 4, LOG_INFO 6, LOG_DEBUG 7) are dropped. */
void log_init(int max_priority);
void log_message(int priority, const LogFields *fields, const char *format, ...) _printf_(3, 4);

#define log_error(...)   log_message(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, NULL, __VA_ARGS__)
