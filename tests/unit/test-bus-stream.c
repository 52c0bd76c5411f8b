/* A pipe whose reader is slow, absent, or never reads. */
#include <fcntl.h>
#include <signal.h>

#include "test-daemon.h"

#include "bus-stream.h"

typedef struct Seen {
    unsigned n_written, n_closed;
} Seen;

static void on_written(void *userdata) {
    ((Seen *)userdata)->n_written++;
}

static void on_closed(void *userdata) {
    ((Seen *)userdata)->n_closed++;
}

static const BusStreamEvents events = {on_written, on_closed};

typedef struct Pipe {
    uv_loop_t loop;
    BusStream *stream;
    Seen seen;
    int fd; /* reading end */
} Pipe;

static void pipe_init(Pipe *p) {
    int fds[2];
    *p = (Pipe){};
    uv_loop_init(&p->loop);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    p->fd = fds[0];
    assert_int_equal(bus_stream_new(&p->loop, fds[1], &events, &p->seen, &p->stream), 0);
}

static void pipe_done(Pipe *p) {
    bus_stream_free(p->stream);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    if (p->fd >= 0)
        close(p->fd);
}

static void test_slow_reader_gets_everything(void **state) {
    const size_t total = 300000;
    char *data = malloc(total), *got = malloc(total);
    size_t n = 0;
    Pipe p;

    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 31);
    pipe_init(&p);
    assert_int_equal(bus_stream_push(p.stream, data, total), 0);
    assert_true(bus_stream_is_busy(p.stream));
    while (n < total) {
        ssize_t k = read(p.fd, got + n, MIN((size_t)7000, total - n));
        assert_true(k > 0);
        n += (size_t)k;
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    while (!p.seen.n_written)
        uv_run(&p.loop, UV_RUN_ONCE);
    assert_memory_equal(data, got, total);
    assert_int_equal(p.seen.n_written, 1);
    assert_int_equal(p.seen.n_closed, 0);
    pipe_done(&p);
    free(data);
    free(got);
}

static void test_reader_that_leaves_is_noticed_while_nothing_is_written(void **state) {
    Pipe p;
    pipe_init(&p);
    close(p.fd);
    p.fd = -1;
    while (!p.seen.n_closed)
        uv_run(&p.loop, UV_RUN_ONCE);
    pipe_done(&p);
}

static void test_reader_that_leaves_is_noticed_while_writing(void **state) {
    char *data = calloc(1, 200000);
    Pipe p;
    pipe_init(&p);
    assert_int_equal(bus_stream_push(p.stream, data, 200000), 0);
    close(p.fd);
    p.fd = -1;
    assert_int_equal(bus_stream_push(p.stream, data, 10), 0);
    assert_int_equal(p.seen.n_closed, 0); /* on a clean stack */
    while (!p.seen.n_closed)
        uv_run(&p.loop, UV_RUN_ONCE);
    pipe_done(&p);
    free(data);
}

static void test_end_waits_for_the_reader_but_not_for_ever(void **state) {
    char *data = calloc(1, 200000);
    Pipe p;

    pipe_init(&p);
    assert_int_equal(bus_stream_push(p.stream, "bye\n", 4), 0);
    bus_stream_end(p.stream, 1000000);
    while (!p.seen.n_closed)
        uv_run(&p.loop, UV_RUN_ONCE);
    pipe_done(&p);

    pipe_init(&p);
    assert_int_equal(bus_stream_push(p.stream, data, 200000), 0);
    bus_stream_end(p.stream, 5000);
    while (!p.seen.n_closed)
        uv_run(&p.loop, UV_RUN_ONCE);
    assert_true(bus_stream_is_busy(p.stream));
    pipe_done(&p);
    free(data);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_reader_gets_everything),
        cmocka_unit_test(test_reader_that_leaves_is_noticed_while_nothing_is_written),
        cmocka_unit_test(test_reader_that_leaves_is_noticed_while_writing),
        cmocka_unit_test(test_end_waits_for_the_reader_but_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
