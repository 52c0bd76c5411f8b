/* See log.h. Whether standard error is the journal is told by $JOURNAL_STREAM (device and inode, systemd.exec(5)). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "log.h"

#define FIELD_MAX  256
#define FIELDS_MAX 10

typedef struct LogLine {
    struct iovec iov[FIELDS_MAX];
    char text[FIELDS_MAX][FIELD_MAX];
    int n;
} LogLine;

static int log_max_priority = LOG_INFO;
static bool log_to_journal;

static bool stderr_is_journal(void) {
    unsigned long long device, inode;
    struct stat st;

    const char *s = getenv("JOURNAL_STREAM");
    if (!s || sscanf(s, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
        return false;
    return st.st_dev == device && st.st_ino == inode;
}

void log_init(int max_priority) {
    log_max_priority = max_priority;
    log_to_journal = stderr_is_journal();
}

static void add_field(LogLine *l, const char *format, ...) _printf_(2, 3);
static void add_field(LogLine *l, const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(l->text[l->n], FIELD_MAX, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    l->iov[l->n] = (struct iovec){.iov_base = l->text[l->n], .iov_len = MIN((size_t)n, (size_t)FIELD_MAX - 1)};
    l->n++;
}

static int send_to_journal(int priority, const LogFields *f, char *message, size_t size) {
    LogLine l = {};

    l.iov[l.n++] = (struct iovec){.iov_base = message, .iov_len = size};
    add_field(&l, "PRIORITY=%d", priority);
    add_field(&l, "SYSLOG_IDENTIFIER=inferd");
    if (f && f->request_id)
        add_field(&l, "REQUEST_ID=%" PRIu64, f->request_id);
    if (f && f->owner)
        add_field(&l, "OWNER=%s", f->owner);
    if (f && f->transport)
        add_field(&l, "TRANSPORT=%s", f->transport);
    if (f && f->model)
        add_field(&l, "MODEL=%s", f->model);
    if (f && f->outcome) {
        add_field(&l, "OUTCOME=%s", f->outcome);
        add_field(&l, "PROMPT_TOKENS=%" PRIu32, f->prompt_tokens);
        add_field(&l, "COMPLETION_TOKENS=%" PRIu32, f->completion_tokens);
    }
    return sd_journal_sendv(l.iov, l.n);
}

void log_message(int priority, const LogFields *fields, const char *format, ...) {
    char message[1024] = "MESSAGE=";
    const size_t skip = sizeof("MESSAGE=") - 1;

    if (priority > log_max_priority)
        return;

    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(message + skip, sizeof(message) - skip, format, ap);
    va_end(ap);
    if (n < 0)
        return;

    if (log_to_journal && send_to_journal(priority, fields, message, strlen(message)) >= 0)
        return;
    for (char *p = message + skip; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' '; /* one message, one line, whatever a file name holds */
    if (fields && fields->request_id)
        fprintf(stderr, "inferd: request %" PRIu64 ": %s\n", fields->request_id, message + skip);
    else
        fprintf(stderr, "inferd: %s\n", message + skip);
}
