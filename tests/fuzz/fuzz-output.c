/* What a model says, cut into tokens in two ways: the same comes out, and it is UTF-8. The first byte chooses the
 * options, the second the cuts, the rest is text. */
#include <string.h>

#include "output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run(const OutputOptions *o, const char *text, size_t size, size_t step, char *ret) {
    Output *u;
    OutputText t;
    bool stopped = false;
    size_t n = 0;
    if (output_new(o, &u) < 0)
        abort();
    for (size_t i = 0; i <= size; i += step) {
        if (i + step > size || stopped) {
            if (!stopped && output_push(u, text + i, size - i, NULL, &stopped) < 0)
                abort();
            if (output_finish(u) < 0)
                abort();
            i = size;
        } else if (output_push(u, text + i, step, NULL, &stopped) < 0)
            abort();
        while (output_take(u, &t) > 0) {
            memcpy(ret + n, t.text, t.size);
            n += t.size;
            output_text_done(&t);
        }
    }
    output_free(u);
    return n;
}

static bool is_utf8(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t k = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
        if (k == 0 || i + k > n)
            return false;
        for (size_t j = 1; j < k; j++)
            if (((unsigned char)s[i + j] & 0xC0) != 0x80)
                return false;
        i += k;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const stop[] = {"\n\n", "END", "aab", "</think>"};
    if (size < 2 || size > 65536)
        return 0;
    const OutputOptions o = {
        .stop = stop,
        .n_stop = data[0] % 5,
        .split_reasoning = data[0] & 0x40,
        .reasoning_open = data[0] & 0x80,
    };
    char *a = malloc(size * 3 + 1), *b = malloc(size * 3 + 1);
    size_t n = run(&o, (const char *)data + 2, size - 2, size, a);
    size_t m = run(&o, (const char *)data + 2, size - 2, 1 + data[1] % 7, b);
    if (n != m || memcmp(a, b, n) != 0 || !is_utf8(a, n))
        abort();
    free(a);
    free(b);
    return 0;
}
