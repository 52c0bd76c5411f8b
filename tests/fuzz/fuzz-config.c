/* Configuration files from memory: whatever is accepted prints, and what was printed is accepted and means the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Config *parse(const char *text, size_t size) {
    Config *c;
    Error e;

    if (config_new(false, &c, &e) < 0)
        return NULL;
    if (config_parse(c, "fuzz.conf", text, size, NULL, NULL, &e) < 0 || config_check(c, &e) < 0)
        return config_free(c);
    return c;
}

static char *print(const Config *c, size_t *ret_size) {
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_size);
    if (!f)
        return NULL;
    config_print(c, f);
    fclose(f);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t n_first, n_second;

    Config *c = parse((const char *)data, size);
    if (!c)
        return 0;
    char *first = print(c, &n_first);
    Config *again = parse(first, n_first);
    char *second = again ? print(again, &n_second) : NULL;
    if (!second || n_first != n_second || memcmp(first, second, n_first) != 0)
        abort();
    free(second);
    free(first);
    config_free(again);
    config_free(c);
    return 0;
}
