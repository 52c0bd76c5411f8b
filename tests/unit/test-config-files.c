/* Where configuration comes from: config-files.c, built here to look for the vendor's and the administrator's files in
 * "vendor" and "etc" of the current folder. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

static char dir[] = "/tmp/inferd-config-XXXXXX", before[PATH_MAX], warnings[1000];

static void warn(const char *message, void *userdata) {
    snprintf(warnings, sizeof(warnings), "%s", message);
}

static int setup(void **state) {
    static const char *const folders[] = {"vendor", "vendor/inferd.conf.d", "etc", "etc/inferd.conf.d", "home",
        "home/.config", "home/.config/inferd", "home/.config/inferd/inferd.conf.d"};
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(getcwd(before, sizeof(before)));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    for (size_t i = 0; i < ELEMENTSOF(folders); i++)
        assert_int_equal(mkdir(folders[i], 0700), 0);
    unsetenv("HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    warnings[0] = '\0';
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static int teardown(void **state) {
    return chdir(before) < 0 ? -1 : nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text) {
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static Config *load(const char *path, bool user) {
    Config *c = NULL;
    Error e = {};
    if (config_load(path, user, warn, NULL, &c, &e) < 0)
        fail_msg("%s", e.message);
    return c;
}

static void assert_threads(const char *path, bool user, unsigned expected) {
    Config *c = load(path, user);
    assert_int_equal(c->engine.n_threads, expected);
    config_free(c);
}

static void assert_fails(const char *path, int code, const char *words) {
    Config *c = NULL;
    Error e = {};
    assert_int_equal(config_load(path, false, warn, NULL, &c, &e), code);
    assert_null(c);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" does not contain \"%s\"", e.message, words);
}

#define THREADS(n) "[Engine]\nThreads=" #n "\n"

static void test_later_files_replace_earlier_ones(void **state) {
    static const char *const paths[] = {"vendor/inferd.conf", "etc/inferd.conf", "etc/inferd.conf.d/10-a.conf",
        "vendor/inferd.conf.d/20-b.conf", "etc/inferd.conf.d/30-c.conf"};
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        char text[40];
        snprintf(text, sizeof(text), "[Engine]\nThreads=%zu\n", i + 1);
        put(paths[i], text);
        assert_threads(NULL, false, i + 1);
    }
    assert_int_equal(remove(paths[4]), 0);
    assert_threads(NULL, false, 4); /* names count, not folders */
    put("etc/inferd.conf.d/20-b.conf", "");
    assert_threads(NULL, false, 3); /* it hides the vendor's of the same name */
    assert_int_equal(remove("etc/inferd.conf.d/20-b.conf"), 0);
    assert_int_equal(symlink("/dev/null", "etc/inferd.conf.d/20-b.conf"), 0);
    assert_threads(NULL, false, 3); /* as it is done for systemd's own */
}

static void test_all_files_count_for_what_they_say(void **state) {
    put("vendor/inferd.conf", "[Engine]\nMaxRunning=5\nMaxQueued=1\n");
    put("etc/inferd.conf", "[Engine]\nMaxQueued=7\nMoodel=x\n");
    put("etc/inferd.conf.d/a.conf", THREADS(2));
    Config *c = load(NULL, false);
    assert_int_equal(c->engine.max_running, 5);
    assert_int_equal(c->engine.max_queued, 7);
    assert_int_equal(c->engine.n_threads, 2);
    assert_non_null(strstr(warnings, "etc/inferd.conf:3: "));
    config_free(c);
}

static void test_other_names_are_no_drop_ins(void **state) {
    static const char *const names[] = {"a.conf.bak", ".hidden.conf", ".conf", "conf", "README"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char path[100];
        snprintf(path, sizeof(path), "etc/inferd.conf.d/%s", names[i]);
        put(path, THREADS(9));
    }
    assert_threads(NULL, false, 0);
}

static void test_a_named_file_stands_alone(void **state) {
    put("vendor/inferd.conf", "[Engine]\nMaxRunning=5\n");
    put("vendor/inferd.conf.d/a.conf", THREADS(1));
    put("etc/inferd.conf", THREADS(2));
    assert_fails("mine", -ENOENT, "mine");
    put("mine", "");
    assert_threads("mine", false, 0);
    assert_int_equal(mkdir("mine.d", 0700), 0);
    put("mine.d/b.conf", THREADS(3));
    Config *c = load("mine", true);
    assert_int_equal(c->engine.n_threads, 3);
    assert_int_equal(c->engine.max_running, 0);
    config_free(c);
}

