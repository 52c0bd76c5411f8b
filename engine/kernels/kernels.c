/* Detects the CPU once and fills one table per tier, each on top of the one below. Adding a tier is one file and one
 * line here. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "iq-points.h"
#include "kernels.h"

static const struct {
    const char *name;
    uint32_t needs;
    void (*fill)(Kernels *k);
} tiers[] = {
    {"scalar", 0, kernels_fill_scalar},
#if defined(__x86_64__)
    {"avx2", CPU_AVX2, kernels_fill_avx2},
    {"avxvnni", CPU_AVX2 | CPU_AVXVNNI, kernels_fill_avxvnni},
    {"avx512", CPU_AVX512, kernels_fill_avx512},
    {"avx512vnni", CPU_AVX512VNNI, kernels_fill_avx512vnni},
#elif defined(__aarch64__)
    {"neon", CPU_NEON, kernels_fill_neon},
    {"neon-dotprod", CPU_NEON | CPU_DOTPROD, kernels_fill_neon_dotprod},
#endif
};

static Kernels tables[ELEMENTSOF(tiers)];
static bool usable[ELEMENTSOF(tiers)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void) {
    uint32_t features = cpu_features();
    Kernels k = {};
    iq_points_fill();
    for (size_t i = 0; i < ELEMENTSOF(tiers); i++) {
        if ((features & tiers[i].needs) != tiers[i].needs)
            continue;
        tiers[i].fill(&k);
        k.name = tiers[i].name;
        tables[i] = k;
        usable[i] = true;
    }
}

size_t kernels_n_tiers(void) {
    return ELEMENTSOF(tiers);
}

const char *kernels_tier_name(size_t i) {
    return tiers[i].name;
}

const Kernels *kernels_tier(size_t i) {
    pthread_once(&once, fill_tables);
    return usable[i] ? &tables[i] : NULL;
}

int kernels_select(const Kernels **ret, Error *e) {
    size_t n = ELEMENTSOF(tiers);
    const char *max = getenv("INFERD_KERNELS_MAX");
    if (max) {
        for (n = 0; n < ELEMENTSOF(tiers) && strcmp(tiers[n].name, max) != 0; n++)
            ;
        if (n == ELEMENTSOF(tiers))
            return error_set(e, -EINVAL, "INFERD_KERNELS_MAX=%s names no set of kernels of this build", max);
        n++;
    }
    while (!kernels_tier(n - 1))
        n--;
    *ret = kernels_tier(n - 1);
    return 0;
}
