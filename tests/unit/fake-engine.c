/* An engine without a model, for the daemon's own tests: implements engine.h with a thread that answers at once.
 *
 * A model file begins with the word FAKE, followed by settings ("FAKE context=4096 load_ms=100 pool=none author=NAME").
 * Tokens are bytes. With embedding=WIDTH it is an encoder: the embedding of n tokens is 0.6 at place n modulo WIDTH and
 * -0.8 at the next, and of the commands it knows those that concern no text. The answer to a prompt is "echo: " and the
 * last user message, unless that message begins with commands:
 *
 *   /slow MS       wait before each token             /long N       answer N characters
 *   /hang          never answer                       /fail         finish with -ENOSPC
 *   /queue         likewise, and wait in the queue
 *   /io            finish with -EIO                   /think TEXT   reasoning TEXT, then the usual answer
 *   /prompt        answer with the whole prompt       /call NAME N  before the answer N calls of a tool, if there are
 * any
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine.h"

#define PAGE_TOKENS 16
#define PAGES       4096
#define BOS         256

/* ---------------------------------------------------------------------------------------------- models */

struct Model {
    unsigned n_ref; /* atomic */
    ModelInfo *info;
    unsigned load_ms;
    bool no_pool;
};

static unsigned setting(const char *text, const char *key, unsigned fallback) {
    const char *p = strstr(text, key);
    return p ? (unsigned)strtoul(p + strlen(key), NULL, 10) : fallback;
}

static int read_fake(const char *path, char *text, size_t size, Error *e) {
    struct stat st;
    if (stat(path, &st) < 0)
        return error_set(e, -errno, "Cannot open %s: %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(e, -EBADMSG, "%s is not a regular file.", path);
    FILE *f = fopen(path, "re");
    if (!f)
        return error_set(e, -errno, "Cannot open %s: %s.", path, strerror(errno));
    size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    if (strncmp(text, "FAKE", 4) != 0)
        return error_set(e, -EBADMSG, "%s is not a model file.", path);
    return 0;
}

int model_info_read(const char *path, ModelInfo **ret, Error *e) {
    char text[256];
    int r = read_fake(path, text, sizeof(text), e);
    if (r < 0)
        return r;
    ModelInfo *info = calloc(1, sizeof(ModelInfo));
    info->path = strdup(path);
    info->name = strdup("Fake");
    info->architecture = strdup("fake");
    info->quantisation = strdup("F32");
    info->license = strdup("MIT");
    const char *author = strstr(text, "author=");
    info->author = author ? strndup(author + 7, strcspn(author + 7, " ")) : NULL;
    info->file_bytes = strlen(text);
    info->n_parameters = 260000;
    info->context_size = setting(text, "context=", 4096);
    info->n_vocab = 257;
    info->embedding_size = setting(text, "embedding=", 0);
    info->encoder = info->embedding_size > 0;
    info->temperature = -1;
    *ret = info;
    return 0;
}

ModelInfo *model_info_free(ModelInfo *info) {
    if (!info)
        return NULL;
    free(info->path);
    free(info->name);
    free(info->architecture);
    free(info->quantisation);
    free(info->license);
    free(info->author);
    free(info);
    return NULL;
}

static void sleep_ms(unsigned ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

int model_load(const char *path, Model **ret, Error *e) {
    char text[256];
    int r = read_fake(path, text, sizeof(text), e);
    if (r < 0)
        return r;
    Model *m = calloc(1, sizeof(Model));
    m->n_ref = 1;
    model_info_read(path, &m->info, NULL);
    m->no_pool = strstr(text, "pool=none");
    sleep_ms(setting(text, "load_ms=", 0));
    *ret = m;
    return 0;
}

Model *model_ref(Model *m) {
    __atomic_add_fetch(&m->n_ref, 1, __ATOMIC_RELAXED);
    return m;
}

Model *model_unref(Model *m) {
    if (m && __atomic_sub_fetch(&m->n_ref, 1, __ATOMIC_ACQ_REL) == 0) {
        model_info_free(m->info);
        free(m);
    }
    return NULL;
}

const ModelInfo *model_info(const Model *m) {
    return m->info;
}

void token_array_done(TokenArray *a) {
    free(a->items);
    *a = (TokenArray){};
}

void prompt_done(Prompt *p) {
    token_array_done(&p->tokens);
}

int model_tokenize(const Model *m, const TextSpan *spans, size_t n_spans, bool add_special, TokenArray *ret, Error *e) {
    size_t n = add_special;
    for (size_t i = 0; i < n_spans; i++)
        n += spans[i].size;
    TokenArray a = {.items = calloc(n + 1, sizeof(Token))};
    if (add_special)
        a.items[a.n++] = BOS;
    for (size_t i = 0; i < n_spans; i++)
        for (size_t k = 0; k < spans[i].size; k++)
            a.items[a.n++] = (unsigned char)spans[i].text[k];
    *ret = a;
    return 0;
}

int model_detokenize(
    const Model *m, const Token *tokens, size_t n, bool special, char **ret, size_t *ret_size, Error *e) {
    char *text = calloc(n * 3 + 1, 1);
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] > BOS) {
            free(text);
            return error_set(e, -EINVAL, "Token %u is outside the vocabulary.", tokens[i]);
        }
        if (tokens[i] < BOS)
            text[size++] = (char)tokens[i];
        else if (special)
            size += (size_t)sprintf(text + size, "<s>");
    }
    *ret = text;
    *ret_size = size;
    return 0;
}

