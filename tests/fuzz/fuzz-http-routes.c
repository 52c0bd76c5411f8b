/* Whatever a client writes to the socket: an answer or the end of the connection, and nothing is left behind. */
#include "http-client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_http_begin();
    fuzz_http_exchange("", 0, data, size);
    return 0;
}
