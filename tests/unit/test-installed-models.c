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
    char longest[300], *name, *path;
    Error e;

    test_daemon_install(t, "alpha", "FAKE");
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(installed_models_find(t->d.config, bad[i], &name, &path, &e), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[299] = '\0';
    assert_int_equal(installed_models_find(t->d.config, longest, &name, &path, &e), -EINVAL);
    assert_int_equal(installed_models_find(t->d.config, "beta", &name, &path, &e), -ENOENT);
    assert_non_null(strstr(e.message, t->dir));
    static const char *const good[] = {"alpha", "alpha.gguf", "alpha-00001-of-00002", "alpha-00001-of-00002.gguf"};
    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        assert_int_equal(installed_models_find(t->d.config, good[i], &name, &path, &e), 0);
        assert_string_equal(name, "alpha");
        free(name);
        free(path);
    }
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

static void test_a_split_model_is_one(void **state) {
    TestDaemon *t = *state;
    InstalledModel *models;
    InstalledModels *cache;
    char *name, *path;
    size_t n;
    Error e;

    test_daemon_install(t, "big-00003-of-00003", "FAKE");
    test_daemon_install(t, "big-00001-of-00003", "FAKE context=55");
    test_daemon_install(t, "big-00002-of-00003", "FAKE");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, NULL), 0); /* the only one */
    assert_string_equal(name, "big");
    assert_non_null(strstr(path, "/big-00001-of-00003.gguf"));
    free(name);
    free(path);

    /* a whole model of the same name hides it; one of which the first part is missing is listed by another */
    test_daemon_install(t, "merged-00001-of-00002", "FAKE");
    test_daemon_install(t, "merged-00002-of-00002", "FAKE");
    test_daemon_install(t, "merged", "FAKE context=66");
    test_daemon_install(t, "rest-00003-of-00003", "orphan");
    test_daemon_install(t, "rest-00002-of-00003", "orphan");
    assert_int_equal(installed_models_new(&cache), 0);
    assert_int_equal(installed_models_scan(cache, t->d.config, &models, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(models[0].name, "big");
    assert_int_equal(models[0].info->context_size, 55);
    assert_string_equal(models[1].name, "merged");
    assert_int_equal(models[1].info->context_size, 66);
    assert_string_equal(models[2].name, "rest");
    assert_non_null(strstr(models[2].error.message, "/rest-00002-of-00003.gguf"));
    installed_models_free(models, n);
    installed_models_unref(cache);

    static const char *const asked[] = {"big", "big.gguf", "big-00001-of-00003", "big-00001-of-00003.gguf"};
    for (size_t i = 0; i < ELEMENTSOF(asked); i++) {
        assert_int_equal(installed_models_find(t->d.config, asked[i], &name, &path, &e), 0);
        assert_string_equal(name, "big");
        assert_non_null(strstr(path, "/big-00001-of-00003.gguf"));
        free(name);
        free(path);
    }
    assert_int_equal(installed_models_find(t->d.config, "big-00002-of-00003", &name, &path, &e), -ENOENT);
    t->d.config->model = strdup("big-00001-of-00003.gguf");
    assert_int_equal(installed_models_default(t->d.config, &name, &path, NULL), 0);
    assert_string_equal(name, "big");
    free(name);
    free(path);
}

static void test_a_split_model_changes_with_each_part(void **state) {
    TestDaemon *t = *state;
    char path[400];

    test_daemon_install(t, "big-00001-of-00003", "FAKE");
    test_daemon_install(t, "big-00002-of-00003", "FAKE");
    snprintf(path, sizeof(path), "%s/big-00001-of-00003.gguf", t->dir);
    uint64_t before = installed_models_identity(path);
    assert_true(installed_models_identity(path) == before);
    test_daemon_install(t, "big-00003-of-00003", "FAKE"); /* it has come */
    uint64_t complete = installed_models_identity(path);
    assert_true(complete != before);
    test_daemon_install(t, "big-00002-of-00003", "FAKE longer");
    assert_true(installed_models_identity(path) != complete);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lists_sorted_with_reasons),
        T(test_names_do_not_leave_the_folders),
        T(test_default_choice),
        T(test_embedded_model_is_the_last_resort),
        T(test_a_split_model_is_one),
        T(test_a_split_model_changes_with_each_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
