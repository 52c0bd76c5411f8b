/* bench-engine --model FILE [--threads N] [--prompt P] [--gen G] [--parallel S] [--kv f16|f32] [--repeat R]
 *              [--peer LLAMA-BENCH]
 *
 * Times the forward pass alone: a prompt of P tokens, then G tokens decoded by S sequences at once after it. Prints
 * CSV, every result as a share of the machine's floor, which is measured in the same run: decoding reads each weight
 * once a step, a prompt multiplies and adds each weight once a token. With a peer its runs alternate with ours and the
 * ratio of the medians is printed. Never fails on a time. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "floors.h"
#include "forward.h"

#define CHUNK    256u
#define MAX_RUNS 64

typedef struct Options {
    const char *model, *peer;
    unsigned threads, prompt, gen, parallel, repeat;
    EngineKvType kv;
} Options;

typedef struct Bench {
    Options options;
    Model *model;
    Forward *forward;
    uint8_t *pool;
    uint32_t **pages; /* [parallel] */
    Token *tokens;    /* [prompt] */
} Bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n) {
    qsort(values, n, sizeof(*values), compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Tokens a second while sequence `s` reads the prompt. */
static double read_prompt(Bench *b, unsigned s) {
    double started = now();
    float *logits;
    for (unsigned i = 0; i < b->options.prompt; i += CHUNK) {
        uint32_t n = MIN(CHUNK, b->options.prompt - i);
        BatchRun run = {.pages = b->pages[s],
            .tokens = b->tokens + i,
            .n_tokens = n,
            .position = i,
            .n_logits = i + n == b->options.prompt};
        forward_step(b->forward, b->pool, &run, 1, &logits);
    }
    return b->options.prompt / (now() - started);
}

/* Tokens a second, all sequences together. */
static double decode(Bench *b) {
    BatchRun runs[MAX_RUNS];
    float *logits;
    double started = now();
    for (unsigned i = 0; i < b->options.gen; i++) {
        for (unsigned s = 0; s < b->options.parallel; s++)
            runs[s] = (BatchRun){.pages = b->pages[s],
                .tokens = b->tokens + i % MAX(b->options.prompt, 1u),
                .n_tokens = 1,
                .position = b->options.prompt + i,
                .n_logits = 1};
        forward_step(b->forward, b->pool, runs, b->options.parallel, &logits);
    }
    return b->options.gen * b->options.parallel / (now() - started);
}

/* Runs the peer once and takes the tokens a second of its single row. */
static double run_peer(const Options *o, bool prompt) {
    char command[4096], line[4096];
    snprintf(command, sizeof(command), "'%s' -m '%s' -t %u -p %u -n %u -d %u -r 1 -ngl 0 -o csv 2>/dev/null", o->peer,
        o->model, o->threads, prompt ? o->prompt : 0, prompt ? 0 : o->gen, prompt ? 0 : o->prompt);
    FILE *f = popen(command, "re");
    if (!f)
        return 0;
    int column = -1, i = 0;
    double speed = 0;
    if (fgets(line, sizeof(line), f)) /* the names of the columns */
        for (char *rest = line, *field; (field = strsep(&rest, ",")); i++)
            if (strstr(field, "avg_ts"))
                column = i;
    if (column >= 0 && fgets(line, sizeof(line), f)) {
        char *rest = line, *field;
        for (i = 0; (field = strsep(&rest, ",")); i++)
            if (i == column)
                speed = atof(field + (*field == '"'));
    }
    pclose(f);
    return speed;
}

static int bench_init(Bench *b, Error *e) {
    const Options *o = &b->options;
    int r = model_load(o->model, &b->model, e);
    if (r < 0)
        return r;
    ForwardOptions options = {.n_threads = o->threads,
        .max_rows = MAX(CHUNK, o->parallel),
        .max_logits = o->parallel,
        .max_context = o->prompt + o->gen,
        .kv_type = o->kv};
    r = forward_new(b->model, &options, &b->forward, e);
    if (r < 0)
        return r;

    uint32_t per_sequence = (o->prompt + o->gen + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    size_t page_bytes = kv_layout(&b->model->config, o->kv).page_bytes;
    b->pool = aligned_alloc(64, page_bytes * per_sequence * o->parallel);
    b->pages = calloc(o->parallel, sizeof(*b->pages));
    b->tokens = calloc(MAX(o->prompt, 1u), sizeof(*b->tokens));
    if (!b->pool || !b->pages || !b->tokens)
        return error_set(e, -1, "out of memory");
    for (unsigned s = 0; s < o->parallel; s++) {
        b->pages[s] = calloc(per_sequence, sizeof(**b->pages));
        for (uint32_t i = 0; b->pages[s] && i < per_sequence; i++)
            b->pages[s][i] = s * per_sequence + i;
    }
    for (unsigned i = 0; i < o->prompt; i++)
        b->tokens[i] = (i * 7919u + 13) % MIN(b->model->config.n_vocab, 20000u);
    return 0;
}

static void bench_done(Bench *b) {
    forward_free(b->forward);
    model_unref(b->model);
    for (unsigned s = 0; b->pages && s < b->options.parallel; s++)
        free(b->pages[s]);
    free(b->pages);
    free(b->pool);
    free(b->tokens);
}

/* What a step must read and compute at least: the matrices of the layers and the output; of the embedding one row. */
typedef struct Work {
    double decode_bytes, prompt_operations;
} Work;

static void add_matrix(Work *w, const Tensor *t, bool per_prompt_token) {
    w->decode_bytes += (double)t->row_bytes * (double)t->ne[1];
    if (per_prompt_token)
        w->prompt_operations += 2.0 * (double)t->ne[0] * (double)t->ne[1];
}

static Work count_work(const Model *m) {
    Work w = {};
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const LayerWeights *l = &m->weights.layers[i];
        const Tensor *all[] = {
            &l->attn_q, &l->attn_k, &l->attn_v, &l->attn_output, &l->ffn_gate, &l->ffn_up, &l->ffn_down};
        for (size_t j = 0; j < ELEMENTSOF(all); j++)
            add_matrix(&w, all[j], true);
    }
    add_matrix(&w, &m->weights.output, false);
    return w;
}

static void report(const Options *o, const char *what, double *ours, double *peer, double floor) {
    double mine = median(ours, o->repeat), theirs = o->peer ? median(peer, o->repeat) : 0;
    printf("%s,%u,%u,%u,%u,%.2f,%.2f,%.2f,%.1f%%", what, o->threads, o->prompt, o->gen, o->parallel, mine, ours[0],
        ours[o->repeat - 1], 100 * mine / floor);
    if (o->peer)
        printf(",%.2f,%.3f", theirs, theirs > 0 ? mine / theirs : 0);
    printf("\n");
    fflush(stdout);
}

static void run(Bench *b) {
    const Options *o = &b->options;
    Work work = count_work(b->model);
    double bandwidth = floor_read_bandwidth(o->threads), fma = floor_fma_rate(o->threads);
    double reading[MAX_RUNS], decoding[MAX_RUNS], peer_reading[MAX_RUNS], peer_decoding[MAX_RUNS];

    printf("# %s; reading memory %.1f GB/s, float multiply-add %.1f G operations/s\n", o->model, bandwidth * 1e-9,
        fma * 1e-9);
    printf("what,threads,prompt,gen,parallel,tokens/s median,min,max,of floor%s\n", o->peer ? ",peer,ratio" : "");
    for (unsigned i = 0; i < o->repeat; i++) {
        if (o->prompt > 0)
            for (unsigned s = 0; s < o->parallel; s++)
                reading[i] = read_prompt(b, s);
        if (o->peer && o->prompt > 0)
            peer_reading[i] = run_peer(o, true);
        if (o->gen > 0)
            decoding[i] = decode(b);
        if (o->peer && o->gen > 0)
            peer_decoding[i] = run_peer(o, false);
    }
    if (o->prompt > 0)
        report(o, "prompt", reading, peer_reading, fma / work.prompt_operations);
    if (o->gen > 0)
        report(o, "decode", decoding, peer_decoding, o->parallel * bandwidth / work.decode_bytes);
}

static int parse(int argc, char **argv, Options *o) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'},
        {"prompt", required_argument, NULL, 'p'},
        {"gen", required_argument, NULL, 'g'},
        {"parallel", required_argument, NULL, 's'},
        {"repeat", required_argument, NULL, 'r'},
        {"kv", required_argument, NULL, 'k'},
        {"peer", required_argument, NULL, 'e'},
        {},
    };
    *o = (Options){.threads = 2, .prompt = 128, .gen = 32, .parallel = 1, .repeat = 5};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'm': o->model = optarg; break;
        case 't': o->threads = (unsigned)atoi(optarg); break;
        case 'p': o->prompt = (unsigned)atoi(optarg); break;
        case 'g': o->gen = (unsigned)atoi(optarg); break;
        case 's': o->parallel = (unsigned)atoi(optarg); break;
        case 'r': o->repeat = (unsigned)atoi(optarg); break;
        case 'k': o->kv = strcmp(optarg, "f32") == 0 ? ENGINE_KV_F32 : ENGINE_KV_F16; break;
        case 'e': o->peer = optarg; break;
        default: return -1;
        }
    bool sane = o->threads > 0 && o->parallel > 0 && o->parallel <= MAX_RUNS && o->repeat > 0 && o->repeat <= MAX_RUNS;
    return o->model && sane ? 0 : -1;
}

int main(int argc, char **argv) {
    Bench b = {};
    Error e = {};
    if (parse(argc, argv, &b.options) < 0) {
        fprintf(stderr, "usage: bench-engine --model FILE [--threads N] [--prompt P] [--gen G] [--parallel S] "
                        "[--kv f16|f32] [--repeat R] [--peer LLAMA-BENCH]\n");
        return 64;
    }
    int r = bench_init(&b, &e);
    if (r < 0)
        fprintf(stderr, "bench-engine: %s\n", e.message);
    else
        run(&b);
    bench_done(&b);
    return r < 0;
}
