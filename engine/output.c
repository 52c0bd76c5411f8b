/* Byte by byte through small machines: tags → tool calls → stop strings → UTF-8, or channels → stop strings → UTF-8;
 * see output.h for the rules. Stop strings are found with one Knuth-Morris-Pratt automaton each, whose state is also
 * how much of the text must be held back.
 *
 * Log-probabilities follow the text by offsets into the stream of bytes that came in: a token's is due when the last of
 * its bytes is delivered or dropped, that is, when fewer bytes are held than came after it. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "harmony.h"
#include "output.h"
#include "tool-calls.h"

#define OPEN_TAG  "<think>"
#define CLOSE_TAG "</think>"

typedef enum State {
    STATE_START,       /* white space, then perhaps <think> */
    STATE_AFTER_OPEN,  /* line breaks after <think> */
    STATE_REASONING,   /* until </think> */
    STATE_AFTER_CLOSE, /* line breaks after </think> */
    STATE_ANSWER,      /* until a stop string */
    STATE_STOPPED,
} State;

typedef struct Stop {
    char *text;        /* owned */
    uint32_t *failure; /* owned, [size]: longest proper prefix of text that ends text[0..i] */
    uint32_t size;
    uint32_t matched; /* bytes of it that the answer ends in */
} Stop;

typedef struct Pending {
    uint64_t begin, end; /* the token's bytes in the stream */
    TokenLogprob logprob;
} Pending;

struct Output {
    State state;
    Bytes held;       /* START, REASONING, ANSWER: bytes not yet decided upon */
    size_t n_matched; /* START, REASONING: of them, how many are of the tag */

    ToolCalls *calls; /* owned; NULL: none are looked for */
    Harmony *harmony; /* owned; NULL: tags, not channels */
    Stop *stops;      /* owned, [n_stops] */
    size_t n_stops;

    unsigned char character[4]; /* the beginning of a UTF-8 sequence */
    unsigned n_character;
    EngineTextKind character_kind;

    uint64_t n_in;        /* bytes so far */
    uint64_t answer_from; /* tokens that end here or before are reasoning */
    Bytes text[2];        /* by EngineTextKind: certain, not yet taken */
    OutputText *ready;    /* owned: what comes before that, ending in a tool call */
    size_t n_ready, ready_capacity;
    Pending *pending; /* owned */
    size_t n_pending, pending_capacity;
    bool finished;
    bool failed; /* out of memory somewhere below */
};

/* ------------------------------------------------------------------------------------------------ bytes */

static void bytes_add(Output *u, Bytes *b, const char *data, size_t size) {
    if (bytes_append(b, data, size) < 0)
        u->failed = true;
}

static void bytes_drop_front(Bytes *b, size_t n) {
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->size - n);
    b->size -= n;
}

/* ------------------------------------------------------------------------------------------------ UTF-8 */

/* How many bytes the sequence that begins with s[0..n) needs in all; 0: it is not the beginning of any (Unicode 15,
 * table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
static unsigned utf8_wanted(const unsigned char *s, unsigned n) {
    unsigned char a = s[0];
    unsigned size = a < 0x80 ? 1 : a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0;
    if (size == 0 || n == 1)
        return size;
    unsigned char low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80;
    unsigned char high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

static void utf8_flush(Output *u) {
    if (u->n_character > 0)
        bytes_add(u, &u->text[u->character_kind], "\xEF\xBF\xBD", 3);
    u->n_character = 0;
}

static void emit(Output *u, EngineTextKind kind, char byte) {
    if (u->character_kind != kind)
        utf8_flush(u);
    u->character_kind = kind;
    u->character[u->n_character++] = (unsigned char)byte;
    unsigned wanted = utf8_wanted(u->character, u->n_character);
    if (wanted == u->n_character) {
        bytes_add(u, &u->text[kind], (const char *)u->character, wanted);
        u->n_character = 0;
    } else if (wanted == 0) {
        /* one U+FFFD for what was well until here; this byte may begin something new */
        bool again = --u->n_character > 0;
        if (!again)
            u->n_character = 1;
        utf8_flush(u);
        if (again)
            emit(u, kind, byte);
    }
}

static void emit_held(Output *u, EngineTextKind kind, size_t n) {
    for (size_t i = 0; i < n; i++)
        emit(u, kind, u->held.data[i]);
    bytes_drop_front(&u->held, n);
}

/* ------------------------------------------------------------------------------------------------ stop strings */

