/* The vocabulary is one table: a row is a name, a type, a range and a place in Options. Setters look the row up, check
 * the type, then the range, so that every transport refuses the same values with the same sentence. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "options.h"
#include "parse.h"

#define STOP_MAX_BYTES   1024
#define SYSTEM_MAX_BYTES (1024 * 1024)
#define JSON_MAX_BYTES   (1024 * 1024)
#define TIMEOUT_MAX_SEC  (7 * 24 * 3600)
#define BIAS_MAX         100.0f
#define BIASES_MAX       1024

typedef enum OptionType {
    OPTION_STRING,
    OPTION_STRINGS,
    OPTION_UINT,
    OPTION_FLOAT,
    OPTION_SEED,
    OPTION_REASONING,
    OPTION_PRIORITY,
    OPTION_TIMEOUT,
    OPTION_TOP_LOGPROBS,
    OPTION_LOGIT_BIAS,
    OPTION_JSON_ARRAY,
    OPTION_JSON_OBJECT,
    OPTION_UNSUPPORTED,
} OptionType;

typedef struct OptionRow {
    const char *name;
    OptionType type;
    size_t offset;
    double min, max;
    const char *wanted; /* completes "must be ..." */
} OptionRow;

#define AT(field) offsetof(Options, field)

static const OptionRow option_rows[] = {
    {"system", OPTION_STRING, AT(system), 0, 0, "a string"},
    {"max-tokens", OPTION_UINT, AT(max_tokens), 1, INT32_MAX, "a whole number from 1 to 2147483647"},
    {"temperature", OPTION_FLOAT, AT(sampler.temperature), 0, 100, "a number from 0 to 100"},
    {"top-k", OPTION_UINT, AT(sampler.top_k), 0, INT32_MAX, "a whole number from 0 to 2147483647"},
    {"top-p", OPTION_FLOAT, AT(sampler.top_p), 0, 1, "a number from 0 to 1"},
    {"min-p", OPTION_FLOAT, AT(sampler.min_p), 0, 1, "a number from 0 to 1"},
    {"repeat-penalty", OPTION_FLOAT, AT(sampler.repeat_penalty), 0.01, 100, "a number from 0.01 to 100"},
    {"presence-penalty", OPTION_FLOAT, AT(sampler.presence_penalty), -2, 2, "a number from -2 to 2"},
    {"frequency-penalty", OPTION_FLOAT, AT(sampler.frequency_penalty), -2, 2, "a number from -2 to 2"},
    {"seed", OPTION_SEED, AT(sampler.seed), 0, (double)INT64_MAX, "a whole number that is not negative"},
    {"stop", OPTION_STRINGS, AT(stop), 0, 0, "a list of 1 to 16 strings of 1 to 1024 bytes"},
    {"reasoning", OPTION_REASONING, AT(reasoning_budget), 0, INT32_MAX,
        "none, low, medium, high or a number of tokens that is not negative"},
    {"priority", OPTION_PRIORITY, AT(priority), 0, 0, "interactive, normal or background"},
    {"timeout", OPTION_TIMEOUT, AT(timeout_usec), 0, TIMEOUT_MAX_SEC,
        "a number of seconds above 0 and at most 604800, or a time such as \"30s\""},
    {"top-logprobs", OPTION_TOP_LOGPROBS, AT(top_logprobs), 0, ENGINE_MAX_TOP_LOGPROBS, "a whole number from 0 to 20"},
    {"logit-bias", OPTION_LOGIT_BIAS, AT(sampler.logit_bias), 0, 0, "a map from token to a number from -100 to 100"},
    {"tools", OPTION_JSON_ARRAY, AT(tools), 0, 0, "a JSON array of tools as OpenAI's API has them"},
    {"template", OPTION_JSON_OBJECT, AT(template), 0, 0, "a JSON object of variables for the chat template"},
    {"schema", OPTION_UNSUPPORTED},
    {"grammar", OPTION_UNSUPPORTED},
    {"adapter", OPTION_UNSUPPORTED},
};

static const struct {
    const char *name;
    uint32_t budget;
} reasoning_levels[] = {{"none", 0}, {"low", 512}, {"medium", 2048}, {"high", 8192}};

static const char *const priority_names[] = {
    [ENGINE_PRIORITY_INTERACTIVE] = "interactive",
    [ENGINE_PRIORITY_NORMAL] = "normal",
    [ENGINE_PRIORITY_BACKGROUND] = "background",
};

