/* See tool-calls.h. Every tag begins with a character that it does not have again, so that a mismatch never needs to
 * look back; a byte is looked at once, and once more when what was held becomes text. */
#include "tool-calls.h"

#include "tool-xml.h"

#define NAME_MAX_BYTES 256

typedef enum StepType {
    STEP_SPACE,      /* any white space */
    STEP_TAG,        /* this text */
    STEP_TAG_MAYBE,  /* this text, or nothing of it */
    STEP_UNTIL,      /* everything up to and including this text: calls as elements (tool-xml.h) */
    STEP_NAME,       /* everything before this text; a later one counts instead of an earlier one */
    STEP_OBJECT,     /* a JSON object: the arguments */
    STEP_VALUE,      /* a JSON object or array: calls with their names */
    STEP_IF_BRACKET, /* on { or [ goes on at `target` */
    STEP_REPEAT,     /* white space and semicolons; on { goes on at `target` */
    STEP_CALL,       /* all is there */
} StepType;

typedef struct Step {
    StepType type;
    const char *text;
    unsigned target;
} Step;

/* What a call may begin with, and where its program goes on. */
typedef struct Opening {
    const char *tag;
    unsigned step;
} Opening;

typedef struct Syntax {
    Opening openings[3];
    const char *closing; /* dropped after a call */
    bool whole;          /* calls are the whole answer; a bare { at its beginning opens them */
    const Step *steps;
} Syntax;

static const Step hermes[] = {
    {STEP_SPACE},
    {STEP_VALUE},
    {STEP_SPACE},
    {STEP_TAG, "</tool_call>"},
    {STEP_CALL},
};

static const Step deepseek[] = {
    {STEP_SPACE},
    {STEP_TAG, "<｜tool▁call▁begin｜>"},
    {STEP_NAME, "<｜tool▁sep｜>"}, /* "function", or already the name */
    {STEP_SPACE},
    {STEP_IF_BRACKET, .target = 7},
    {STEP_NAME, "\n```json"},
    {STEP_SPACE},
    {STEP_OBJECT},
    {STEP_SPACE},
    {STEP_TAG_MAYBE, "```"},
    {STEP_SPACE},
    {STEP_TAG, "<｜tool▁call▁end｜>"},
    {STEP_CALL},
};

static const Step llama3[] = {
    {STEP_SPACE},
    {STEP_VALUE},
    {STEP_REPEAT, .target = 1},
};

static const Step mistral[] = {
    {STEP_SPACE},
    {STEP_IF_BRACKET, .target = 6},
    {STEP_NAME, "[ARGS]"},
    {STEP_SPACE},
    {STEP_OBJECT},
    {STEP_CALL},
    {STEP_VALUE},
    {STEP_CALL},
};

static const Step granite[] = {
    {STEP_SPACE},
    {STEP_VALUE},
    {STEP_CALL},
};

static const Step qwen_xml[] = {
    {STEP_SPACE},
    {STEP_IF_BRACKET, .target = 4}, /* JSON after all */
    {STEP_UNTIL, "</tool_call>"},
    {STEP_CALL},
    {STEP_VALUE},
    {STEP_SPACE},
    {STEP_TAG, "</tool_call>"},
    {STEP_CALL},
    {STEP_UNTIL, "</function>"},
    {STEP_CALL},
};

static const Step dsml[] = {
    {STEP_UNTIL, "</｜DSML｜function_calls>"},
    {STEP_CALL},
    {STEP_UNTIL, "</｜DSML｜tool_calls>"},
    {STEP_CALL},
};

static const Syntax syntaxes[] = {
    [ENGINE_SYNTAX_HERMES] = {{{"<tool_call>", 0}}, .steps = hermes},
    [ENGINE_SYNTAX_DEEPSEEK] = {{{"<｜tool▁calls▁begin｜>", 0}, {"<｜tool▁call▁begin｜>", 2}},
        .closing = "<｜tool▁calls▁end｜>", .steps = deepseek},
    [ENGINE_SYNTAX_LLAMA3] = {{{"<|python_tag|>", 0}}, .whole = true, .steps = llama3},
    [ENGINE_SYNTAX_MISTRAL] = {{{"[TOOL_CALLS]", 0}}, .steps = mistral},
    [ENGINE_SYNTAX_GRANITE] = {{{"<|tool_call|>", 0}}, .closing = "<|/tool_call|>", .steps = granite},
    [ENGINE_SYNTAX_QWEN_XML] = {{{"<tool_call>", 0}, {"<function=", 8}}, .closing = "</tool_call>", .steps = qwen_xml},
    [ENGINE_SYNTAX_DSML] = {{{"<｜DSML｜function_calls>", 0}, {"<｜DSML｜tool_calls>", 2}}, .steps = dsml},
};