int model_format_chat(
    const Model *m, const ChatMessage *messages, size_t n_messages, const ChatOptions *options, Prompt *ret, Error *e) {
    TextSpan *spans = calloc(n_messages * 5 + 3, sizeof(TextSpan));
    size_t n = 0;
    if (options && options->tools)
        spans[n++] = (TextSpan){options->tools, strlen(options->tools), false};
    if (options && options->variables) {
        if (strstr(options->variables, "refuse")) {
            free(spans);
            return error_set(e, -EINVAL, "The template refuses.");
        }
        spans[n++] = (TextSpan){options->variables, strlen(options->variables), false};
    }
    for (size_t i = 0; i < n_messages; i++) {
        if (messages[i].fields)
            spans[n++] = (TextSpan){messages[i].fields, strlen(messages[i].fields), false};
        spans[n++] = (TextSpan){messages[i].role, strlen(messages[i].role), true};
        spans[n++] = (TextSpan){": ", 2, true};
        spans[n++] = (TextSpan){messages[i].content, messages[i].content_size, false};
        spans[n++] = (TextSpan){"\n", 1, true};
    }
    spans[n++] = (TextSpan){"assistant: ", 11, true};
    int r = model_tokenize(m, spans, n, true, &ret->tokens, e);
    ret->reasoning_open = false;
    free(spans);
    return r;
}

int sampler_options_check(const SamplerOptions *o, Error *e) {
    if (!(o->temperature >= 0))
        return error_set(e, -EINVAL, "Option \"temperature\" must not be negative.");
    return 0;
}

/* ---------------------------------------------------------------------------------------------- sequences */

typedef struct Sequence Sequence;
struct Sequence {
    Sequence *next;
    uint64_t id, owner;
    Token *prompt;
    size_t n_prompt;
    uint32_t max_tokens, n_generated, cached;
    char *reasoning, *answer; /* owned; what is to be said */
    size_t reasoning_at, answer_at;
    char call[32]; /* the tool's name */
    unsigned n_calls;
    unsigned slow_ms;
    uint64_t due; /* ms */
    bool embed, hang, queued, cancelled, stopped;
    Error error;
    size_t outstanding;
    uint64_t submitted;
};

struct Engine {
    Model *model;
    EngineOptions options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Sequence *sequences;
    EngineEvent *events, **events_end;
    uint64_t last_id;
    EngineStats stats;
    Token *last_prompt; /* for cached_tokens */
    size_t n_last_prompt;
    uint64_t last_owner;
    bool quit;
};

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static Sequence *sequence_free(Sequence *s) {
    free(s->prompt);
    free(s->reasoning);
    free(s->answer);
    free(s);
    return NULL;
}