static int stop_init(Stop *s, const char *text) {
    size_t size = strlen(text);
    assert(size > 0 && size < UINT32_MAX);
    s->text = strdup(text);
    s->failure = calloc(size, sizeof(*s->failure));
    s->size = (uint32_t)size;
    if (!s->text || !s->failure)
        return -ENOMEM;
    for (uint32_t i = 1, k = 0; i < s->size; i++) {
        while (k > 0 && text[i] != text[k])
            k = s->failure[k - 1];
        if (text[i] == text[k])
            k++;
        s->failure[i] = k;
    }
    return 0;
}

static bool stop_step(Stop *s, char byte) {
    while (s->matched > 0 && byte != s->text[s->matched])
        s->matched = s->failure[s->matched - 1];
    if (byte == s->text[s->matched])
        s->matched++;
    return s->matched == s->size;
}

static void push_text(Output *u, char byte) {
    if (u->state == STATE_STOPPED) { /* released together with what held the stop string: as if it had never come */
        u->n_in--;
        return;
    }
    if (u->n_stops == 0) {
        emit(u, ENGINE_TEXT_ANSWER, byte);
        return;
    }
    bytes_add(u, &u->held, &byte, 1);
    if (u->failed)
        return;

    uint32_t hold = 0, complete = 0;
    for (size_t i = 0; i < u->n_stops; i++) {
        Stop *s = &u->stops[i];
        if (stop_step(s, byte))
            complete = MAX(complete, s->size);
        hold = MAX(hold, s->matched);
    }
    if (complete > 0) {
        emit_held(u, ENGINE_TEXT_ANSWER, u->held.size - complete);
        u->state = STATE_STOPPED;
    } else
        emit_held(u, ENGINE_TEXT_ANSWER, u->held.size - hold);
}

/* ------------------------------------------------------------------------------------------------ tool calls */

static void make_ready(Output *u, OutputText t) {
    if (u->n_ready == u->ready_capacity) {
        size_t capacity = MAX(u->ready_capacity * 2, (size_t)4);
        OutputText *p = reallocarray(u->ready, capacity, sizeof(*p));
        if (!p) {
            u->failed = true;
            output_text_done(&t);
            return;
        }
        u->ready = p;
        u->ready_capacity = capacity;
    }
    u->ready[u->n_ready++] = t;
}

/* What was said so far comes before all that follows. */
static void seal(Output *u) {
    static const EngineTextKind order[] = {ENGINE_TEXT_REASONING, ENGINE_TEXT_ANSWER};

    emit_held(u, ENGINE_TEXT_ANSWER, u->held.size);
    for (size_t i = 0; i < u->n_stops; i++)
        u->stops[i].matched = 0;
    utf8_flush(u);
    for (size_t i = 0; i < ELEMENTSOF(order); i++) {
        Bytes *text = &u->text[order[i]];
        if (text->size == 0)
            continue;
        make_ready(u, (OutputText){.kind = order[i], .text = text->data, .size = text->size});
        *text = (Bytes){};
    }
}

static void on_call(void *userdata, const char *name, const char *arguments, size_t size) {
    Output *u = userdata;

    if (u->state == STATE_STOPPED)
        return;
    seal(u);
    OutputText call = {.kind = ENGINE_TEXT_TOOL_CALL, .size = size};
    call.text = strndup(arguments, size);
    call.tool_name = strdup(name);
    if (!call.text || !call.tool_name)
        u->failed = true;
    make_ready(u, call);
}

static void push_answer(Output *u, char byte) {
    if (!u->calls)
        push_text(u, byte);
    else if (tool_calls_push(u->calls, byte) < 0)
        u->failed = true;
}

/* ------------------------------------------------------------------------------------------------ channels */

static void start_answer(Output *u, uint64_t from) {
    u->state = STATE_ANSWER;
    u->answer_from = from;
}

static void on_text(void *userdata, EngineTextKind kind, char byte) {
    Output *u = userdata;
    if (kind == ENGINE_TEXT_REASONING) {
        emit(u, kind, byte);
        return;
    }
    if (u->state < STATE_ANSWER) /* channels: where the message began does not matter, nothing was held before it */
        start_answer(u, u->n_in - 1);
    push_text(u, byte);
}

/* The state follows the channel: what has to wait in a stop string's beginning is answer, whatever comes then. */
static void push_channels(Output *u, char byte) {
    if (harmony_push(u->harmony, byte) < 0)
        u->failed = true;
    if (u->state == STATE_STOPPED || !harmony_in_reasoning(u->harmony) || u->state == STATE_REASONING)
        return;
    if (u->state == STATE_ANSWER)
        seal(u);
    u->state = STATE_REASONING;
}

