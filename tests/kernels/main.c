/* kernels [--quick] [TIER]: checks every slot of every tier that this CPU has (or of one) against the scalar oracle. A
 * line per tier, `N passed, N failed` last.
 * kernels --bench [TIER [TYPE]]: measures them, or the products of one type of weights. */
#include <stdio.h>
#include <string.h>

#include "checks.h"

static int check(const Kernels *k, const Kernels *oracle, bool quick) {
    static const struct {
        const char *name;
        int (*run)(const Kernels *k, const Kernels *oracle, bool quick);
    } checks[] = {
        {"dequantize", check_dequantize},
        {"matmul", check_matmul},
        {"vectors", check_vectors},
        {"attention", check_attention},
    };
    int failed = 0;
    for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
        int n = checks[i].run(k, oracle, quick);
        printf("%s %s: %s\n", k->name, checks[i].name, n == 0 ? "ok" : "FAILED");
        failed += n != 0;
    }
    return failed;
}

static bool known_tier(const char *name) {
    for (size_t i = 0; i < kernels_n_tiers(); i++)
        if (strcmp(kernels_tier_name(i), name) == 0)
            return true;
    return false;
}

static bool known_type(const char *name) {
    for (uint32_t type = 0; type < TENSOR_TYPE_COUNT; type++)
        if (kernels_tier(0)->matmul[type] && strcmp(quant_traits(type)->name, name) == 0)
            return true;
    return false;
}

static int refuse(const char *what, const char *name) {
    fprintf(stderr, "kernels: %s: %s\nusage: kernels [--quick] [TIER], or kernels --bench [TIER [TYPE]]\n", name, what);
    return 2;
}

int main(int argc, char **argv) {
    bool benchmark = false, quick = false;
    const char *only = NULL, *type = NULL;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--bench") == 0)
            benchmark = true;
        else if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (!only && known_tier(argv[i]))
            only = argv[i];
        else if (only && benchmark && !type && known_type(argv[i]))
            type = argv[i];
        else
            return refuse(only ? "no type of weights to measure" : "no tier of kernels", argv[i]);

    int passed = 0, failed = 0;
    for (size_t i = 0; i < kernels_n_tiers(); i++) {
        const char *name = kernels_tier_name(i);
        const Kernels *k = kernels_tier(i);
        if (only && strcmp(only, name) != 0)
            continue;
        if (!k) {
            printf("%s: this CPU lacks it, skipped\n", name);
            continue;
        }
        if (benchmark) {
            bench(k, type);
            continue;
        }
        int n = check(k, kernels_tier(0), quick);
        failed += n;
        passed += 4 - n;
    }
    if (benchmark)
        return 0;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 ? 1 : passed > 0 ? 0 : 77;
}
