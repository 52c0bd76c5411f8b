/* Sockets: listener.c. Those that systemd passes are tested with the whole daemon (tests/integration/test-http.py). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "listener.h"

typedef struct Fixture {
    uv_loop_t loop;
    char folder[64], path[100];
    unsigned n_accepted;
    uid_t uid;
} Fixture;

static int setup(void **state) {
    Fixture *f = calloc(1, sizeof(*f));
    uv_loop_init(&f->loop);
    strcpy(f->folder, "/tmp/inferd-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/sub/socket", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    Fixture *f = *state;
    char sub[100];
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    unlink(f->path);
    snprintf(sub, sizeof(sub), "%s/sub", f->folder);
    rmdir(sub);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void on_accepted(void *userdata, int fd, uid_t uid) {
    Fixture *f = userdata;
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    f->n_accepted++;
    f->uid = uid;
    close(fd);
}

static int make(Fixture *f, const char *path, mode_t mode, Listener **ret, Error *e) {
    return listener_new(&f->loop, path, mode, on_accepted, f, ret, e);
}

static int connect_to(const char *path) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? (close(fd), -1) : fd;
}

static void test_makes_the_folder_accepts_and_cleans_up(void **state) {
    Fixture *f = *state;
    Listener *l;
    struct stat st;
    mode_t mask = umask(077);
    assert_int_equal(make(f, f->path, 0666, &l, NULL), 0);
    umask(mask);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);

    int fd = connect_to(f->path);
    assert_true(fd >= 0);
    while (f->n_accepted == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->uid, getuid());
    close(fd);
    l = listener_free(l);
    assert_int_equal(stat(f->path, &st), -1);
}

static void test_leaves_a_successors_socket_alone(void **state) {
    Fixture *f = *state;
    Listener *first, *second;
    assert_int_equal(make(f, f->path, 0600, &first, NULL), 0);
    unlink(f->path); /* whoever did that */
    assert_int_equal(make(f, f->path, 0600, &second, NULL), 0);
    first = listener_free(first);
    int fd = connect_to(f->path);
    assert_true(fd >= 0);
    close(fd);
    second = listener_free(second);
}

static void test_refuses_a_live_socket_and_replaces_a_dead_one(void **state) {
    Fixture *f = *state;
    Listener *l, *other = NULL;
    Error e = {};
    assert_int_equal(make(f, f->path, 0600, &l, NULL), 0);
    assert_int_equal(make(f, f->path, 0600, &other, &e), -EADDRINUSE);
    assert_non_null(strstr(e.message, "Another inferd is listening"));
    assert_null(other);
    l = listener_free(l);

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strcpy(addr.sun_path, f->path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(dead);
    assert_int_equal(make(f, f->path, 0600, &l, &e), 0);
    l = listener_free(l);
}

static void test_refuses_paths_that_cannot_be(void **state) {
    Fixture *f = *state;
    Listener *l = NULL;
    Error e = {};
    char path[300];
    memset(path, 'x', sizeof(path));
    path[108] = '\0';
    assert_int_equal(make(f, path, 0600, &l, &e), -ENAMETOOLONG);
    assert_non_null(strstr(e.message, "107"));
    assert_int_equal(make(f, "", 0600, &l, &e), -ENAMETOOLONG);
    assert_int_equal(make(f, "/no/such/folder/socket", 0600, &l, &e), -ENOENT);

    snprintf(path, sizeof(path), "%s/file", f->folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(make(f, path, 0600, &l, &e), -EEXIST);
    assert_int_equal(unlink(path), 0); /* it is still there */
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(make(f, path, 0600, &l, &e), -EEXIST);
    assert_int_equal(unlink(path), 0);
    assert_null(l);
}

static void test_no_path_is_no_listener(void **state) {
    Fixture *f = *state;
    Listener *l = (Listener *)f;
    assert_int_equal(make(f, NULL, 0600, &l, NULL), 0);
    assert_null(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_makes_the_folder_accepts_and_cleans_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaves_a_successors_socket_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_a_live_socket_and_replaces_a_dead_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_paths_that_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_path_is_no_listener, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
