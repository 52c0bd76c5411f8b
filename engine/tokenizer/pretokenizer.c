/* See pretokenizer.h.
 *
 * A family is a row of expressions. Each is run over the pieces that the ones before it left: what it matches becomes a
 * piece of its own, and so does what lies between two matches. They are the expressions which the models' authors
 * publish, rewritten where another form matches the same and takes linear time: no expression may look far ahead from
 * every place where it can start, since a text may be one letter a million times over. That is also why PCRE2's match
 * limit is lifted. Its interpreter is fast enough, and unlike its JIT compiler it runs in a service that may not map
 * executable memory. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <assert.h>
#include <errno.h>
#include <pcre2.h>
#include <string.h>

#include "pretokenizer.h"
#include "utf8.h"

#define MAX_STEPS 6

/* White space as Unicode and the expressions' own engines define it; PCRE2's \s also has U+180E. */
#define S  "\\p{White_Space}"
#define NS "\\P{White_Space}"

#define SPACES   S "+(?!" NS ")|" S "+"
#define NEWLINES S "*[\\r\\n]+"
/* Where a run of spaces is cut many times, newlines are only looked for where it begins or a line has ended. */
#define NEWLINES_ONCE "(?<![^" NS "\\r\\n])" NEWLINES
#define RUN(LENGTH)   S LENGTH "(?!" NS ")|"
#define LINE          "[^\\n]+|\\n+"

#define SUFFIX_LOWER "'(?:[stmd]|re|ve|ll)"
#define SUFFIX       "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"

#define GPT2 SUFFIX_LOWER "| ?\\p{L}+| ?\\p{N}+| ?[^" S "\\p{L}\\p{N}]+|" SPACES

#define WORD            SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS         " ?[^" S "\\p{L}\\p{N}]+[\\r\\n]*"
#define LLAMA3(NUMBERS) WORD "|" NUMBERS "|" SYMBOLS "|" NEWLINES "|" SPACES
#define QWEN2           LLAMA3("\\p{N}")

/* words that begin anew where a capital follows a small letter */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(UPPER, LOWER, SUFFIX)                                                                                    \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" SUFFIX
#define GPT4O(NUMBERS, SUFFIX)                                                                                         \
    CASED(UPPER, LOWER, SUFFIX) "|" NUMBERS "| ?[^" S "\\p{L}\\p{N}]+[\\r\\n/]*|" NEWLINES "|" SPACES

/* the same classes without Han, as what is left when everything else is taken away */
#define NO_LETTER     "\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}"
#define UPPER_NOT_HAN "[^" NO_LETTER "\\p{Ll}]"
#define LOWER_NOT_HAN "[^" NO_LETTER "\\p{Lu}\\p{Lt}]"

#define DEEPSEEK3                                                                                                      \
    "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" NEWLINES       \
    "|" SPACES

/* letters with case, as of the Unicode version and the blocks that DeepSeek's list of ranges covers */
#define DEEPSEEK_CASED                                                                                                 \
    "[^\\P{L&}\\x{560}-\\x{588}\\x{10C7}-\\x{10FF}\\x{1C80}-\\x{1C88}\\x{2D00}-\\x{2D2D}\\x{A790}-\\x{AB6F}"           \
    "\\x{10570}-\\x{105BC}\\x{16E40}-\\x{16E7F}\\x{1D400}-\\x{1DF2A}]"
#define DEEPSEEK_CJK "[\\x{800}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+"

#define BLOOM " ?[^(" S "|.,!?)\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C}]+"

typedef struct Step {
    const char *expression;
    bool in_threes; /* a match is cut further, into groups of three characters counted from its end */
} Step;

typedef struct Family {
    const char *names; /* separated by spaces */
    PretokenizerTraits traits;
    Step steps[MAX_STEPS];
} Family;

