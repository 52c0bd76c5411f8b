/* See chat.h. Each format is a function from one message to spans; everything around it is shared. */
#include <errno.h>
#include <string.h>

#include "chat.h"
#include "model.h"

/* ---- a growing list of spans */

static int add(ChatSpans *s, const char *text, size_t size, bool trusted) {
    if (size == 0)
        return 0;
    if ((s->n & (s->n - 1)) == 0) { /* at every power of two: double */
        TextSpan *p = reallocarray(s->items, s->n ? 2 * s->n : 1, sizeof(TextSpan));
        if (!p)
            return -ENOMEM;
        s->items = p;
    }
    s->items[s->n++] = (TextSpan){.text = text, .size = size, .trusted = trusted};
    return 0;
}

static int add_marker(ChatSpans *s, const char *marker) {
    return add(s, marker, strlen(marker), true);
}

static int add_content(ChatSpans *s, const ChatMessage *m) {
    return add(s, m->content, m->content_size, false);
}

void chat_spans_done(ChatSpans *s) {
    free(s->items);
    *s = (ChatSpans){};
}

/* ---- which format */

int chat_format_detect(const char *chat_template, ChatFormat *ret, Error *e) {
    static const struct {
        const char *marker;
        ChatFormat format;
    } markers[] = {
        {"<｜User｜>", CHAT_DEEPSEEK_R1},
        {"<|im_start|>", CHAT_CHATML},
        {"<|start_header_id|>", CHAT_LLAMA3},
    };

    if (!chat_template || !*chat_template) {
        *ret = CHAT_PLAIN;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(markers); i++)
        if (strstr(chat_template, markers[i].marker)) {
            *ret = markers[i].format;
            return 0;
        }
    return error_set(e, -EOPNOTSUPP,
        "the model's chat template is of an unknown format (known: DeepSeek-R1, ChatML, Llama 3); use a plain "
        "completion instead");
}

bool chat_opens_reasoning(const char *chat_template) {
    static const char *const openings[] = {"<｜Assistant｜><think>", "<|im_start|>assistant\\n<think>\\n"};

    for (size_t i = 0; chat_template && i < ELEMENTSOF(openings); i++) {
        const char *p = strstr(chat_template, openings[i]);
        /* A template that can also switch reasoning off closes the tag again in the same string. */
        if (p && strncmp(p + strlen(openings[i]), "\\n</think>", 10) != 0 &&
            strncmp(p + strlen(openings[i]), "</think>", 8) != 0)
            return true;
    }
    return false;
}

/* ---- one message in each format */

static bool is_role(const ChatMessage *m, const char *role) {
    return strcmp(m->role, role) == 0;
}

static int check_role(const ChatMessage *m, Error *e) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};

    for (size_t i = 0; i < ELEMENTSOF(roles); i++)
        if (is_role(m, roles[i]))
            return 0;
    return error_set(e, -EINVAL, "unknown role \"%.40s\" (system, user, assistant or tool)", m->role);
}

/* The R1 format forgets what the model thought in earlier turns. */
static ChatMessage without_reasoning(const ChatMessage *m) {
    static const char tag[] = "</think>";
    ChatMessage out = *m;

    for (;;) {
        const char *end = memmem(out.content, out.content_size, tag, sizeof(tag) - 1);
        if (!end)
            return out;
        end += sizeof(tag) - 1;
        out.content_size -= (size_t)(end - out.content);
        out.content = end;
    }
}

static int render_deepseek(ChatSpans *s, const ChatMessage *m, Error *e) {
    int r;

    if (is_role(m, "tool"))
        return error_set(e, -EOPNOTSUPP, "the model's chat format has no tool messages");
    if (is_role(m, "system"))
        return add_content(s, m);
    if (is_role(m, "user")) {
        r = add_marker(s, "<｜User｜>");
        return r < 0 ? r : add_content(s, m);
    }

    ChatMessage answer = without_reasoning(m);
    r = add_marker(s, "<｜Assistant｜>");
    if (r >= 0)
        r = add_content(s, &answer);
    return r < 0 ? r : add_marker(s, "<｜end▁of▁sentence｜>");
}