static char *last_user_message(const Sequence *s) {
    char *text = calloc(s->n_prompt + 1, 1), *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n_prompt; i++)
        if (s->prompt[i] < BOS && s->prompt[i])
            text[n++] = (char)s->prompt[i];
    for (char *p = text; (p = strstr(p, "user: ")); p++)
        found = p + 6;
    if (found) {
        char *end = strstr(found, "\nassistant: ");
        char *copy = end ? strndup(found, end - found) : strdup(found);
        free(text);
        return copy;
    }
    return text;
}

static char *whole_prompt(const Sequence *s) {
    char *text = calloc(s->n_prompt + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s->n_prompt; i++)
        if (s->prompt[i] < BOS && s->prompt[i])
            text[n++] = (char)s->prompt[i];
    return text;
}

static void read_commands(Sequence *s) {
    char *message = last_user_message(s), *p = message;
    unsigned n;
    int used;

    for (;;) {
        used = 0;
        if (sscanf(p, "/slow %u %n", &n, &used) >= 1 && used)
            s->slow_ms = n;
        else if (sscanf(p, "/long %u %n", &n, &used) >= 1 && used) {
            n = MIN(n, 100u * 1000 * 1000);
            free(s->answer);
            s->answer = calloc(n + 1, 1);
            memset(s->answer, 'x', n);
        } else if (strncmp(p, "/hang", 5) == 0) {
            s->hang = true;
            used = 5;
        } else if (strncmp(p, "/queue", 6) == 0) {
            s->hang = s->queued = true;
            used = 6;
        } else if (strncmp(p, "/prompt", 7) == 0) {
            s->answer = whole_prompt(s);
            used = 7;
        } else if (sscanf(p, "/call %31s %u %n", s->call, &s->n_calls, &used) >= 2 && used) {
        } else if (strncmp(p, "/fail", 5) == 0) {
            error_set(&s->error, -ENOSPC, "No pages became free in time.");
            used = 5;
        } else if (strncmp(p, "/io", 3) == 0) {
            error_set(&s->error, -EIO, "The model file was truncated.");
            used = 3;
        } else if (strncmp(p, "/think ", 7) == 0) {
            s->reasoning = strdup(p + 7);
            break;
        } else
            break;
        p += used;
        p += strspn(p, " ");
    }
    if (!s->answer && asprintf(&s->answer, "echo: %s", p) < 0)
        abort();
    free(message);
}

static void push_event(Engine *en, EngineEvent *ev) {
    bool was_empty = en->events == NULL;
    *en->events_end = ev;
    en->events_end = &ev->next;
    if (was_empty)
        en->options.wake(en->options.userdata);
}

static void push_delta(Engine *en, Sequence *s, EngineTextKind kind, const char *text, size_t n) {
    EngineEvent *ev = calloc(1, sizeof(EngineEvent));
    *ev = (EngineEvent){.id = s->id, .type = ENGINE_EVENT_DELTA, .kind = kind, .text = strndup(text, n), .size = n};
    if (kind == ENGINE_TEXT_TOOL_CALL)
        ev->tool_name = strdup(s->call);
    push_event(en, ev);
    s->outstanding += n;
    s->n_generated++;
    en->stats.completion_tokens++;
}

static float *embed(const Sequence *s, size_t width) {
    float *values = calloc(width, sizeof(float));
    values[s->n_prompt % width] = 0.6f;
    values[(s->n_prompt + 1) % width] = -0.8f;
    return values;
}

static void push_finished(Engine *en, Sequence *s, EngineFinish finish) {
    EngineEvent *ev = calloc(1, sizeof(EngineEvent));
    *ev = (EngineEvent){.id = s->id, .type = ENGINE_EVENT_FINISHED, .finish = finish, .error = s->error};
    ev->usage = (EngineUsage){.prompt_tokens = (uint32_t)s->n_prompt,
        .cached_tokens = s->cached,
        .completion_tokens = s->n_generated,
        .reasoning_tokens = (uint32_t)s->reasoning_at,
        .decode_usec = (now_ms() - s->submitted) * 1000};
    if (s->embed && finish == ENGINE_FINISH_STOP) {
        ev->n_embedding = en->model->info->embedding_size;
        ev->embedding = embed(s, ev->n_embedding);
    }
    push_event(en, ev);
    free(en->last_prompt);
    en->last_prompt = TAKE_PTR(s->prompt);
    en->n_last_prompt = s->n_prompt;
    en->last_owner = s->owner;
}