/* ------------------------------------------------------------------------------------------------ tags */

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* No <think> at the beginning: all that was held is the beginning of the answer. */
static void start_without_reasoning(Output *u) {
    start_answer(u, 0);
    Bytes held = u->held;
    u->held = (Bytes){};
    size_t i = 0;
    while (i < held.size && u->state == STATE_ANSWER)
        push_answer(u, held.data[i++]);
    u->n_in -= held.size - i; /* behind a stop string: as if it had never come */
    free(held.data);
}

static void push_start(Output *u, char byte) {
    bytes_add(u, &u->held, &byte, 1);
    if (u->n_matched == 0 && is_space(byte))
        return;
    if (byte != OPEN_TAG[u->n_matched])
        start_without_reasoning(u);
    else if (++u->n_matched == strlen(OPEN_TAG)) {
        u->held.size = 0;
        u->n_matched = 0;
        u->state = STATE_AFTER_OPEN;
    }
}

static void push_reasoning(Output *u, char byte) {
    if (byte == CLOSE_TAG[u->n_matched]) {
        bytes_add(u, &u->held, &byte, 1);
        if (++u->n_matched == strlen(CLOSE_TAG)) {
            u->held.size = 0;
            u->n_matched = 0;
            utf8_flush(u);
            u->state = STATE_AFTER_CLOSE;
        }
        return;
    }
    if (u->n_matched > 0 || byte != '\n') {
        emit_held(u, ENGINE_TEXT_REASONING, u->held.size);
        u->n_matched = 0;
    }
    if (byte == '\n')
        bytes_add(u, &u->held, &byte, 1);
    else if (byte == CLOSE_TAG[0])
        push_reasoning(u, byte);
    else
        emit(u, ENGINE_TEXT_REASONING, byte);
}

static void push_byte(Output *u, char byte) {
    u->n_in++;
    if (u->harmony) {
        push_channels(u, byte);
        return;
    }
    switch (u->state) {
    case STATE_START: push_start(u, byte); break;
    case STATE_AFTER_OPEN:
        if (byte == '\n')
            break;
        u->state = STATE_REASONING;
        push_reasoning(u, byte);
        break;
    case STATE_REASONING: push_reasoning(u, byte); break;
    case STATE_AFTER_CLOSE:
        if (byte == '\n')
            break;
        start_answer(u, u->n_in - 1);
        push_answer(u, byte);
        break;
    case STATE_ANSWER: push_answer(u, byte); break;
    case STATE_STOPPED: break;
    }
}

/* ------------------------------------------------------------------------------------------------ interface */

