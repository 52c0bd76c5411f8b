/* The pass of an encoder: a whole sequence at once, every position seeing every other, pooled into one vector. It needs
 * no KV pool, since nothing is ever continued. Nothing is allocated after encoder_new(). */
#pragma once

#include "engine.h"
#include "model.h"

typedef struct Encoder Encoder;

/* Borrows m, whose config.encoder is true. n_threads 0: as many as the model can use. */
int encoder_new(const Model *m, unsigned n_threads, uint32_t max_tokens, Encoder **ret, Error *e);
Encoder *encoder_free(Encoder *en);
DEFINE_CLEANUP(Encoder *, encoder_free)

/* The embedding of 1 to max_tokens tokens, checked against the vocabulary by the caller: [n_embd], of length 1.
 * -EBADMSG where the model's numbers are not finite. The same tokens give the same bits, whatever the number of threads
 * and whatever was computed before. */
int encoder_run(Encoder *en, const Token *tokens, uint32_t n, float *ret, Error *e);
