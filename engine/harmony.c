/* See harmony.h. Tags are told from text first, then a machine of three states puts messages together. */
#include "harmony.h"

#define HEADER_MAX_BYTES 512

typedef enum Tag {
    TAG_START,
    TAG_CHANNEL,
    TAG_CONSTRAIN,
    TAG_MESSAGE,
    TAG_END,
    TAG_CALL,
    TAG_RETURN,
} Tag;

static const char *const tags[] = {
    [TAG_START] = "<|start|>",
    [TAG_CHANNEL] = "<|channel|>",
    [TAG_CONSTRAIN] = "<|constrain|>",
    [TAG_MESSAGE] = "<|message|>",
    [TAG_END] = "<|end|>",
    [TAG_CALL] = "<|call|>",
    [TAG_RETURN] = "<|return|>",
};

typedef enum State {
    STATE_HEADER,
    STATE_TEXT, /* of a message, delivered as it comes */
    STATE_CALL, /* of a message to a tool: held until it is whole */
    STATE_BETWEEN,
} State;

struct Harmony {
    AnswerSink sink;
    bool tool_calls;
    State state;
    EngineTextKind kind; /* of TEXT */
    Bytes tag;           /* the beginning of one, perhaps */
    Bytes message;       /* HEADER: what there is of it; CALL: header and text */
    size_t body;         /* CALL: where in message the text begins */
    bool failed;         /* out of memory */
};

