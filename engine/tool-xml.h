/* Calls that models write as elements instead of JSON: a name and parameters, the text of each as it is.
 *
 *   QWEN_XML  <function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>
 *   DSML      <｜DSML｜invoke name="NAME">\n<｜DSML｜parameter name="KEY" string="true">VALUE</｜DSML｜parameter>\n...
 *
 * DSML says which values are strings and which JSON. The other does not: the tool's schema decides, and where that has
 * nothing to say, what reads as JSON is JSON. */
#pragma once

#include <jansson.h>

#include "tool-json.h"

/* All calls of `text`, delivered like tool_json_read()'s: all or none. tools: OpenAI's array, or NULL. -EBADMSG: it is
 * not that, -ENOMEM. */
int tool_xml_read(EngineSyntax syntax, const char *text, size_t size, const json_t *tools, const AnswerSink *sink);
