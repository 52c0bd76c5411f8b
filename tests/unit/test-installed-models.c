/* Names of models, and what they may lead to. */
#include <sys/stat.h>

#include "test-daemon.h"

#include "installed-models.h"

static int setup(void **state) {
    TestDaemon *t = calloc(1, sizeof(TestDaemon));
    test_daemon_init(t);
    *state = t;
    return 0;
}

static int teardown(void **state) {
    test_daemon_done(*state);
    free(*state);
    return 0;
}

static void test_lists_sorted_with_reasons(void **state) {
    TestDaemon *t = *state;
    InstalledModel *models;
    InstalledModels *cache;
    char path[400];
    size_t n;

    test_daemon_install(t, "beta", "FAKE");
    test_daemon_install(t, "alpha", "not a model");
    test_daemon_install(t, ".hidden", "FAKE");
    test_daemon_install(t, "bad\xFFname", "FAKE");
    snprintf(path, sizeof(path), "%s/pipe.gguf", t->dir);
    mkfifo(path, 0600);
    snprintf(path, sizeof(path), "%s/readme.txt", t->dir);
    close(creat(path, 0600));

    assert_int_equal(installed_models_new(&cache), 0);
    assert_int_equal(installed_models_scan(cache, t->d.config, &models, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(models[0].name, "alpha");
    assert_null(models[0].info);
    assert_non_null(strstr(models[0].error.message, "not a model file"));
    assert_string_equal(models[1].name, "beta");
    assert_string_equal(models[1].info->architecture, "fake");
    const ModelInfo *before = models[1].info;
    installed_models_free(models, n);

    /* a file that has not changed is not read again; one that has is */
    test_daemon_install(t, "alpha", "FAKE context=77");
    assert_int_equal(installed_models_scan(cache, t->d.config, &models, &n, NULL), 0);
    assert_ptr_equal(models[1].info, before);
    assert_int_equal(models[0].info->context_size, 77);
    installed_models_free(models, n);
    installed_models_unref(cache);
}

static void test_names_do_not_leave_the_folders(void **state) {
    static const char *const bad[] = {"", "../secret", "a/b", "/etc/passwd", ".", "..", ".hidden", "\xFF"};
    TestDaemon *t = *state;
    char longest[300], *path;
    Error e;

    test_daemon_install(t, "alpha", "FAKE");
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(installed_models_find(t->d.config, bad[i], &path, &e), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[299] = '\0';
    assert_int_equal(installed_models_find(t->d.config, longest, &path, &e), -EINVAL);
    assert_int_equal(installed_models_find(t->d.config, "beta", &path, &e), -ENOENT);
    assert_non_null(strstr(e.message, t->dir));
    assert_int_equal(installed_models_find(t->d.config, "alpha", &path, &e), 0);
    free(path);
    assert_int_equal(installed_models_find(t->d.config, "alpha.gguf", &path, &e), 0);
    free(path);
}

static void test_default_choice(void **state) {
    TestDaemon *t = *state;
    char *name, *path;
    Error e;

    assert_int_equal(installed_models_default(t->d.config, &name, &path, &e), -ENOTCONN);
    assert_non_null(strstr(e.message, "No model is installed"));

    /* the only one */
    test_daemon_install(t, "alpha", "FAKE");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, &e), 0);
    assert_string_equal(name, "alpha");
    free(name);
    free(path);

    /* several: somebody must choose */
    test_daemon_install(t, "beta", "FAKE");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, &e), -ENOTCONN);
    assert_non_null(strstr(e.message, "2 models are installed"));
    t->d.config->model = strdup("beta");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, &e), 0);
    assert_string_equal(name, "beta");
    free(name);
    free(path);

    /* an absolute path is the administrator's to give */
    free(t->d.config->model);
    t->d.config->model = strdup("/srv/models/gamma.gguf");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, &e), 0);
    assert_string_equal(name, "gamma");
    assert_string_equal(path, "/srv/models/gamma.gguf");
    free(name);
    free(path);
}

static void test_embedded_model_is_the_last_resort(void **state) {
    TestDaemon *t = *state;
    char embedded[] = "/tmp/inferd-embedded-XXXXXX", file[64], *name, *path;

    assert_non_null(mkdtemp(embedded));
    snprintf(file, sizeof(file), "%s/tiny.gguf", embedded);
    FILE *f = fopen(file, "we");
    fputs("FAKE", f);
    fclose(f);
    t->d.config->embedded_model = strdup(file);

    assert_int_equal(installed_models_default(t->d.config, &name, &path, NULL), 0);
    assert_string_equal(name, "tiny");
    free(name);
    free(path);
    test_daemon_install(t, "alpha", "FAKE");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, NULL), 0);
    assert_string_equal(name, "alpha");
    free(name);
    free(path);
    test_daemon_install(t, "beta", "FAKE");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, NULL), 0);
    assert_string_equal(name, "tiny");
    free(name);
    free(path);
    unlink(file);
    rmdir(embedded);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lists_sorted_with_reasons),
        T(test_names_do_not_leave_the_folders),
        T(test_default_choice),
        T(test_embedded_model_is_the_last_resort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
