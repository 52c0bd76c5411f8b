/* See engine-size.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine-size.h"
#include "forward.h"
#include "sequence.h"

uint64_t engine_size_memory(void) {
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;
    uint64_t kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && getline(&line, &size, f) > 0)
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024;
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

int engine_size_choose(const EngineOptions *o, const Config *c, size_t page_bytes, uint64_t memory, uint32_t *ret_pages,
    uint32_t *ret_context, Error *e) {
    uint32_t trained = c->n_ctx_train;
    uint32_t context = o->context_size > 0 ? MIN(o->context_size, trained) : trained;
    uint64_t context_pages = sequence_pages_for(context);

    if (c->encoder) { /* it keeps nothing: one page, so that there is a pool */
        *ret_pages = 1;
        *ret_context = context;
        return 0;
    }

    uint64_t pages = o->pool_bytes / page_bytes;
    if (o->pool_bytes == 0) {
        /* four of the longest sequences; what is not used is never touched */
        pages = context_pages * 4;
        if (memory > 0)
            pages = MIN(pages, memory / 4 / page_bytes);
    } else if (memory > 0 && o->pool_bytes > memory)
        return error_set(e, -ENOMEM, "a KV pool of %.0f MiB is %.0f MiB more than the memory that is free",
            mib(o->pool_bytes), mib(o->pool_bytes - memory));

    if (o->context_size > 0 && pages < context_pages)
        return error_set(e, -ENOMEM,
            "a context of %u tokens needs a KV pool of %.1f MiB, and there are %.1f MiB for it: %.1f MiB are missing",
            context, mib(context_pages * page_bytes), mib(pages * page_bytes),
            mib((context_pages - pages) * page_bytes));
    if (pages == 0)
        return error_set(e, -ENOMEM, "the KV pool needs at least %zu bytes for this model", page_bytes);

    *ret_pages = (uint32_t)MIN(pages, (uint64_t)UINT32_MAX / KV_PAGE_TOKENS);
    *ret_context = (uint32_t)MIN((uint64_t)context, (uint64_t)*ret_pages * KV_PAGE_TOKENS);
    return 0;
}
