/* Configuration files: what is warned about, what stops, and where the message points. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

static char warnings[4096];

static void warn(const char *message, void *userdata) {
    strncat(warnings, message, sizeof(warnings) - strlen(warnings) - 1);
    strncat(warnings, "\n", sizeof(warnings) - strlen(warnings) - 1);
}

static int parse(const char *text, size_t n, Config **ret, Error *e) {
    Config *c;
    warnings[0] = '\0';
    assert_int_equal(config_new(false, &c, NULL), 0);
    int r = config_parse(c, "test.conf", text, n, warn, NULL, e);
    if (r >= 0)
        r = config_check(c, e);
    if (r >= 0 && ret)
        *ret = c;
    else
        config_free(c);
    return r;
}

static void test_reads_every_type(void **state) {
    static const char text[] = "\xEF\xBB\xBF# a comment\n"
                               "[Model]\r\n"
                               "Directories = /a:/b::/c\n"
                               "Model=my model \n"
                               "EmbeddedModel=\n"
                               "[Engine]\n"
                               "Threads=3 ; as many as that\n"
                               "PoolSize=2G\n"
                               "KVType=f32\n"
                               "OutboxSize=128K\n"
                               "[Service]\n"
                               "DrainTimeout=1min 30s\n"
                               "LogLevel=debug\n"
                               "[Defaults]\n"
                               "temperature=0\n"
                               "system=Be kind.\n";
    Config *c;
    Error e;

    assert_int_equal(parse(text, strlen(text), &c, &e), 0);
    assert_string_equal(warnings, "");
    assert_string_equal(c->model_dirs[0], "/a");
    assert_string_equal(c->model_dirs[2], "/c");
    assert_null(c->model_dirs[3]);
    assert_string_equal(c->model, "my model");
    assert_null(c->embedded_model);
    assert_int_equal(c->engine.n_threads, 3);
    assert_true(c->engine.pool_bytes == UINT64_C(2) << 30);
    assert_int_equal(c->engine.kv_type, ENGINE_KV_F32);
    assert_int_equal(c->engine.outbox_bytes, 128 * 1024);
    assert_true(c->drain_usec == 90000000);
    assert_true(c->defaults.sampler.temperature == 0);
    assert_string_equal(c->defaults.system, "Be kind.");
    config_free(c);
}

static void test_warns_about_what_it_does_not_know(void **state) {
    static const char text[] = "[Model]\nMoodel=x\n\n[Modell]\nModel=y\n[Defaults]\nschema=z\n";
    Config *c;

    assert_int_equal(parse(text, strlen(text), &c, NULL), 0);
    assert_non_null(strstr(warnings, "test.conf:2: Unknown key \"Moodel\" in section [Model]"));
    assert_non_null(strstr(warnings, "test.conf:5: Unknown section [Modell]"));
    assert_non_null(strstr(warnings, "test.conf:7: Unknown key \"schema\""));
    assert_null(c->model);
    config_free(c);
}

static void test_bad_values_stop_with_file_line_and_reason(void **state) {
    char longest[400], deep[400];
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "[Model]\nModel=", 14);
    longest[sizeof(longest) - 1] = '\0';
    snprintf(deep, sizeof(deep), "[Socket]\nPath=/%0150d\n", 0);

    const struct {
        const char *text, *expected;
    } rows[] = {
        {"[Engine]\nThreads=-1\n", "test.conf:2: Threads is \"-1\", but must be a whole number"},
        {"[Engine]\nThreads=1.5\n", "test.conf:2: Threads"},
        {"[Engine]\nThreads=99999999999999999999\n", "between 0 and 1024"},
        {"[Engine]\n\nPoolSize=lots\n", "test.conf:3: PoolSize is \"lots\", but must be a size"},
        {"[Engine]\nPoolSize=-512M\n", "test.conf:2: PoolSize"},
        {"[Engine]\nKVType=q8\n", "must be f16, f32 or q8_0"},
        {"[Service]\nDrainTimeout=5 parsecs\n", "must be a time"},
        {"[Service]\nMaxSessionsPerUser=0\n", "between 1 and 100000"},
        {"[Service]\nLogLevel=loud\n", "must be error, warning"},
        {"[Defaults]\ntemperature=nan\n", "test.conf:2: Option \"temperature\" must be a number from 0 to 100."},
        {"[Defaults]\nmax-tokens=three\n", "test.conf:2: Option \"max-tokens\""},
        {"[Defaults]\ntop-logprobs=3\n", "test.conf:2: Option \"top-logprobs\" belongs to a single request."},
        {"[Model]\nModel\n", "test.conf:2: neither"},
        {"[Model\nModel=x\n", "test.conf:1: neither"},
        {"[Model]\nModel=a\n  Model=b\n", "test.conf:3: a value takes one line"},
        {"[Model]\nModel=\xFF\n", "test.conf:2: the line is not valid UTF-8"},
        {longest, "test.conf:2: the line has"},
        {"[Model]\nModel=../x\n", "must be the name of an installed model"},
        {"[Model]\nDirectories=models\n", "absolute path"},
        {"[Socket]\nPath=here.sock\n", "absolute path"},
        {deep, "but the system allows 107"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Error e = {};
        assert_true(parse(rows[i].text, strlen(rows[i].text), NULL, &e) < 0);
        if (!strstr(e.message, rows[i].expected))
            fail_msg("\"%s\" does not contain \"%s\"", e.message, rows[i].expected);
    }
    Error e;
    assert_int_equal(parse("[Model]\nModel=a\0b\n", 18, NULL, &e), -EINVAL);
    assert_non_null(strstr(e.message, "test.conf:2: "));
}

static void test_long_comments_and_missing_newline(void **state) {
    char text[2000];
    Config *c;

    memset(text, '#', sizeof(text));
    strcpy(text + 1000, "\xFF\n[Model]\nModel=x");
    assert_int_equal(parse(text, strlen(text), &c, NULL), 0);
    assert_string_equal(c->model, "x");
    config_free(c);
}

static void print_to(const Config *c, char *out, size_t size) {
    memset(out, 0, size);
    FILE *f = fmemopen(out, size, "w");
    config_print(c, f);
    fclose(f);
}

/* What --check-config prints is itself a configuration, and means the same. */
static void test_prints_what_it_reads(void **state) {
    static const char text[] =
        "[Model]\nModel=m\nDirectories=/x:/y\n[Engine]\nPoolSize=3M\nStallTimeout=1500ms\nKVType=f32\n"
        "[Defaults]\nstop=END\nseed=7\nreasoning=low\ntimeout=5min\nmax-tokens=9\n";
    char first[4096], second[4096];
    Config *c, *again;

    assert_int_equal(parse(text, strlen(text), &c, NULL), 0);
    print_to(c, first, sizeof(first));
    assert_int_equal(parse(first, strlen(first), &again, NULL), 0);
    assert_string_equal(warnings, "");
    print_to(again, second, sizeof(second));
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "PoolSize=3M\n"));
    config_free(c);
    config_free(again);
}

