/* golden-templates [DIR]: renders every case of every folder DIR/NAME with template.jinja and cases.jsonl (a case may
 * bring its own `template`), and compares text or failure. A line per failed case and per folder; `N passed, N failed`
 * last. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "template/json-load.h"

static unsigned n_passed, n_failed;

static void define_variables(Run *run, Dict *variables, void *userdata) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)userdata, key, value) {
        dict_set_text(run, variables, key, value_from_json(run, value, false));
    }
}

static char *read_file(const char *path, size_t *ret_size) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    char *text = NULL;

    if (f && fstat(fileno(f), &st) == 0 && (text = malloc((size_t)st.st_size + 1))) {
        *ret_size = fread(text, 1, (size_t)st.st_size, f);
        text[*ret_size] = '\0';
    }
    if (f)
        fclose(f);
    return text;
}

/* A failed case shows where the texts part. */
static void report(const char *folder, const char *name, const char *want, const char *got) {
    size_t at = 0;
    while (want[at] && want[at] == got[at])
        at++;
    at = at > 30 ? at - 30 : 0;
    printf("%s/%s: FAILED\n  want …%.100s\n  got  …%.100s\n", folder, name, want + at, got + at);
}

static bool run_case(const char *folder, const char *file_template, size_t file_size, const json_t *c) {
    const json_t *own = json_object_get(c, "template"), *expect = json_object_get(c, "expect");
    const char *name = json_string_value(json_object_get(c, "name"));
    struct tm now = {.tm_year = 126, .tm_mon = 0, .tm_mday = 2, .tm_wday = 5, .tm_yday = 1};
    const char *source = own ? json_string_value(own) : file_template;
    size_t size = own ? json_string_length(own) : file_size;
    TemplateText text = {};
    Template *t = NULL;
    Error e = {};
    bool ok;

    if (!name || !source) {
        printf("%s: a case lacks its name or template\n", folder);
        return false;
    }
    int r = template_parse(source, size, &t, &e);
    if (r >= 0)
        r = template_render(t, define_variables, json_object_get(c, "vars"), &now, &text, &e);
    if (!expect) {
        bool must_fail = json_is_true(json_object_get(c, "must_fail"));
        const char *type = json_string_value(json_object_get(c, "error_type")),
                   *message = json_string_value(json_object_get(c, "error"));
        ok = r < 0 ? !type || strcmp(type, "TemplateError") != 0 || strcmp(message, e.message) == 0 : !must_fail;
        if (!ok)
            report(folder, name, message ? message : "a failure", r < 0 ? e.message : text.text);
    } else {
        ok = r >= 0 && text.size == json_string_length(expect) &&
             memcmp(text.text, json_string_value(expect), text.size) == 0;
        if (!ok)
            report(folder, name, json_string_value(expect), r < 0 ? e.message : text.text);
    }
    template_text_done(&text);
    template_free(t);
    return ok;
}

static int run_folder(const char *dir, const char *folder) {
    char path[4096];
    size_t template_size = 0, line_size = 0;
    unsigned passed = 0, failed = 0;

    snprintf(path, sizeof(path), "%s/%s/cases.jsonl", dir, folder);
    FILE *cases = fopen(path, "rb");
    if (!cases)
        return -ENOENT;
    snprintf(path, sizeof(path), "%s/%s/template.jinja", dir, folder);
    char *source = read_file(path, &template_size), *line = NULL;
    while (getline(&line, &line_size, cases) > 0) {
        json_error_t error;
        json_t *c = json_loads(line, JSON_ALLOW_NUL, &error);
        if (!c)
            printf("%s: bad JSON: %s\n", folder, error.text);
        if (c && run_case(folder, source, template_size, c))
            passed++;
        else
            failed++;
        json_decref(c);
    }
    fclose(cases);
    free(source);
    free(line);
    printf("%s: %u passed, %u failed\n", folder, passed, failed);
    n_passed += passed;
    n_failed += failed;
    return 0;
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : DEFAULT_FOLDER;
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);

    if (n < 0) {
        printf("golden-templates: %s is not there: nothing was tested\n", dir);
        return 77;
    }
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.')
            run_folder(dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    printf("%u passed, %u failed\n", n_passed, n_failed);
    return n_failed > 0 || n_passed == 0;
}