static const Family families[] = {
    {"default", {.clean_spaces = true}, {{"[\\p{P}$+<=>^~|]+"}, {GPT2}, {"\\p{N}+"}, {"[0-9]{3}"}}},
    {"gpt-2 phi-2 mpt olmo jais exaone4 gigachat a.x-4.0 mellum modern-bert roberta-bpe jina-es jina-de jina-v1-en "
     "jina-v2-es jina-v2-de jina-v2-code",
        {.clean_spaces = true}, {{GPT2}}},
    {"trillion granite-docling", {}, {{GPT2}}},
    {"starcoder refact codeshell exaone minerva-7b mellum2", {.clean_spaces = true}, {{"\\p{N}"}, {GPT2}}},
    {"command-r smollm", {}, {{"\\p{N}"}, {GPT2}}},
    {"falcon", {.clean_spaces = true}, {{"[\\p{P}$+<=>^~|`]+"}, {GPT2}, {"[0-9]{3}"}}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
        {.whole_pieces = true, .add_bos = true, .clean_spaces = true}, {{LLAMA3("\\p{N}{1,3}")}}},
    {"dbrx smaug-bpe glm4 chatglm-bpe", {.clean_spaces = true}, {{LLAMA3("\\p{N}{1,3}")}}},
    {"minicpm5", {.whole_pieces = true, .clean_spaces = true}, {{"\\p{N}{1,3}"}, {LLAMA3("\\p{N}+")}}},
    {"jais-2", {.clean_spaces = true},
        {{WORD "|\\p{N}{1,3}|" SYMBOLS "|" NEWLINES_ONCE "|" RUN("{512}") RUN("{256}") RUN("{128}") RUN("{64}")
                RUN("{32}") RUN("{16}") RUN("{8}") RUN("{4}") RUN("{1,2}") S}}},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 hunyuan solar-open grok-2", {}, {{QWEN2}}},
    {"stablelm2 megrez", {.clean_spaces = true}, {{QWEN2}}},
    {"laguna", {}, {{LINE}, {QWEN2}}},
    {"qwen35", {},
        {{SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" S "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" NEWLINES
                 "|" SPACES}}},
    {"bailingmoe bailingmoe2 llada-moe", {}, {{QWEN2}}},
    {"seed-coder", {}, {{WORD "|\\p{N}| ?[^" S "\\p{L}\\p{N}\\r\\n]+|" NEWLINES "|" SPACES}}},
    {"exaone-moe", {.clean_spaces = true},
        {{SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}\\p{M}*+(?: ?\\p{L}\\p{M}*+)*+|\\p{N}| ?[^" S
                 "\\p{L}\\p{N}]+[\\r\\n/]?|" NEWLINES "|" SPACES}}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {}, {{GPT4O("\\p{N}{1,3}", "(?:" SUFFIX ")?")}}},
    {"granite-embed-multi-97m", {.whole_pieces = true}, {{GPT4O("\\p{N}{1,3}", "(?:" SUFFIX ")?")}}},
    {"tekken", {.whole_pieces = true, .add_bos = true}, {{GPT4O("\\p{N}", "")}}},
    {"tiny_aya cohere2moe", {},
        {{"(?<!\\p{Nd})\\p{Nd}++(?![\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])", .in_threes = true},
            {GPT4O("\\p{N}{1,3}", "(?:" SUFFIX ")?")}}},
    {"youtu", {.whole_pieces = true},
        {{"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|"
          "[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}"
          "\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|[\\x{3105}-\\x{312F}]+|[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}]+"},
            {GPT4O("\\p{N}", "(?:" SUFFIX ")?")}}},
    {"kimi-k2", {},
        {{"\\p{sc:Han}+|" CASED(UPPER_NOT_HAN, LOWER_NOT_HAN, "(?:" SUFFIX ")?") "|\\p{N}{1,3}|" SYMBOLS "|" NEWLINES
                                                                                 "|" SPACES}}},
    {"deepseek-llm", {},
        {{"[\\r\\n]"}, {S "?" DEEPSEEK_CASED "+"},
            {S "?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+"},
            {"(?<!" S ")" S "++$"}, {DEEPSEEK_CJK}, {"\\p{N}"}}},
    {"deepseek-coder", {}, {{"[\\r\\n]"}, {S "?\\p{L}+"}, {S "?\\p{P}+"}, {DEEPSEEK_CJK}, {"\\p{N}"}}},
    {"deepseek-v3 hunyuan-dense joyai-llm", {},
        {{"\\p{N}{1,3}"}, {"[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}]+"}, {DEEPSEEK3}}},
    {"afmoe", {},
        {{"\\p{N}+", .in_threes = true},
            {"[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{F900}-\\x{FAFF}\\x{3040}-\\x{30FF}\\x{FF65}-\\x{FF9F}"
             "\\x{2F00}-\\x{2FDF}\\x{E40}-\\x{EFF}\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}"
             "\\x{A9E0}-\\x{A9FF}\\x{AC00}-\\x{D7AF}\\x{1100}-\\x{11FF}]+"},
            {DEEPSEEK3}}},
    {"superbpe", {}, {{"\\p{N}+"}, {"(?:\\p{Nd}{3})++(?!\\p{Nd})", .in_threes = true}}},
    {"bloom gpt3-finnish", {.clean_spaces = true}, {{BLOOM}}},
    {"poro-chat", {}, {{BLOOM}}},
    {"viking", {}, {{BLOOM}, {"\\p{N}"}}},
    {"chameleon", {.add_bos = true},
        {{"<sentinel:[0-9]+>"}, {"IMGIMG[A-I]{1,4}Z"}, {"[\\t\\n]|    |  "}, {"\\p{N}"}, {"[\\p{P}!-/:-@\\[-`{-~]"},
            {GPT2}}},
    {"gemma4 granite-embed-multi-311m", {.clean_spaces = true, .raw = true}, {{LINE}}},
    {"sarvam-moe", {.raw = true}, {{LINE}}},
};