static const OptionRow *find_row(const char *name) {
    for (size_t i = 0; i < ELEMENTSOF(option_rows); i++)
        if (strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    return NULL;
}

static int look_up(const char *name, const OptionRow **ret, Error *e) {
    const OptionRow *row = find_row(name);
    if (!row)
        return error_set(e, -EINVAL, "Unknown option \"%.100s\".", name);
    if (row->type == OPTION_UNSUPPORTED)
        return error_set(e, -EOPNOTSUPP, "Option \"%s\" is not supported by this version of inferd.", name);
    *ret = row;
    return 0;
}

static int refuse(const OptionRow *row, Error *e) {
    return error_set(e, -EINVAL, "Option \"%s\" must be %s.", row->name, row->wanted);
}

int options_refuse(const char *name, Error *e) {
    const OptionRow *row = NULL;
    int r = look_up(name, &row, e);
    return r < 0 ? r : refuse(row, e);
}

bool options_known(const char *name) {
    const OptionRow *row = find_row(name);
    return row && row->type != OPTION_UNSUPPORTED;
}

void options_init(Options *o) {
    *o = (Options){
        .max_tokens = ENGINE_UNLIMITED,
        .sampler = SAMPLER_OPTIONS_DEFAULT,
        .top_logprobs = -1,
        .reasoning_budget = ENGINE_UNLIMITED,
        .priority = ENGINE_PRIORITY_NORMAL,
    };
}

static char **strings_free(char **s) {
    for (char **p = s; p && *p; p++)
        free(*p);
    free(s);
    return NULL;
}
DEFINE_CLEANUP(char **, strings_free)

void options_done(Options *o) {
    free(o->system);
    free(o->tools);
    free(o->template);
    strings_free(o->stop);
    free((LogitBias *)o->sampler.logit_bias);
    *o = (Options){};
}
static void options_donep(Options *o) {
    options_done(o);
}

static char **strings_copy(const char *const *values, size_t n) {
    _cleanup_(strings_freep) char **copy = calloc(n + 1, sizeof(char *));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!(copy[i] = strdup(values[i])))
            return NULL;
    return TAKE_PTR(copy);
}

int options_copy(Options *dst, const Options *src, Error *e) {
    _cleanup_(options_donep) Options o = *src;
    o.system = NULL;
    o.tools = NULL;
    o.template = NULL;
    o.stop = NULL;
    o.sampler.logit_bias = NULL;
    o.sampler.n_logit_bias = 0;

    if ((src->system && !(o.system = strdup(src->system))) || (src->tools && !(o.tools = strdup(src->tools))) ||
        (src->template && !(o.template = strdup(src->template))))
        return error_set(e, -ENOMEM, "Out of memory.");
    if (src->stop) {
        size_t n = 0;
        while (src->stop[n])
            n++;
        if (!(o.stop = strings_copy((const char *const *)src->stop, n)))
            return error_set(e, -ENOMEM, "Out of memory.");
    }
    if (src->sampler.n_logit_bias) {
        LogitBias *copy = calloc(src->sampler.n_logit_bias, sizeof(LogitBias));
        if (!copy)
            return error_set(e, -ENOMEM, "Out of memory.");
        memcpy(copy, src->sampler.logit_bias, src->sampler.n_logit_bias * sizeof(LogitBias));
        o.sampler.logit_bias = copy;
        o.sampler.n_logit_bias = src->sampler.n_logit_bias;
    }
    *dst = o;
    o = (Options){}; /* handed over */
    return 0;
}

static int set_reasoning(Options *o, const OptionRow *row, const char *value, Error *e) {
    for (size_t i = 0; i < ELEMENTSOF(reasoning_levels); i++)
        if (strcmp(reasoning_levels[i].name, value) == 0) {
            o->reasoning_budget = reasoning_levels[i].budget;
            return 0;
        }
    return refuse(row, e);
}

static int set_priority(Options *o, const OptionRow *row, const char *value, Error *e) {
    for (size_t i = 0; i < ELEMENTSOF(priority_names); i++)
        if (strcmp(priority_names[i], value) == 0) {
            o->priority = (EnginePriority)i;
            return 0;
        }
    return refuse(row, e);
}

