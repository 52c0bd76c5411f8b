/* The scheduler; see scheduler.h for the policy. Sequences are a few dozen running and at most a thousand waiting, so
 * plain loops over arrays decide everything: a few microseconds beside a step's milliseconds. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "forward.h"
#include "scheduler.h"

#define N_CLASSES (ENGINE_PRIORITY_BACKGROUND + 1)

#define PACE_USEC      300000u /* of a step that somebody's next token waits for: three a second can be read along */
#define PACE_UNKNOWN   64u     /* tokens of such a step before any has been timed */
#define PACE_CHUNK_MIN 16u     /* but prompts get so many at least, which share one reading of the weights, */
#define PACE_SHARE_MIN 2u      /* and so many for each token that is waited for */

/* An owner with sequences in the scheduler, and what it has had, by class. */
struct SchedulerOwner {
    uint64_t id;
    uint32_t n_sequences; /* 0: this entry is free */
    uint32_t n_active[N_CLASSES];
    uint32_t n_running[N_CLASSES];
    uint64_t served[N_CLASSES]; /* tokens */
};

struct Scheduler {
    SchedulerOptions options;
    KvPool *pool;       /* borrowed */
    PrefixIndex *index; /* borrowed */

    Sequence **running; /* owned, [max_running], in no order */
    uint32_t n_running;
    Sequence **queue; /* owned, [max_sequences], in no order */
    uint32_t n_queued;
    SchedulerOwner *owners; /* owned, [max_sequences] */

    Sequence **order;    /* owned, [max_running]: scratch */
    ScheduledRun *runs;  /* owned, [max_running] */
    bool short_of_pages; /* the next in the queue could not get its pages */

    uint32_t n_planned;        /* tokens of the step */
    uint32_t n_prompt_planned; /* those of them that are of prompts */
    uint32_t paced_tokens;     /* as many as a step of PACE_USEC has */
};

int scheduler_new(const SchedulerOptions *o, KvPool *pool, PrefixIndex *index, Scheduler **ret) {
    assert(o->max_running > 0 && o->max_running <= o->step_tokens && o->max_running <= o->max_sequences);
    _cleanup_(scheduler_freep) Scheduler *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->options = *o;
    s->paced_tokens = PACE_UNKNOWN;
    s->pool = pool;
    s->index = index;
    s->running = calloc(o->max_running, sizeof(*s->running));
    s->queue = calloc(o->max_sequences, sizeof(*s->queue));
    s->owners = calloc(o->max_sequences, sizeof(*s->owners));
    s->order = calloc(o->max_running, sizeof(*s->order));
    s->runs = calloc(o->max_running, sizeof(*s->runs));
    if (!s->running || !s->queue || !s->owners || !s->order || !s->runs)
        return -ENOMEM;
    *ret = TAKE_PTR(s);
    return 0;
}

Scheduler *scheduler_free(Scheduler *s) {
    if (!s)
        return NULL;
    assert(s->n_running == 0 && s->n_queued == 0);
    free(s->running);
    free(s->queue);
    free(s->owners);
    free(s->order);
    free(s->runs);
    free(s);
    return NULL;
}

uint32_t scheduler_n_running(const Scheduler *s) {
    return s->n_running;
}

uint32_t scheduler_n_queued(const Scheduler *s) {
    return s->n_queued;
}

/* ------------------------------------------------------------------------------------------------ membership */

static SchedulerOwner *owner_get(Scheduler *s, uint64_t id) {
    SchedulerOwner *unused = NULL;
    for (uint32_t i = 0; i < s->options.max_sequences; i++) {
        SchedulerOwner *w = &s->owners[i];
        if (w->n_sequences > 0 && w->id == id)
            return w;
        if (w->n_sequences == 0 && !unused)
            unused = w;
    }
    assert(unused);
    *unused = (SchedulerOwner){.id = id};
    return unused;
}

/* Whoever comes (back) starts level with the least served: having been away earns no credit. */
static void owner_join(Scheduler *s, SchedulerOwner *w, EnginePriority class) {
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < s->options.max_sequences; i++)
        if (s->owners[i].n_sequences > 0 && s->owners[i].n_active[class] > 0)
            least = MIN(least, s->owners[i].served[class]);
    if (least < UINT64_MAX)
        w->served[class] = MAX(w->served[class], least);
}

static void list_remove(Sequence **list, uint32_t *n, const Sequence *q) {
    uint32_t i = 0;
    while (list[i] != q) {
        i++;
        assert(i < *n);
    }
    list[i] = list[--*n];
}

static void enqueue(Scheduler *s, Sequence *q, uint64_t now) {
    q->queued_since = now;
    q->running = false;
    s->queue[s->n_queued++] = q;
}