struct Pretokenizer {
    const Family *family;
    pcre2_code *codes[MAX_STEPS];   /* owned, one per step */
    pcre2_match_context *unlimited; /* owned, only read after it is made */
};

/* ------------------------------------------------------------------------------------------------ making */

static bool has_name(const char *names, const char *name, size_t size) {
    for (size_t length; *names; names += length + (names[length] == ' ')) {
        length = strcspn(names, " ");
        if (length == size && memcmp(names, name, size) == 0)
            return true;
    }
    return false;
}

static const Family *find_family(GgufString name) {
    if (name.size == 0)
        return &families[0];
    for (size_t i = 0; i < ELEMENTSOF(families); i++)
        if (has_name(families[i].names, name.data, name.size))
            return &families[i];
    return NULL;
}

static pcre2_code *compile(const char *expression) {
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &offset, NULL);
    assert(compiled || code == PCRE2_ERROR_HEAP_FAILED);
    return compiled;
}

int pretokenizer_new(GgufString name, Pretokenizer **ret, Error *e) {
    const Family *family = find_family(name);
    if (!family) {
        char text[GGUF_PRINTABLE_SIZE];
        return error_set(
            e, -EOPNOTSUPP, "pre-tokenizer \"%s\" (tokenizer.ggml.pre) is not supported", gguf_printable(name, text));
    }

    _cleanup_(pretokenizer_freep) Pretokenizer *p = calloc(1, sizeof(*p));
    if (!p)
        return error_set(e, -ENOMEM, "out of memory");
    p->family = family;
    p->unlimited = pcre2_match_context_create(NULL);
    if (!p->unlimited)
        return error_set(e, -ENOMEM, "out of memory");
    pcre2_set_match_limit(p->unlimited, UINT32_MAX);
    for (size_t i = 0; i < MAX_STEPS && family->steps[i].expression; i++) {
        p->codes[i] = compile(family->steps[i].expression);
        if (!p->codes[i])
            return error_set(e, -ENOMEM, "out of memory");
    }
    *ret = TAKE_PTR(p);
    return 0;
}

