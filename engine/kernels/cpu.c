/* CPUID and XGETBV on x86, the auxiliary vector on ARM. Support by the CPU alone is not enough: an operating system
 * that does not save a register file on a context switch must not see it used. */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"
#include "macros.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t xgetbv0(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t cpu_features(void) {
    uint32_t a, b, c, d, features = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    bool fma_f16c = (c & bit_FMA) && (c & bit_F16C);
    uint64_t state = xgetbv0();
    bool ymm = (state & 0x06) == 0x06, zmm = (state & 0xE6) == 0xE6;

    if (!ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !fma_f16c || !(b & bit_AVX2))
        return 0;
    features |= CPU_AVX2;
    if (zmm && (b & bit_AVX512F) && (b & bit_AVX512BW) && (b & bit_AVX512VL) && (b & bit_AVX512DQ)) {
        features |= CPU_AVX512;
        if (c & bit_AVX512VNNI)
            features |= CPU_AVX512VNNI;
    }
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4))
        features |= CPU_AVXVNNI;
    return features;
}

#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

uint32_t cpu_features(void) {
    unsigned long hwcap = getauxval(AT_HWCAP);
    return (hwcap & HWCAP_ASIMD ? CPU_NEON : 0) | (hwcap & HWCAP_ASIMDDP ? CPU_DOTPROD : 0);
}

#else

uint32_t cpu_features(void) {
    return 0;
}

#endif

/* The first CPU of the core that `cpu` is a thread of; `cpu` itself if the kernel does not say. */
static unsigned first_sibling(unsigned cpu) {
    char path[96];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (!f)
        return cpu;
    unsigned first;
    if (fscanf(f, "%u", &first) != 1)
        first = cpu;
    fclose(f);
    return first;
}

unsigned cpu_physical_cores(void) {
    cpu_set_t allowed, cores;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return 1;

    CPU_ZERO(&cores);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            unsigned first = first_sibling(cpu);
            if (first < CPU_SETSIZE)
                CPU_SET(first, &cores);
        }
    return (unsigned)MAX(CPU_COUNT(&cores), 1);
}
