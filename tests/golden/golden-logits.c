/* Holds the engine against recorded logits: for every model of a folder the prompt's token ids, the logits after each
 * position, the greedy continuation and, for quantised files, the dequantised weights.
 *
 *   golden-logits [DIR]    DIR/index.json as the shared goldens have it
 *
 * One line per model, `N passed, N failed, N skipped` last. Models of an architecture or a weight type that the engine
 * does not have are skipped and named. Each model is also computed in other ways that must not change a bit: its prompt
 * in chunks, in a batch with another sequence, on two threads. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "forward.h"
#include "sha256.h"

#define MAX_NMSE   1e-6 /* of float32 files; quantised ones bring their own */
#define MIN_MARGIN 0.01 /* two logits closer than this may change places by rounding */
#define DEVIATIONS 5    /* of the error that a quantised file allows: so far apart must two logits be there */
#define MAX_ROWS   128u
#define CONTEXT    1024 /* positions that the recorded logits were computed for; longrope chooses its factors by it */
#define EXIT_SKIP  77   /* as meson understands it */

typedef struct Case {
    const char *folder, *name;
    const json_t *entry;
    Model *model;  /* owned */
    Token *tokens; /* owned, [n_tokens]: the prompt, and all of the continuation but its last token */
    size_t n_tokens;
    size_t n_prompt;
    float *logits; /* owned, [n_tokens][n_vocab], ours */
    double nmse;
    double margin; /* between the best two logits, above which the greedy token must be the same */
    bool failed;
} Case;

static void case_fail(Case *c, const char *format, ...) _printf_(2, 3);
static void case_fail(Case *c, const char *format, ...) {
    va_list ap;
    printf("FAIL  %s: ", c->name);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    c->failed = true;
}

static void case_done(Case *c) {
    model_unref(c->model);
    free(c->tokens);
    free(c->logits);
}

/* ------------------------------------------------------------------------------------------------ golden files */

static const char *entry_string(const json_t *entry, const char *key) {
    const char *s = json_string_value(json_object_get(entry, key));
    return s ?: "";
}

/* Exactly n floats; NULL and a failed case otherwise. */
static float *read_floats(Case *c, const char *file, size_t n) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", c->folder, file);
    FILE *f = fopen(path, "re");
    float *v = f ? malloc((n + 1) * sizeof(float)) : NULL;
    size_t got = v ? fread(v, sizeof(float), n + 1, f) : 0;
    if (f)
        fclose(f);
    if (v && got == n)
        return v;
    case_fail(c, "%s: has not the %zu numbers expected", path, n);
    free(v);
    return NULL;
}

/* Our tokenizer makes the same ids of the prompt. */
static void check_tokens(Case *c) {
    const char *prompt = entry_string(c->entry, "prompt");
    TextSpan span = {.text = prompt, .size = strlen(prompt)};
    TokenArray tokens = {};
    Error e = {};
    if (model_tokenize(c->model, &span, 1, true, &tokens, &e) < 0)
        case_fail(c, "%s", e.message);
    else if (tokens.n != c->n_prompt || memcmp(tokens.items, c->tokens, tokens.n * sizeof(Token)) != 0)
        case_fail(c, "the prompt's %zu token ids are not the %zu that they must be", tokens.n, c->n_prompt);
    token_array_done(&tokens);
}