static int render_framed(
    ChatSpans *s, const ChatMessage *m, const char *open, const char *head_end, const char *close) {
    int r = add_marker(s, open);
    if (r >= 0)
        r = add(s, m->role, strlen(m->role), true); /* one of the four words that check_role() knows */
    if (r >= 0)
        r = add_marker(s, head_end);
    if (r >= 0)
        r = add_content(s, m);
    return r < 0 ? r : add_marker(s, close);
}

static int render_message(ChatFormat format, ChatSpans *s, const ChatMessage *m, Error *e) {
    switch (format) {
    case CHAT_DEEPSEEK_R1: return render_deepseek(s, m, e);
    case CHAT_CHATML: return render_framed(s, m, "<|im_start|>", "\n", "<|im_end|>\n");
    case CHAT_LLAMA3: return render_framed(s, m, "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>");
    case CHAT_PLAIN: break;
    }
    return add_content(s, m);
}

static const char *generation_prompt(ChatFormat format) {
    switch (format) {
    case CHAT_DEEPSEEK_R1: return "<｜Assistant｜>";
    case CHAT_CHATML: return "<|im_start|>assistant\n";
    case CHAT_LLAMA3: return "<|start_header_id|>assistant<|end_header_id|>\n\n";
    case CHAT_PLAIN: break;
    }
    return "";
}

int chat_render(ChatFormat format, const ChatMessage *messages, size_t n_messages, const char *bos, bool open_reasoning,
    ChatSpans *ret, Error *e) {
    ChatSpans s = {};
    int r = bos ? add_marker(&s, bos) : 0;

    if (n_messages == 0)
        r = error_set(e, -EINVAL, "a conversation needs at least one message");
    for (size_t i = 0; r >= 0 && i < n_messages; i++) {
        r = check_role(&messages[i], e);
        if (r >= 0 && format == CHAT_PLAIN && i > 0)
            r = add_marker(&s, "\n");
        if (r >= 0)
            r = render_message(format, &s, &messages[i], e);
    }
    if (r >= 0)
        r = add_marker(&s, generation_prompt(format));
    if (r >= 0 && open_reasoning)
        r = add_marker(&s, "<think>\n");
    if (r < 0) {
        if (r == -ENOMEM)
            error_set(e, r, "out of memory");
        chat_spans_done(&s);
        return r;
    }

    *ret = s;
    return 0;
}

/* ---- the public face */

int model_format_chat(const Model *m, const ChatMessage *messages, size_t n_messages, Prompt *ret, Error *e) {
    ChatFormat format;
    int r = chat_format_detect(m->chat_template, &format, e);
    if (r < 0)
        return r;

    /* The formats begin with BOS where the model has one in use; ChatML models do not. A base model gets what its file
     * asks for. */
    bool add_special = format == CHAT_PLAIN;
    Token bos = tokenizer_bos(m->tokenizer);
    const char *bos_text = NULL;
    size_t bos_size;
    if (!add_special && format != CHAT_CHATML && bos != TOKEN_NONE)
        bos_text = tokenizer_piece(m->tokenizer, bos, true, &bos_size);

    bool open_reasoning = chat_opens_reasoning(m->chat_template);
    ChatSpans spans = {};
    r = chat_render(format, messages, n_messages, bos_text, open_reasoning, &spans, e);
    if (r < 0)
        return r;

    Prompt p = {.reasoning_open = open_reasoning};
    r = tokenizer_encode(m->tokenizer, spans.items, spans.n, add_special, &p.tokens, e);
    chat_spans_done(&spans);
    if (r < 0)
        return r;

    *ret = p;
    return 0;
}

void prompt_done(Prompt *p) {
    token_array_done(&p->tokens);
    *p = (Prompt){};
}