typedef struct Span {
    size_t begin, end; /* in held */
} Span;

struct ToolCalls {
    const Syntax *syntax; /* NULL: all is text */
    EngineSyntax kind;
    json_t *tools; /* owned, or NULL */
    AnswerSink sink;
    Bytes held;       /* line breaks, then the beginning of a tag, or a call */
    size_t tag_begin; /* in held: behind the line breaks */
    bool inside;      /* an opening was seen */
    bool spoken;      /* text other than white space was delivered */
    bool after_call;  /* nothing but line breaks since a call */
    unsigned n_calls;

    /* inside a call */
    unsigned step;
    size_t step_begin; /* in held */
    JsonScan scan;
    Span name;  /* end 0: none yet */
    Span *json; /* owned */
    size_t n_json, json_capacity;
    bool elements; /* the call is not JSON */
    bool failed;   /* out of memory */
};

/* ------------------------------------------------------------------------------------------------ which one */

EngineSyntax tool_calls_detect(const char *template, size_t size) {
    static const struct {
        const char *text;
        EngineSyntax syntax;
    } marks[] = {
        {"<|channel|>", ENGINE_SYNTAX_HARMONY},
        {"｜DSML｜", ENGINE_SYNTAX_DSML},
        {"<｜tool▁calls▁begin｜>", ENGINE_SYNTAX_DEEPSEEK},
        {"<｜tool▁call▁begin｜>", ENGINE_SYNTAX_DEEPSEEK},
        {"[TOOL_CALLS]", ENGINE_SYNTAX_MISTRAL},
        {"<|tool_call|>", ENGINE_SYNTAX_GRANITE},
        {"<|tool|>", ENGINE_SYNTAX_GRANITE}, /* Phi-4: what it answers with is not in its template */
        {"<parameter=", ENGINE_SYNTAX_QWEN_XML},
        {"<tool_call>", ENGINE_SYNTAX_HERMES},
        {"<|python_tag|>", ENGINE_SYNTAX_LLAMA3},
        {"{\"name\": function name, \"parameters\":", ENGINE_SYNTAX_LLAMA3},
    };
    for (size_t i = 0; i < ELEMENTSOF(marks); i++)
        if (memmem(template, size, marks[i].text, strlen(marks[i].text)))
            return marks[i].syntax;
    return ENGINE_SYNTAX_PLAIN;
}

/* ------------------------------------------------------------------------------------------------ text */

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void hold(ToolCalls *t, char byte) {
    if (bytes_append(&t->held, &byte, 1) < 0)
        t->failed = true;
}

static void say(ToolCalls *t, char byte) {
    t->spoken = t->spoken || !is_space(byte);
    t->after_call = false;
    t->sink.text(t->sink.userdata, ENGINE_TEXT_ANSWER, byte);
}

static void reset(ToolCalls *t) {
    t->held.size = 0;
    t->tag_begin = 0;
    t->inside = false;
    t->n_json = 0;
    t->elements = false;
}

/* What was held is text. */
static void release(ToolCalls *t) {
    size_t n = t->held.size;
    for (size_t i = 0; i < n; i++)
        say(t, t->held.data[i]);
    reset(t);
}

/* ------------------------------------------------------------------------------------------------ calls */

/* A name that stood between tags, without white space around it; Mistral may have put an id behind it. */
static bool read_name(const ToolCalls *t, char *ret) {
    const char *s = t->held.data + t->name.begin;
    size_t n = t->name.end - t->name.begin, size = 0;
    while (n > 0 && is_space(s[0]))
        s++, n--;
    while (n > 0 && is_space(s[n - 1]))
        n--;
    for (; size < n && s[size] != '['; size++) {
        if (s[size] <= ' ' || s[size] >= 0x7F || strchr("\"\\<>{}", s[size]))
            return false;
        ret[size] = s[size];
    }
    ret[size] = '\0';
    return size > 0;
}

