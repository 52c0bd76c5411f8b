/* `infer chat`: read, ask, print, again. Whenever the daemon's session cannot be used as it is (it has restarted, the
 * last turn is taken back, the system prompt is another) a new session is filled from the transcript; the KV pool's
 * prefix cache makes that cheap. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "editor.h"
#include "notice.h"
#include "output.h"
#include "text.h"
#include "transcript.h"
#include "turn.h"
#include "verbs.h"

typedef struct Chat {
    Options *options; /* borrowed */
    Bus bus;
    Conversation conversation;
    Transcript transcript;
    Output out;
    bool interactive;
    bool leaving;
} Chat;

/* ------------------------------------------------------------------------------------------------ turns */

static int send_transcript(Chat *c) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    if (c->transcript.n == 0)
        return 0;

    int r = bus_new_call(&c->bus, c->conversation.session, BUS_SESSION, "Append", &m);
    if (r >= 0)
        r = transcript_append_to(&c->transcript, m);
    return r < 0 ? bus_complain(&c->bus, NULL, r) : bus_call(&c->bus, m, &reply);
}

/* A new session that knows what has been said; also over a new connection when the old one is broken. */
static int set_up_session(Chat *c) {
    conversation_close(&c->conversation);
    if (c->bus.connection && sd_bus_is_open(c->bus.connection) <= 0)
        bus_done(&c->bus);
    int code = c->bus.connection ? 0 : bus_open(&c->bus, c->options->bus);
    if (code == 0)
        code = conversation_open(&c->conversation, &c->bus, &c->options->generation);
    return code ? code : send_transcript(c);
}

static int ask(Chat *c, const char *prompt, Turn *turn) {
    int code = c->conversation.session ? 0 : set_up_session(c);
    if (code)
        return code;
    code = turn_run(&c->conversation, prompt, &c->options->generation, &c->out, turn);
    if (!turn->lost)
        return code;

    remark("inferd has restarted; this conversation goes on in a new session");
    code = set_up_session(c);
    if (code)
        return code;
    turn_done(turn);
    code = turn_run(&c->conversation, prompt, &c->options->generation, &c->out, turn);
    return turn->lost ? bus_complain_name(&c->bus, SD_BUS_ERROR_DISCONNECTED, "") : code;
}

static int take_turn(Chat *c, const char *typed) {
    _cleanup_(text_done) Text prompt = {}, answer = {};
    Turn turn = {};

    int r = text_from_bytes(typed, strlen(typed), &prompt);
    if (r < 0)
        return complain(EX_OSERR, "out of memory");
    int code = ask(c, prompt.bytes, &turn);
    if (code == EXIT_INTERRUPTED && c->interactive)
        remark("cancelled");
    if (code == EXIT_INTERRUPTED && !turn.result) /* how far the daemon has come is unknown */
        conversation_close(&c->conversation);

    /* as the daemon keeps it: all that was said, also up to Ctrl-C, but nothing of a turn that failed */
    if (code == 0 || (code == EXIT_INTERRUPTED && turn.result && turn.answer.size > 0)) {
        r = text_from_bytes(turn.answer.bytes ? turn.answer.bytes : "", turn.answer.size, &answer);
        if (r >= 0)
            r = transcript_add(&c->transcript, prompt.bytes, answer.bytes);
        if (r < 0)
            code = complain(EX_OSERR, "out of memory");
    }
    if (code == 0)
        notice_embedded(&c->bus);
    turn_done(&turn);
    return code;
}

/* ------------------------------------------------------------------------------------------------ commands */

typedef struct Command {
    const char *name;
    const char *argument;
    const char *help;
    int (*run)(Chat *c, const char *argument);
} Command;

static int command_help(Chat *c, const char *argument);

static int command_new(Chat *c, const char *argument) {
    transcript_done(&c->transcript);
    conversation_close(&c->conversation);
    return 0;
}

static int command_system(Chat *c, const char *argument) {
    if (!*argument) {
        const char *now = generation_get(&c->options->generation, "system");
        puts(now ? now : "(none)");
        return 0;
    }
    Error e = {};
    _cleanup_(text_done) Text text = {};
    int r = text_from_bytes(argument, strlen(argument), &text);
    if (r >= 0)
        r = generation_set(&c->options->generation, "system", text.bytes, &e);
    if (r < 0)
        return complain(EX_OSERR, "out of memory");
    conversation_close(&c->conversation);
    return 0;
}

static void print_settings(const Generation *g) {
    for (size_t i = 0; i < n_generation_specs; i++) {
        const OptionSpec *spec = &generation_specs[i];
        if (!g->values[i])
            printf("  %-18s %s\n", spec->name, spec->help);
        for (char **value = g->values[i]; value && *value; value++)
            printf("* %-18s %s\n", spec->name, *value);
    }
}

static int command_set(Chat *c, const char *argument) {
    char name[32];
    size_t n = strcspn(argument, " \t");
    const char *value = argument + n + strspn(argument + n, " \t");
    Error e = {};

    if (n == 0) {
        print_settings(&c->options->generation);
        return 0;
    }
    snprintf(name, sizeof(name), "%.*s", (int)MIN(n, sizeof(name)), argument);
    int r = generation_set(&c->options->generation, name, *value ? value : NULL, &e);
    if (r < 0)
        return complain(EX_USAGE, "%s; /set alone lists what there is", e.message);
    if (strcmp(name, "system") == 0)
        conversation_close(&c->conversation);
    return 0;
}

