/* libedit's native interface, not its imitation of readline: it lets Ctrl-C throw away a line without a jump out of a
 * signal handler. While a line is edited Ctrl-C is a key like others: as a signal it could come between libedit's last
 * look and its read(), which would then wait for the next key. */
#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "editor.h"

#define HISTORY_LINES 1000

struct Editor {
    EditLine *line;   /* owned; NULL: plain reading */
    History *history; /* owned; NULL with line */
    char *path;       /* owned; of the history, NULL: none */
    bool continued;   /* the prompt is for a second or later line */
};

static volatile sig_atomic_t pressed;
static volatile sig_atomic_t interrupt_key = -1; /* the terminal's, while it is taken away; else -1 */

static void on_interrupt(int signal) {
    pressed = 1;
}

static unsigned char throw_away(EditLine *line, wint_t c) {
    pressed = 1;
    return CC_EOF;
}

static char *prompt(EditLine *line) {
    static char first[] = "> ", next[] = ". ";
    Editor *ed;
    el_get(line, EL_CLIENTDATA, &ed);
    return ed->continued ? next : first;
}

static int set_up(Editor *ed, const char *path) {
    HistEvent ev;

    ed->line = el_init("infer", stdin, stdout, stderr);
    ed->history = history_init();
    ed->path = path ? strdup(path) : NULL;
    if (!ed->line || !ed->history || (path && !ed->path))
        return -ENOMEM;

    history(ed->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(ed->history, &ev, H_SETUNIQUE, 1);
    if (ed->path)
        history(ed->history, &ev, H_LOAD, ed->path);
    el_set(ed->line, EL_CLIENTDATA, ed);
    el_set(ed->line, EL_PROMPT, prompt);
    el_set(ed->line, EL_HIST, history, ed->history);
    el_set(ed->line, EL_EDITOR, "emacs");
    el_set(ed->line, EL_SIGNAL, 1); /* restores the terminal before the process stops or dies */
    el_set(ed->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(ed->line, NULL);
    /* el_set() would copy the strings and never free them */
    el_wset(ed->line, EL_ADDFN, L"infer-throw-away", L"Throw the line away", throw_away);
    el_set(ed->line, EL_BIND, "^C", "infer-throw-away", NULL);
    return 0;
}

int editor_new(bool interactive, const char *history, Editor **ret) {
    Editor *ed = calloc(1, sizeof(Editor));
    if (!ed)
        return -ENOMEM;
    int r = interactive ? set_up(ed, history) : 0;
    if (r < 0)
        editor_free(ed);
    else
        *ret = ed;
    return r;
}

Editor *editor_free(Editor *ed) {
    if (!ed)
        return NULL;
    if (ed->line)
        el_end(ed->line);
    if (ed->history)
        history_end(ed->history);
    free(ed->path);
    free(ed);
    return NULL;
}

static void remember(Editor *ed, const char *text) {
    HistEvent ev;
    history(ed->history, &ev, H_ENTER, text);
    if (!ed->path)
        return;
    mode_t mask = umask(077);
    history(ed->history, &ev, H_SAVE, ed->path);
    umask(mask);
}

/* Takes the terminal's interrupt key away. What libedit finds in the terminal it keeps in its own mode. */
static void take_interrupt_key(void) {
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &t) < 0)
        return;
    interrupt_key = t.c_cc[VINTR];
    t.c_cc[VINTR] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

static void give_interrupt_key(void) {
    struct termios t;
    if (interrupt_key < 0 || tcgetattr(STDIN_FILENO, &t) < 0)
        return;
    t.c_cc[VINTR] = (cc_t)interrupt_key;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
    interrupt_key = -1;
}

/* libedit has restored the terminal as it found it, and sends the signal again. */
static void on_end(int signal) {
    give_interrupt_key();
    raise(signal); /* by then the default action */
}

static const int end_signals[] = {SIGHUP, SIGQUIT, SIGTERM};

/* While a line is edited, signals are the editor's; what they did before is kept in `previous`. */
static void take_signals(struct sigaction *interrupt, struct sigaction previous[ELEMENTSOF(end_signals)]) {
    const struct sigaction on_press = {.sa_handler = on_interrupt};
    const struct sigaction ending = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &on_press, interrupt);
    for (size_t i = 0; i < ELEMENTSOF(end_signals); i++) {
        sigaction(end_signals[i], NULL, &previous[i]);
        if (previous[i].sa_handler == SIG_DFL)
            sigaction(end_signals[i], &ending, NULL);
    }
}

static void give_signals(const struct sigaction *interrupt, const struct sigaction previous[ELEMENTSOF(end_signals)]) {
    sigaction(SIGINT, interrupt, NULL);
    for (size_t i = 0; i < ELEMENTSOF(end_signals); i++)
        sigaction(end_signals[i], &previous[i], NULL);
}

/* One line with its end, borrowed until the next call. 1, 0 at the end, -EINTR. */
static int read_line(Editor *ed, char **line, size_t *room, const char **ret, size_t *ret_size) {
    if (!ed->line) {
        ssize_t n = getline(line, room, stdin);
        *ret = *line;
        *ret_size = n < 0 ? 0 : (size_t)n;
        return n >= 0;
    }

    struct sigaction interrupt, previous[ELEMENTSOF(end_signals)];
    int n = 0;
    pressed = 0;
    take_signals(&interrupt, previous);
    take_interrupt_key();
    *ret = pressed ? NULL : el_gets(ed->line, &n);
    give_interrupt_key();
    give_signals(&interrupt, previous);
    if (pressed) {
        el_reset(ed->line);
        return -EINTR;
    }
    *ret_size = *ret && n > 0 ? (size_t)n : 0;
    return *ret && n > 0;
}

int editor_read(Editor *ed, char **ret) {
    _cleanup_(freep) char *text = NULL, *line = NULL;
    size_t size = 0, room = 0;
    bool more = true;

    ed->continued = false;
    while (more) {
        const char *read;
        size_t n;
        int r = read_line(ed, &line, &room, &read, &n);
        if (r < 0)
            return r;
        if (r == 0 && !text)
            return 0;
        if (r == 0)
            break;
        while (n > 0 && (read[n - 1] == '\n' || read[n - 1] == '\r'))
            n--;
        more = n > 0 && read[n - 1] == '\\';
        n -= more;

        char *grown = realloc(text, size + n + 2);
        if (!grown)
            return -ENOMEM;
        text = grown;
        memcpy(text + size, read, n);
        for (const char *end = text + size + n; text + size < end; size++)
            if (!text[size])
                text[size] = '\xFF';
        if (more)
            text[size++] = '\n';
        text[size] = '\0';
        ed->continued = true;
    }
    if (ed->history && *text)
        remember(ed, text);
    *ret = TAKE_PTR(text);
    return 1;
}
