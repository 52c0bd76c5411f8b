/* The sampler; see sampler.h for what is done in which order.
 *
 * A vocabulary may have 150,000 tokens and a step many sequences, so nothing here sorts it: top-k and the alternatives
 * of the log-probabilities keep a small heap, top-p looks for the logit where it ends.
 *
 * Everything that decides about a token is plain float arithmetic written out here, exp() included: a C library's
 * differs in the last bit between machines, and the same seed has to give the same text. */
#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "sampler.h"

/* Log-probabilities end here: JSON has no -inf. */
#define LOGPROB_MIN (-9999.0f)

typedef struct Candidate {
    float logit;
    Token token;
} Candidate;

struct SamplerScratch {
    uint32_t n_vocab;
    Candidate *candidates; /* owned, [n_vocab] */
    float *p;              /* owned, [n_vocab]: weights of the candidates */
    double weights[2048];  /* of the values of one digit of a logit */
    float *raw;            /* owned, [n_vocab]: the logits before anything was added */
    uint32_t *count;       /* owned, [n_vocab], all 0 between calls */
};

int sampler_options_check(const SamplerOptions *o, Error *e) {
    if (!(o->temperature >= 0 && o->temperature <= 100))
        return error_set(e, -EINVAL, "temperature must be between 0 and 100, not %g", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return error_set(e, -EINVAL, "top-p must be above 0 and at most 1, not %g", o->top_p);
    if (!(o->min_p >= 0 && o->min_p <= 1))
        return error_set(e, -EINVAL, "min-p must be between 0 and 1, not %g", o->min_p);
    if (!(o->repeat_penalty > 0 && o->repeat_penalty <= 100))
        return error_set(e, -EINVAL, "repeat-penalty must be above 0 and at most 100, not %g", o->repeat_penalty);
    if (!(o->presence_penalty >= -100 && o->presence_penalty <= 100))
        return error_set(e, -EINVAL, "presence-penalty must be between -100 and 100, not %g", o->presence_penalty);
    if (!(o->frequency_penalty >= -100 && o->frequency_penalty <= 100))
        return error_set(e, -EINVAL, "frequency-penalty must be between -100 and 100, not %g", o->frequency_penalty);
    if (o->n_logit_bias > 0 && !o->logit_bias)
        return error_set(e, -EINVAL, "logit-bias has %zu entries but no list", o->n_logit_bias);
    for (size_t i = 0; i < o->n_logit_bias; i++)
        if (!(o->logit_bias[i].bias >= -1000 && o->logit_bias[i].bias <= 1000))
            return error_set(e, -EINVAL, "logit-bias of token %u must be between -1000 and 1000, not %g",
                o->logit_bias[i].token, o->logit_bias[i].bias);
    return 0;
}

int sampler_scratch_new(uint32_t n_vocab, SamplerScratch **ret) {
    _cleanup_(sampler_scratch_freep) SamplerScratch *sc = calloc(1, sizeof(*sc));
    if (!sc)
        return -ENOMEM;
    sc->n_vocab = n_vocab;
    sc->candidates = calloc(n_vocab, sizeof(*sc->candidates));
    sc->p = calloc(n_vocab, sizeof(*sc->p));
    sc->raw = calloc(n_vocab, sizeof(*sc->raw));
    sc->count = calloc(n_vocab, sizeof(*sc->count));
    if (!sc->candidates || !sc->p || !sc->raw || !sc->count)
        return -ENOMEM;
    *ret = TAKE_PTR(sc);
    return 0;
}

SamplerScratch *sampler_scratch_free(SamplerScratch *sc) {
    if (!sc)
        return NULL;
    free(sc->candidates);
    free(sc->p);
    free(sc->raw);
    free(sc->count);
    free(sc);
    return NULL;
}

/* SplitMix64 (Steele, Lea, Flood 2014) by its counter, so that no state has to be kept. */
double sampler_random(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

/* exp(x) for x <= 0 to about 2 units in the last place: 2^n * exp(r), |r| <= ln(2)/2, exp(r) by its series. */
static inline float exp_nonpositive(float x) {
    x = x < -87.0f ? -87.0f : x; /* about 1e-38: nothing that a draw could hit */
    float n = (float)(int32_t)(x * 1.44269504f - 0.5f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln(2) in two parts */
    float e = 1 + r * (1 + r * (1 / 2.0f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f))))));
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof(scale));
    return e * scale;
}

