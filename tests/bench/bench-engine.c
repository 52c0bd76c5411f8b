/* bench-engine --model FILE [--threads N] [--prompt P] [--gen G] [--parallel S] [--context C] [--kv f16|f32|q8_0]
 *              [--repeat R] [--peer LLAMA-BENCH]... [--peer-flags "..."]
 *
 * Times the forward pass alone: a prompt of P tokens from an empty context, and G tokens decoded by each of S sequences
 * at once after a context of C tokens (P unless given). Prints CSV, every result as a share of the machine's floor:
 * decoding reads each weight once a step, a prompt multiplies and adds each weight once a token.
 *
 * Machines are shared and change their speed from one minute to the next, so each of R rounds measures the floor, us
 * and every peer, in turn and beginning with another each time; shares and ratios are taken within a round and their
 * median is printed. Never fails on a time. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "floors.h"
#include "forward.h"
#include "kernels/kernels.h"
#include "kv-pool.h"
#include "peer.h"

#define CHUNK      256u
#define MAX_RUNS   64
#define MAX_ROUNDS 64
#define MAX_PEERS  4

typedef struct Options {
    const char *model, *peer_flags;
    unsigned threads, prompt, gen, parallel, repeat, context;
    EngineKvType kv;
    Peer peers[MAX_PEERS];
    unsigned n_peers;
} Options;

typedef struct Bench {
    Options options;
    Model *model;
    Forward *forward;
    const Kernels *kernels;
    KvPool *pool;
    uint32_t **pages; /* [parallel] */
    Token *tokens;    /* [most positions of a sequence] */
    uint32_t n_tokens;
} Bench;

