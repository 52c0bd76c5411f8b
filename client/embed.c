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

static int append_text(sd_bus_message *m, const char *text, size_t n, size_t *count) {
    _cleanup_(text_done) Text clean = {};
    int r = text_from_bytes(text, n, &clean);
    if (r < 0)
        return r;
    (*count)++;
    return sd_bus_message_append(m, "s", clean.bytes);
}

static int append_lines(sd_bus_message *m, const Text *input, size_t *count) {
    int r = 0;
    for (const char *line = input->bytes, *end = line + input->size; r >= 0 && line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((feed ? feed : end) - line);
        if (strspn(line, " \t\r") < n)
            r = append_text(m, line, n, count);
        line = feed ? feed + 1 : end;
    }
    return r;
}

/* Each word of the command line is a text, also a blank one: what comes back is known by its place. Without any word,
 * each line of standard input that is not blank. */
static int append_texts(sd_bus_message *m, const Options *o, const Text *input, size_t *count) {
    int r = sd_bus_message_open_container(m, 'a', "s");
    for (int i = 0; i < o->n_words && r >= 0; i++)
        r = append_text(m, o->words[i], strlen(o->words[i]), count);
    if (r >= 0 && input->size > 0)
        r = append_lines(m, input, count);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_append(m, "a{sv}", 0);
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

static void print_vectors(const json_t *vectors, bool json) {
    size_t i, j;
    json_t *vector, *value;

    if (json) {
        json_t *object = json_pack("{s:O}", "embeddings", vectors);
        _cleanup_(freep) char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
        puts(text ? text : "{}");
        json_decref(object);
        return;
    }
    json_array_foreach(vectors, i, vector) {
        json_array_foreach(vector, j, value) printf(j > 0 ? " %.9g" : "%.9g", json_real_value(value));
        putchar('\n');
    }
}

static int call(Bus *bus, const Options *o, const Text *input) {
    _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    size_t count = 0;

    int r = bus_new_call(bus, BUS_PATH, BUS_MANAGER, "Embed", &m);
    if (r >= 0)
        r = append_texts(m, o, input, &count);
    if (r < 0)
        return bus_complain(bus, NULL, r);
    if (count == 0)
        return complain(EX_USAGE, "there is nothing to embed: give a text, or see infer embed --help");
    int code = bus_call(bus, m, &reply);
    if (code)
        return code;

    json_t *vectors = json_array();
    r = read_vectors(reply, vectors);
    if (r < 0)
        code = bus_complain(bus, NULL, r);
    else
        print_vectors(vectors, o->json);
    json_decref(vectors);
    return code;
}

int verb_embed(Options *o) {
    _cleanup_(text_done) Text input = {};
    Bus bus = {};

    int code = o->n_words == 0 ? prompt_read_input(&input) : 0;
    if (code == 0)
        code = bus_open(&bus, o->bus);
    if (code == 0)
        code = call(&bus, o, &input);
    bus_done(&bus);
    return code;
}
