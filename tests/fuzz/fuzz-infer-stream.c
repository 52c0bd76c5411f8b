/* What comes over the pipe of an answer, cut into lines and parsed, and its text made fit for a terminal and the bus.
 */
#include <stdint.h>
#include <string.h>

#include "stream.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_text(const char *text, size_t n) {
    Text copy = {};
    char *out = malloc(TEXT_SANITISED_SIZE(n) + 1);
    if (!out)
        return;
    if (text_sanitise(text, n, out) > TEXT_SANITISED_SIZE(n))
        abort();
    if (text_from_bytes(text, n, &copy) == 0 && (strlen(copy.bytes) != copy.size || copy.size > 3 * n))
        abort();
    text_done(&copy);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    StreamBuffer b = {.bytes = malloc(size + 1), .size = size, .room = size + 1};
    const char *line;
    size_t n;

    if (!b.bytes)
        return 0;
    memcpy(b.bytes, data, size);
    use_text(b.bytes, size);
    while ((line = stream_buffer_line(&b, &n))) {
        StreamEvent ev = {};
        if (stream_event_parse(line, n, &ev) < 0)
            continue;
        if (ev.text)
            use_text(ev.text, ev.size);
        stream_event_done(&ev);
    }
    stream_buffer_done(&b);
    return 0;
}