static int set_system(Options *o, const char *value, Error *e) {
    size_t n = strlen(value);
    if (n > SYSTEM_MAX_BYTES)
        return error_set(e, -EINVAL, "Option \"system\" has %zu bytes; at most %d are accepted.", n, SYSTEM_MAX_BYTES);
    if (!parse_is_utf8(value, n))
        return error_set(e, -EINVAL, "Option \"system\" is not valid UTF-8.");

    char *copy = strdup(value);
    if (!copy)
        return error_set(e, -ENOMEM, "Out of memory.");
    free(o->system);
    o->system = copy;
    return 0;
}

/* "" and an empty array or object: none. */
static int set_json(Options *o, const OptionRow *row, const char *value, Error *e) {
    char **field = (char **)((char *)o + row->offset), *copy = NULL;
    json_error_t error;
    size_t n = strlen(value);

    if (n > JSON_MAX_BYTES)
        return error_set(
            e, -EINVAL, "Option \"%s\" has %zu bytes; at most %d are accepted.", row->name, n, JSON_MAX_BYTES);
    if (n > 0) {
        json_auto_t *json = json_loads(value, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (!json)
            return error_set(e, -EINVAL, "Option \"%s\" must be %s: column %d: %s.", row->name, row->wanted,
                error.column, error.text);
        if (row->type == OPTION_JSON_ARRAY ? !json_is_array(json) : !json_is_object(json))
            return refuse(row, e);
        if (json_array_size(json) + json_object_size(json) > 0 && !(copy = strdup(value)))
            return error_set(e, -ENOMEM, "Out of memory.");
    }
    free(*field);
    *field = copy;
    return 0;
}

int options_set_string(Options *o, const char *name, const char *value, Error *e) {
    const OptionRow *row = NULL;
    uint64_t usec;

    int r = look_up(name, &row, e);
    if (r < 0)
        return r;
    switch (row->type) {
    case OPTION_STRING: return set_system(o, value, e);
    case OPTION_STRINGS: return options_set_strings(o, name, &value, 1, e);
    case OPTION_REASONING: return set_reasoning(o, row, value, e);
    case OPTION_PRIORITY: return set_priority(o, row, value, e);
    case OPTION_JSON_ARRAY:
    case OPTION_JSON_OBJECT: return set_json(o, row, value, e);
    case OPTION_TIMEOUT:
        if (parse_usec(value, &usec) < 0 || usec == 0 || usec > (uint64_t)row->max * 1000000)
            return refuse(row, e);
        o->timeout_usec = usec;
        return 0;
    default: return refuse(row, e);
    }
}

int options_set_int(Options *o, const char *name, int64_t value, Error *e) {
    const OptionRow *row = NULL;

    int r = look_up(name, &row, e);
    if (r < 0)
        return r;
    switch (row->type) {
    case OPTION_UINT:
    case OPTION_REASONING:
        if (value < (int64_t)row->min || value > (int64_t)row->max)
            return refuse(row, e);
        *(uint32_t *)((char *)o + row->offset) = (uint32_t)value;
        return 0;
    case OPTION_TOP_LOGPROBS:
        if (value < 0 || value > ENGINE_MAX_TOP_LOGPROBS)
            return refuse(row, e);
        o->top_logprobs = (int)value;
        return 0;
    case OPTION_SEED:
        if (value < 0)
            return refuse(row, e);
        o->sampler.seed = (uint64_t)value;
        o->seed_given = true;
        return 0;
    case OPTION_FLOAT:
    case OPTION_TIMEOUT: return options_set_double(o, name, (double)value, e);
    default: return refuse(row, e);
    }
}

int options_set_double(Options *o, const char *name, double value, Error *e) {
    const OptionRow *row = NULL;

    int r = look_up(name, &row, e);
    if (r < 0)
        return r;
    if (!isfinite(value))
        return refuse(row, e);
    switch (row->type) {
    case OPTION_FLOAT:
        if (value < row->min || value > row->max)
            return refuse(row, e);
        *(float *)((char *)o + row->offset) = (float)value;
        o->temperature_given |= row->offset == offsetof(Options, sampler.temperature);
        return 0;
    case OPTION_TIMEOUT:
        if (value * 1e6 < 1 || value > row->max)
            return refuse(row, e);
        o->timeout_usec = (uint64_t)(value * 1e6);
        return 0;
    case OPTION_UINT:
    case OPTION_REASONING:
    case OPTION_SEED:
    case OPTION_TOP_LOGPROBS:
        /* beyond 2^53 a double no longer says which integer was meant */
        if (value != trunc(value) || fabs(value) > 9007199254740992.0)
            return refuse(row, e);
        return options_set_int(o, name, (int64_t)value, e);
    default: return refuse(row, e);
    }
}

int options_set_strings(Options *o, const char *name, const char *const *values, size_t n, Error *e) {
    const OptionRow *row = NULL;

    int r = look_up(name, &row, e);
    if (r < 0)
        return r;
    if (row->type != OPTION_STRINGS || n == 0 || n > ENGINE_MAX_STOP)
        return refuse(row, e);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(values[i]);
        if (size == 0 || size > STOP_MAX_BYTES)
            return refuse(row, e);
        if (!parse_is_utf8(values[i], size))
            return error_set(e, -EINVAL, "Option \"stop\" is not valid UTF-8.");
    }
    char **copy = strings_copy(values, n);
    if (!copy)
        return error_set(e, -ENOMEM, "Out of memory.");
    strings_free(o->stop);
    o->stop = copy;
    return 0;
}

