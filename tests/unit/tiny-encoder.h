/* Encoders of a few thousand random weights, as files. */
#pragma once

#include <stdbool.h>

#include "gguf-builder.h"

#define TINY_ENCODER_LAYERS  2u
#define TINY_ENCODER_EMBD    24u
#define TINY_ENCODER_FF      44u
#define TINY_ENCODER_HEADS   4u
#define TINY_ENCODER_CONTEXT 64u
#define TINY_ENCODER_VOCAB   14u
#define TINY_ENCODER_EPS     1e-5f
#define TINY_ENCODER_BASE    1000.0f

typedef struct TinyEncoderOptions {
    bool nomic;
    uint32_t pooling; /* 0: the file does not say */
    bool causal;
} TinyEncoderOptions;

/* Everything but builder_finish(). */
void tiny_encoder_build(GgufBuilder *b, const TinyEncoderOptions *o);