static void keep(Harmony *h, Bytes *b, const char *data, size_t size) {
    if (bytes_append(b, data, size) < 0)
        h->failed = true;
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* What was held is text after all. */
static void release(Harmony *h) {
    for (size_t i = 0; i < h->message.size; i++)
        h->sink.text(h->sink.userdata, ENGINE_TEXT_ANSWER, h->message.data[i]);
    h->message.size = 0;
}

/* ------------------------------------------------------------------------------------------------ headers */

/* The word behind `mark` in the header; false: there is none, or it is too long. */
static bool find_word(const Harmony *h, const char *mark, char *ret, size_t size) {
    const char *p = h->message.size > 0 ? strstr(h->message.data, mark) : NULL;
    size_t n = 0;
    if (!p)
        return false;
    for (p += strlen(mark); *p && *p != '<' && !is_space(*p); p++) {
        unsigned char c = (unsigned char)*p;
        if (n + 1 == size || c < ' ' || c >= 0x7F || c == '"' || c == '\\')
            return false;
        ret[n++] = *p;
    }
    ret[n] = '\0';
    return n > 0;
}

static bool find_recipient(const Harmony *h, char *ret, size_t size) {
    return find_word(h, " to=", ret, size) && strcmp(ret, "assistant") != 0 && strcmp(ret, "user") != 0 &&
           strcmp(ret, "all") != 0;
}

/* Whether this can be the header of a message by the assistant. Before the channel there is only the role, which the
 * prompt may have written, and a recipient. */
static bool may_be_header(const Harmony *h) {
    static const char role[] = "<|start|>assistant", recipient[] = " to=";
    const char *s = h->message.data;
    size_t n = h->message.size;

    if (n > HEADER_MAX_BYTES)
        return false;
    if (strncmp(s, role, MIN(n, sizeof(role) - 1)) == 0) {
        s += MIN(n, sizeof(role) - 1);
        n -= MIN(n, sizeof(role) - 1);
    }
    return n == 0 || strncmp(s, tags[TAG_CHANNEL], MIN(n, 2u)) == 0 ||
           strncmp(s, recipient, MIN(n, sizeof(recipient) - 1)) == 0;
}

static void begin_message(Harmony *h) {
    char word[128];
    if (find_recipient(h, word, sizeof(word))) {
        keep(h, &h->message, tags[TAG_MESSAGE], strlen(tags[TAG_MESSAGE]));
        h->body = h->message.size;
        h->state = STATE_CALL;
        return;
    }
    bool reasoning = find_word(h, tags[TAG_CHANNEL], word, sizeof(word)) && strcmp(word, "analysis") == 0;
    h->kind = reasoning ? ENGINE_TEXT_REASONING : ENGINE_TEXT_ANSWER;
    h->state = STATE_TEXT;
    h->message.size = 0;
}

static void begin_header(Harmony *h, Tag tag) {
    h->message.size = 0;
    keep(h, &h->message, tags[tag], strlen(tags[tag]));
    h->state = STATE_HEADER;
}

static void turn_to_text(Harmony *h) {
    h->kind = ENGINE_TEXT_ANSWER;
    h->state = STATE_TEXT;
    release(h);
}

/* ------------------------------------------------------------------------------------------------ messages */

/* `end`: the tag's text, which belongs to a call that is none. */
static void end_call(Harmony *h, const char *end) {
    char word[128];

    h->state = STATE_BETWEEN;
    bool known = find_recipient(h, word, sizeof(word));
    const char *name = known && strncmp(word, "functions.", 10) == 0 ? word + 10 : word;
    if (known && *name && h->tool_calls &&
        tool_json_read_arguments(name, h->message.data + h->body, h->message.size - h->body, &h->sink) >= 0) {
        h->message.size = 0;
        return;
    }
    keep(h, &h->message, end, strlen(end));
    release(h);
}

static void on_byte(Harmony *h, char byte) {
    switch (h->state) {
    case STATE_HEADER:
        keep(h, &h->message, &byte, 1);
        if (!h->failed && !may_be_header(h))
            turn_to_text(h);
        return;
    case STATE_CALL: keep(h, &h->message, &byte, 1); return;
    case STATE_BETWEEN:
        if (is_space(byte))
            return;
        h->kind = ENGINE_TEXT_ANSWER;
        h->state = STATE_TEXT;
        break;
    case STATE_TEXT: break;
    }
    h->sink.text(h->sink.userdata, h->kind, byte);
}

static void on_tag(Harmony *h, Tag tag) {
    const char *text = tags[tag];
    bool opens = tag == TAG_START || tag == TAG_CHANNEL, ends = tag >= TAG_END;

    switch (h->state) {
    case STATE_HEADER:
        if (tag == TAG_MESSAGE)
            begin_message(h);
        else if (ends || (tag == TAG_START && h->message.size > 0)) {
            release(h);
            h->state = STATE_BETWEEN;
            if (tag == TAG_START)
                begin_header(h, tag);
        } else
            keep(h, &h->message, text, strlen(text));
        return;
    case STATE_CALL:
        if (opens || ends) {
            end_call(h, ends ? text : "");
            if (opens)
                begin_header(h, tag);
        } else
            keep(h, &h->message, text, strlen(text));
        return;
    case STATE_TEXT:
    case STATE_BETWEEN:
        if (opens)
            begin_header(h, tag);
        else if (ends)
            h->state = STATE_BETWEEN;
        else
            for (const char *p = text; *p; p++)
                on_byte(h, *p);
    }
}

/* ------------------------------------------------------------------------------------------------ interface */

int harmony_new(bool tool_calls, const AnswerSink *sink, Harmony **ret) {
    Harmony *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->sink = *sink;
    h->tool_calls = tool_calls;
    *ret = h;
    return 0;
}

Harmony *harmony_free(Harmony *h) {
    if (!h)
        return NULL;
    bytes_done(&h->tag);
    bytes_done(&h->message);
    free(h);
    return NULL;
}

static void release_tag(Harmony *h) {
    size_t n = h->tag.size;
    h->tag.size = 0;
    for (size_t i = 0; i < n; i++)
        on_byte(h, h->tag.data[i]);
}

int harmony_push(Harmony *h, char byte) {
    keep(h, &h->tag, &byte, 1);
    if (h->failed)
        return -ENOMEM;
    size_t n = h->tag.size;
    bool possible = false;
    for (size_t i = 0; i < ELEMENTSOF(tags) && !possible; i++)
        if (strncmp(h->tag.data, tags[i], n) == 0) {
            possible = true;
            if (tags[i][n] == '\0') {
                h->tag.size = 0;
                on_tag(h, (Tag)i);
            }
        }
    if (!possible && n > 1) { /* the byte itself may begin a tag */
        h->tag.size--;
        release_tag(h);
        return harmony_push(h, byte);
    }
    if (!possible)
        release_tag(h);
    return h->failed ? -ENOMEM : 0;
}

int harmony_finish(Harmony *h) {
    release_tag(h);
    if (h->state == STATE_CALL)
        end_call(h, "");
    else
        release(h);
    return h->failed ? -ENOMEM : 0;
}

size_t harmony_held(const Harmony *h) {
    return h->tag.size + h->message.size;
}

bool harmony_in_reasoning(const Harmony *h) {
    return h->state == STATE_TEXT && h->kind == ENGINE_TEXT_REASONING;
}
