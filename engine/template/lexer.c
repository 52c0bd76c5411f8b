/* Source text to lexemes, with the white space control of trim_blocks and lstrip_blocks done on the way. */
#include <errno.h>
#include <string.h>

#include "value.h"

typedef struct Lexer {
    Run *run;
    const char *p, *end; /* what is left */
    unsigned line;
    bool line_starting; /* whether the last thing read ended a line */
    Lexeme *out;
    size_t n, allocated;
} Lexer;

static void emit(Lexer *x, Lexeme l) {
    if (x->n == x->allocated) {
        size_t allocated = x->allocated ? 2 * x->allocated : 64;
        Lexeme *out = run_alloc(x->run, allocated * sizeof(Lexeme));
        if (x->n)
            memcpy(out, x->out, x->n * sizeof(Lexeme));
        x->out = out;
        x->allocated = allocated;
    }
    l.line = x->line;
    x->out[x->n++] = l;
}

static bool at(const Lexer *x, const char *text) {
    size_t n = strlen(text);
    return (size_t)(x->end - x->p) >= n && memcmp(x->p, text, n) == 0;
}

static void skip(Lexer *x, size_t n) {
    for (; n > 0 && x->p < x->end; n--, x->p++) {
        x->line += *x->p == '\n';
        x->line_starting = *x->p == '\n';
    }
}

/* The bytes of the white space character at p, at least 1; 0: there is none. Unicode's, as in Python. */
static size_t space_at(const char *p, const char *end) {
    if (p >= end)
        return 0;
    size_t width = utf8_width(p, (size_t)(end - p));
    return char_is_space(utf8_decode(p, width)) ? width : 0;
}

/* The same for the character that ends at p. */
static size_t space_before(const char *p, const char *begin) {
    const char *q = p;
    while (q > begin && p - q < 4 && (--q, ((unsigned char)*q & 0xC0) == 0x80))
        ;
    return q < p && space_at(q, p) == (size_t)(p - q) ? (size_t)(p - q) : 0;
}

static void skip_space(Lexer *x) {
    for (size_t n; (n = space_at(x->p, x->end)) > 0;)
        skip(x, n);
}

static const char *after_space(const char *p, const char *end) {
    for (size_t n; (n = space_at(p, end)) > 0;)
        p += n;
    return p;
}

/* Text up to `stop`, shortened on the right as the sign after the opening delimiter says. */
static void emit_text(Lexer *x, const char *stop, char sign, bool lstrip) {
    const char *from = x->p, *to = stop;

    size_t n;
    if (sign == '-')
        while ((n = space_before(to, from)) > 0)
            to -= n;
    else if (sign != '+' && lstrip) {
        const char *line = to;
        while ((n = space_before(line, from)) > 0 && line[-1] != '\n')
            line -= n;
        if (line > from ? line[-1] == '\n' : x->line_starting)
            to = line;
    }
    if (to > from)
        emit(x, (Lexeme){.kind = LEXEME_TEXT, .text = from, .size = (size_t)(to - from)});
    skip(x, (size_t)(stop - x->p));
}

/* After a closing delimiter of a block or comment: what `-`, `+` or neither does to the white space that follows. */
static void after_block(Lexer *x, char sign) {
    if (sign == '-')
        skip_space(x);
    else if (sign != '+' && x->p < x->end && *x->p == '\n')
        skip(x, 1);
}

static char sign_at(const char *p, const char *end) {
    return p < end && (*p == '-' || *p == '+') ? *p : 0;
}

static void comment(Lexer *x) {
    const char *close = memmem(x->p, (size_t)(x->end - x->p), "#}", 2);
    if (!close)
        run_fail(x->run, "line %u: Missing end of comment tag", x->line);
    char sign = close > x->p ? sign_at(close - 1, close) : 0;
    skip(x, (size_t)(close + 2 - x->p));
    after_block(x, sign);
}

/* {% raw %} ... {% endraw %}; false when the block at x->p is another one. */
static bool raw_block(Lexer *x) {
    const char *p = x->p + 2;
    p = after_space(p + (sign_at(p, x->end) != 0), x->end);
    if (x->end - p < 3 || memcmp(p, "raw", 3) != 0)
        return false;
    p = after_space(p + 3, x->end);
    char begin = sign_at(p, x->end);
    p += begin == '-';
    if (x->end - p < 2 || memcmp(p, "%}", 2) != 0)
        return false;

    skip(x, (size_t)(p + 2 - x->p));
    if (begin == '-')
        skip_space(x);
    for (const char *q = x->p; (q = memmem(q, (size_t)(x->end - q), "{%", 2)); q += 2) {
        const char *name = q + 2;
        char sign = sign_at(name, x->end);
        name = after_space(name + (sign != 0), x->end);
        if (x->end - name < 6 || memcmp(name, "endraw", 6) != 0)
            continue;
        name = after_space(name + 6, x->end);
        char close = sign_at(name, x->end);
        name += close != 0;
        if (x->end - name < 2 || memcmp(name, "%}", 2) != 0)
            continue;
        emit_text(x, q, sign, true);
        skip(x, (size_t)(name + 2 - x->p));
        after_block(x, close);
        return true;
    }
    run_fail(x->run, "line %u: Missing end of raw directive", x->line);
}

