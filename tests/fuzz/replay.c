/* Feeds files, or every file of a folder, to a fuzz target without a fuzzer, so that the corpus is an ordinary test.
 * Each input lies at the end of its own allocation: a sanitizer sees a read of one byte too many. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }

    size_t allocated = 1 << 22;
    uint8_t *whole = malloc(allocated);
    size_t n = whole ? fread(whole, 1, allocated, f) : 0;
    int failed = !whole || ferror(f) || !feof(f);
    fclose(f);
    uint8_t *exact = failed ? NULL : malloc(n > 0 ? n : 1);
    if (exact) {
        memcpy(exact, whole, n);
        LLVMFuzzerTestOneInput(exact, n);
    } else
        fprintf(stderr, "%s: cannot be read\n", path);
    free(exact);
    free(whole);
    return exact ? 0 : -1;
}

static int is_visible(const struct dirent *d) {
    return d->d_name[0] != '.';
}

/* The number of files, -1 if one could not be read. */
static int replay_folder(const char *path) {
    struct dirent **entries;
    int n = scandir(path, &entries, is_visible, alphasort), r = n;
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (replay_file(file) < 0)
            r = -1;
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return r;
}

int main(int argc, char **argv) {
    int n = 0;
    for (int i = 1; i < argc; i++) {
        int r = replay_folder(argv[i]);
        if (r < 0 && errno == ENOTDIR)
            r = replay_file(argv[i]) < 0 ? -1 : 1;
        if (r < 0)
            return EXIT_FAILURE;
        n += r;
    }
    printf("%d inputs\n", n);
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus tests nothing */
}