static int command_undo(Chat *c, const char *argument) {
    _cleanup_(freep) char *prompt = NULL;
    if (transcript_pop(&c->transcript, &prompt) < 0)
        return complain(EX_USAGE, "there is nothing to take back");
    conversation_close(&c->conversation);
    if (c->interactive)
        remark("taken back: %.60s", prompt);
    return 0;
}

static int command_retry(Chat *c, const char *argument) {
    _cleanup_(freep) char *prompt = NULL;
    if (transcript_pop(&c->transcript, &prompt) < 0)
        return complain(EX_USAGE, "there is nothing to try again");
    conversation_close(&c->conversation);
    return take_turn(c, prompt);
}

static int command_context(Chat *c, const char *argument) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    uint32_t size = 0, used = 0;

    int code = c->conversation.session ? 0 : set_up_session(c);
    if (code)
        return code;
    int r = sd_bus_get_property_trivial(
        c->bus.connection, BUS_NAME, c->conversation.session, BUS_SESSION, "ContextSize", &error, 'u', &size);
    if (r >= 0)
        r = sd_bus_get_property_trivial(
            c->bus.connection, BUS_NAME, c->conversation.session, BUS_SESSION, "ContextUsed", &error, 'u', &used);
    if (r < 0)
        return bus_complain(&c->bus, &error, r);
    printf("%u of %u tokens\n", used, size);
    return 0;
}

static int command_quit(Chat *c, const char *argument) {
    c->leaving = true;
    return 0;
}

static const Command commands[] = {
    {"help", "", "this list", command_help},
    {"new", "", "forget the conversation and begin another", command_new},
    {"system", "[TEXT]", "tell the model what to be; without TEXT: show it", command_system},
    {"set", "[OPTION [VALUE]]", "set an option; without VALUE: back to the default", command_set},
    {"undo", "", "take the last question and its answer back", command_undo},
    {"retry", "", "ask the last question again", command_retry},
    {"context", "", "how much of the context the conversation fills", command_context},
    {"quit", "", "leave, as Ctrl-D does", command_quit},
};

static int command_help(Chat *c, const char *argument) {
    for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
        char left[40];
        snprintf(left, sizeof(left), "/%s %s", commands[i].name, commands[i].argument);
        printf("%-24s %s\n", left, commands[i].help);
    }
    puts("A line that ends in \\ goes on in the next. Ctrl-C stops an answer, // begins a question with a slash.");
    return 0;
}

static int run_command(Chat *c, const char *line) {
    size_t n = strcspn(line, " \t\n");
    const char *argument = line + n + strspn(line + n, " \t\n");

    for (size_t i = 0; i < ELEMENTSOF(commands); i++)
        if (strlen(commands[i].name) == n && strncmp(commands[i].name, line, n) == 0) {
            int code = commands[i].run(c, argument);
            fflush(stdout);
            return code;
        }
    return complain(EX_USAGE, "there is no command /%.*s; /help lists what there is", (int)MIN(n, (size_t)40), line);
}

/* ------------------------------------------------------------------------------------------------ the loop */

static int take_line(Chat *c, char *line) {
    while (*line == ' ' || *line == '\t')
        line++;
    if (*line == '\0')
        return 0;
    if (*line == '/' && line[1] != '/')
        return run_command(c, line + 1);
    return take_turn(c, *line == '/' ? line + 1 : line);
}

/* A person can mend what went wrong and go on; a script that feeds lines learns of the first failure. */
static int loop(Chat *c, Editor *editor) {
    while (!c->leaving) {
        _cleanup_(freep) char *line = NULL;
        int r = editor_read(editor, &line);
        if (r == -EINTR) {
            puts("\n(Ctrl-D leaves)");
            continue;
        }
        if (r <= 0) {
            if (c->interactive)
                putchar('\n');
            return r < 0 ? complain(EX_IOERR, "cannot read: %s", strerror(-r)) : 0;
        }
        int code = take_line(c, line);
        if (code == EX_IOERR || (code && !c->interactive))
            return code;
    }
    return 0;
}

int verb_chat(Options *o) {
    _cleanup_(freep) char *history = NULL;
    Chat chat = {.options = o, .interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    Editor *editor = NULL;

    int code = set_up_session(&chat);
    if (code == 0) {
        (void)state_path("history", &history);
        int r = editor_new(chat.interactive, history, &editor);
        if (r < 0)
            code = complain(EX_OSERR, "cannot edit lines: %s", strerror(-r));
    }
    if (code == 0) {
        output_init(&chat.out, o, STDOUT_FILENO);
        generation_prefer_interactive(&o->generation, STDOUT_FILENO);
        if (chat.interactive)
            puts("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.");
        code = loop(&chat, editor);
    }
    editor_free(editor);
    conversation_close(&chat.conversation);
    transcript_done(&chat.transcript);
    bus_done(&chat.bus);
    return code;
}
