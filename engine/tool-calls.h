/* Tool calls in the text of an answer, as it streams in. For each way of writing them there is a small program of steps
 * (a tag, a name, a JSON value); text is held back only while it may still become a call, and what turns out not to be
 * one is text after all, every byte of it. Line breaks around calls are not delivered, as around reasoning.
 *
 *   HERMES    <tool_call>{"name": ..., "arguments": {...}}</tool_call>          Qwen, Hermes and many others
 *   DEEPSEEK
 * <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME\n```json\n{...}\n```<｜tool▁call▁end｜>... and
 * since V3.1 NAME<｜tool▁sep｜>{...} LLAMA3    {"name": ..., "parameters": {...}} as the whole answer, perhaps after
 * <|python_tag|> MISTRAL   [TOOL_CALLS][{...}, ...] and [TOOL_CALLS]NAME[ARGS]{...} GRANITE   <|tool_call|>[{...},
 * ...], perhaps <|/tool_call|> (Phi-4) QWEN_XML  <tool_call><function=NAME><parameter=KEY>...; also without
 * <tool_call>, or with HERMES' JSON in it DSML      <｜DSML｜function_calls><｜DSML｜invoke name="NAME">... DeepSeek
 * since V3.2
 *
 * gpt-oss's channels are another matter: harmony.h. */
#pragma once

#include "tool-json.h"

typedef struct ToolCalls ToolCalls;

/* The syntax of a model, from the text of its chat template. */
EngineSyntax tool_calls_detect(const char *template, size_t size);

/* -ENOMEM. tools: OpenAI's array, or NULL; not kept. sink is copied. */
int tool_calls_new(EngineSyntax syntax, const char *tools, const AnswerSink *sink, ToolCalls **ret);
ToolCalls *tool_calls_free(ToolCalls *t);
DEFINE_CLEANUP(ToolCalls *, tool_calls_free)

/* Each -ENOMEM at worst. */
int tool_calls_push(ToolCalls *t, char byte);
int tool_calls_finish(ToolCalls *t);        /* the text is over: a call whose closing tag alone is missing counts */
size_t tool_calls_held(const ToolCalls *t); /* bytes of which nothing was delivered yet */