static void test_users_have_their_own_place(void **state) {
    char home[100], elsewhere[100];
    snprintf(home, sizeof(home), "%s/home", dir);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
    put("vendor/inferd.conf", THREADS(1));
    put("etc/inferd.conf", THREADS(2));
    put("home/.config/inferd/inferd.conf", THREADS(3));
    assert_threads(NULL, true, 1); /* whose home is not known */
    setenv("HOME", home, 1);
    assert_threads(NULL, true, 3);
    assert_int_equal(mkdir("etc/inferd", 0700), 0);
    put("etc/inferd/inferd.conf", THREADS(9));
    setenv("XDG_CONFIG_HOME", "etc", 1); /* relative ones are to be ignored */
    assert_threads(NULL, true, 3);
    setenv("XDG_CONFIG_HOME", elsewhere, 1);
    assert_threads(NULL, true, 1);
    snprintf(elsewhere, sizeof(elsewhere), "%s/home/.config", dir);
    setenv("XDG_CONFIG_HOME", elsewhere, 1);
    setenv("HOME", "/", 1);
    put("home/.config/inferd/inferd.conf.d/a.conf", THREADS(4));
    assert_threads(NULL, true, 4);
}

static void assert_places(bool user, const char *models, const char *more_models, const char *socket) {
    Config *c;
    assert_int_equal(config_new(user, &c, NULL), 0);
    assert_string_equal(c->model_dirs[0], models);
    if (more_models)
        assert_string_equal(c->model_dirs[1], more_models);
    assert_null(c->model_dirs[more_models ? 2 : 1]);
    if (socket)
        assert_string_equal(c->socket_path, socket);
    else
        assert_null(c->socket_path);
    assert_string_equal(c->embedded_model, "/built-in.gguf");
    config_free(c);
}

static void test_default_places(void **state) {
    assert_places(true, "/models", NULL, NULL);
    setenv("HOME", "/home/me", 1);
    assert_places(true, "/home/me/.local/share/inferd/models", "/models", NULL);
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_places(true, "/data/inferd/models", "/models", "/run/user/7/inferd/inferd.sock");
    assert_places(false, "/models", NULL, "/run/inferd/inferd.sock");
}

static void test_what_is_no_file_stops(void **state) {
    assert_int_equal(mkfifo("etc/inferd.conf", 0600), 0); /* which would block whoever waits for it */
    assert_fails(NULL, -EINVAL, "etc/inferd.conf is not a regular file");
    assert_int_equal(remove("etc/inferd.conf"), 0);
    assert_int_equal(symlink("nowhere", "etc/inferd.conf.d/a.conf"), 0);
    assert_fails(NULL, -ENOENT, "etc/inferd.conf.d/a.conf");
    assert_fails("etc", -EINVAL, "etc is not a regular file");
}

static void test_how_large_a_file_may_be(void **state) {
    put("etc/inferd.conf", "#");
    assert_int_equal(truncate("etc/inferd.conf", 1024 * 1024 + 1), 0);
    assert_fails(NULL, -EFBIG, "etc/inferd.conf is larger than 1 MiB");
    FILE *f = fopen("etc/inferd.conf", "we");
    assert_non_null(f);
    for (int i = 0; i < 1024 * 1024 - (int)strlen(THREADS(4)); i++)
        fputc('\n', f);
    fputs(THREADS(4), f);
    fclose(f);
    assert_threads(NULL, false, 4);
}

static void test_how_many_drop_ins_there_may_be(void **state) {
    for (int i = 0; i <= 256; i++) {
        char path[100];
        if (i == 256)
            assert_threads(NULL, false, 8);
        snprintf(path, sizeof(path), "etc/inferd.conf.d/%03d.conf", i);
        put(path, THREADS(8));
    }
    assert_fails(NULL, -E2BIG, "drop-ins of etc/inferd.conf.d");
}

static void test_bad_values_are_found_wherever_they_are(void **state) {
    put("etc/inferd.conf.d/a.conf", THREADS(many));
    assert_fails(NULL, -EINVAL, "etc/inferd.conf.d/a.conf:2: ");
    put("etc/inferd.conf.d/a.conf", "[Model]\nDirectories=models\n"); /* only the whole can be judged */
    assert_fails(NULL, -EINVAL, "absolute path");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_later_files_replace_earlier_ones),
        T(test_all_files_count_for_what_they_say),
        T(test_other_names_are_no_drop_ins),
        T(test_a_named_file_stands_alone),
        T(test_users_have_their_own_place),
        T(test_default_places),
        T(test_what_is_no_file_stops),
        T(test_how_large_a_file_may_be),
        T(test_how_many_drop_ins_there_may_be),
        T(test_bad_values_are_found_wherever_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
