/* A tool call on its way to a client: its id, and the two shapes in JSON that D-Bus and conversations have for it. */
#pragma once

#include "request.h"
#include "text.h"

/* Letters and digits, nine of them: the one form that every chat template accepts when the call comes back. */
#define TOOL_CALL_ID_SIZE 10
void tool_call_make_id(char ret[TOOL_CALL_ID_SIZE]);

/* Appends {"id": ..., "name": ..., "arguments": {...}}; the delta is of kind ENGINE_TEXT_TOOL_CALL. -ENOMEM */
int tool_call_write(Text *to, const RequestDelta *d);
/* Appends the call as a member of "tool_calls" in a message of OpenAI's API. -ENOMEM */
int tool_call_write_openai(Text *to, const RequestDelta *d);
