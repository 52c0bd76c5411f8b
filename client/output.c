/* A model's words are not trusted with the terminal (see text.c); a pipe or a file gets the bytes as they are. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "output.h"
#include "text.h"

#define DIM   "\033[2m"
#define BOLD  "\033[1m"
#define RESET "\033[0m"

/* ------------------------------------------------------------------------------------------------ remarks */

static void remark_v(const char *format, va_list ap) {
    _cleanup_(freep) char *text = NULL;
    int n = vasprintf(&text, format, ap);
    if (n < 0) {
        text = NULL;
        return;
    }
    _cleanup_(freep) char *clean = malloc(TEXT_SANITISED_SIZE((size_t)n) + 1);
    if (clean)
        clean[text_sanitise(text, (size_t)n, clean)] = '\0';
    fprintf(stderr, "infer: %s\n", clean ? clean : "out of memory");
}

int complain(int exit_code, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    remark_v(format, ap);
    va_end(ap);
    return exit_code;
}

void remark(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    remark_v(format, ap);
    va_end(ap);
}

/* ------------------------------------------------------------------------------------------------ answers */

bool color_wanted(const Options *options, int fd) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return !options->no_color && !(no_color && *no_color) && isatty(fd) && term && strcmp(term, "dumb") != 0;
}

void output_init(Output *o, const Options *options, int fd) {
    bool terminal = isatty(fd);
    *o = (Output){
        .fd = fd,
        .terminal = terminal,
        .color = color_wanted(options, fd),
        .reasoning = options->reasoning == REASONING_AUTO ? terminal : options->reasoning == REASONING_SHOW,
    };
}

/* A pipe that polls as writable takes PIPE_BUF bytes without blocking, so Ctrl-C is heard even while the reader has
 * stopped reading. */
static int write_all(Output *o, const char *text, size_t n) {
    while (n > 0) {
        int r = interrupt_wait(o->interrupt, o->fd, POLLOUT, UINT64_MAX);
        if (r < 0)
            return r;
        ssize_t written = write(o->fd, text, MIN(n, (size_t)PIPE_BUF));
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (written > 0) {
            o->last = text[written - 1];
            text += written;
            n -= (size_t)written;
        }
    }
    return 0;
}

static int write_string(Output *o, const char *s) {
    char last = o->last;
    int r = write_all(o, s, strlen(s));
    if (*s == '\033') /* takes no place on the line */
        o->last = last;
    return r;
}

static int write_text(Output *o, const char *text, size_t n) {
    if (!o->terminal)
        return write_all(o, text, n);

    while (o->skip_blank && n > 0 && (*text == '\n' || *text == '\r'))
        text++, n--;
    if (n == 0)
        return 0;
    o->skip_blank = false;

    _cleanup_(freep) char *clean = malloc(TEXT_SANITISED_SIZE(n));
    if (!clean)
        return -ENOMEM;
    return write_all(o, clean, text_sanitise(text, n, clean));
}

static int end_line(Output *o) {
    return o->last && o->last != '\n' ? write_string(o, "\n") : 0;
}

/* Where dimming cannot tell reasoning from answer, tags do. */
static int open_reasoning(Output *o) {
    o->in_reasoning = true;
    o->skip_blank = true;
    return write_string(o, o->color ? DIM : "<think>\n");
}

static int close_reasoning(Output *o) {
    if (!o->in_reasoning)
        return 0;
    o->in_reasoning = false;
    o->skip_blank = true;
    int r = end_line(o);
    if (r >= 0)
        r = write_string(o, o->color ? RESET : "</think>\n");
    return r < 0 ? r : write_string(o, "\n");
}

int output_reasoning(Output *o, const char *text, size_t n) {
    if (!o->reasoning)
        return 0;
    int r = o->in_reasoning ? 0 : open_reasoning(o);
    return r < 0 ? r : write_text(o, text, n);
}

int output_answer(Output *o, const char *text, size_t n) {
    if (!o->answered)
        o->skip_blank = true;
    o->answered = true;
    int r = close_reasoning(o);
    return r < 0 ? r : write_text(o, text, n);
}

int output_end(Output *o) {
    int r = close_reasoning(o);
    if (r >= 0)
        r = end_line(o);
    o->last = '\0';
    o->answered = false;
    return r;
}

/* ------------------------------------------------------------------------------------------------ tables */

/* Columns that the text takes on a terminal; bytes where the locale cannot say. */
static size_t display_width(const char *s) {
    wchar_t wide[256];
    size_t n = mbstowcs(wide, s, ELEMENTSOF(wide) - 1);
    if (n == (size_t)-1 || n >= ELEMENTSOF(wide) - 1)
        return strlen(s);
    wide[n] = L'\0';
    int width = wcswidth(wide, n);
    return width < 0 ? strlen(s) : (size_t)width;
}

/* A cell of one line, fit for a terminal; owned by the caller. */
static char *clean_cell(const char *cell) {
    size_t n = strlen(cell);
    char *clean = malloc(TEXT_SANITISED_SIZE(n) + 1);
    if (!clean)
        return NULL;
    clean[text_sanitise(cell, n, clean)] = '\0';
    for (char *c = clean; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    return clean;
}

static size_t column_width(char *const *cells, size_t n_columns, size_t n_rows) {
    size_t width = 0;
    for (size_t row = 0; row < n_rows; row++)
        width = MAX(width, display_width(cells[row * n_columns]));
    return width;
}

static void print_cells(FILE *f, char *const *cells, size_t n_columns, size_t n_rows, bool bold_head) {
    for (size_t row = 0; row < n_rows; row++) {
        bool bold = bold_head && row == 0;
        fputs(bold ? BOLD : "", f);
        for (size_t column = 0; column < n_columns; column++) {
            const char *cell = cells[row * n_columns + column];
            size_t width = column + 1 < n_columns ? column_width(cells + column, n_columns, n_rows) + 2 : 0;
            fputs(cell, f);
            for (size_t w = display_width(cell); w < width; w++)
                fputc(' ', f);
        }
        fputs(bold ? RESET "\n" : "\n", f);
    }
}

void table_print(FILE *f, const char *const *cells, size_t n_columns, size_t n_rows, bool bold_head) {
    size_t n = n_columns * n_rows;
    _cleanup_(freep) char **clean = calloc(n, sizeof(char *));
    bool complete = clean;

    for (size_t i = 0; complete && i < n; i++)
        complete = (clean[i] = clean_cell(cells[i]));
    if (complete)
        print_cells(f, clean, n_columns, n_rows, bold_head);
    for (size_t i = 0; clean && i < n; i++)
        free(clean[i]);
}

void format_size(uint64_t bytes, char *out, size_t size) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        snprintf(out, size, "%u B", (unsigned)bytes);
        return;
    }

    double value = bytes / 1000.0;
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < ELEMENTSOF(units); unit++)
        value /= 1000;
    snprintf(out, size, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}