void scheduler_add(Scheduler *s, Sequence *q, uint64_t now) {
    assert(s->n_running + s->n_queued < s->options.max_sequences);
    SchedulerOwner *w = owner_get(s, q->owner);
    if (w->n_active[q->priority] == 0)
        owner_join(s, w, q->priority);
    w->n_sequences++;
    w->n_active[q->priority]++;
    q->share = w;
    enqueue(s, q, now);
}

static void start(Scheduler *s, Sequence *q) {
    list_remove(s->queue, &s->n_queued, q);
    s->running[s->n_running++] = q;
    q->running = true;
    q->share->n_running[q->priority]++;
}

static void stop(Scheduler *s, Sequence *q) {
    list_remove(s->running, &s->n_running, q);
    q->running = false;
    q->n_planned = 0;
    q->share->n_running[q->priority]--;
    sequence_release(q, s->pool);
}

static void pause_sequence(Scheduler *s, Sequence *q, uint64_t now) {
    stop(s, q);
    enqueue(s, q, now);
}

void scheduler_remove(Scheduler *s, Sequence *q) {
    if (q->running)
        stop(s, q);
    else
        list_remove(s->queue, &s->n_queued, q);
    q->share->n_active[q->priority]--;
    q->share->n_sequences--;
    q->share = NULL;
}

/* ------------------------------------------------------------------------------------------------ order */

/* Who keeps its pages when there are not enough. */
static bool ranks_before(const Sequence *a, const Sequence *b) {
    return a->priority != b->priority ? a->priority < b->priority : a->id < b->id;
}

/* Who is served next: a place in the queue, a chunk of the step. */
static bool served_before(const Sequence *a, const Sequence *b) {
    if (a->priority != b->priority)
        return a->priority < b->priority;
    uint64_t x = a->share->served[a->priority], y = b->share->served[b->priority];
    if (x != y)
        return x < y;
    uint32_t m = a->share->n_running[a->priority], n = b->share->n_running[b->priority];
    return m != n ? m < n : a->id < b->id;
}

static void sort(Sequence **list, uint32_t n, bool (*before)(const Sequence *, const Sequence *)) {
    for (uint32_t i = 1; i < n; i++) {
        Sequence *q = list[i];
        uint32_t j = i;
        for (; j > 0 && before(q, list[j - 1]); j--)
            list[j] = list[j - 1];
        list[j] = q;
    }
}

static Sequence *next_queued(const Scheduler *s) {
    Sequence *best = NULL;
    for (uint32_t i = 0; i < s->n_queued; i++)
        if (!s->queue[i]->stalled && (!best || served_before(s->queue[i], best)))
            best = s->queue[i];
    return best;
}

/* ------------------------------------------------------------------------------------------------ admission */

static uint32_t pages_held(const Scheduler *s, const SchedulerOwner *w, EnginePriority class) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_running; i++)
        if (s->running[i]->share == w && s->running[i]->priority == class)
            n += s->running[i]->n_pages;
    return n;
}

/* Pages that the sequence needs for what it has to read and one token more. */
static uint32_t pages_wanted(const Sequence *q) {
    uint32_t n = sequence_pages_for(MIN(q->n_tokens + 1, q->capacity));
    return n - MIN(n, q->n_pages);
}

/* Whether q, which waits, may take the place (or, n_pages > 0, so many pages) of v: always if v is of a lower class or
 * cannot go on anyway, else if its owner will still have as much as q's. */
static bool may_replace(const Scheduler *s, const Sequence *q, const Sequence *v, uint32_t n_pages) {
    if (v->stalled || v->priority > q->priority)
        return true;
    if (v->priority < q->priority || v->share == q->share)
        return false;
    if (n_pages == 0)
        return v->share->n_running[v->priority] > q->share->n_running[q->priority] + 1;
    return pages_held(s, v->share, v->priority) >= v->n_pages + pages_held(s, q->share, q->priority) + n_pages;
}

/* Of two that may be paused: first who cannot go on, then the lower class, the owner with more places, the youngest. */
static bool paused_before(const Sequence *a, const Sequence *b) {
    if (a->stalled != b->stalled)
        return a->stalled;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    uint32_t x = a->share->n_running[a->priority], y = b->share->n_running[b->priority];
    return x != y ? x > y : a->id > b->id;
}

static bool replace(Scheduler *s, const Sequence *q, uint32_t n_pages, uint64_t now) {
    Sequence *victim = NULL;
    for (uint32_t i = 0; i < s->n_running; i++) {
        Sequence *v = s->running[i];
        if (may_replace(s, q, v, n_pages) && (!victim || paused_before(v, victim)))
            victim = v;
    }
    if (victim)
        pause_sequence(s, victim, now);
    return victim;
}

