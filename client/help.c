/* Help to standard output: the shape of the command, then what each option means, from the table that parses them. */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "options.h"

static const char general[] =
    "Usage: infer [OPTION...] PROMPT...      ask, and print the answer as it arrives\n"
    "       COMMAND | infer PROMPT...        the same, with COMMAND's output as context\n"
    "       infer -                          the prompt is standard input\n"
    "       infer chat                       a conversation\n"
    "       infer models                     the models that are installed\n"
    "       infer load NAME | unload         change the model that everybody shares\n"
    "       infer status                     what the service is doing\n"
    "       infer tokens [TEXT...]           count tokens of TEXT or standard input\n"
    "       infer embed [TEXT...]            the embeddings of texts, or of the lines of standard input\n"
    "\n"
    "infer VERB --help tells more. A prompt that begins with one of these words follows a --.\n"
    "\n"
    "Output:\n"
    "  --json                  one JSON object instead of text\n"
    "  --no-stream             print the answer when it is complete\n"
    "  --show-reasoning        also where it is left out: anywhere but on a terminal\n"
    "  --hide-reasoning        also on a terminal\n"
    "  --no-color              no colours; so does the environment variable NO_COLOR\n"
    "  --bus=user|system       which daemon to ask\n"
    "  -h, --help              this help\n"
    "  --version               the version\n"
    "\n"
    "Generation:\n";

static const struct {
    const char *verb;
    const char *text;
} verbs[] = {
    {"chat", "Usage: infer chat [OPTION...]\n"
             "\n"
             "Asks line by line and keeps the conversation. Ctrl-C stops an answer, Ctrl-D leaves.\n"
             "Commands begin with a slash: /help lists them. Lines are kept in\n"
             "~/.local/state/inferd/history.\n"
             "\n"
             "Takes the options of generation that infer --help lists.\n"},
    {"embed", "Usage: infer embed [--json] [TEXT...]\n"
              "\n"
              "Prints the embedding of each TEXT, or without any, or with - alone, of each line of\n"
              "standard input that is not blank: a line of numbers for each, a vector of length 1. The\n"
              "model that is loaded must be one that computes embeddings (bert, nomic-bert).\n"},
    {"models", "Usage: infer models [--json]\n"
               "\n"
               "Lists the installed models; a star marks the one that is loaded.\n"
               "\n"
               "To install a model, put its .gguf file\n"
               "  into /var/lib/inferd/models            for the shared service, as root:\n"
               "                                         install -m 644 FILE.gguf /var/lib/inferd/models/\n"
               "  into ~/.local/share/inferd/models      for a daemon of your own (inferd --user)\n"
               "and load it with\n"
               "  infer load NAME                        NAME is the file's name without .gguf\n"
               "Many models in this format can be had from huggingface.co; those whose names end in\n"
               "Q4_K_M are a good choice for a computer without a graphics card.\n"},
    {"load", "Usage: infer load NAME\n"
             "\n"
             "Makes NAME, as infer models lists it, the model that everybody shares. Answers that are\n"
             "being given are finished first. May ask for an administrator's password.\n"},
    {"unload", "Usage: infer unload\n"
               "\n"
               "Frees the memory of the loaded model, until infer load. May ask for an administrator's\n"
               "password.\n"},
    {"status", "Usage: infer status [--json]\n"
               "\n"
               "Shows whether the service can answer, with which model, and how busy it is.\n"},
    {"tokens", "Usage: infer tokens [--json] [TEXT...]\n"
               "\n"
               "Counts the tokens of TEXT, of standard input, or of both together.\n"},
};

void help_print(const char *verb) {
    for (size_t i = 0; verb && i < ELEMENTSOF(verbs); i++)
        if (strcmp(verb, verbs[i].verb) == 0) {
            fputs(verbs[i].text, stdout);
            return;
        }

    fputs(general, stdout);
    for (size_t i = 0; i < n_generation_specs; i++) {
        char left[40];
        snprintf(left, sizeof(left), "--%s=%s", generation_specs[i].name, generation_specs[i].argument);
        printf("  %-23s %s\n", left, generation_specs[i].help);
    }
}
