/* Request bodies; see http-json.h. jansson bounds the depth and refuses what is not UTF-8, NaN, and numbers that do not
 * fit; what it does not bound is memory: a tree costs about forty bytes for each two bytes of "0,0,0,...", so values
 * are counted before it is built. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "http-buffer.h"
#include "http-json.h"

#define MAX_VALUES 1000000

/* Counts what separates values; brackets and commas inside strings do not count. */
static bool too_many_values(const char *body, size_t size) {
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = body[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == '[' || c == '{') && ++n > MAX_VALUES)
            return true;
    }
    return false;
}

int http_json_parse(const char *body, size_t size, json_t **ret, HttpError *he) {
    if (size == 0)
        return http_error_set(he, 400, NULL, NULL, "The request has no body: a JSON object is expected.");
    if (too_many_values(body, size))
        return http_error_set(he, 413, NULL, NULL, "The body holds more than %d JSON values.", MAX_VALUES);

    json_error_t error;
    json_auto_t *json = json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json && json_error_code(&error) == json_error_out_of_memory)
        return http_error_set(he, 503, "overloaded", NULL, "Out of memory.");
    if (!json)
        return http_error_set(he, 400, NULL, NULL, "The body is not valid JSON: line %d, column %d: %s.", error.line,
            error.column, error.text);
    if (!json_is_object(json))
        return http_error_set(he, 400, NULL, NULL, "The body must be a JSON object.");
    *ret = TAKE_PTR(json);
    return 0;
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a fractional number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

bool http_json_has(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

int http_json_bool(const json_t *object, const char *key, bool *ret, HttpError *he) {
    if (!http_json_has(object, key))
        return 0;
    json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return http_error_field(he, key, "'%s' must be true or false, not %s.", key, type_name(value));
    *ret = json_is_true(value);
    return 0;
}

int http_json_whole(const json_t *value, int64_t *ret) {
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return 0;
    }
    double d = json_real_value(value);
    if (!json_is_real(value) || d != floor(d) || fabs(d) > 9007199254740992.0)
        return -EINVAL;
    *ret = (int64_t)d;
    return 0;
}

int http_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret, HttpError *he) {
    if (!http_json_has(object, key))
        return 0;
    json_t *value = json_object_get(object, key);
    int64_t n;
    if (http_json_whole(value, &n) < 0)
        return http_error_field(he, key, "'%s' must be a whole number, not %s.", key, type_name(value));
    if (n < min || n > max)
        return http_error_field(he, key, "'%s' is %lld: it must be between %lld and %lld.", key, (long long)n,
            (long long)min, (long long)max);
    *ret = n;
    return 0;
}

int http_json_double(const json_t *object, const char *key, double *ret, HttpError *he) {
    if (!http_json_has(object, key))
        return 0;
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return http_error_field(he, key, "'%s' must be a number, not %s.", key, type_name(value));
    *ret = json_number_value(value);
    return 0;
}

int http_json_string(const json_t *object, const char *key, const char **ret, size_t *ret_size, HttpError *he) {
    if (!http_json_has(object, key))
        return 0;
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return http_error_field(he, key, "'%s' must be a string, not %s.", key, type_name(value));
    *ret = json_string_value(value);
    if (ret_size)
        *ret_size = json_string_length(value);
    return 0;
}

/* Bytes of the UTF-8 character at s (n >= 1), 0 if there is none: overlong forms, surrogates and what lies beyond
 * U+10FFFF are none. */
static size_t utf8_character(const unsigned char *s, size_t n) {
    if (s[0] < 0x80)
        return 1;
    size_t want = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || n < want)
        return 0;
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return want;
}

json_t *http_json_text(const char *text, size_t size) {
    json_t *json = json_stringn(text, size);
    if (json)
        return json;

    HttpBuffer clean = {};
    int r = 0;
    for (size_t i = 0; i < size && r >= 0;) {
        size_t n = utf8_character((const unsigned char *)text + i, size - i);
        r = n > 0 ? http_buffer_append(&clean, text + i, n) : http_buffer_append(&clean, "\xEF\xBF\xBD", 3);
        i += MAX(n, 1);
    }
    json = r < 0 || !clean.data ? NULL : json_stringn_nocheck(clean.data, clean.size);
    http_buffer_done(&clean);
    return json;
}
