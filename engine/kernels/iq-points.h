/* The codebooks of iq-tables.c with their points spelled out, a byte an element, as vector kernels take them: a point
 * is one load. */
#pragma once

#include <stdint.h>

typedef struct IQPoints {
    uint64_t iq2_xxs[256];
    uint64_t iq2_xs[512];
    uint64_t iq2_s[1024];
    uint64_t iq1[2048]; /* 0, 8 or 16: eight times an element, one more so that none is negative */
    uint32_t iq3_xxs[256];
    uint32_t iq3_s[512];
} IQPoints;

extern IQPoints iq_points;

/* Once, before any kernel runs: the packed form is a quarter of the size, and most machines never read these formats.
 */
void iq_points_fill(void);