static size_t char_size(const char *s) {
    size_t n = 1;
    while (((unsigned char)s[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* Returns true when the sequence has ended. */
static bool step(Engine *en, Sequence *s) {
    uint64_t now = now_ms();

    if (s->cancelled || (s->error.code && !s->hang)) {
        push_finished(en, s, s->error.code ? ENGINE_FINISH_ERROR : ENGINE_FINISH_CANCELLED);
        return true;
    }
    if (s->hang || now < s->due || s->outstanding >= en->options.outbox_bytes)
        return false;
    if (s->embed) {
        push_finished(en, s, ENGINE_FINISH_STOP);
        return true;
    }
    s->due = now + s->slow_ms;
    if (s->n_calls > 0) {
        s->n_calls--;
        push_delta(en, s, ENGINE_TEXT_TOOL_CALL, "{\"x\": 1.10}", 11);
        return false;
    }
    bool thinking = s->reasoning && s->reasoning[s->reasoning_at];
    const char *text = thinking ? s->reasoning + s->reasoning_at : s->answer + s->answer_at;
    if (s->n_generated >= s->max_tokens || !*text) {
        push_finished(en, s, s->n_generated >= s->max_tokens ? ENGINE_FINISH_LENGTH : ENGINE_FINISH_STOP);
        return true;
    }
    size_t n = char_size(text);
    push_delta(en, s, thinking ? ENGINE_TEXT_REASONING : ENGINE_TEXT_ANSWER, text, n);
    *(thinking ? &s->reasoning_at : &s->answer_at) += n;
    return false;
}

static bool can_go_on(const Engine *en, const Sequence *s) {
    return !s->hang && s->outstanding < en->options.outbox_bytes;
}

static void *engine_thread(void *userdata) {
    Engine *en = userdata;

    pthread_mutex_lock(&en->lock);
    while (!en->quit) {
        bool any = false, slow = true;
        for (Sequence **p = &en->sequences; *p;) {
            Sequence *s = *p;
            if (step(en, s)) {
                *p = s->next;
                sequence_free(s);
                continue;
            }
            any |= can_go_on(en, s);
            slow &= s->slow_ms > 0 || !can_go_on(en, s);
            p = &s->next;
        }
        en->stats.steps++;
        if (!any)
            pthread_cond_wait(&en->changed, &en->lock);
        else if (slow) {
            pthread_mutex_unlock(&en->lock);
            sleep_ms(1);
            pthread_mutex_lock(&en->lock);
        }
    }
    pthread_mutex_unlock(&en->lock);
    return NULL;
}

/* ---------------------------------------------------------------------------------------------- engine */

int engine_new(Model *m, const EngineOptions *o, Engine **ret, Error *e) {
    if (m->no_pool)
        return error_set(e, -ENOMEM, "The KV pool does not fit: 3 GiB are missing.");
    Engine *en = calloc(1, sizeof(Engine));
    en->model = model_ref(m);
    en->options = *o;
    if (!en->options.outbox_bytes)
        en->options.outbox_bytes = 65536;
    en->events_end = &en->events;
    pthread_mutex_init(&en->lock, NULL);
    pthread_cond_init(&en->changed, NULL);
    pthread_create(&en->thread, NULL, engine_thread, en);
    *ret = en;
    return 0;
}

Engine *engine_free(Engine *en) {
    if (!en)
        return NULL;
    pthread_mutex_lock(&en->lock);
    en->quit = true;
    pthread_cond_signal(&en->changed);
    pthread_mutex_unlock(&en->lock);
    pthread_join(en->thread, NULL);
    while (en->sequences) {
        Sequence *s = en->sequences;
        en->sequences = s->next;
        sequence_free(s);
    }
    for (EngineEvent *ev = en->events; ev;)
        ev = engine_event_free(ev);
    pthread_mutex_destroy(&en->lock);
    pthread_cond_destroy(&en->changed);
    model_unref(en->model);
    free(en->last_prompt);
    free(en);
    return NULL;
}

int engine_submit(Engine *en, const EngineRequest *r, uint64_t *ret_id, Error *e) {
    uint32_t context = en->model->info->context_size;
    if (r->n_prompt == 0)
        return error_set(e, -EINVAL, "The prompt is empty.");
    if (r->n_prompt >= context)
        return error_set(e, -EMSGSIZE, "The prompt has %zu tokens, %zu more than fit into the context of %u.",
            r->n_prompt, r->n_prompt - context + 1, context);

    Sequence *s = calloc(1, sizeof(Sequence));
    s->prompt = calloc(r->n_prompt, sizeof(Token));
    memcpy(s->prompt, r->prompt, r->n_prompt * sizeof(Token));
    s->n_prompt = r->n_prompt;
    s->owner = r->owner;
    s->max_tokens = r->max_tokens;
    s->embed = r->embed;
    s->submitted = now_ms();
    read_commands(s);
    if (!r->tool_calls)
        s->n_calls = 0;
    for (size_t i = 0; i < r->n_stop; i++) {
        char *p = strstr(s->answer, r->stop[i]);
        if (p)
            *p = '\0';
    }

    pthread_mutex_lock(&en->lock);
    size_t same = 0;
    if (en->last_owner == s->owner)
        while (same < s->n_prompt && same < en->n_last_prompt && en->last_prompt[same] == s->prompt[same])
            same++;
    s->cached = (uint32_t)(same / PAGE_TOKENS * PAGE_TOKENS);
    en->stats.prompt_tokens += s->n_prompt;
    en->stats.cached_tokens += s->cached;
    s->id = ++en->last_id;
    *ret_id = s->id;
    s->next = en->sequences;
    en->sequences = s;
    pthread_cond_signal(&en->changed);
    pthread_mutex_unlock(&en->lock);
    return 0;
}

static Sequence *find_sequence(Engine *en, uint64_t id) {
    Sequence *s = en->sequences;
    while (s && s->id != id)
        s = s->next;
    return s;
}

void engine_cancel(Engine *en, uint64_t id, int code, const char *message) {
    pthread_mutex_lock(&en->lock);
    Sequence *s = find_sequence(en, id);
    if (s) {
        s->cancelled = true;
        if (code)
            error_set(&s->error, code, "%s", message);
    }
    pthread_cond_signal(&en->changed);
    pthread_mutex_unlock(&en->lock);
}

void engine_consumed(Engine *en, uint64_t id, size_t bytes) {
    pthread_mutex_lock(&en->lock);
    Sequence *s = find_sequence(en, id);
    if (s)
        s->outstanding -= MIN(bytes, s->outstanding);
    pthread_cond_signal(&en->changed);
    pthread_mutex_unlock(&en->lock);
}

EngineEvent *engine_take_events(Engine *en) {
    pthread_mutex_lock(&en->lock);
    EngineEvent *ev = en->events;
    en->events = NULL;
    en->events_end = &en->events;
    pthread_mutex_unlock(&en->lock);
    return ev;
}

EngineEvent *engine_event_free(EngineEvent *ev) {
    EngineEvent *next = ev->next;
    free(ev->text);
    free(ev->tool_name);
    free(ev->logprobs);
    free(ev->embedding);
    free(ev);
    return next;
}

void engine_stats(Engine *en, EngineStats *ret) {
    pthread_mutex_lock(&en->lock);
    EngineStats s = en->stats;
    s.context_size = en->model->info->context_size;
    s.page_tokens = PAGE_TOKENS;
    s.pages_total = PAGES;
    for (Sequence *q = en->sequences; q; q = q->next) {
        if (q->queued) {
            s.queued++;
            continue;
        }
        s.running++;
        s.pages_used += (uint32_t)(q->n_prompt + q->n_generated + PAGE_TOKENS - 1) / PAGE_TOKENS;
    }
    pthread_mutex_unlock(&en->lock);
    *ret = s;
}