/* Everything is there, but is it a call? All of them are looked at before the first is delivered. */
static int read_calls(ToolCalls *t, const AnswerSink *sink) {
    char name[NAME_MAX_BYTES + 1];
    if (t->elements)
        return tool_xml_read(t->kind, t->held.data + t->tag_begin, t->held.size - t->tag_begin, t->tools, sink);
    int r = t->n_json > 0 ? 0 : -EBADMSG;
    if (t->name.end > 0 && !read_name(t, name))
        return -EBADMSG;
    for (size_t i = 0; r >= 0 && i < t->n_json; i++) {
        const char *json = t->held.data + t->json[i].begin;
        size_t size = t->json[i].end - t->json[i].begin;
        r = t->name.end > 0 ? tool_json_read_arguments(name, json, size, sink) : tool_json_read(json, size, sink);
    }
    return r;
}

static void ignore_call(void *userdata, const char *name, const char *arguments, size_t size) {
}

static void complete(ToolCalls *t) {
    const AnswerSink nobody = {.call = ignore_call};
    if (read_calls(t, &nobody) < 0) {
        release(t);
        return;
    }
    read_calls(t, &t->sink);
    t->n_calls++;
    t->after_call = true;
    reset(t);
}

static void add_json(ToolCalls *t) {
    if (t->n_json == t->json_capacity) {
        size_t capacity = MAX(t->json_capacity * 2, (size_t)4);
        Span *p = reallocarray(t->json, capacity, sizeof(*p));
        if (!p) {
            t->failed = true;
            return;
        }
        t->json = p;
        t->json_capacity = capacity;
    }
    t->json[t->n_json++] = (Span){t->step_begin, t->held.size};
}

/* ------------------------------------------------------------------------------------------------ steps */

typedef enum Answer {
    ANSWER_TAKEN,  /* the byte is held */
    ANSWER_NEXT,   /* it is held, and the step is over */
    ANSWER_PASS,   /* the step is over without it */
    ANSWER_FAILED, /* it does not belong here */
} Answer;

static Answer step_tag(ToolCalls *t, const char *text, char byte) {
    size_t at = t->held.size - t->step_begin;
    if (byte != text[at])
        return ANSWER_FAILED;
    hold(t, byte);
    return text[at + 1] ? ANSWER_TAKEN : ANSWER_NEXT;
}

static Answer step_name(ToolCalls *t, const char *text, char byte) {
    size_t n = strlen(text);
    hold(t, byte);
    size_t size = t->held.size - t->step_begin;
    if (size >= n && memcmp(t->held.data + t->held.size - n, text, n) == 0) {
        t->name = (Span){t->step_begin, t->held.size - n};
        return ANSWER_NEXT;
    }
    return size < NAME_MAX_BYTES ? ANSWER_TAKEN : ANSWER_FAILED;
}

static Answer step_until(ToolCalls *t, const char *text, char byte) {
    size_t n = strlen(text);
    hold(t, byte);
    t->elements = true;
    bool ended = t->held.size - t->step_begin >= n && memcmp(t->held.data + t->held.size - n, text, n) == 0;
    return ended ? ANSWER_NEXT : ANSWER_TAKEN;
}

static Answer step_json(ToolCalls *t, bool array_too, char byte) {
    if (t->held.size == t->step_begin) {
        t->scan = (JsonScan){};
        if (byte != '{' && !(array_too && byte == '['))
            return ANSWER_FAILED;
    }
    int r = json_scan_push(&t->scan, byte);
    if (r < 0)
        return ANSWER_FAILED;
    hold(t, byte);
    if (r == 0)
        return ANSWER_TAKEN;
    add_json(t);
    return ANSWER_NEXT;
}

static void go_to(ToolCalls *t, unsigned step) {
    t->step = step;
    t->step_begin = t->held.size;
}

static Answer step_push(ToolCalls *t, const Step *s, char byte) {
    switch (s->type) {
    case STEP_SPACE:
        if (!is_space(byte))
            return ANSWER_PASS;
        hold(t, byte);
        return ANSWER_TAKEN;
    case STEP_TAG_MAYBE:
        if (t->held.size == t->step_begin && byte != s->text[0])
            return ANSWER_PASS;
        return step_tag(t, s->text, byte);
    case STEP_TAG: return step_tag(t, s->text, byte);
    case STEP_UNTIL: return step_until(t, s->text, byte);
    case STEP_NAME: return step_name(t, s->text, byte);
    case STEP_OBJECT: return step_json(t, false, byte);
    case STEP_VALUE: return step_json(t, true, byte);
    case STEP_IF_BRACKET:
        if (byte == '{' || byte == '[')
            t->step = s->target - 1; /* which ANSWER_PASS steps over */
        return ANSWER_PASS;
    case STEP_REPEAT:
        if (byte == '{') {
            t->step = s->target - 1;
            return ANSWER_PASS;
        }
        if (!is_space(byte) && byte != ';')
            return ANSWER_FAILED;
        hold(t, byte);
        return ANSWER_TAKEN;
    default: return ANSWER_FAILED;
    }
}

