/* A conversation as the model was trained to read it: role markers of the model's own template, trusted, around text
 * that is not.
 *
 * The template itself is not executed here: its format is recognised by its markers. */
#pragma once

#include "engine.h"

typedef enum ChatFormat {
    CHAT_PLAIN,       /* no template: the texts alone, for base models that go on where the text ends */
    CHAT_DEEPSEEK_R1, /* <｜User｜>…<｜Assistant｜>…<｜end▁of▁sentence｜> */
    CHAT_CHATML,      /* <|im_start|>role\n…<|im_end|>\n */
    CHAT_LLAMA3,      /* <|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|> */
} ChatFormat;

/* chat_template may be NULL. -EOPNOTSUPP when a template is none of the known formats. */
int chat_format_detect(const char *chat_template, ChatFormat *ret, Error *e);
/* Whether the template's generation prompt ends by opening <think>. */
bool chat_opens_reasoning(const char *chat_template);

typedef struct ChatSpans {
    TextSpan *items; /* owned; the texts are borrowed from the messages or static */
    size_t n;
} ChatSpans;
void chat_spans_done(ChatSpans *s);

/* bos: text of the BOS token that the format starts with, NULL if the model has none. The result ends where the
 * assistant begins. */
int chat_render(ChatFormat format, const ChatMessage *messages, size_t n_messages, const char *bos, bool open_reasoning,
    ChatSpans *ret, Error *e);