/* ------------------------------------------------------------------------------------------------ order */

/* Larger logit first, of equal ones the lower id: a total order, so results do not depend on how they were found. */
static inline bool before(Candidate a, Candidate b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

/* Heap with its last element in this order at the root. */
static void sift_down(Candidate *h, size_t n, size_t i) {
    Candidate c = h[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(h[child], h[child + 1]))
            child++;
        if (!before(c, h[child]))
            break;
        h[i] = h[child];
    }
    h[i] = c;
}

static void heap_sort(Candidate *h, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift_down(h, n, i);
    for (size_t i = n; i-- > 1;) {
        Candidate c = h[0];
        h[0] = h[i];
        h[i] = c;
        sift_down(h, i, 0);
    }
}

/* The k first of the logits, in order; those below `least` are left out. Returns how many there are. Most of a
 * vocabulary is far below what the heap has already, so it is looked at in blocks, of which few hold anything new. */
static size_t select_first(const float *x, size_t n, float least, size_t k, Candidate *h) {
    size_t i = 0, kept = 0;
    for (; i < n && kept < k; i++)
        if (x[i] >= least)
            h[kept++] = (Candidate){x[i], (Token)i};
    for (size_t j = kept / 2; j-- > 0;)
        sift_down(h, kept, j);
    while (i < n) {
        size_t end = MIN(n, i + 64);
        bool any = false;
        float bar = h[0].logit;
        for (size_t j = i; j < end; j++)
            any |= x[j] > bar;
        for (; any && i < end; i++)
            if (x[i] > h[0].logit) { /* of equal ones the first stays */
                h[0] = (Candidate){x[i], (Token)i};
                sift_down(h, kept, 0);
            }
        i = end;
    }
    heap_sort(h, kept);
    return kept;
}

/* The largest of n logits; -FLT_MAX at least. */
static float largest(const float *x, size_t n) {
    float m[8], r = -FLT_MAX;
    for (int j = 0; j < 8; j++)
        m[j] = -FLT_MAX;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    for (; i < n; i++)
        r = x[i] > r ? x[i] : r;
    for (int j = 0; j < 8; j++)
        r = m[j] > r ? m[j] : r;
    return r;
}

/* ------------------------------------------------------------------------------------------------ log-probabilities */

/* log of the sum of exp(logits), in eight lanes for the compiler to run side by side. */
static double log_sum_exp(const float *x, size_t n, float max) {
    float lanes[8] = {};
    double sum = 0;
    size_t i = 0;
    while (i + 8 <= n) {
        size_t end = i + MIN((n - i) & ~(size_t)7, (size_t)4096); /* short runs, so that small terms are not lost */
        for (; i < end; i += 8)
            for (int j = 0; j < 8; j++)
                lanes[j] += exp_nonpositive(x[i + j] - max);
        for (int j = 0; j < 8; j++) {
            sum += lanes[j];
            lanes[j] = 0;
        }
    }
    for (; i < n; i++)
        sum += exp_nonpositive(x[i] - max);
    return max + log(sum);
}

static float logprob(float logit, double log_sum) {
    return (float)fmax((double)logit - log_sum, LOGPROB_MIN);
}