Pretokenizer *pretokenizer_free(Pretokenizer *p) {
    if (!p)
        return NULL;
    for (size_t i = 0; i < MAX_STEPS; i++)
        pcre2_code_free(p->codes[i]);
    pcre2_match_context_free(p->unlimited);
    free(p);
    return NULL;
}

const PretokenizerTraits *pretokenizer_traits(const Pretokenizer *p) {
    return &p->family->traits;
}

/* ------------------------------------------------------------------------------------------------ splitting */

void pieces_done(Pieces *p) {
    free(p->ends);
    *p = (Pieces){};
}

static int add_end(Pieces *p, uint32_t end) {
    if (p->n == p->allocated) {
        size_t allocated = MAX(p->allocated * 2, (size_t)64);
        uint32_t *ends = reallocarray(p->ends, allocated, sizeof(*ends));
        if (!ends)
            return -ENOMEM;
        p->ends = ends;
        p->allocated = allocated;
    }
    p->ends[p->n++] = end;
    return 0;
}

static int add_threes(Pieces *p, const char *text, uint32_t from, uint32_t to) {
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++)
        n += (text[i] & 0xC0) != 0x80;

    int r = 0;
    for (uint32_t i = from; r >= 0 && i < to; i++)
        if ((text[i] & 0xC0) != 0x80 && n-- % 3 == 0 && i > from)
            r = add_end(p, i);
    return r < 0 ? r : add_end(p, to);
}

/* Splits one piece further. */
static int split_piece(const Pretokenizer *p, size_t step, pcre2_match_data *match, const char *text, uint32_t from,
    uint32_t to, Pieces *ret) {
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(match);
    for (uint32_t at = from; at < to;) {
        int n = pcre2_match(
            p->codes[step], (PCRE2_SPTR)text + from, to - from, at - from, PCRE2_NO_UTF_CHECK, match, p->unlimited);
        if (n == PCRE2_ERROR_NOMATCH)
            return add_end(ret, to);
        if (n < 0)
            return -ENOMEM; /* the only way to fail: the expressions are ours and there are no limits */

        uint32_t start = from + (uint32_t)offsets[0], end = from + (uint32_t)offsets[1];
        assert(end > start);
        int r = start > at ? add_end(ret, start) : 0;
        if (r >= 0)
            r = p->family->steps[step].in_threes ? add_threes(ret, text, start, end) : add_end(ret, end);
        if (r < 0)
            return r;
        at = end;
    }
    return 0;
}

/* PCRE2 may only see valid UTF-8. Returns text itself if it is, else a copy with a control character (SUB) for each
 * byte that is not, so that offsets stay. NULL: out of memory. */
static const char *make_valid(const char *text, uint32_t n, char **ret_copy) {
    char *copy = NULL;
    size_t length;
    bool valid;
    for (uint32_t i = 0; i < n; i += (uint32_t)length) {
        utf8_decode(text + i, n - i, &length, &valid);
        if (valid)
            continue;
        if (!copy) {
            copy = malloc(n);
            if (!copy)
                return NULL;
            memcpy(copy, text, n);
            *ret_copy = copy;
        }
        copy[i] = 0x1A;
    }
    return copy ? copy : text;
}

int pretokenizer_split(const Pretokenizer *p, const char *text, uint32_t n, Pieces *ret) {
    _cleanup_(freep) char *copy = NULL;
    const char *valid = make_valid(text, n, &copy);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    Pieces pieces = {}, next = {};
    int r = valid && match ? add_end(&pieces, n) : -ENOMEM;

    for (size_t step = 0; r >= 0 && step < MAX_STEPS && p->codes[step]; step++) {
        uint32_t from = 0;
        next.n = 0;
        for (size_t i = 0; r >= 0 && i < pieces.n; i++) {
            r = split_piece(p, step, match, valid, from, pieces.ends[i], &next);
            from = pieces.ends[i];
        }
        Pieces swap = pieces;
        pieces = next;
        next = swap;
    }

    pcre2_match_data_free(match);
    pieces_done(&next);
    if (r < 0)
        pieces_done(&pieces);
    else
        *ret = pieces;
    return r;
}
