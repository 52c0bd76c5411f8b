/* See tool-call.h. The arguments are JSON already and are copied as the model wrote them. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/random.h>

#include "tool-call.h"

void tool_call_make_id(char ret[TOOL_CALL_ID_SIZE]) {
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static uint64_t n;
    uint64_t random;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = ++n; /* unique in this process at least */
    for (size_t i = 0; i < TOOL_CALL_ID_SIZE - 1; i++, random /= sizeof(letters) - 1)
        ret[i] = letters[random % (sizeof(letters) - 1)];
    ret[TOOL_CALL_ID_SIZE - 1] = '\0';
}

static int append(Text *to, const char *text) {
    return text_append(to, text, strlen(text));
}

static int append_string(Text *to, const char *text, size_t size) {
    json_auto_t *json = json_stringn(text, size);
    char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    int r = quoted ? append(to, quoted) : -ENOMEM;
    free(quoted);
    return r;
}

int tool_call_write(Text *to, const RequestDelta *d) {
    int r = append(to, "{\"id\":\"");
    if (r >= 0)
        r = append(to, d->tool_id);
    if (r >= 0)
        r = append(to, "\",\"name\":");
    if (r >= 0)
        r = append_string(to, d->tool_name, strlen(d->tool_name));
    if (r >= 0)
        r = append(to, ",\"arguments\":");
    if (r >= 0)
        r = text_append(to, d->text, d->size);
    return r < 0 ? r : append(to, "}");
}

int tool_call_write_openai(Text *to, const RequestDelta *d) {
    int r = append(to, "{\"id\":\"");
    if (r >= 0)
        r = append(to, d->tool_id);
    if (r >= 0)
        r = append(to, "\",\"type\":\"function\",\"function\":{\"name\":");
    if (r >= 0)
        r = append_string(to, d->tool_name, strlen(d->tool_name));
    if (r >= 0)
        r = append(to, ",\"arguments\":");
    if (r >= 0)
        r = append_string(to, d->text, d->size);
    return r < 0 ? r : append(to, "}}");
}