int options_set_logit_bias(Options *o, const LogitBias *biases, size_t n, Error *e) {
    if (n > BIASES_MAX)
        return error_set(e, -EINVAL, "Option \"logit-bias\" has %zu entries; at most %d are accepted.", n, BIASES_MAX);
    for (size_t i = 0; i < n; i++)
        if (!(biases[i].bias >= -BIAS_MAX && biases[i].bias <= BIAS_MAX))
            return refuse(find_row("logit-bias"), e);

    LogitBias *copy = NULL;
    if (n) {
        copy = calloc(n, sizeof(LogitBias));
        if (!copy)
            return error_set(e, -ENOMEM, "Out of memory.");
        memcpy(copy, biases, n * sizeof(LogitBias));
    }
    free((LogitBias *)o->sampler.logit_bias);
    o->sampler.logit_bias = copy;
    o->sampler.n_logit_bias = n;
    return 0;
}

int options_parse(Options *o, const char *name, const char *text, Error *e) {
    const OptionRow *row = NULL;
    uint64_t u;
    double d;

    int r = look_up(name, &row, e);
    if (r < 0)
        return r;
    switch (row->type) {
    case OPTION_UINT:
    case OPTION_SEED:
        if (parse_uint64(text, &u) < 0 || u > INT64_MAX)
            return refuse(row, e);
        return options_set_int(o, name, (int64_t)u, e);
    case OPTION_FLOAT:
        if (parse_double(text, &d) < 0)
            return refuse(row, e);
        return options_set_double(o, name, d, e);
    case OPTION_REASONING:
        if (parse_uint64(text, &u) == 0)
            return options_set_int(o, name, (int64_t)MIN(u, (uint64_t)INT64_MAX), e);
        return options_set_string(o, name, text, e);
    case OPTION_TOP_LOGPROBS:
    case OPTION_LOGIT_BIAS: return error_set(e, -EINVAL, "Option \"%s\" belongs to a single request.", row->name);
    default: return options_set_string(o, name, text, e);
    }
}

void options_print(const Options *o, FILE *f) {
    for (size_t i = 0; i < ELEMENTSOF(option_rows); i++) {
        const OptionRow *row = &option_rows[i];
        const void *field = (const char *)o + row->offset;
        uint32_t n = row->type == OPTION_UINT || row->type == OPTION_REASONING ? *(const uint32_t *)field : 0;

        switch (row->type) {
        case OPTION_STRING:
        case OPTION_JSON_ARRAY:
        case OPTION_JSON_OBJECT:
            if (*(char *const *)field)
                fprintf(f, "%s=%s\n", row->name, *(char *const *)field);
            break;
        case OPTION_STRINGS:
            for (char **s = o->stop; s && *s; s++)
                fprintf(f, "%s=%s\n", row->name, *s);
            break;
        case OPTION_UINT:
        case OPTION_REASONING:
            if (n != ENGINE_UNLIMITED)
                fprintf(f, "%s=%u\n", row->name, n);
            break;
        case OPTION_FLOAT: fprintf(f, "%s=%g\n", row->name, *(const float *)field); break;
        case OPTION_SEED:
            if (o->seed_given)
                fprintf(f, "%s=%llu\n", row->name, (unsigned long long)o->sampler.seed);
            break;
        case OPTION_PRIORITY: fprintf(f, "%s=%s\n", row->name, priority_names[o->priority]); break;
        case OPTION_TIMEOUT:
            if (o->timeout_usec)
                fprintf(f, "%s=%lluus\n", row->name, (unsigned long long)o->timeout_usec);
            break;
        default: break; /* not for configuration files */
        }
    }
}