/* What must be available before q may start: its own pages, those that running sequences still need for their prompts,
 * and one for each of them to grow, or they would soon have to be paused again. */
static uint32_t pages_demanded(const Scheduler *s, const Sequence *q) {
    uint32_t n = pages_wanted(q);
    for (uint32_t i = 0; i < s->n_running; i++) {
        const Sequence *v = s->running[i];
        n += 1 + (sequence_is_decoding(v) ? 0 : pages_wanted(v));
    }
    return n;
}

static bool get_pages(Scheduler *s, const Sequence *q, uint64_t now) {
    while (s->n_running > 0 && kv_pool_n_available(s->pool) < pages_demanded(s, q))
        if (!replace(s, q, MAX(pages_wanted(q), 1u), now))
            return false;
    return true;
}

static void admit(Scheduler *s, uint64_t now) {
    s->short_of_pages = false;
    Sequence *q;
    while ((q = next_queued(s))) {
        if (s->n_running == s->options.max_running && !replace(s, q, 0, now))
            return;
        sequence_adopt(q, s->pool, s->index);
        if (!get_pages(s, q, now)) {
            /* nobody overtakes it, or a long prompt would never get its turn */
            sequence_release(q, s->pool);
            s->short_of_pages = true;
            return;
        }
        start(s, q);
    }
}

/* ------------------------------------------------------------------------------------------------ the step */

/* Gets q pages for n_positions, at the cost of those that rank after it. */
static bool make_room(Scheduler *s, Sequence *q, uint32_t n_positions, uint64_t now) {
    while (sequence_reserve(q, s->pool, n_positions) < 0) {
        Sequence *victim = NULL;
        for (uint32_t i = 0; i < s->n_running; i++) {
            Sequence *v = s->running[i];
            if (v != q && (v->stalled || ranks_before(q, v)) &&
                (!victim || (v->stalled != victim->stalled ? v->stalled : ranks_before(victim, v))))
                victim = v;
        }
        if (!victim)
            return false;
        pause_sequence(s, victim, now);
    }
    return true;
}

/* Running sequences that can go on, either those that generate or those that read. */
static uint32_t list_running(Scheduler *s, bool decoding) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_running; i++)
        if (!s->running[i]->stalled && sequence_is_decoding(s->running[i]) == decoding)
            s->order[n++] = s->running[i];
    return n;
}

/* Every one of them gets a token. Returns how many. */
static uint32_t plan_decoding(Scheduler *s, uint64_t now) {
    uint32_t n_planned = 0;
    uint32_t n = list_running(s, true);
    sort(s->order, n, ranks_before);
    for (uint32_t i = 0; i < n; i++) {
        Sequence *q = s->order[i];
        if (!q->running)
            continue;
        if (make_room(s, q, q->n_computed + 1, now)) {
            q->n_planned = 1;
            n_planned++;
        } else
            pause_sequence(s, q, now);
    }
    return n_planned;
}

/* What prompts of a class may have of a step with n_taken tokens taken. In the background nobody reads along. */
static uint32_t prompt_budget(const Scheduler *s, EnginePriority class, uint32_t n_taken) {
    uint32_t left = s->options.step_tokens - n_taken, n_readers = 0;
    for (uint32_t i = 0; i < s->n_running; i++) {
        const Sequence *q = s->running[i];
        const bool read = q->priority <= class && q->priority < ENGINE_PRIORITY_BACKGROUND;
        n_readers += read && q->n_planned > 0 && sequence_is_decoding(q);
    }
    if (n_readers == 0)
        return left;
    uint32_t least = MAX(PACE_CHUNK_MIN, PACE_SHARE_MIN * n_readers);
    uint32_t paced = MAX(s->paced_tokens, n_taken + least) - n_taken;
    return MIN(paced, left);
}

/* Divides a step, of which n_taken tokens are taken, between prompts: each gets half of what is left for its class, so
 * a short one is soon through whatever is before it; what nobody of the class needs goes to the first again, then to
 * the next class. */
static void divide(const Scheduler *s, Sequence **list, uint32_t n, uint32_t n_taken) {
    for (uint32_t begin = 0, end; begin < n; begin = end) {
        end = begin;
        while (end < n && list[end]->priority == list[begin]->priority)
            end++;
        const uint32_t whole = prompt_budget(s, list[begin]->priority, n_taken);
        uint32_t budget = whole;
        for (uint32_t i = begin; i < end; i++) {
            Sequence *q = list[i];
            q->n_planned = MIN(q->n_tokens - q->n_computed, i + 1 < end ? budget - budget / 2 : budget);
            budget -= q->n_planned;
        }
        for (uint32_t i = begin; i < end; i++) {
            Sequence *q = list[i];
            uint32_t more = MIN(q->n_tokens - q->n_computed - q->n_planned, budget);
            q->n_planned += more;
            budget -= more;
        }
        n_taken += whole - budget;
    }
}

