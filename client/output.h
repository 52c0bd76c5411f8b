/* What a person sees: answers on standard output, remarks on standard error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "interrupt.h"
#include "macros.h"
#include "options.h"

/* Exit codes are those of sysexits.h, and: */
#define EXIT_INTERRUPTED 130

/* Prints "infer: ..." to standard error, fit for a terminal, and returns `exit_code`. */
int complain(int exit_code, const char *format, ...) _printf_(2, 3);
void remark(const char *format, ...) _printf_(1, 2);

/* A stream of reasoning and answer to a file descriptor. */
typedef struct Output {
    int fd;
    bool terminal; /* sanitise */
    bool color;
    bool reasoning;             /* show it */
    bool in_reasoning;          /* an opening tag or dimming is in force */
    bool answered;              /* some of the answer has been written */
    bool skip_blank;            /* drop line feeds until something else comes: a terminal shows none around sections */
    char last;                  /* last byte written; 0: none yet */
    const Interrupt *interrupt; /* borrowed; writing gives up on Ctrl-C; NULL: never */
} Output;

void output_init(Output *o, const Options *options, int fd);
/* Writes everything at once, so that an answer appears as it arrives. Negative errno: nobody reads it any more, or
 * -EINTR. */
int output_reasoning(Output *o, const char *text, size_t n);
int output_answer(Output *o, const char *text, size_t n);
/* Ends dimming, and the line. */
int output_end(Output *o);

bool color_wanted(const Options *options, int fd);

/* A table whose columns are as wide as their cells appear; cells are made fit for a terminal. */
void table_print(FILE *f, const char *const *cells, size_t n_columns, size_t n_rows, bool bold_head);

/* "1.5 GB", "640 kB"; decimal, as shops and df -H count. */
void format_size(uint64_t bytes, char *out, size_t size);
