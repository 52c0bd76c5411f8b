/* What this CPU can execute, and what the kernel lets us use of it. */
#pragma once

#include <stdint.h>

enum {
    CPU_AVX2 = 1u << 0,   /* with FMA and F16C, and YMM state saved */
    CPU_AVX512 = 1u << 1, /* F, BW, VL, DQ, and ZMM state saved */
    CPU_AVX512VNNI = 1u << 2,
    CPU_AVXVNNI = 1u << 3,
    CPU_NEON = 1u << 4,
    CPU_DOTPROD = 1u << 5,
};

/* Asks the CPU each time; the caller keeps the answer. */
uint32_t cpu_features(void);
/* Physical cores among those that this thread may run on, at least 1. */
unsigned cpu_physical_cores(void);