/* One thing measured: tokens a second in each round, by us (0) and the peers, and what the floor allowed then. */
typedef struct Results {
    double speed[1 + MAX_PEERS][MAX_ROUNDS];
    double floor[MAX_ROUNDS];
} Results;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts them. */
static double median(double *values, size_t n) {
    qsort(values, n, sizeof(*values), compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void read_tokens(Bench *b, unsigned n_tokens) {
    float *logits;
    for (unsigned i = 0; i < n_tokens; i += CHUNK) {
        uint32_t n = MIN(CHUNK, n_tokens - i);
        BatchRun run = {
            .pages = b->pages[0], .tokens = b->tokens + i, .n_tokens = n, .position = i, .n_logits = i + n == n_tokens};
        forward_step(b->forward, kv_pool_arena(b->pool), &run, 1, &logits);
    }
}

/* Tokens a second. */
static double read_prompt(Bench *b) {
    double started = now();
    read_tokens(b, b->options.prompt);
    return b->options.prompt / (now() - started);
}

/* Tokens a second, all sequences together. */
static double decode(Bench *b, unsigned gen) {
    BatchRun runs[MAX_RUNS];
    float *logits;
    double started = now();
    for (unsigned i = 0; i < gen; i++) {
        for (unsigned s = 0; s < b->options.parallel; s++)
            runs[s] = (BatchRun){.pages = b->pages[s],
                .tokens = b->tokens + i,
                .n_tokens = 1,
                .position = b->options.context + i,
                .n_logits = 1};
        forward_step(b->forward, kv_pool_arena(b->pool), runs, b->options.parallel, &logits);
    }
    return gen * b->options.parallel / (now() - started);
}

static int bench_init(Bench *b, Error *e) {
    const Options *o = &b->options;
    int r = model_load(o->model, &b->model, e);
    if (r < 0 || (r = kernels_select(&b->kernels, e)) < 0)
        return r;
    b->n_tokens = MAX(o->prompt, o->context + o->gen + 1);
    ForwardOptions options = {.n_threads = o->threads,
        .max_rows = MAX(CHUNK, o->parallel),
        .max_logits = o->parallel,
        .max_context = b->n_tokens,
        .kv_type = o->kv};
    r = forward_new(b->model, &options, &b->forward, e);
    if (r < 0)
        return r;

    uint32_t per_sequence = (b->n_tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    KvLayout layout = {};
    (void)kv_layout(&b->model->config, o->kv, &layout, NULL); /* forward_new() has taken it */
    r = kv_pool_new(per_sequence * o->parallel, layout.page_bytes, &b->pool, e);
    if (r < 0)
        return r;
    b->pages = calloc(o->parallel, sizeof(*b->pages));
    b->tokens = calloc(b->n_tokens, sizeof(*b->tokens));
    if (!b->pages || !b->tokens)
        return error_set(e, -1, "out of memory");
    /* The context is made up: small numbers, whatever the type of the rows. Decoding after them takes as long as after
     * those of a text, and nobody has to wait until 32,768 tokens are read. */
    uint16_t *rows = (uint16_t *)kv_pool_arena(b->pool);
    for (size_t i = 0; i < layout.page_bytes * per_sequence * o->parallel / sizeof(*rows); i++)
        rows[i] = 0x2C01 + i % 64;
    for (unsigned s = 0; s < o->parallel; s++) {
        b->pages[s] = calloc(per_sequence, sizeof(**b->pages));
        for (uint32_t i = 0; b->pages[s] && i < per_sequence; i++)
            b->pages[s][i] = s * per_sequence + i;
    }
    for (unsigned i = 0; i < b->n_tokens; i++)
        b->tokens[i] = (i * 7919u + 13) % MIN(b->model->config.n_vocab, 20000u);
    return 0;
}

static void bench_done(Bench *b) {
    forward_free(b->forward);
    model_unref(b->model);
    for (unsigned s = 0; b->pages && s < b->options.parallel; s++)
        free(b->pages[s]);
    free(b->pages);
    kv_pool_free(b->pool);
    free(b->tokens);
}

/* ------------------------------------------------------------------------------------------------ floors */

/* What a step must read, and a token of a prompt compute, at least: the matrices of the layers, of which the embedding
 * is none; the output is read for every token decoded, but computed for the last of a prompt only. */
typedef struct Work {
    double decode_bytes;
    double byte_operations, float_operations; /* by what the kernels multiply, words being counted as floats */
} Work;

static void add_matrix(Work *w, const Kernels *k, const Tensor *t, double share, bool prompt) {
    double rows = (double)t->ne[1] * (double)MAX(t->ne[2], 1u) * share;
    w->decode_bytes += (double)t->row_bytes * rows;
    if (prompt)
        *(act_is_q8(k->act[t->type]) ? &w->byte_operations : &w->float_operations) += 2 * (double)t->ne[0] * rows;
}

static bool is_experts(const LayerWeights *l, const Tensor *t) {
    return t == &l->experts_gate || t == &l->experts_up || t == &l->experts_down;
}

/* Of the experts those that one token uses: several sequences use more between them, which this does not know. */
static Work count_work(const Model *m, const Kernels *k) {
    Work w = {};
    const ExpertConfig *x = &m->config.experts;
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const LayerWeights *l = &m->weights.layers[i];
        const Tensor *tensors = (const Tensor *)l;
        for (size_t j = 0; j < sizeof(*l) / sizeof(Tensor); j++)
            if (tensors[j].data && tensors[j].n_dims > 1)
                add_matrix(&w, k, &tensors[j], is_experts(l, &tensors[j]) ? (double)x->n_used / x->n : 1, true);
    }
    add_matrix(&w, k, &m->weights.output, 1, false);
    return w;
}

static double decode_floor(const Bench *b, const Work *w) {
    return b->options.parallel * floor_read_bandwidth(b->options.threads) / w->decode_bytes;
}

static double prompt_floor(const Bench *b, const Work *w) {
    double seconds = 0;
    if (w->byte_operations > 0)
        seconds += w->byte_operations / floor_int8_rate(b->options.threads, b->kernels->name);
    if (w->float_operations > 0)
        seconds += w->float_operations / floor_fma_rate(b->options.threads, b->kernels->name);
    return 1 / seconds;
}

/* ------------------------------------------------------------------------------------------------ rounds */

static void print_side(const Bench *b, const char *what, const Results *r, unsigned side) {
    const Options *o = &b->options;
    bool prompt = strcmp(what, "prompt") == 0;
    double speed[MAX_ROUNDS], share[MAX_ROUNDS], ratio[MAX_ROUNDS];
    for (unsigned i = 0; i < o->repeat; i++) {
        speed[i] = r->speed[side][i];
        share[i] = 100 * speed[i] / r->floor[i];
        ratio[i] = r->speed[0][i] / speed[i];
    }
    double middle = median(speed, o->repeat);
    printf("%s,%s,%u,%u,%u,%u,%.2f,%.2f,%.2f,%.1f%%", what, side > 0 ? peer_name(&o->peers[side - 1]) : "inferd",
        o->threads, prompt ? o->prompt : o->context, prompt ? 0 : o->gen, prompt ? 1 : o->parallel, middle, speed[0],
        speed[o->repeat - 1], median(share, o->repeat));
    if (side > 0) {
        middle = median(ratio, o->repeat);
        printf(",%.3f,%.3f,%.3f", middle, ratio[0], ratio[o->repeat - 1]);
    }
    printf("\n");
    fflush(stdout);
}

static double measure_us(Bench *b, bool prompt) {
    return prompt ? read_prompt(b) : decode(b, b->options.gen);
}

static double measure_side(Bench *b, bool prompt, unsigned side) {
    const Options *o = &b->options;
    if (side == 0) {
        /* The first time is for the pages: the peers map theirs when they load, ours are mapped when they are read, and
         * a kernel may have taken some back while it was the others' turn. The same tokens choose the same experts. */
        (void)measure_us(b, prompt);
        return measure_us(b, prompt);
    }
    PeerRun run = {.model = o->model,
        .flags = o->peer_flags,
        .threads = o->threads,
        .context = prompt ? 0 : o->context,
        .prompt = prompt ? o->prompt : 0,
        .gen = o->gen,
        .parallel = prompt ? 1 : o->parallel};
    return peer_measure(&o->peers[side - 1], &run);
}

/* False, and nothing printed, if a peer fails: a table with its zeros in it would lie. */
static bool measure(Bench *b, const char *what, bool prompt, const Work *w) {
    Results r = {};
    unsigned n = 1 + b->options.n_peers;
    for (unsigned i = 0; i < b->options.repeat; i++) {
        r.floor[i] = prompt ? prompt_floor(b, w) : decode_floor(b, w);
        for (unsigned j = 0; j < n; j++) {
            unsigned side = (i + j) % n;
            r.speed[side][i] = measure_side(b, prompt, side);
            if (r.speed[side][i] <= 0)
                return false;
        }
    }
    for (unsigned side = 0; side < n; side++)
        print_side(b, what, &r, side);
    return true;
}

static bool run(Bench *b) {
    const Options *o = &b->options;
    Work work = count_work(b->model, b->kernels);

    printf("# %s; kernels %s; memory %.1f GB/s, multiply-adds %.0f G operations/s of bytes, %.0f of floats\n", o->model,
        b->kernels->name, floor_read_bandwidth(o->threads) * 1e-9, floor_int8_rate(o->threads, b->kernels->name) * 1e-9,
        floor_fma_rate(o->threads, b->kernels->name) * 1e-9);
    printf("what,engine,threads,context,gen,parallel,tokens/s,min,max,of floor,we are times as fast,min,max\n");
    return (o->prompt == 0 || measure(b, "prompt", true, &work)) && (o->gen == 0 || measure(b, "decode", false, &work));
}

static EngineKvType kv_type(const char *name) {
    return strcmp(name, "f32") == 0 ? ENGINE_KV_F32 : strcmp(name, "q8_0") == 0 ? ENGINE_KV_Q8_0 : ENGINE_KV_F16;
}

static int parse(int argc, char **argv, Options *o) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'},
        {"prompt", required_argument, NULL, 'p'},
        {"gen", required_argument, NULL, 'g'},
        {"parallel", required_argument, NULL, 's'},
        {"context", required_argument, NULL, 'c'},
        {"repeat", required_argument, NULL, 'r'},
        {"kv", required_argument, NULL, 'k'},
        {"peer", required_argument, NULL, 'e'},
        {"peer-flags", required_argument, NULL, 'f'},
        {},
    };
    *o = (Options){.threads = 2, .prompt = 128, .gen = 32, .parallel = 1, .repeat = 5, .context = UINT32_MAX};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'm': o->model = optarg; break;
        case 't': o->threads = (unsigned)atoi(optarg); break;
        case 'p': o->prompt = (unsigned)atoi(optarg); break;
        case 'g': o->gen = (unsigned)atoi(optarg); break;
        case 's': o->parallel = (unsigned)atoi(optarg); break;
        case 'c': o->context = (unsigned)atoi(optarg); break;
        case 'r': o->repeat = (unsigned)atoi(optarg); break;
        case 'k': o->kv = kv_type(optarg); break;
        case 'e':
            if (o->n_peers == MAX_PEERS)
                return -1;
            o->peers[o->n_peers++] = (Peer){optarg, peer_kind(optarg)};
            break;
        case 'f': o->peer_flags = optarg; break;
        default: return -1;
        }
    if (o->context == UINT32_MAX)
        o->context = o->prompt;
    bool sane = o->threads > 0 && o->parallel > 0 && o->parallel <= MAX_RUNS && o->repeat > 0 &&
                o->repeat <= MAX_ROUNDS && o->prompt + o->gen > 0;
    return o->model && sane ? 0 : -1;
}

int main(int argc, char **argv) {
    Bench b = {};
    Error e = {};
    if (parse(argc, argv, &b.options) < 0) {
        fprintf(stderr,
            "usage: bench-engine --model FILE [--threads N] [--prompt P] [--gen G] [--parallel S] "
            "[--context C] [--kv f16|f32|q8_0] [--repeat R] [--peer LLAMA-BENCH]... [--peer-flags FLAGS]\n");
        return 64;
    }
    int r = bench_init(&b, &e);
    if (r < 0)
        fprintf(stderr, "bench-engine: %s\n", e.message);
    bool complete = r >= 0 && run(&b);
    bench_done(&b);
    return complete ? 0 : 1;
}