/* data/inferd.conf claims to show every key with its default. */
static void test_documented_defaults_are_the_defaults(void **state) {
    char documented[16384] = {}, line[512], shown[8192], expected[8192];
    Config *c, *defaults;
    Error e;

    FILE *f = fopen(INFERD_CONF, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) && !strstr(line, "Not set by default"))
        strcat(documented, line[0] == '#' && line[1] != ' ' && strchr(line, '=') ? line + 1 : line);
    fclose(f);
    if (parse(documented, strlen(documented), &c, &e) < 0)
        fail_msg("%s", e.message);
    assert_string_equal(warnings, "");
    assert_int_equal(config_new(false, &defaults, NULL), 0);
    print_to(c, shown, sizeof(shown));
    print_to(defaults, expected, sizeof(expected));
    assert_string_equal(shown, expected);

    /* and it leaves no key out */
    for (char *p = strtok(expected, "\n"); p; p = strtok(NULL, "\n"))
        if (strchr(p, '=')) {
            char key[64];
            snprintf(key, sizeof(key), "\n%.*s=", (int)strcspn(p, "="), p);
            if (!strstr(documented, key))
                fail_msg("%s is not documented", p);
        }
    config_free(c);
    config_free(defaults);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_every_type),
        cmocka_unit_test(test_warns_about_what_it_does_not_know),
        cmocka_unit_test(test_bad_values_stop_with_file_line_and_reason),
        cmocka_unit_test(test_long_comments_and_missing_newline),
        cmocka_unit_test(test_prints_what_it_reads),
        cmocka_unit_test(test_documented_defaults_are_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
