/* Tool calls and channels in two cuts: the same comes out, and what is delivered as arguments is JSON. The first byte
 * chooses the syntax, the second the cuts, the rest is text. */
#include <jansson.h>
#include <string.h>

#include "output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(char *ret, size_t *n, const char *data, size_t size) {
    memcpy(ret + *n, data, size);
    *n += size;
}

/* Each kind by itself, since a piece's kind changes where texts are joined; calls with a mark around them. */
static void take(Output *u, char *const ret[], size_t *n) {
    OutputText t;
    while (output_take(u, &t) > 0) {
        if (t.kind == ENGINE_TEXT_TOOL_CALL) {
            json_t *json = json_loadb(t.text, t.size, JSON_REJECT_DUPLICATES, NULL);
            if (!json_is_object(json) || !*t.tool_name)
                abort();
            json_decref(json);
            add(ret[t.kind], &n[t.kind], t.tool_name, strlen(t.tool_name));
        }
        add(ret[t.kind], &n[t.kind], t.text, t.size);
        output_text_done(&t);
    }
}

static void run(const OutputOptions *o, const char *text, size_t size, size_t step, char *const ret[], size_t *n) {
    Output *u;
    bool stopped = false;
    if (output_new(o, &u) < 0)
        abort();
    for (size_t i = 0; i < size && !stopped; i += step) {
        if (output_push(u, text + i, MIN(step, size - i), NULL, &stopped) < 0)
            abort();
        take(u, ret, n);
    }
    if (output_finish(u) < 0)
        abort();
    take(u, ret, n);
    output_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const stop[] = {"\n\n", "END", "aab"};
    char *a[N_ENGINE_TEXT_KINDS], *b[N_ENGINE_TEXT_KINDS];
    size_t n[N_ENGINE_TEXT_KINDS] = {}, m[N_ENGINE_TEXT_KINDS] = {};

    if (size < 2 || size > 65536)
        return 0;
    const OutputOptions o = {
        .stop = stop,
        .n_stop = data[0] >> 4 & 3,
        .split_reasoning = true,
        .syntax = data[0] % N_ENGINE_SYNTAXES,
        .tool_calls = !(data[0] & 0x80),
        .tools = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},"
                 "\"b\":{\"type\":\"boolean\"}}}}}]",
    };
    for (size_t i = 0; i < N_ENGINE_TEXT_KINDS; i++) {
        a[i] = malloc(size * 6 + 16);
        b[i] = malloc(size * 6 + 16);
    }
    run(&o, (const char *)data + 2, size - 2, size, a, n);
    run(&o, (const char *)data + 2, size - 2, 1 + data[1] % 7, b, m);
    for (size_t i = 0; i < N_ENGINE_TEXT_KINDS; i++) {
        if (n[i] != m[i] || memcmp(a[i], b[i], n[i]) != 0)
            abort();
        free(a[i]);
        free(b[i]);
    }
    return 0;
}
