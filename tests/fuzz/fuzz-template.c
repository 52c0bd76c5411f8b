/* A template from a model file: parsed, and rendered with a short conversation. */
#include <string.h>

#include "template/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void define_variables(Run *run, Dict *variables, void *userdata) {
    List *messages = list_new(run, LIST_LIST);
    for (int i = 0; i < 3; i++) {
        Dict *message = dict_new(run);
        dict_set_text(run, message, "role", value_string(run, i == 1 ? "assistant" : "user", i == 1 ? 9 : 4, false));
        dict_set_text(run, message, "content", value_string(run, " <think>\xC3\xA9</think> a b\n", 24, false));
        list_append(run, messages, value_dict(message));
    }
    dict_set_text(run, variables, "messages", value_list(messages));
    dict_set_text(run, variables, "bos_token", value_text(run, "<s>"));
    dict_set_text(run, variables, "add_generation_prompt", value_bool(true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Template *t = NULL;
    TemplateText text = {};
    struct tm now = {.tm_year = 126, .tm_mday = 2};

    if (template_parse((const char *)data, size, &t, NULL) < 0)
        return 0;
    if (template_render(t, define_variables, NULL, &now, &text, NULL) >= 0)
        template_text_done(&text);
    template_free(t);
    return 0;
}