static bool read_tokens(Case *c) {
    const json_t *prompt = json_object_get(c->entry, "tokens"), *greedy = json_object_get(c->entry, "greedy");
    c->n_prompt = json_array_size(prompt);
    size_t n_greedy = json_array_size(greedy);
    if (c->n_prompt == 0 || n_greedy == 0) {
        case_fail(c, "index.json has no tokens for it");
        return false;
    }

    c->n_tokens = c->n_prompt + n_greedy - 1;
    c->tokens = calloc(c->n_tokens, sizeof(Token));
    for (size_t i = 0; i < c->n_tokens; i++) {
        const json_t *id = json_array_get(i < c->n_prompt ? prompt : greedy, i < c->n_prompt ? i : i - c->n_prompt);
        c->tokens[i] = (Token)json_integer_value(id);
        if (c->tokens[i] >= c->model->config.n_vocab) {
            case_fail(c, "index.json has the token %u, the vocabulary only %u", c->tokens[i], c->model->config.n_vocab);
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ computing */

/* A way to compute the same thing. */
typedef struct Plan {
    const char *name;
    unsigned n_threads;
    uint32_t chunks[4]; /* sizes, again and again; 0 ends the list */
    bool with_other;    /* every step also carries tokens of another sequence */
} Plan;

static const Plan plans[] = {
    {"in one piece", 1, {MAX_ROWS}},
    {"on two threads", 2, {MAX_ROWS}},
    {"token by token", 1, {1}},
    {"in uneven chunks on two threads", 2, {7, 1, 30, 2}},
    {"beside another sequence", 1, {5, 1, 16}, .with_other = true},
    {"beside another sequence on two threads", 2, {40}, .with_other = true},
};

/* The other sequence: the same tokens backwards, three at a time, from the start again when it ends. */
static BatchRun other_run(const Case *c, const Token *backwards, const uint32_t *pages, uint32_t step) {
    uint32_t per_round = (uint32_t)c->n_tokens / 3, position = step % per_round * 3;
    return (BatchRun){
        .pages = pages, .tokens = backwards + position, .n_tokens = 3, .position = position, .n_logits = 1};
}

/* Runs all tokens; logits of every position to out[n_tokens][n_vocab]. */
static void run_steps(const Case *c, const Plan *p, Forward *f, uint8_t *pool, const Token *backwards, float *out) {
    uint32_t n_pages = MAX_ROWS / KV_PAGE_TOKENS + 1, n_vocab = c->model->config.n_vocab;
    uint32_t pages[2][MAX_ROWS / KV_PAGE_TOKENS + 1];
    for (uint32_t i = 0; i < n_pages; i++) { /* in no order that a pool would hand them out in */
        pages[0][i] = 2 * (n_pages - 1 - i);
        pages[1][i] = 2 * i + 1;
    }

    uint32_t position = 0;
    for (uint32_t step = 0, chunk = 0; position < c->n_tokens; step++, chunk++) {
        if (chunk == ELEMENTSOF(p->chunks) || p->chunks[chunk] == 0)
            chunk = 0;
        uint32_t n = MIN(p->chunks[chunk], (uint32_t)c->n_tokens - position);
        BatchRun runs[2];
        size_t n_runs = 0, mine = 0;
        if (p->with_other && step % 2 == 0)
            runs[n_runs++] = other_run(c, backwards, pages[1], step);
        mine = n_runs;
        runs[n_runs++] = (BatchRun){
            .pages = pages[0], .tokens = c->tokens + position, .n_tokens = n, .position = position, .n_logits = n};
        if (p->with_other && step % 2 == 1)
            runs[n_runs++] = other_run(c, backwards, pages[1], step);

        float *logits;
        forward_step(f, pool, runs, n_runs, &logits);
        memcpy(out + (size_t)position * n_vocab, logits + mine * n_vocab, (size_t)n * n_vocab * sizeof(float));
        position += n;
    }
}

/* NULL and a failed case when the engine refuses. */
static float *compute(Case *c, const Plan *p) {
    ForwardOptions options = {.n_threads = p->n_threads,
        .max_rows = MAX_ROWS + 3,
        .max_logits = MAX_ROWS + 3,
        .max_context = CONTEXT,
        .kv_type = ENGINE_KV_F32};
    _cleanup_(forward_freep) Forward *f = NULL;
    Error e = {};
    if (c->n_tokens > MAX_ROWS) {
        case_fail(c, "index.json has %zu tokens for it, at most %u can be tried", c->n_tokens, MAX_ROWS);
        return NULL;
    }
    if (forward_new(c->model, &options, &f, &e) < 0) {
        case_fail(c, "%s", e.message);
        return NULL;
    }

    KvLayout layout = {};
    (void)kv_layout(&c->model->config, ENGINE_KV_F32, &layout, NULL); /* floats fit every head */
    size_t pool_bytes = layout.page_bytes * 2 * (MAX_ROWS / KV_PAGE_TOKENS + 1);
    _cleanup_(freep) uint8_t *pool = aligned_alloc(64, pool_bytes);
    _cleanup_(freep) Token *backwards = malloc(c->n_tokens * sizeof(Token));
    float *out = malloc(c->n_tokens * c->model->config.n_vocab * sizeof(float));
    if (!pool || !backwards || !out) {
        case_fail(c, "out of memory");
        free(out);
        return NULL;
    }
    memset(pool, 0x7F, pool_bytes); /* numbers that would be seen if they were read */
    for (size_t i = 0; i < c->n_tokens; i++)
        backwards[i] = c->tokens[c->n_tokens - 1 - i];
    run_steps(c, p, f, pool, backwards, out);
    return out;
}

/* ------------------------------------------------------------------------------------------------ checks */

static void check_logits(Case *c) {
    size_t n_vocab = c->model->config.n_vocab, n = c->n_prompt * n_vocab;
    _cleanup_(freep) float *golden = read_floats(c, entry_string(c->entry, "logits"), n);
    if (!golden)
        return;

    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)c->logits[i] - golden[i]) * ((double)c->logits[i] - golden[i]);
        norm += (double)golden[i] * golden[i];
    }
    c->nmse = error / norm;
    const json_t *peer = json_object_get(c->entry, "reference_engine_nmse");
    double limit = peer ? json_number_value(peer) : MAX_NMSE;
    if (!(c->nmse <= limit))
        case_fail(c, "NMSE of the logits is %.3g, must not be above %.3g", c->nmse, limit);
    c->margin = fmax(MIN_MARGIN, peer ? DEVIATIONS * sqrt(limit * norm / (double)n) : 0);
}

