/* What went wrong, in OpenAI's shape; see http-error.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http-error.h"
#include "http-json.h"

#define RETRY_SECONDS 5

/* Status and OpenAI's code for each of our error codes (see Error in macros.h). */
static const struct {
    int code;
    unsigned status;
    const char *name;
} translations[] = {
    {-EINVAL, 400, NULL},
    {-EMSGSIZE, 400, "context_length_exceeded"},
    {-EBADMSG, 400, NULL},
    {-EOPNOTSUPP, 400, "unsupported"},
    {-EACCES, 403, "not_allowed"},
    {-EPERM, 403, "not_allowed"},
    {-ENOENT, 404, "not_found"},
    {-EBUSY, 429, "rate_limit_exceeded"},
    {-EDQUOT, 429, "rate_limit_exceeded"},
    {-ENOSPC, 503, "overloaded"},
    {-ENOMEM, 503, "overloaded"},
    {-ENOTCONN, 503, "no_model"},
    {-ESHUTDOWN, 503, "stopping"},
    {-ETIMEDOUT, 504, "timeout"},
};

static const char *type_of_status(unsigned status) {
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return status < 500 ? "invalid_request_error" : "server_error";
    }
}

static void set_head(HttpError *he, unsigned status, const char *code, const char *param) {
    he->status = status;
    he->code = code;
    snprintf(he->param, sizeof(he->param), "%s", param ? param : "");
    he->retry_after = status == 429 || status == 503 ? RETRY_SECONDS : 0;
}

static void set_message(HttpError *he, const char *format, va_list ap) {
    Error e = {};
    error_setv(&e, -EINVAL, format, ap); /* which cuts between characters */
    memcpy(he->message, e.message, sizeof(he->message));
    _Static_assert(sizeof(he->message) == sizeof(e.message), "messages of both errors are equally long");
}

int http_error_set(HttpError *he, unsigned status, const char *code, const char *param, const char *format, ...) {
    set_head(he, status, code, param);
    va_list ap;
    va_start(ap, format);
    set_message(he, format, ap);
    va_end(ap);
    return -EINVAL;
}

int http_error_field(HttpError *he, const char *param, const char *format, ...) {
    set_head(he, 400, NULL, param);
    va_list ap;
    va_start(ap, format);
    set_message(he, format, ap);
    va_end(ap);
    return -EINVAL;
}

int http_error_from(HttpError *he, const Error *e, const char *param) {
    unsigned status = 500;
    const char *name = "internal_error";
    for (size_t i = 0; i < ELEMENTSOF(translations); i++)
        if (translations[i].code == e->code) {
            status = translations[i].status;
            name = translations[i].name;
        }
    set_head(he, status, name, param);
    memcpy(he->message, e->message, sizeof(he->message));
    return e->code < 0 ? e->code : -EIO;
}

/* The message may quote what the client sent, and be cut inside a character of that. */
json_t *http_error_to_json(const HttpError *he) {
    return json_pack("{s:{s:o, s:s, s:o, s:s?}}", "error", "message", http_json_text(he->message, strlen(he->message)),
        "type", type_of_status(he->status), "param",
        he->param[0] ? http_json_text(he->param, strlen(he->param)) : json_null(), "code", he->code);
}