/* Whether a is about to compute a page that b can take over when it is full. */
static bool leads(const Sequence *a, const Sequence *b) {
    uint32_t i = a->n_computed / KV_PAGE_TOKENS, end = (i + 1) * KV_PAGE_TOKENS;
    return a->owner == b->owner && i == b->n_computed / KV_PAGE_TOKENS && a->n_tokens >= end && b->n_tokens > end &&
           (i == 0 || a->pages[i - 1] == b->pages[i - 1]) &&
           memcmp(a->tokens + end - KV_PAGE_TOKENS, b->tokens + end - KV_PAGE_TOKENS,
               KV_PAGE_TOKENS * sizeof(*a->tokens)) == 0;
}

/* Requests with a common beginning that come together compute it once: leaves only the first of those whose next page
 * is the same, the others wait for that page. */
static uint32_t leave_out_followers(Sequence **list, uint32_t n) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = 0;
        while (j < kept && !leads(list[j], list[i]))
            j++;
        if (j == kept)
            list[kept++] = list[i];
    }
    return kept;
}

static void plan_prompts(Scheduler *s, uint32_t n_taken, uint64_t now) {
    uint32_t n = list_running(s, false);
    sort(s->order, n, served_before);
    for (uint32_t i = 0; i < n; i++)
        sequence_adopt(s->order[i], s->pool, s->index);
    n = leave_out_followers(s->order, n);
    divide(s, s->order, n, n_taken);

    for (uint32_t i = 0; i < n; i++) {
        Sequence *q = s->order[i];
        if (!q->running || q->n_planned == 0)
            continue;
        if (sequence_reserve(q, s->pool, q->n_computed + q->n_planned) == 0)
            continue;
        if (q->n_pages * KV_PAGE_TOKENS == q->n_computed && !make_room(s, q, q->n_computed + 1, now)) {
            q->n_planned = 0;
            continue;
        }
        q->n_planned = MIN(q->n_planned, q->n_pages * KV_PAGE_TOKENS - q->n_computed);
    }
}

size_t scheduler_plan(Scheduler *s, uint64_t now, const ScheduledRun **ret_runs) {
    for (uint32_t i = 0; i < s->n_running; i++)
        s->running[i]->n_planned = 0;
    admit(s, now);
    plan_prompts(s, plan_decoding(s, now), now);

    size_t n = 0;
    s->n_planned = s->n_prompt_planned = 0;
    for (uint32_t i = 0; i < s->n_running; i++) {
        Sequence *q = s->running[i];
        s->n_planned += q->n_planned;
        s->n_prompt_planned += sequence_is_decoding(q) ? 0 : q->n_planned;
        if (q->n_planned > 0)
            s->runs[n++] = (ScheduledRun){
                .sequence = q,
                .position = q->n_computed,
                .n_tokens = q->n_planned,
                .last = q->n_computed + q->n_planned == q->n_tokens,
            };
    }
    *ret_runs = s->runs;
    return n;
}

/* As if each token took its part. Some of a step's time does not depend on how many there are, so the next steps come
 * nearer to the pace, one after another. Without a chunk of a prompt a step says nothing about them. */
void scheduler_took(Scheduler *s, uint64_t usec) {
    if (s->n_prompt_planned < PACE_CHUNK_MIN)
        return;
    uint64_t n = (uint64_t)s->n_planned * PACE_USEC / MAX(usec, 1u);
    s->paced_tokens = (uint32_t)MIN(n, s->options.step_tokens);
}

void scheduler_commit(Scheduler *s, const ScheduledRun *run) {
    Sequence *q = run->sequence;
    sequence_advance(q, s->pool, s->index, run->n_tokens);
    q->share->served[q->priority] += run->n_tokens;
}

/* ------------------------------------------------------------------------------------------------ exhaustion */

static uint64_t expiry(const Scheduler *s, const Sequence *q) {
    uint64_t at;
    return q->stalled || __builtin_add_overflow(q->queued_since, s->options.queue_usec, &at) ? UINT64_MAX : at;
}

Sequence *scheduler_expired(Scheduler *s, uint64_t now) {
    for (uint32_t i = 0; s->short_of_pages && i < s->n_queued; i++)
        if (expiry(s, s->queue[i]) <= now)
            return s->queue[i];
    return NULL;
}

uint64_t scheduler_deadline(const Scheduler *s) {
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; s->short_of_pages && i < s->n_queued; i++)
        first = MIN(first, expiry(s, s->queue[i]));
    return first;
}