static size_t argmax(const float *v, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

static void check_greedy(Case *c) {
    const json_t *greedy = json_object_get(c->entry, "greedy"), *margins = json_object_get(c->entry, "greedy_margin");
    size_t n_vocab = c->model->config.n_vocab;
    for (size_t i = 0; i < json_array_size(greedy); i++) {
        size_t wanted = (size_t)json_integer_value(json_array_get(greedy, i));
        size_t token = argmax(c->logits + (c->n_prompt - 1 + i) * n_vocab, n_vocab);
        if (token != wanted && json_number_value(json_array_get(margins, i)) > c->margin)
            case_fail(c, "greedy token %zu is %zu, must be %zu", i, token, wanted);
    }
}

static void check_dequantisation(Case *c) {
    const json_t *d = json_object_get(c->entry, "dequant");
    if (!d)
        return;
    const char *name = entry_string(d, "tensor");
    const GgufTensor *t = gguf_find_tensor(c->model->gguf, name);
    if (!t) {
        case_fail(c, "tensor %s is missing", name);
        return;
    }

    size_t n = t->ne[0] * t->ne[1], n_first = t->ne[0] * (size_t)json_integer_value(json_object_get(d, "rows"));
    _cleanup_(freep) float *ours = malloc(n * sizeof(float));
    _cleanup_(freep) float *golden = read_floats(c, entry_string(d, "file"), n_first);
    if (!ours || !golden || n_first > n)
        return;
    quant_traits(t->type)->dequantize(t->data, ours, n);
    char digest[65];
    sha256_hex(ours, n * sizeof(float), digest);
    if (memcmp(ours, golden, n_first * sizeof(float)) != 0)
        case_fail(c, "the first rows of %s are not dequantised to the bit", name);
    else if (strcmp(digest, entry_string(d, "sha256_all_rows")) != 0)
        case_fail(c, "later rows of %s are not dequantised to the bit", name);
}

static void check_other_ways(Case *c) {
    size_t bytes = c->n_tokens * c->model->config.n_vocab * sizeof(float);
    for (size_t i = 1; i < ELEMENTSOF(plans) && !c->failed; i++) {
        _cleanup_(freep) float *other = compute(c, &plans[i]);
        if (other && memcmp(other, c->logits, bytes) != 0)
            case_fail(c, "computed %s the logits have other bits than %s", plans[i].name, plans[0].name);
    }
}

/* ------------------------------------------------------------------------------------------------ the folder */

typedef struct Counts {
    unsigned passed, failed, skipped;
} Counts;

static void run_checks(Case *c) {
    if (c->model->config.n_vocab != json_integer_value(json_object_get(c->entry, "n_vocab"))) {
        case_fail(c, "its vocabulary has %u tokens", c->model->config.n_vocab);
        return;
    }
    check_dequantisation(c);
    if (!read_tokens(c))
        return;
    check_tokens(c);
    c->logits = compute(c, &plans[0]);
    if (!c->logits)
        return;
    check_logits(c);
    check_greedy(c);
    check_other_ways(c);
}

static void run_case(const char *folder, const json_t *entry, Counts *counts) {
    Case c = {.folder = folder, .name = entry_string(entry, "model"), .entry = entry};
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, c.name);
    Error e = {};
    int r = model_load(path, &c.model, &e);
    if (r == -EOPNOTSUPP) {
        printf("skip  %s: %s\n", c.name, e.message);
        counts->skipped++;
        return;
    }
    if (r < 0)
        case_fail(&c, "%s", e.message);
    else
        run_checks(&c);
    if (!c.failed)
        printf("pass  %s: NMSE %.2g\n", c.name, c.nmse);
    counts->passed += !c.failed;
    counts->failed += c.failed;
    case_done(&c);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : DEFAULT_FOLDER;
    char path[4096];
    snprintf(path, sizeof(path), "%s/index.json", folder);
    if (argc == 1 && access(path, F_OK) < 0) {
        printf("there are no goldens in %s: give another folder as argument\n", folder);
        return EXIT_SKIP;
    }

    json_error_t error;
    json_t *index = json_load_file(path, 0, &error);
    if (!json_is_array(index)) {
        fprintf(stderr, "%s: %s\n", path, index ? "not a list of models" : error.text);
        json_decref(index);
        return EXIT_FAILURE;
    }
    Counts counts = {};
    size_t i;
    json_t *entry;
    json_array_foreach(index, i, entry) run_case(folder, entry, &counts);
    json_decref(index);

    printf("%u passed, %u failed, %u skipped\n", counts.passed, counts.failed, counts.skipped);
    return counts.failed == 0 && counts.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
