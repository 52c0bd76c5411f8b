/* `infer embed`: texts to vectors, a line each. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "output.h"
#include "prompt.h"
#include "text.h"
#include "verbs.h"

#define CALL_MAX 2048 /* texts that Embed takes at a time */

/* What is still to be embedded: each word of the command line, also a blank one, since what comes back is known by its
 * place; without any word, each line of standard input that is not blank. */
typedef struct Texts {
    char **words;           /* borrowed, NULL-terminated */
    const char *line, *end; /* borrowed */
} Texts;

static bool texts_next(Texts *t, const char **ret, size_t *ret_size) {
    if (*t->words) {
        *ret = *t->words++;
        *ret_size = strlen(*ret);
        return true;
    }
    while (t->line < t->end) {
        const char *line = t->line, *feed = memchr(line, '\n', (size_t)(t->end - line));
        size_t size = (size_t)((feed ? feed : t->end) - line);
        t->line += size + (feed ? 1 : 0);
        if (strspn(line, " \t\r") < size) {
            *ret = line;
            *ret_size = size;
            return true;
        }
    }
    return false;
}

static int append_text(sd_bus_message *m, const char *text, size_t size) {
    _cleanup_(text_done) Text clean = {};
    int r = text_from_bytes(text, size, &clean);
    return r < 0 ? r : sd_bus_message_append(m, "s", clean.bytes);
}

static int append_texts(sd_bus_message *m, Texts *texts, size_t *ret_count) {
    const char *text;
    size_t size, n = 0;

    int r = sd_bus_message_open_container(m, 'a', "s");
    while (r >= 0 && n < CALL_MAX && texts_next(texts, &text, &size)) {
        r = append_text(m, text, size);
        n++;
    }
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    if (r >= 0)
        r = sd_bus_message_append(m, "a{sv}", 0);
    if (r < 0)
        return r;
    *ret_count = n;
    return 0;
}

static int read_vectors(sd_bus_message *reply, json_t *vectors) {
    int r = sd_bus_message_enter_container(reply, 'a', "ad");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'a', "d")) > 0) {
        json_t *vector = json_array();
        double value;
        while ((r = sd_bus_message_read(reply, "d", &value)) > 0)
            (void)json_array_append_new(vector, json_real(value));
        (void)json_array_append_new(vectors, vector);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    return r;
}

static void print_json(json_t *vectors) {
    json_t *object = json_pack("{s:O}", "embeddings", vectors);
    _cleanup_(freep) char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    puts(text ? text : "{}");
    json_decref(object);
}

static void print_lines(const json_t *vectors) {
    size_t i, j;
    json_t *vector, *value;

    json_array_foreach(vectors, i, vector) {
        json_array_foreach(vector, j, value) printf(j > 0 ? " %.9g" : "%.9g", json_real_value(value));
        putchar('\n');
    }
}

/* Adds the vectors of as many texts as one call takes. */
static int call(Bus *bus, Texts *texts, json_t *vectors, size_t *ret_count) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    size_t count = 0;

    int r = bus_new_call(bus, BUS_PATH, BUS_MANAGER, "Embed", &m);
    if (r >= 0)
        r = append_texts(m, texts, &count);
    if (r < 0)
        return bus_complain(bus, NULL, r);
    int code = count > 0 ? bus_call(bus, m, &reply) : 0;
    if (code)
        return code;
    r = reply ? read_vectors(reply, vectors) : 0;
    if (r < 0)
        return bus_complain(bus, NULL, r);
    *ret_count = count;
    return 0;
}

static int embed(Bus *bus, char **words, const Text *input, bool json) {
    const char *bytes = input->bytes ? input->bytes : "";
    Texts texts = {.words = words, .line = bytes, .end = bytes + input->size};
    json_t *vectors = json_array();
    size_t count = 0, all = 0;
    int code;

    do {
        code = call(bus, &texts, vectors, &count);
        all += count;
        if (code == 0 && !json) {
            print_lines(vectors);
            (void)json_array_clear(vectors);
        }
    } while (code == 0 && count == CALL_MAX);
    if (code == 0 && all == 0)
        code = complain(EX_USAGE, "there is nothing to embed: give a text, or see infer embed --help");
    else if (code == 0 && json)
        print_json(vectors);
    json_decref(vectors);
    return code;
}

int verb_embed(Options *o) {
    _cleanup_(text_done) Text input = {};
    Bus bus = {};
    bool only_input = o->n_words == 1 && strcmp(o->words[0], "-") == 0; /* as for a prompt */
    char *none = NULL, **words = only_input ? &none : o->words;

    int code = *words ? 0 : prompt_read_input(&input);
    if (code == 0)
        code = bus_open(&bus, o->bus);
    if (code == 0)
        code = embed(&bus, words, &input, o->json);
    bus_done(&bus);
    return code;
}
