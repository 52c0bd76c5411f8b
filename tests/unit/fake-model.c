#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "encoder.h"
#include "fake-model.h"
#include "forward.h"

struct Tokenizer {
    uint32_t n_vocab;
};

static Tokenizer fake_tokenizer = {FAKE_BEYOND};

void fake_model_init(FakeModel *m, uint32_t n_ctx_train) {
    *m = (FakeModel){.model.n_ref = 1, .step_limit = UINT32_MAX};
    m->model.config.n_vocab = FAKE_N_VOCAB;
    m->model.config.n_ctx_train = n_ctx_train;
    m->model.tokenizer = &fake_tokenizer;
}

Model *model_ref(Model *m) {
    __atomic_add_fetch(&m->n_ref, 1, __ATOMIC_RELAXED);
    return m;
}

Model *model_unref(Model *m) {
    if (m)
        __atomic_sub_fetch(&m->n_ref, 1, __ATOMIC_RELAXED);
    return NULL;
}

bool model_failed(const Model *m) {
    return ((const FakeModel *)m)->failed;
}

/* ------------------------------------------------------------------------------------------------ tokenizer */

uint32_t tokenizer_n_vocab(const Tokenizer *t) {
    return t->n_vocab;
}

bool tokenizer_is_end(const Tokenizer *t, Token token) {
    return token == FAKE_END;
}

Token tokenizer_find(const Tokenizer *t, const char *text) {
    return strcmp(text, "<think>") == 0 ? FAKE_THINK : strcmp(text, "</think>") == 0 ? FAKE_END_THINK : TOKEN_NONE;
}

const char *tokenizer_piece(const Tokenizer *t, Token token, bool special, size_t *ret_size) {
    static const char *const words[] = {"<end>", "<think>", "</think>", "the ", "<control>"};
    static char bytes[256][2];

    assert(token < FAKE_BEYOND);
    *ret_size = 1;
    if (token < 256) {
        __atomic_store_n(&bytes[token][0], (char)token, __ATOMIC_RELAXED);
        return bytes[token];
    }
    const char *text = !special && token != FAKE_WORD ? "" : words[token - 256];
    *ret_size = strlen(text);
    return text;
}

int tokenizer_encode(
    const Tokenizer *t, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e) {
    assert(n_spans == 1);
    *ret = (TokenArray){.items = calloc(spans->size, sizeof(Token))};
    for (const char *p = spans->text; *p;)
        if (strncmp(p, "</think>", 8) == 0) {
            ret->items[ret->n++] = FAKE_END_THINK;
            p += 8;
        } else
            ret->items[ret->n++] = (unsigned char)*p++;
    return 0;
}

void token_array_done(TokenArray *a) {
    free(a->items);
    *a = (TokenArray){};
}

/* ------------------------------------------------------------------------------------------------ forward */

/* The engine's own tests need no embedding: that is test-encoder.c's and the serving tests' matter. */
int encoder_new(const Model *m, unsigned n_threads, uint32_t max_tokens, Encoder **ret, Error *e) {
    return error_set(e, -EOPNOTSUPP, "no encoder here");
}

Encoder *encoder_free(Encoder *en) {
    return NULL;
}

int encoder_run(Encoder *en, const Token *tokens, uint32_t n, float *ret, Error *e) {
    return -EOPNOTSUPP;
}

#define PAGE_BYTES (KV_PAGE_TOKENS * sizeof(uint64_t))

struct Forward {
    const FakeModel *model;
    float *logits;
    ForwardOptions options;
    Token *tokens; /* of the sequence at hand, as its pages have them */
};

int kv_layout(const Config *c, EngineKvType type, KvLayout *ret, Error *e) {
    *ret = (KvLayout){.type = type, .page_bytes = PAGE_BYTES};
    return 0;
}

int forward_new(const Model *m, const ForwardOptions *o, Forward **ret, Error *e) {
    Forward *f = calloc(1, sizeof(*f));
    f->model = (const FakeModel *)m;
    f->options = *o;
    f->logits = calloc((size_t)o->max_logits * FAKE_N_VOCAB, sizeof(*f->logits));
    f->tokens = calloc(o->max_context, sizeof(*f->tokens));
    *ret = f;
    return 0;
}

Forward *forward_free(Forward *f) {
    if (!f)
        return NULL;
    free(f->logits);
    free(f->tokens);
    free(f);
    return NULL;
}

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

void fake_logits(const FakeModel *m, const Token *tokens, size_t n, float *ret) {
    uint64_t h = 1;
    for (size_t i = 0; i < n; i++)
        h = mix(h + tokens[i] * 0x9E3779B97F4A7C15u + i);
    for (uint32_t v = 0; v < FAKE_N_VOCAB; v++) {
        float x = (float)(mix(h + v) >> 40) * 0x1p-24f * 8; /* 0 to 8 */
        bool common = (v >= 'a' && v <= 'z') || v == ' ' || v == FAKE_WORD;
        ret[v] = m->all_nan ? NAN : common ? x : x - 4;
    }
    ret[FAKE_END] = m->never_ends ? -INFINITY : ret[FAKE_END] - 0.5f;
    ret[FAKE_BEYOND] = 100;
}

static uint64_t *row(uint8_t *pool, const BatchRun *r, uint32_t position) {
    uint8_t *page = pool + r->pages[position / KV_PAGE_TOKENS] * PAGE_BYTES;
    return (uint64_t *)page + position % KV_PAGE_TOKENS;
}

void forward_step(Forward *f, uint8_t *pool, const BatchRun *runs, size_t n_runs, float **ret_logits) {
    FakeModel *m = (FakeModel *)f->model;
    while (m->n_steps >= m->step_limit)
        usleep(100);
    uint32_t n_rows = 0, n_logits = 0;
    for (size_t i = 0; i < n_runs; i++) {
        const BatchRun *r = &runs[i];
        n_rows += r->n_tokens;
        for (uint32_t j = 0; j < r->n_tokens; j++)
            *row(pool, r, r->position + j) = (uint64_t)(r->position + j) << 32 | r->tokens[j];
        if (r->n_logits == 0)
            continue;
        assert(r->n_logits == 1 && n_logits < f->options.max_logits);
        uint32_t n = r->position + r->n_tokens;
        assert(n <= f->options.max_context);
        for (uint32_t j = 0; j < n; j++) {
            uint64_t x = *row(pool, r, j);
            f->tokens[j] = x >> 32 == j ? (Token)x : 0; /* a row of another position is worth nothing */
        }
        fake_logits(m, f->tokens, n, f->logits + (size_t)n_logits++ * FAKE_N_VOCAB);
    }
    assert(n_rows > 0 && n_rows <= f->options.max_rows);
    if (n_rows > m->max_rows)
        m->max_rows = n_rows;
    if (m->step_usec > 0)
        usleep(m->step_usec);
    if (++m->n_steps == m->fail_after_steps)
        m->failed = true;
    *ret_logits = f->logits;
}