/* ---- inside a tag */

static bool is_name_start(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t escape_value(const char *p, const char *end, size_t digits, uint32_t *ret) {
    uint32_t c = 0;
    size_t i;
    for (i = 0; i < digits && p + i < end; i++) {
        char d = p[i];
        uint32_t v = is_digit(d)            ? d - '0'
                     : d >= 'a' && d <= 'f' ? d - 'a' + 10
                     : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                            : 16;
        if (v == 16)
            return 0;
        c = c << 4 | v;
    }
    *ret = c;
    return i == digits && c <= 0x10FFFF ? digits : 0;
}

/* One escape sequence after the backslash, as Python reads it; returns the bytes consumed. */
static size_t unescape(Lexer *x, const char *p, const char *end, char *out, size_t *ret_size) {
    static const char from[] = "ntr\\'\"abfv", to[] = "\n\t\r\\'\"\a\b\f\v";
    uint32_t c;

    *ret_size = 0;
    if (*p == '\n')
        return 1;
    const char *hit = memchr(from, *p, sizeof(from) - 1);
    if (hit) {
        *ret_size = 1;
        *out = to[hit - from];
        return 1;
    }
    if (*p >= '0' && *p <= '7') {
        size_t n = 0;
        for (c = 0; n < 3 && p + n < end && p[n] >= '0' && p[n] <= '7'; n++)
            c = c * 8 + (uint32_t)(p[n] - '0');
        *ret_size = utf8_encode(c, out);
        return n;
    }
    size_t digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    if (digits) {
        if (!escape_value(p + 1, end, digits, &c))
            run_fail(x->run, "line %u: bad \\%c escape in a string", x->line, *p);
        *ret_size = utf8_encode(c, out);
        return 1 + digits;
    }
    out[0] = '\\';
    out[1] = *p;
    *ret_size = 2;
    return 1;
}

static void string(Lexer *x) {
    char quote = *x->p;
    const char *close = x->p + 1;
    while (close < x->end && *close != quote)
        close += *close == '\\' && close + 1 < x->end ? 2 : 1;
    if (close >= x->end)
        run_fail(x->run, "line %u: a string is not closed", x->line);

    char *text = run_alloc(x->run, (size_t)(close - x->p) + 8);
    size_t n = 0, width;
    for (const char *p = x->p + 1; p < close;)
        if (*p != '\\')
            text[n++] = *p++;
        else {
            p += 1 + unescape(x, p + 1, close, text + n, &width);
            n += width;
        }
    emit(x, (Lexeme){.kind = LEXEME_STRING, .text = text, .size = n});
    skip(x, (size_t)(close + 1 - x->p));
}

static const char *digits(const char *p, const char *end) {
    while (p < end && (is_digit(*p) || (*p == '_' && p + 1 < end && is_digit(p[1]))))
        p++;
    return p;
}

static void number(Lexer *x) {
    const char *p = x->p, *q;
    char text[64];
    int base = 10;
    bool real = false;

    if (*p == '0' && p + 1 < x->end && strchr("xXoObB", p[1])) {
        base = p[1] == 'x' || p[1] == 'X' ? 16 : p[1] == 'o' || p[1] == 'O' ? 8 : 2;
        for (p += 2; p < x->end && (is_name_start((unsigned char)*p) || is_digit(*p)); p++)
            ;
    } else {
        const char *end = digits(p, x->end);
        if (*p == '0' && end - p > 1 && strspn(p, "0_") < (size_t)(end - p))
            run_fail(x->run, "line %u: a number begins with 0", x->line);
        p = end;
        bool after_dot = x->p > x->out[0].text && x->n > 0 && x->out[x->n - 1].kind == LEXEME_OPERATOR &&
                         x->out[x->n - 1].size == 1 && *x->out[x->n - 1].text == '.';
        if (!after_dot && p + 1 < x->end && *p == '.' && is_digit(p[1])) {
            real = true;
            p = digits(p + 1, x->end);
        }
        if (!after_dot && p < x->end && (*p == 'e' || *p == 'E')) {
            q = p + 1 + (p + 1 < x->end && (p[1] == '+' || p[1] == '-'));
            if (q < x->end && is_digit(*q)) {
                real = true;
                p = digits(q, x->end);
            }
        }
    }

    size_t n = 0;
    for (q = x->p + (base != 10 ? 2 : 0); q < p; q++)
        if (*q != '_') {
            if (n + 1 >= sizeof(text))
                run_fail(x->run, "line %u: a number has too many digits", x->line);
            text[n++] = *q;
        }
    text[n] = '\0';

    Lexeme l = {.kind = real ? LEXEME_FLOAT : LEXEME_INT, .text = x->p, .size = (size_t)(p - x->p)};
    char *end;
    errno = 0;
    if (real)
        l.number = strtod(text, &end);
    else
        l.integer = strtoll(text, &end, base);
    if (*end || n == 0 || (errno == ERANGE && !real))
        run_fail(x->run, "line %u: \"%s\" is not a number that fits 64 bits", x->line, text);
    emit(x, l);
    skip(x, (size_t)(p - x->p));
}

static void operator(Lexer *x, char *stack, size_t *depth) {
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
    size_t n = 1;

    for (size_t i = 0; i < ELEMENTSOF(two); i++)
        if (at(x, two[i]))
            n = 2;
    char c = *x->p;
    if (n == 1 && !memchr("+-/*%~[](){}<>=.:|,;", c, 20))
        run_fail(
            x->run, "line %u: unexpected char '%.*s'", x->line, (int)utf8_width(x->p, (size_t)(x->end - x->p)), x->p);
    if (n == 1 && strchr("([{", c)) {
        if (*depth == 255)
            run_fail(x->run, "line %u: brackets nest too deeply", x->line);
        stack[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    }
    if (n == 1 && strchr(")]}", c)) {
        if (*depth == 0)
            run_fail(x->run, "line %u: unexpected '%c'", x->line, c);
        if (stack[--*depth] != c)
            run_fail(x->run, "line %u: unexpected '%c', expected '%c'", x->line, c, stack[*depth]);
    }
    emit(x, (Lexeme){.kind = LEXEME_OPERATOR, .text = x->p, .size = n});
    skip(x, n);
}

/* The inside of {% %} or {{ }}, through its closing delimiter. */
static void tag(Lexer *x, bool block) {
    const char *close = block ? "%}" : "}}";
    char stack[256];
    size_t depth = 0;

    emit(x, (Lexeme){.kind = block ? LEXEME_BLOCK_BEGIN : LEXEME_PRINT_BEGIN});
    skip(x, 2);
    if (sign_at(x->p, x->end) && !(x->end - x->p >= 3 && memcmp(x->p + 1, close, 2) == 0))
        skip(x, 1);
    for (;;) {
        skip_space(x);
        if (x->p >= x->end)
            run_fail(x->run, "line %u: unexpected end of template, expected 'end of %s'", x->line,
                block ? "statement block" : "print statement");

        char sign = sign_at(x->p, x->end);
        bool signed_close =
            (sign == '-' || (sign == '+' && block)) && x->end - x->p >= 3 && memcmp(x->p + 1, close, 2) == 0;
        if (depth == 0 && (signed_close || at(x, close))) {
            emit(x, (Lexeme){.kind = block ? LEXEME_BLOCK_END : LEXEME_PRINT_END});
            skip(x, signed_close ? 3 : 2);
            if (block)
                after_block(x, signed_close ? sign : 0);
            else if (signed_close)
                skip_space(x);
            return;
        }
        if (*x->p == '"' || *x->p == '\'')
            string(x);
        else if (is_digit(*x->p))
            number(x);
        else if (is_name_start((unsigned char)*x->p)) {
            const char *q = x->p;
            while (q < x->end && (is_name_start((unsigned char)*q) || is_digit(*q)))
                q++;
            emit(x, (Lexeme){.kind = LEXEME_NAME, .text = x->p, .size = (size_t)(q - x->p)});
            skip(x, (size_t)(q - x->p));
        } else
            operator(x, stack, &depth);
    }
}

/* Line ends become \n, and one at the very end goes. */
static const char *normalise(Run *run, const char *source, size_t size, size_t *ret_size) {
    char *text = run_alloc(run, size + 1);
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (source[i] == '\r' && i + 1 < size && source[i + 1] == '\n')
            continue;
        text[n++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (n > 0 && text[n - 1] == '\n')
        n--;
    *ret_size = n;
    return text;
}

Lexeme *lexer_run(Run *run, const char *source, size_t size) {
    const char *text = normalise(run, source, size, &size);
    Lexer x = {.run = run, .p = text, .end = text + size, .line = 1, .line_starting = true};

    while (x.p < x.end) {
        const char *open = x.p;
        while (open < x.end &&
               !(open[0] == '{' && open + 1 < x.end && (open[1] == '%' || open[1] == '{' || open[1] == '#')))
            open++;
        if (open == x.end) {
            emit_text(&x, x.end, '+', false);
            break;
        }
        /* a sign belongs to the delimiter unless it begins the closing one: {#-#} */
        emit_text(&x, open, sign_at(open + 2, x.end), open[1] != '{');
        if (open[1] == '#') {
            skip(&x, 2);
            comment(&x);
        } else if (open[1] == '{')
            tag(&x, false);
        else if (!raw_block(&x))
            tag(&x, true);
    }
    emit(&x, (Lexeme){.kind = LEXEME_END});
    return x.out;
}
