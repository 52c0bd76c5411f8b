/* Bodies of requests: the first byte chooses the endpoint, the rest is what it is sent. */
#include "http-client.h"

static const char *const paths[] = {"/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char head[200];
    if (size == 0)
        return 0;
    fuzz_http_begin();
    int n = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
        paths[data[0] % ELEMENTSOF(paths)], size - 1);
    fuzz_http_exchange(head, n, data + 1, size - 1);
    return 0;
}
