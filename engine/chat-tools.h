/* Tools for models whose chat template does not read them. OpenAI's API promises that a request's tools are offered,
 * so they are described in the conversation itself: what they are, and how a call is to be written, in the way that
 * tool-calls.h then reads. Models that were not trained for this follow it as well as they follow any instruction.
 *
 * The description ends the system message, or begins the first user's where there is none and the template takes none.
 * Where the template does not know tool calls either, those of earlier turns become text of the assistant, and their
 * results messages of the user. */
#pragma once

#include "template/json-load.h"

typedef enum ToolPlace {
    TOOL_PLACE_TEMPLATE, /* not described: the template does it, or there are none */
    TOOL_PLACE_SYSTEM,
    TOOL_PLACE_USER,
} ToolPlace;

/* Whether there is a way to describe a call to a model that answers in this syntax. */
bool chat_tools_can_describe(EngineSyntax syntax);
/* The messages (dictionaries with role and content) with the description in its place. */
List *chat_tools_describe(Run *run, const List *messages, const json_t *tools, EngineSyntax syntax, ToolPlace place);
/* A part of the description that no template changes, to see whether it arrived. */
extern const char chat_tools_mark[];
