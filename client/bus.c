/* Finding the daemon, and turning what a bus says into a sentence that helps and an exit code that a script can tell.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "bus.h"
#include "output.h"

#define ERROR_PREFIX "org.inferd.Inference1.Error."

typedef enum Presence {
    ABSENT,
    ACTIVATABLE,
    RUNNING,
} Presence;

static Presence look_for_name(sd_bus *bus) {
    _cleanup_(message_unrefp) sd_bus_message *owned = NULL, *activatable = NULL;
    int yes = 0;

    if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
            NULL, &owned, "s", BUS_NAME) >= 0 &&
        sd_bus_message_read(owned, "b", &yes) >= 0 && yes)
        return RUNNING;

    if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
            "ListActivatableNames", NULL, &activatable, NULL) < 0 ||
        sd_bus_message_enter_container(activatable, 'a', "s") < 0)
        return ABSENT;
    const char *name;
    while (sd_bus_message_read(activatable, "s", &name) > 0)
        if (strcmp(name, BUS_NAME) == 0)
            return ACTIVATABLE;
    return ABSENT;
}

static int complain_no_bus(BusChoice choice, int r) {
    if (choice == BUS_USER)
        return complain(EX_UNAVAILABLE,
            "cannot reach your session's message bus (%s); log in with a session, or use "
            "dbus-run-session",
            strerror(-r));
    return complain(EX_UNAVAILABLE, "cannot reach the system's message bus (%s); is dbus running?", strerror(-r));
}

static int open_connection(bool user, sd_bus **ret) {
    return user ? sd_bus_open_user_with_description(ret, "infer") : sd_bus_open_system_with_description(ret, "infer");
}

static void take(Bus *b, bool user, sd_bus **connection) {
    *b = (Bus){.connection = TAKE_PTR(*connection), .user = user};
}

int bus_open(Bus *b, BusChoice choice) {
    sd_bus *user = NULL, *system = NULL;
    int user_r = -ENOTCONN, system_r = -ENOTCONN;

    if (choice != BUS_SYSTEM)
        user_r = open_connection(true, &user);
    if (choice != BUS_USER)
        system_r = open_connection(false, &system);

    if (!user && !system)
        return complain_no_bus(choice, choice == BUS_USER ? user_r : system_r);
    Presence at_user = user ? look_for_name(user) : ABSENT;
    if (!system || at_user == RUNNING || (at_user == ACTIVATABLE && look_for_name(system) == ABSENT))
        take(b, true, &user);
    else
        take(b, false, &system);
    sd_bus_flush_close_unref(user);
    sd_bus_flush_close_unref(system);
    return 0;
}

void bus_done(Bus *b) {
    b->connection = sd_bus_flush_close_unref(b->connection);
}

int bus_new_call(Bus *b, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
    int r = sd_bus_message_new_method_call(b->connection, ret, BUS_NAME, path, interface, member);
    /* a session dies with its daemon: starting another one for its sake would be in vain, and in the way of a stop */
    if (r >= 0 && strcmp(interface, BUS_SESSION) == 0)
        r = sd_bus_message_set_auto_start(*ret, false);
    return r;
}

int bus_call(Bus *b, sd_bus_message *m, sd_bus_message **ret_reply) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    (void)sd_bus_message_set_allow_interactive_authorization(m, true);
    int r = sd_bus_call(b->connection, m, BUS_LOAD_TIMEOUT_USEC, &error, ret_reply);
    return r < 0 ? bus_complain(b, &error, r) : 0;
}

/* ------------------------------------------------------------------------------------------------ errors */

/* What the daemon's own errors mean to a script. Its sentence already says what to do. */
static const struct {
    const char *name;
    int exit_code;
} exit_codes[] = {
    {"InvalidArgument", EX_USAGE},
    {"NotSupported", EX_USAGE},
    {"ContextOverflow", EX_DATAERR},
    {"NoSuchModel", EX_NOINPUT},
    {"NoModel", EX_UNAVAILABLE},
    {"ModelFailed", EX_UNAVAILABLE},
    {"OutOfMemory", EX_OSERR},
    {"PoolExhausted", EX_TEMPFAIL},
    {"Busy", EX_TEMPFAIL},
    {"LimitsExceeded", EX_TEMPFAIL},
    {"Timeout", EX_TEMPFAIL},
    {"Stopping", EX_TEMPFAIL},
    {"ReaderStalled", EX_IOERR},
    {"NotAuthorized", EX_NOPERM},
};

