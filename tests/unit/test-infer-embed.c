/* Texts to vectors: client/embed.c. */
#include "test-infer.h"

#include "text.h"
#include "verbs.h"

/* ------------------------------------------------------------------------------------------------ answers */

#define BESIDE_A_TENTH 0x1.99999cp-4F /* six digits would make it a tenth */

/* For each text a vector of two: its place, and a number that takes many digits. */
static int embed(Peer *p, sd_bus_message *call) {
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    double place = 0;

    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "ad");
    if (r >= 0)
        r = sd_bus_message_enter_container(call, 'a', "s");
    while (r >= 0 && (r = sd_bus_message_read(call, "s", &text)) > 0) {
        peer_note(p, "[%s]", text);
        r = sd_bus_message_append(reply, "ad", 2, place++, (double)BESIDE_A_TENTH);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(call);
    if (r >= 0)
        r = sd_bus_message_skip(call, "a{sv}");
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "a{sv}", 1, "model", "s", "bert");
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* For each text, which is a number, that number; not more of them than the interface allows. */
static int embed_numbers(Peer *p, sd_bus_message *call) {
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    int n = 0;

    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "ad");
    if (r >= 0)
        r = sd_bus_message_enter_container(call, 'a', "s");
    for (; r >= 0 && (r = sd_bus_message_read(call, "s", &text)) > 0; n++)
        r = sd_bus_message_append(reply, "ad", 1, strtod(text, NULL));
    peer_note(p, "(%d)", n);
    if (n < 1 || n > 2048)
        return sd_bus_reply_method_errorf(call, INFERD_ERROR "InvalidArgument", "Not from 1 to 2048 texts.");
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "a{sv}", 0);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int no_encoder(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_errorf(call, INFERD_ERROR "NotSupported", "The model computes no embeddings.");
}

static int another_form(Peer *p, sd_bus_message *call) {
    return sd_bus_reply_method_return(call, "aas", 1, 1, "0.5");
}

/* ------------------------------------------------------------------------------------------------ texts */

static void check_texts(Options o, const char *input, const char *wanted) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(embed, verb_embed, o, input, &p, &s), 0);
    assert_string_equal(p.heard, wanted);
    assert_string_equal(s.err, "");
}

static void test_each_word_is_a_text(void **state) {
    check_texts((Options){WORDS("one text", "two")}, "more", "Embed[one text][two]");
    check_texts((Options){WORDS("two\nlines")}, NULL, "Embed[two\nlines]");
    check_texts((Options){WORDS("caf\xe9")}, NULL, "Embed[caf\uFFFD]");
}

static void test_each_line_that_is_not_blank_is_a_text(void **state) {
    check_texts((Options){NO_WORDS}, "one\n\n \t\r\n  two and\nthree", "Embed[one][  two and][three]");
    check_texts((Options){NO_WORDS}, "\n\none\n", "Embed[one]");
    check_texts((Options){WORDS("-")}, "one\n", "Embed[one]"); /* as infer - does */
    check_texts((Options){WORDS("-", "two")}, "one\n", "Embed[-][two]");
}

/* Whoever gives two words takes the second line for the second word's. */
static void test_a_blank_word_keeps_its_place(void **state) {
    check_texts((Options){WORDS(" ", "two")}, NULL, "Embed[ ][two]");
}

/* ------------------------------------------------------------------------------------------------ vectors */

static void test_a_line_for_each_text(void **state) {
    Peer p;
    Streams s;
    float numbers[4];
    assert_int_equal(run_against(embed, verb_embed, (Options){WORDS("a", "b")}, NULL, &p, &s), 0);
    assert_int_equal(sscanf(s.out, "%f %f\n%f %f\n", &numbers[0], &numbers[1], &numbers[2], &numbers[3]), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(numbers[i] == (i % 2 ? BESIDE_A_TENTH : (float)(i / 2)));
    assert_ptr_equal(strchr(strchr(s.out, '\n') + 1, '\n'), s.out + strlen(s.out) - 1);
}

static void test_json_is_one_object(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(embed, verb_embed, (Options){WORDS("a", "b"), .json = true}, NULL, &p, &s), 0);
    json_t *object = json_loads(s.out, 0, NULL);
    const json_t *vectors = json_object_get(object, "embeddings");
    assert_int_equal(json_array_size(vectors), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *vector = json_array_get(vectors, i);
        assert_int_equal(json_array_size(vector), 2);
        assert_true(json_real_value(json_array_get(vector, 0)) == (double)i);
        assert_true((float)json_real_value(json_array_get(vector, 1)) == BESIDE_A_TENTH);
    }
    json_decref(object);
}

