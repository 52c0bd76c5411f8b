/* The table is the API: one row per endpoint; see http-route.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http-openai.h"
#include "http-own.h"
#include "http-route.h"

static const HttpRoute routes[] = {
    {"POST", "/v1/chat/completions", http_openai_chat},
    {"POST", "/v1/completions", http_openai_completions},
    {"POST", "/v1/embeddings", http_openai_embeddings},
    {"GET", "/v1/models", http_openai_models},
    {"GET", "/v1/models/{}", http_openai_model},
    {"GET", "/health", http_own_health},
    {"GET", "/metrics", http_own_metrics},
    {"POST", "/tokenize", http_own_tokenize},
    {"POST", "/detokenize", http_own_detokenize},
};

static bool path_matches(const char *pattern, const char *path, const char **ret_argument) {
    size_t n = strlen(pattern);
    if (n > 2 && strcmp(pattern + n - 2, "{}") == 0) {
        if (strncmp(path, pattern, n - 2) != 0 || path[n - 2] == '\0')
            return false;
        *ret_argument = path + n - 2;
        return true;
    }
    *ret_argument = NULL;
    /* a slash too many at the end is forgiven */
    return strncmp(path, pattern, n) == 0 && (path[n] == '\0' || strcmp(path + n, "/") == 0);
}

static void add_method(char allow[static 64], const char *method) {
    size_t n = strlen(allow);
    snprintf(allow + n, 64 - n, "%s%s%s", n > 0 ? ", " : "", method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

int http_route_find(const char *method, const char *path, const HttpRoute **ret, const char **ret_argument,
    char allow[static 64], HttpError *he) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    allow[0] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(routes); i++) {
        const char *argument;
        if (!path_matches(routes[i].path, path, &argument))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            *ret = &routes[i];
            *ret_argument = argument;
            return 0;
        }
        add_method(allow, routes[i].method);
    }
    if (!allow[0])
        return http_error_set(he, 404, "unknown_url", NULL, "There is nothing at %.200s.", path);
    add_method(allow, "OPTIONS");
    if (strcmp(method, "OPTIONS") == 0)
        return http_error_set(he, 204, NULL, NULL, "Allowed: %s.", allow);
    return http_error_set(
        he, 405, "method_not_allowed", NULL, "%.20s is not possible at %.200s, only %s.", method, path, allow);
}
