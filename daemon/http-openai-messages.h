/* What a request of OpenAI's chat API says to the model: its messages, its tools, and variables of the chat template.
 */
#pragma once

#include <jansson.h>

#include "conversation.h"
#include "http-error.h"
#include "options.h"

/* "messages": content as text or in text parts; tool_calls, tool_call_id, name and reasoning_content are kept. */
int http_openai_messages_parse(const json_t *body, Conversation *ret, HttpError *he);
/* "tools" and "tool_choice"; "chat_template_kwargs", "enable_thinking", "thinking" and "reasoning_effort". */
int http_openai_tools_parse(const json_t *body, Options *o, HttpError *he);
