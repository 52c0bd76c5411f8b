/* The channels of gpt-oss ("harmony"): an answer is a row of messages, each with a header that says what it is.
 *
 *   <|channel|>analysis<|message|>...<|end|>                          reasoning
 *   <|start|>assistant<|channel|>final<|message|>...<|return|>        the answer; commentary to nobody is that, too
 *   <|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}<|call|>
 *                                                                     a tool call; the recipient may also follow the
 * role
 *
 * Headers are not delivered. A call whose arguments are no JSON object, and every call when no tools were offered, is
 * text as the model wrote it. */
#pragma once

#include "tool-json.h"

typedef struct Harmony Harmony;

/* The prompt has already written "<|start|>assistant". -ENOMEM. */
int harmony_new(bool tool_calls, const AnswerSink *sink, Harmony **ret);
Harmony *harmony_free(Harmony *h);
DEFINE_CLEANUP(Harmony *, harmony_free)

int harmony_push(Harmony *h, char byte); /* -ENOMEM at worst, also below */
int harmony_finish(Harmony *h);
size_t harmony_held(const Harmony *h); /* bytes of which nothing was delivered yet */
bool harmony_in_reasoning(const Harmony *h);

/* What ends the reasoning and begins the answer, for a model that has thought enough. */
#define HARMONY_CLOSING "<|end|><|start|>assistant<|channel|>final<|message|>"
