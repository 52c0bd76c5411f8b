/* A model split over several GGUF files: the first has the keys, each has some of the tensors, and three keys say how
 * they belong together (split.no, split.count, split.tensors.count, as gguf-split writes them). */
#pragma once

#include "gguf.h"

typedef struct GgufSplit {
    uint32_t no;        /* from 0 */
    uint32_t count;     /* of parts */
    uint32_t n_tensors; /* of all parts together; UINT32_MAX: this part does not say */
} GgufSplit;

/* 1: a part of a split model; 0: a whole model; -EBADMSG: keys that make no sense. */
int gguf_split(const Gguf *g, GgufSplit *ret, Error *e);

/* Gives the first of n parts all tensors of the others, which lose nothing and must outlive it. -EBADMSG names the part
 * that does not belong to the first or the tensor that is there twice. Whatever comes of it, all parts are to be freed.
 */
int gguf_join(Gguf *const *parts, uint32_t n, Error *e);