static void top_logprobs(const float *logits, uint32_t n, double log_sum, uint32_t n_top, TokenLogprob *ret) {
    Candidate top[ENGINE_MAX_TOP_LOGPROBS];
    assert(n_top <= ELEMENTSOF(top));
    n_top = MIN(n_top, n);
    for (uint32_t i = 0; i < n_top; i++)
        top[i] = (Candidate){logits[i], i};
    for (uint32_t i = n_top / 2; i-- > 0;)
        sift_down(top, n_top, i);
    for (uint32_t i = n_top; n_top > 0 && i < n; i++)
        if (logits[i] > top[0].logit) {
            top[0] = (Candidate){logits[i], i};
            sift_down(top, n_top, 0);
        }
    heap_sort(top, n_top);

    ret->n_top = n_top;
    for (uint32_t i = 0; i < n_top; i++) {
        ret->top[i].token = top[i].token;
        ret->top[i].logprob = logprob(top[i].logit, log_sum);
    }
}

/* ------------------------------------------------------------------------------------------------ penalties */

static void bias(const SamplerOptions *o, float *logits, uint32_t n) {
    for (size_t i = 0; i < o->n_logit_bias; i++)
        if (o->logit_bias[i].token < n)
            logits[o->logit_bias[i].token] += o->logit_bias[i].bias;
}

static void repeat_penalty(const SamplerOptions *o, SamplerScratch *sc, const SamplerInput *in, uint32_t n) {
    size_t begin = in->n_history - MIN(in->n_history, (size_t)o->repeat_last_n);
    for (size_t i = begin; i < in->n_history; i++) {
        Token t = in->history[i];
        if (t >= n || sc->count[t]++ > 0)
            continue;
        float *l = &in->logits[t];
        float v = *l > 0 ? *l / o->repeat_penalty : *l * o->repeat_penalty;
        *l = fmaxf(fminf(v, FLT_MAX), -FLT_MAX);
    }
    for (size_t i = begin; i < in->n_history; i++)
        if (in->history[i] < n)
            sc->count[in->history[i]] = 0;
}

static void count_penalties(const SamplerOptions *o, SamplerScratch *sc, const SamplerInput *in, uint32_t n) {
    for (size_t i = in->n_prompt; i < in->n_history; i++)
        if (in->history[i] < n)
            sc->count[in->history[i]]++;
    for (size_t i = in->n_prompt; i < in->n_history; i++) {
        Token t = in->history[i];
        if (t >= n || sc->count[t] == 0)
            continue;
        in->logits[t] -= o->presence_penalty + o->frequency_penalty * (float)sc->count[t];
        sc->count[t] = 0;
    }
}

/* ------------------------------------------------------------------------------------------------ filters */

/* Fills sc->p with exp(logit - largest) and returns the sum. */
static double weigh(SamplerScratch *sc, size_t n, float max) {
    const Candidate *c = sc->candidates;
    for (size_t i = 0; i < n; i++)
        sc->p[i] = exp_nonpositive(c[i].logit - max);
    /* one after the other, in double: draw() goes the same way down */
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += sc->p[i];
    return sum;
}

/* Floats as integers that sort the same way. */
static inline uint32_t sort_key(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Keeps the fewest candidates, largest first, whose probabilities reach top_p together. Nothing is sorted: the logit at
 * which they reach it is found digit by digit (a radix select by weight), so it takes the same time for a flat
 * distribution as for a peaked one. */
static size_t top_p(SamplerScratch *sc, size_t n, float max, float top_p) {
    Candidate *c = sc->candidates;
    double wanted = weigh(sc, n, max) * (double)top_p, above = 0;
    uint64_t digits = 0; /* of the key, as far as it is known */
    for (int shift = 22; shift >= 0; shift -= 11) {
        memset(sc->weights, 0, sizeof(sc->weights));
        for (size_t i = 0; i < n; i++) {
            uint64_t key = (uint64_t)sort_key(c[i].logit);
            if (key >> shift >> 11 == digits)
                sc->weights[key >> shift & 2047] += sc->p[i];
        }
        /* rounding may leave the sum just short: then the last digit that has any weight */
        unsigned digit = 0;
        double before = above;
        for (unsigned i = 2048; i-- > 0 && above < wanted;)
            if (sc->weights[i] > 0) {
                digit = i;
                before = above;
                above += sc->weights[i];
            }
        above = before; /* of what is larger than any key that begins with these digits */
        digits = digits << 11 | digit;
    }

    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = sort_key(c[i].logit);
        if (key == digits) {
            if (above >= wanted)
                continue;
            above += sc->p[i];
        }
        if (key >= digits)
            c[kept++] = c[i];
    }
    return kept;
}