static void push_outside(ToolCalls *t, char byte);

static void push_inside(ToolCalls *t, char byte) {
    for (;;) {
        Answer a = step_push(t, &t->syntax->steps[t->step], byte);
        if (a == ANSWER_TAKEN)
            return;
        if (a == ANSWER_FAILED) {
            bool held = t->syntax->steps[t->step].type == STEP_NAME; /* which had taken it already */
            release(t);
            if (!held)
                push_outside(t, byte);
            return;
        }
        go_to(t, t->step + 1);
        if (t->syntax->steps[t->step].type == STEP_CALL)
            complete(t);
        if (a == ANSWER_NEXT)
            return;
    }
}

/* ------------------------------------------------------------------------------------------------ tags */

static void open_call(ToolCalls *t, unsigned step) {
    t->inside = true;
    t->name = (Span){};
    t->n_json = 0;
    go_to(t, step);
}

/* Whether what is held behind the line breaks is `tag` (1), could become it (0), or neither (-1). */
static int compare_tag(const ToolCalls *t, const char *tag) {
    size_t size = t->held.size - t->tag_begin, n = strlen(tag);
    if (size > n || memcmp(t->held.data + t->tag_begin, tag, size) != 0)
        return -1;
    return size == n;
}

/* The last byte of what is held belongs to a tag; false: it does not. */
static bool continue_tag(ToolCalls *t) {
    const Syntax *s = t->syntax;
    bool possible = false;

    for (size_t i = 0; i < ELEMENTSOF(s->openings) && s->openings[i].tag; i++) {
        int r = s->whole && (t->spoken || t->n_calls > 0) ? -1 : compare_tag(t, s->openings[i].tag);
        if (r > 0) {
            open_call(t, s->openings[i].step);
            return true;
        }
        possible = possible || r == 0;
    }
    if (s->closing && t->n_calls > 0) {
        int r = compare_tag(t, s->closing);
        if (r > 0) {
            reset(t);
            return true;
        }
        possible = possible || r == 0;
    }
    return possible;
}

static void push_outside(ToolCalls *t, char byte) {
    bool in_tag = t->held.size > t->tag_begin;
    if (byte == '\n' && !in_tag) {
        if (t->after_call)
            return;
        hold(t, byte);
        t->tag_begin = t->held.size;
        return;
    }
    if (byte == '{' && !in_tag && t->syntax->whole && !t->spoken && t->n_calls == 0) {
        open_call(t, 0);
        push_inside(t, byte);
        return;
    }
    hold(t, byte);
    if (t->failed || continue_tag(t))
        return;
    /* not a tag; the byte itself may begin one */
    t->held.size--;
    bool again = in_tag;
    release(t);
    if (again)
        push_outside(t, byte);
    else
        say(t, byte);
}

/* ------------------------------------------------------------------------------------------------ interface */

int tool_calls_new(EngineSyntax syntax, const char *tools, const AnswerSink *sink, ToolCalls **ret) {
    ToolCalls *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->sink = *sink;
    if (syntax < ELEMENTSOF(syntaxes) && syntaxes[syntax].steps)
        t->syntax = &syntaxes[syntax];
    t->kind = syntax;
    t->tools = tools ? json_loads(tools, 0, NULL) : NULL;
    *ret = t;
    return 0;
}

ToolCalls *tool_calls_free(ToolCalls *t) {
    if (!t)
        return NULL;
    bytes_done(&t->held);
    json_decref(t->tools);
    free(t->json);
    free(t);
    return NULL;
}

int tool_calls_push(ToolCalls *t, char byte) {
    if (!t->syntax)
        say(t, byte);
    else if (t->inside)
        push_inside(t, byte);
    else
        push_outside(t, byte);
    return t->failed ? -ENOMEM : 0;
}

int tool_calls_finish(ToolCalls *t) {
    if (t->inside && (t->n_json > 0 || t->elements) && t->syntax->steps[t->step].type != STEP_VALUE)
        complete(t);
    else if (!t->inside && t->after_call && t->held.size == t->tag_begin)
        reset(t);
    else
        release(t);
    return t->failed ? -ENOMEM : 0;
}

size_t tool_calls_held(const ToolCalls *t) {
    return t->held.size;
}
