/* Holds the tokenizers against recorded answers: golden-tokenizers [FOLDER]. In the folder each vocabulary has a folder
 * with vocab.gguf and cases.jsonl, an object a line: text, add_special, parse_special, and what must come of them: ids
 * (or alt_ids) and detok. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tokenizer/tokenizer.h"

#define EXIT_SKIP 77

typedef struct Counts {
    unsigned passed, failed, skipped;
} Counts;

static bool equals(const TokenArray *tokens, const json_t *ids) {
    if (!json_is_array(ids) || json_array_size(ids) != tokens->n)
        return false;
    for (size_t i = 0; i < tokens->n; i++)
        if (json_integer_value(json_array_get(ids, i)) != tokens->items[i])
            return false;
    return true;
}

static void print_text(FILE *out, const char *s, size_t n) {
    json_t *text = json_stringn_nocheck(s, MIN(n, (size_t)60));
    char *dump = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    fprintf(out, " %s", dump ? dump : "(not UTF-8)");
    free(dump);
    json_decref(text);
}

static void print_ids(FILE *out, const Tokenizer *t, const char *label, const Token *ids, size_t n) {
    fprintf(out, "\n      %s", label);
    for (size_t i = 0; i < MIN(n, (size_t)40); i++) {
        size_t size;
        const char *piece = tokenizer_piece(t, ids[i], true, &size);
        fprintf(out, " %u", ids[i]);
        print_text(out, piece, size);
    }
}

static void print_difference(FILE *out, const Tokenizer *t, const TokenArray *got, const json_t *ids) {
    size_t n = json_array_size(ids);
    Token *wanted = calloc(n + 1, sizeof(*wanted));
    for (size_t i = 0; wanted && i < n; i++)
        wanted[i] = (Token)json_integer_value(json_array_get(ids, i));
    size_t same = 0;
    while (wanted && same < n && same < got->n && wanted[same] == got->items[same])
        same++;
    if (wanted) {
        fprintf(out, "\n      equal up to token %zu", same);
        print_ids(out, t, "wanted", wanted + same, n - same);
        print_ids(out, t, "got   ", got->items + same, got->n - same);
    }
    free(wanted);
}

/* Writes what is wrong to out. */
static bool check(const Tokenizer *t, const json_t *c, FILE *out) {
    const json_t *text = json_object_get(c, "text"), *ids = json_object_get(c, "ids");
    const json_t *detok = json_object_get(c, "detok");
    if (!json_is_string(text) || !json_is_array(ids) || !json_is_string(detok)) {
        fprintf(out, ": not a case");
        return false;
    }

    TextSpan span = {.text = json_string_value(text),
        .size = json_string_length(text),
        .trusted = json_is_true(json_object_get(c, "parse_special"))};
    TokenArray tokens;
    Error e;
    if (tokenizer_encode(t, &span, 1, json_is_true(json_object_get(c, "add_special")), &tokens, &e) < 0) {
        fprintf(out, ": %s", e.message);
        return false;
    }
    bool right = equals(&tokens, ids) || equals(&tokens, json_object_get(c, "alt_ids"));
    if (!right)
        print_difference(out, t, &tokens, ids);
    token_array_done(&tokens);
    if (!right)
        return false;

    /* detok is what the recorded ids give, which may not be the ids that we gave */
    size_t n = json_array_size(ids), size = 0;
    Token *items = calloc(n + 1, sizeof(*items));
    char *decoded = NULL;
    bool known = items;
    for (size_t i = 0; items && i < n; i++) {
        items[i] = (Token)json_integer_value(json_array_get(ids, i));
        known = known && items[i] < tokenizer_n_vocab(t);
    }
    right = known && tokenizer_decode(t, items, n, true, &decoded, &size) >= 0 && size == json_string_length(detok) &&
            memcmp(decoded, json_string_value(detok), size) == 0;
    if (!right) {
        fprintf(out, "\n      decoded");
        print_text(out, decoded ? decoded : "", size);
    }
    free(decoded);
    free(items);
    return right;
}

static void run_cases(const Tokenizer *t, const char *name, const char *path, Counts *counts) {
    FILE *f = fopen(path, "re");
    if (!f) {
        printf("fail  %s: %s: %s\n", name, path, strerror(errno));
        counts->failed++;
        return;
    }
    char *line = NULL;
    size_t allocated = 0;
    ssize_t n;
    for (unsigned i = 1; (n = getline(&line, &allocated, f)) > 0; i++) {
        json_t *c = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        char *details = NULL;
        size_t size;
        FILE *out = open_memstream(&details, &size);
        bool right = out && check(t, c, out);
        if (out)
            fclose(out);
        printf("%s  %s %u%s\n", right ? "pass" : "fail", name, i, right || !details ? "" : details);
        free(details);
        json_decref(c);
        counts->passed += right;
        counts->failed += !right;
    }
    free(line);
    fclose(f);
}

/* Maps a vocabulary and reads it. */
static int load(const char *path, Tokenizer **ret, Error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = error_set(e, -errno, "%s: %s", path, strerror(errno));
        closep(&fd);
        return r;
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return error_set(e, -errno, "%s: %s", path, strerror(errno));

    Gguf *g = NULL;
    int r = gguf_parse(bytes, (size_t)st.st_size, false, &g, e);
    if (r >= 0)
        r = tokenizer_new(g, ret, e);
    gguf_free(g);
    munmap(bytes, (size_t)st.st_size);
    return r;
}

static void run_vocabulary(const char *folder, const char *name, Counts *counts) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s/vocab.gguf", folder, name);
    Tokenizer *t = NULL;
    Error e = {};
    int r = load(path, &t, &e);
    if (r == -EOPNOTSUPP) {
        printf("skip  %s: %s\n", name, e.message);
        counts->skipped++;
    } else if (r < 0) {
        printf("fail  %s: %s\n", name, e.message);
        counts->failed++;
    } else {
        snprintf(path, sizeof(path), "%s/%s/cases.jsonl", folder, name);
        run_cases(t, name, path, counts);
    }
    tokenizer_free(t);
}

static int is_vocabulary(const struct dirent *d) {
    return d->d_name[0] != '.' && d->d_type != DT_REG;
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : DEFAULT_FOLDER;
    struct dirent **entries;
    int n = scandir(folder, &entries, is_vocabulary, alphasort);
    if (n < 0 && argc == 1) {
        printf("there are no goldens in %s: give another folder as argument\n", folder);
        return EXIT_SKIP;
    }
    if (n < 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return EXIT_FAILURE;
    }

    Counts counts = {};
    for (int i = 0; i < n; i++) {
        run_vocabulary(folder, entries[i]->d_name, &counts);
        free(entries[i]);
    }
    free(entries);
    printf("%u passed, %u failed, %u skipped\n", counts.passed, counts.failed, counts.skipped);
    return counts.failed == 0 && counts.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