/* More than one call takes go in several. */
static void check_many(int n, const char *wanted) {
    static char input[32768];
    Peer p;
    Streams s;
    char *end = input;
    for (int i = 0; i < n; i++)
        end += sprintf(end, "%d\n", i);
    assert_int_equal(run_against(embed_numbers, verb_embed, (Options){NO_WORDS}, input, &p, &s), 0);
    assert_string_equal(p.heard, wanted);
    assert_string_equal(s.out, input);

    assert_int_equal(run_against(embed_numbers, verb_embed, (Options){NO_WORDS, .json = true}, input, &p, &s), 0);
    json_t *object = json_loads(s.out, 0, NULL), *vectors = json_object_get(object, "embeddings");
    assert_int_equal(json_array_size(vectors), n);
    for (int i = 0; i < n; i++)
        assert_true(json_real_value(json_array_get(json_array_get(vectors, (size_t)i), 0)) == i);
    json_decref(object);
}

static void test_any_number_of_texts(void **state) {
    check_many(2048, "Embed(2048)");
    check_many(2049, "Embed(2048) Embed(1)");
    check_many(4097, "Embed(2048) Embed(2048) Embed(1)");
}

/* ------------------------------------------------------------------------------------------------ errors */

static void check_refused(int (*answer)(Peer *, sd_bus_message *), Options o, const char *input, int wanted_code,
    const char *sentence, const char *heard) {
    Peer p;
    Streams s;
    assert_int_equal(run_against(answer, verb_embed, o, input, &p, &s), wanted_code);
    assert_non_null(strstr(s.err, sentence));
    assert_string_equal(s.out, "");
    assert_string_equal(p.heard, heard);
}

static void test_nothing_to_embed_asks_nobody(void **state) {
    check_refused(embed, (Options){NO_WORDS}, "", EX_USAGE, "nothing to embed", "");
    check_refused(embed, (Options){NO_WORDS}, " \r\n\n\t\n", EX_USAGE, "nothing to embed", "");
}

static void test_the_daemon_refuses(void **state) {
    check_refused(
        no_encoder, (Options){WORDS("x")}, NULL, EX_USAGE, "infer: The model computes no embeddings.", "Embed");
    check_refused(no_encoder, (Options){WORDS("x"), .json = true}, NULL, EX_USAGE, "no embeddings", "Embed");
    check_refused(another_form, (Options){WORDS("x")}, NULL, EX_PROTOCOL, "unexpected form", "Embed");
    check_refused(another_form, (Options){WORDS("x"), .json = true}, NULL, EX_PROTOCOL, "unexpected form", "Embed");
}

static int embed_file(Options o, int file, Peer *p, Streams *s) {
    o.bus = BUS_USER;
    peer_start(p, embed);
    streams_begin(s, file);
    int code = verb_embed(&o);
    streams_end(s);
    peer_end(p);
    return code;
}

static void test_input_that_cannot_be_taken(void **state) {
    Peer p;
    Streams s;
    int longer = streams_file("", 0), folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ftruncate(longer, (off_t)TEXT_MAX + 1), 0);
    assert_int_equal(embed_file((Options){NO_WORDS}, longer, &p, &s), EX_DATAERR);
    assert_non_null(strstr(s.err, "longer than 16 MB"));
    assert_int_equal(embed_file((Options){NO_WORDS}, folder, &p, &s), EX_NOINPUT);
    assert_non_null(strstr(s.err, "Is a directory"));
    assert_string_equal(p.heard, "");
}

/* It may be a terminal, or a loop's list of which a word has been read. */
static void test_input_beside_words_is_left_alone(void **state) {
    Peer p;
    Streams s;
    int file = streams_file("more", 4), other = dup(file);
    assert_int_equal(embed_file((Options){WORDS("a")}, file, &p, &s), 0);
    assert_int_equal(lseek(other, 0, SEEK_CUR), 0);
    close(other);
}

static void test_input_that_is_not_text_is_replaced_with_a_remark(void **state) {
    Peer p;
    Streams s;
    assert_int_equal(embed_file((Options){NO_WORDS}, streams_file("a\0b\n\xe9\n", 6), &p, &s), 0);
    assert_string_equal(p.heard, "Embed[a\uFFFDb][\uFFFD]");
    assert_non_null(strstr(s.err, "2 places of standard input are not UTF-8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_word_is_a_text),
        cmocka_unit_test(test_each_line_that_is_not_blank_is_a_text),
        cmocka_unit_test(test_a_blank_word_keeps_its_place),
        cmocka_unit_test(test_a_line_for_each_text),
        cmocka_unit_test(test_json_is_one_object),
        cmocka_unit_test(test_any_number_of_texts),
        cmocka_unit_test(test_nothing_to_embed_asks_nobody),
        cmocka_unit_test(test_the_daemon_refuses),
        cmocka_unit_test(test_input_that_cannot_be_taken),
        cmocka_unit_test(test_input_beside_words_is_left_alone),
        cmocka_unit_test(test_input_that_is_not_text_is_replaced_with_a_remark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
