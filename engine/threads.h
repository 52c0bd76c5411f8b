/* A fixed crew of threads for the ranges of one step. Everything runs on all of them at once ("single program, many
 * threads"): a step is one threads_run(), inside which threads_barrier() separates its phases and threads_next() deals
 * out the work of a phase. Between steps the crew spins briefly, then sleeps; an idle engine wakes nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

typedef struct Threads Threads;

/* Items of a range, 1 <= least <= most. Ranges begin at multiples of `least` and have at most `most` items, whole
 * `least`s but for the last one of all. */
typedef struct Grain {
    size_t most, least;
} Grain;

/* How many threads are of use for steps that read so many bytes of weights: at most one per physical core. */
unsigned threads_for(uint64_t bytes);

/* n >= 1 threads, the caller of threads_run() among them. */
int threads_new(unsigned n, Threads **ret, Error *e);
Threads *threads_free(Threads *t);
DEFINE_CLEANUP(Threads *, threads_free)
unsigned threads_count(const Threads *t);

/* Calls fn(userdata, i) for i < threads_count(), the caller's own thread being 0; returns when all are done. One caller
 * at a time. */
void threads_run(Threads *t, void (*fn)(void *userdata, unsigned i), void *userdata);

/* Inside fn: waits until all threads have come here; what each wrote before is then visible to all. */
void threads_barrier(Threads *t);
/* Inside fn: claims the next `grain` of the n items of this phase for this thread. False when all are taken. A phase
 * ends at the next barrier; all its calls must agree on n and grain. */
bool threads_next(Threads *t, size_t n, size_t grain, size_t *ret_begin, size_t *ret_end);
/* The same, except that each thread goes through a share of its own from front to back, and when that is used up takes
 * from the back of the others': for work that goes faster where it follows on what the thread did last. Ranges have
 * grain.most items, and towards the end of a share grain.least, so that nobody waits long for whoever took the last. */
bool threads_next_near(Threads *t, size_t n, Grain grain, size_t *ret_begin, size_t *ret_end);
