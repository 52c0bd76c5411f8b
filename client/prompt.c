/* See prompt.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "output.h"
#include "prompt.h"
#include "text.h"

static int join_words(char *const *words, char **ret) {
    size_t size = 1;
    for (char *const *w = words; *w; w++)
        size += strlen(*w) + 1;
    char *joined = malloc(size), *p = joined;
    if (!joined)
        return -ENOMEM;
    for (char *const *w = words; *w; w++) {
        if (w != words)
            *p++ = ' ';
        p = stpcpy(p, *w);
    }
    *p = '\0';
    *ret = joined;
    return 0;
}

int prompt_read_input(Text *ret) {
    int r = text_read(STDIN_FILENO, ret);
    if (r == -EFBIG)
        return complain(EX_DATAERR, "standard input is longer than %zu MB, more than any model reads; give it less",
            TEXT_MAX / 1000000);
    if (r < 0)
        return complain(EX_NOINPUT, "cannot read standard input: %s", strerror(-r));
    if (ret->replaced)
        remark("%zu places of standard input are not UTF-8 text; they have been replaced", ret->replaced);
    return 0;
}

int prompt_gather(const Options *o, char **ret) {
    _cleanup_(text_done) Text input = {}, typed = {};
    _cleanup_(freep) char *words = NULL, *prompt = NULL;
    bool only_input = o->n_words == 1 && strcmp(o->words[0], "-") == 0;

    int r = join_words(o->words, &words);
    if (r >= 0)
        r = text_from_bytes(only_input ? "" : words, only_input ? 0 : strlen(words), &typed);
    if (r < 0)
        return complain(EX_OSERR, "out of memory");
    if (only_input || !isatty(STDIN_FILENO)) {
        int code = prompt_read_input(&input);
        if (code)
            return code;
    }
    r = text_join(input.bytes ? input.bytes : "", typed.bytes, &prompt);
    if (r < 0)
        return complain(EX_OSERR, "out of memory");
    if (strspn(prompt, " \t\r\n") == strlen(prompt))
        return complain(EX_USAGE, "there is nothing to ask: give a prompt, or see infer --help");
    *ret = TAKE_PTR(prompt);
    return 0;
}