static size_t min_p(SamplerScratch *sc, size_t n, float max, float min_p) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (exp_nonpositive(sc->candidates[i].logit - max) >= min_p)
            sc->candidates[kept++] = sc->candidates[i];
    return kept;
}

static Token draw(SamplerScratch *sc, size_t n, float max, float temperature, double random) {
    Candidate *c = sc->candidates;
    for (size_t i = 0; i < n; i++)
        c[i].logit = (c[i].logit - max) / temperature;
    double left = weigh(sc, n, 0) * random;
    for (size_t i = 0; i < n; i++) {
        left -= sc->p[i];
        if (left < 0)
            return c[i].token;
    }
    /* rounding: the last one that can be */
    return c[n - 1].token;
}

static Token sample(const SamplerOptions *o, SamplerScratch *sc, const SamplerInput *in, uint32_t n_vocab) {
    float *logits = in->logits;
    float max = largest(logits, n_vocab);
    if (o->temperature == 0) {
        for (uint32_t i = 0; i < n_vocab; i++)
            if (logits[i] == max)
                return i;
    }

    /* whatever is below e^-87 of the largest has no chance, and leaving it out spares work */
    float least = max - 87.0f * MAX(1.0f, o->temperature);
    size_t n = 0;
    if (o->top_k > 0)
        n = select_first(logits, n_vocab, least, o->top_k, sc->candidates);
    else
        for (uint32_t i = 0; i < n_vocab; i++)
            if (logits[i] >= least)
                sc->candidates[n++] = (Candidate){logits[i], i};
    if (o->top_p < 1)
        n = top_p(sc, n, max, o->top_p);
    if (o->min_p > 0)
        n = min_p(sc, n, max, o->min_p);
    return draw(sc, n, max, o->temperature, sampler_random(o->seed, in->n_history - in->n_prompt));
}

static bool is_finite(const float *x, size_t n) {
    uint32_t strange = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof(bits));
        strange |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return !strange;
}

/* Replaces what no arithmetic works with; false if no token is possible. */
static bool make_finite(float *logits, uint32_t n) {
    if (n > 0 && is_finite(logits, n)) /* as good as always, and looking is quicker than writing */
        return true;
    bool possible = false;
    for (uint32_t i = 0; i < n; i++) {
        float l = logits[i];
        possible |= l > -INFINITY;
        logits[i] = l > FLT_MAX ? FLT_MAX : l >= -FLT_MAX ? l : -FLT_MAX; /* NaN fails both */
    }
    return possible;
}

Token sampler_sample(const SamplerOptions *o, SamplerScratch *sc, const SamplerInput *in, TokenLogprob *ret_logprob) {
    uint32_t n = MIN(sc->n_vocab, in->n_logits);
    if (!make_finite(in->logits, n))
        return TOKEN_NONE;

    double log_sum = 0;
    if (in->top_logprobs >= 0) {
        memcpy(sc->raw, in->logits, n * sizeof(*sc->raw));
        log_sum = log_sum_exp(in->logits, n, largest(in->logits, n));
        top_logprobs(in->logits, n, log_sum, (uint32_t)in->top_logprobs, ret_logprob);
    }

    Token token = in->forced;
    if (token == TOKEN_NONE) {
        bias(o, in->logits, n);
        if (o->repeat_penalty != 1)
            repeat_penalty(o, sc, in, n);
        if (o->presence_penalty != 0 || o->frequency_penalty != 0)
            count_penalties(o, sc, in, n);
        token = sample(o, sc, in, n);
    }
    if (in->top_logprobs >= 0) {
        ret_logprob->token = token;
        ret_logprob->logprob = token < n ? logprob(sc->raw[token], log_sum) : LOGPROB_MIN;
    }
    return token;
}