static int complain_not_running(const Bus *b) {
    if (b->user)
        return complain(EX_UNAVAILABLE, "inferd is not running: systemctl --user start inferd.socket");
    return complain(EX_UNAVAILABLE, "inferd is not running: systemctl start inferd.socket");
}

static int complain_failed_start(const Bus *b, const char *message) {
    const char *user = b->user ? " --user" : "";
    return complain(
        EX_UNAVAILABLE, "inferd could not be started: %s\nTo see why: journalctl%s -u inferd -n 20", message, user);
}

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

int bus_complain_name(const Bus *b, const char *name, const char *message) {
    static const char *const not_running[] = {SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER, NULL};
    static const char *const gone[] = {SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED, SD_BUS_ERROR_NO_SERVER, NULL};
    static const char *const late[] = {SD_BUS_ERROR_TIMEOUT, "org.freedesktop.DBus.Error.TimedOut", NULL};
    static const char *const denied[] = {
        SD_BUS_ERROR_ACCESS_DENIED, SD_BUS_ERROR_AUTH_FAILED, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, NULL};

    if (strncmp(name, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0) {
        for (size_t i = 0; i < ELEMENTSOF(exit_codes); i++)
            if (strcmp(name + strlen(ERROR_PREFIX), exit_codes[i].name) == 0)
                return complain(exit_codes[i].exit_code, "%s", message);
        return complain(EX_SOFTWARE, "%s", message);
    }
    if (is_one_of(name, not_running))
        return complain_not_running(b);
    if (is_one_of(name, gone))
        return complain(EX_UNAVAILABLE, "inferd went away before it had answered; try again");
    if (is_one_of(name, late))
        return complain(EX_TEMPFAIL, "inferd does not answer; try again, or see: systemctl%s status inferd",
            b->user ? " --user" : "");
    if (is_one_of(name, denied))
        return complain(EX_NOPERM, "not allowed: %s", message);
    if (strncmp(name, "org.freedesktop.systemd1.", 25) == 0 ||
        strncmp(name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0)
        return complain_failed_start(b, message);
    if (strcmp(name, SD_BUS_ERROR_UNKNOWN_METHOD) == 0 || strcmp(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) == 0)
        return complain(EX_PROTOCOL, "the inferd that runs is of another version than this command: %s", message);
    return complain(EX_SOFTWARE, "%s", message);
}

int bus_complain(const Bus *b, const sd_bus_error *error, int r) {
    if (error && sd_bus_error_is_set(error))
        return bus_complain_name(b, error->name, error->message ? error->message : error->name);
    switch (-r) {
    case ENOTCONN:
    case ECONNRESET:
    case ESHUTDOWN:
    case EPIPE: return bus_complain_name(b, SD_BUS_ERROR_DISCONNECTED, "");
    case ETIMEDOUT: return bus_complain_name(b, SD_BUS_ERROR_TIMEOUT, "");
    case EMSGSIZE: return complain(EX_DATAERR, "the text is longer than the message bus carries");
    case ENOMEM: return complain(EX_OSERR, "out of memory");
    case EBADMSG:
    case ENXIO: return complain(EX_PROTOCOL, "inferd's answer has an unexpected form; is it of another version?");
    default: return complain(EX_SOFTWARE, "talking to inferd failed: %s", strerror(-r));
    }
}

bool bus_error_is_lost_session(const sd_bus_error *error) {
    static const char *const lost[] = {SD_BUS_ERROR_UNKNOWN_OBJECT, SD_BUS_ERROR_SERVICE_UNKNOWN,
        SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_REPLY, NULL};
    return sd_bus_error_is_set(error) && is_one_of(error->name, lost);
}