int output_new(const OutputOptions *o, Output **ret) {
    _cleanup_(output_freep) Output *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->state = !o->split_reasoning ? STATE_ANSWER : o->reasoning_open ? STATE_AFTER_OPEN : STATE_START;
    if (o->n_stop > 0) {
        u->stops = calloc(o->n_stop, sizeof(*u->stops));
        if (!u->stops)
            return -ENOMEM;
    }
    const AnswerSink sink = {.text = on_text, .call = on_call, .userdata = u};
    int k = 0;
    if (o->syntax == ENGINE_SYNTAX_HARMONY && o->split_reasoning) {
        u->state = STATE_START;
        k = harmony_new(o->tool_calls, &sink, &u->harmony);
    } else if (o->tool_calls)
        k = tool_calls_new(o->syntax, o->tools, &sink, &u->calls);
    if (k < 0)
        return k;
    while (u->n_stops < o->n_stop) {
        int r = stop_init(&u->stops[u->n_stops], o->stop[u->n_stops]);
        u->n_stops++;
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(u);
    return 0;
}

Output *output_free(Output *u) {
    if (!u)
        return NULL;
    for (size_t i = 0; i < u->n_stops; i++) {
        free(u->stops[i].text);
        free(u->stops[i].failure);
    }
    free(u->stops);
    for (size_t i = 0; i < u->n_ready; i++)
        output_text_done(&u->ready[i]);
    free(u->ready);
    tool_calls_free(u->calls);
    harmony_free(u->harmony);
    free(u->held.data);
    free(u->text[0].data);
    free(u->text[1].data);
    free(u->pending);
    free(u);
    return NULL;
}

void output_text_done(OutputText *t) {
    free(t->text);
    free(t->tool_name);
    free(t->logprobs);
    *t = (OutputText){};
}

static int pending_add(Output *u, const TokenLogprob *logprob, uint64_t end) {
    if (u->n_pending == u->pending_capacity) {
        size_t capacity = MAX(u->pending_capacity * 2, (size_t)8);
        Pending *p = reallocarray(u->pending, capacity, sizeof(*p));
        if (!p)
            return -ENOMEM;
        u->pending = p;
        u->pending_capacity = capacity;
    }
    u->pending[u->n_pending++] = (Pending){.begin = u->n_in, .end = end, .logprob = *logprob};
    return 0;
}

int output_push(Output *u, const char *piece, size_t size, const TokenLogprob *logprob, bool *ret_stopped) {
    assert(u->state != STATE_STOPPED);
    if (logprob && pending_add(u, logprob, u->n_in + size) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < size && u->state != STATE_STOPPED; i++)
        push_byte(u, piece[i]);
    *ret_stopped = u->state == STATE_STOPPED;
    return u->failed ? -ENOMEM : 0;
}

int output_finish(Output *u) {
    EngineTextKind kind = ENGINE_TEXT_ANSWER;
    if (u->harmony && u->state != STATE_STOPPED && harmony_finish(u->harmony) < 0)
        u->failed = true;
    if (u->harmony && u->state == STATE_START)
        u->state = STATE_ANSWER; /* nothing was said */
    switch (u->state) {
    case STATE_START: start_without_reasoning(u); break; /* which may yet find a stop string */
    case STATE_AFTER_OPEN:
    case STATE_REASONING: kind = ENGINE_TEXT_REASONING; break;
    case STATE_AFTER_CLOSE:
    case STATE_ANSWER:
    case STATE_STOPPED: break;
    }
    if (u->calls && u->state == STATE_ANSWER && tool_calls_finish(u->calls) < 0)
        u->failed = true;
    if (u->state == STATE_STOPPED) {
        /* what is held is the stop string; tokens wholly inside it are not part of the text */
        uint64_t certain = u->n_in - u->held.size;
        while (u->n_pending > 0 && u->pending[u->n_pending - 1].begin >= certain)
            u->n_pending--;
        u->held.size = 0;
    } else
        emit_held(u, kind, u->held.size);
    utf8_flush(u);
    u->finished = true;
    return u->failed ? -ENOMEM : 0;
}

/* How far the stream is certain: tokens that end here or before have their place. Inside START nobody knows yet of
 * which kind the text will be. */
static uint64_t certain_end(const Output *u, EngineTextKind kind) {
    uint64_t held = u->held.size + u->n_character;
    if (u->calls)
        held += tool_calls_held(u->calls);
    if (u->harmony)
        held += harmony_held(u->harmony);
    uint64_t end = u->finished ? UINT64_MAX : u->n_in - MIN(held, u->n_in);
    if (u->state == STATE_START)
        return 0;
    if (kind == ENGINE_TEXT_ANSWER)
        return u->state >= STATE_ANSWER ? end : 0;
    return u->state >= STATE_ANSWER ? MIN(end, u->answer_from) : end;
}

int output_take(Output *u, OutputText *ret) {
    static const EngineTextKind order[] = {ENGINE_TEXT_REASONING, ENGINE_TEXT_ANSWER};

    if (u->n_ready > 0) {
        *ret = u->ready[0];
        memmove(u->ready, u->ready + 1, --u->n_ready * sizeof(*u->ready));
        return 1;
    }
    for (size_t i = 0; i < ELEMENTSOF(order); i++) {
        Bytes *text = &u->text[order[i]];
        uint64_t end = certain_end(u, order[i]);
        size_t n = 0;
        while (end > 0 && n < u->n_pending && u->pending[n].end <= end)
            n++;
        if (text->size == 0 && n == 0)
            continue;

        OutputText t = {.kind = order[i], .n_logprobs = n};
        if (n > 0) {
            t.logprobs = reallocarray(NULL, n, sizeof(*t.logprobs));
            if (!t.logprobs)
                return -ENOMEM;
        }
        bytes_add(u, text, "", 0);
        if (u->failed) {
            free(t.logprobs);
            return -ENOMEM;
        }
        for (size_t j = 0; j < n; j++)
            t.logprobs[j] = u->pending[j].logprob;
        u->n_pending -= n;
        if (n > 0)
            memmove(u->pending, u->pending + n, u->n_pending * sizeof(*u->pending));
        t.text = text->data;
        t.size = text->size;
        *text = (Bytes){};
        *ret = t;
        return 1;
    }
    return 0;
}

bool output_in_reasoning(const Output *u) {
    if (u->harmony)
        return harmony_in_reasoning(u->harmony);
    return u->state == STATE_AFTER_OPEN || u->state == STATE_REASONING;
}
