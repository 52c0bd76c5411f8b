/* See bus-result.h. */
#include <errno.h>
#include <stdio.h>

#include "bus-error.h"
#include "bus-result.h"

const char *bus_finish_reason(const RequestResult *result) {
    static const char *const names[] = {
        [ENGINE_FINISH_STOP] = "stop",
        [ENGINE_FINISH_LENGTH] = "length",
        [ENGINE_FINISH_CANCELLED] = "cancelled",
        [ENGINE_FINISH_ERROR] = "error",
    };
    return result->finish == ENGINE_FINISH_STOP && result->n_tool_calls > 0 ? "tool-calls" : names[result->finish];
}

static int append_usage(sd_bus_message *m, const EngineUsage *u) {
    int r = sd_bus_message_append(m, "{sv}", "usage", "a{sv}", 4, "prompt-tokens", "u", u->prompt_tokens,
        "cached-tokens", "u", u->cached_tokens, "completion-tokens", "u", u->completion_tokens, "reasoning-tokens", "u",
        u->reasoning_tokens);
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "timings", "a{sv}", 3, "queue-usec", "t", u->queue_usec, "prefill-usec",
            "t", u->prefill_usec, "decode-usec", "t", u->decode_usec);
    return r;
}

static int append_tool_calls(sd_bus_message *m, const char *tool_calls) {
    _cleanup_(freep) char *array = NULL;
    if (asprintf(&array, "[%s]", tool_calls) < 0) {
        array = NULL;
        return -ENOMEM;
    }
    return sd_bus_message_append(m, "{sv}", "tool-calls", "s", array);
}

int bus_result_append(sd_bus_message *m, const RequestResult *result, const char *reasoning, const char *tool_calls) {
    int r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "finish-reason", "s", bus_finish_reason(result));
    if (r >= 0 && reasoning)
        r = sd_bus_message_append(m, "{sv}", "reasoning", "s", reasoning);
    if (r >= 0 && *tool_calls)
        r = append_tool_calls(m, tool_calls);
    if (r >= 0 && result->model)
        r = sd_bus_message_append(m, "{sv}", "model", "s", result->model);
    if (r >= 0)
        r = append_usage(m, &result->usage);
    if (r >= 0 && result->finish == ENGINE_FINISH_ERROR)
        r = sd_bus_message_append(m, "{sv}{sv}", "error", "s", bus_error_name(result->error.code), "error-message", "s",
            result->error.message);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

json_t *bus_result_to_json(uint64_t id, const RequestResult *result, const char *tool_calls) {
    const EngineUsage *u = &result->usage;

    json_t *usage = json_pack("{s:I, s:I, s:I, s:I}", "prompt-tokens", (json_int_t)u->prompt_tokens, "cached-tokens",
        (json_int_t)u->cached_tokens, "completion-tokens", (json_int_t)u->completion_tokens, "reasoning-tokens",
        (json_int_t)u->reasoning_tokens);
    json_t *timings = json_pack("{s:I, s:I, s:I}", "queue-usec", (json_int_t)u->queue_usec, "prefill-usec",
        (json_int_t)u->prefill_usec, "decode-usec", (json_int_t)u->decode_usec);
    json_t *error =
        result->finish != ENGINE_FINISH_ERROR
            ? NULL
            : json_pack("{s:s, s:s}", "name", bus_error_name(result->error.code), "message", result->error.message);
    _cleanup_(freep) char *array = NULL;
    if (*tool_calls && asprintf(&array, "[%s]", tool_calls) < 0)
        array = NULL;
    json_t *calls = array ? json_loads(array, 0, NULL) : NULL;
    return json_pack("{s:s, s:I, s:s, s:s*, s:o, s:o, s:o*, s:o*}", "type", "finished", "id", (json_int_t)id,
        "finish-reason", bus_finish_reason(result), "model", result->model, "usage", usage, "timings", timings, "error",
        error, "tool-calls", calls);
}
