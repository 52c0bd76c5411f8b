/* The command line of inferd. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

#include "daemon.h"
#include "log.h"

static const char usage[] = "Usage: inferd [OPTIONS]\n"
                            "\n"
                            "The service through which every program shares one language model.\n"
                            "\n"
                            "      --system          serve the system bus (default)\n"
                            "      --user            serve the session bus and $XDG_RUNTIME_DIR/inferd/inferd.sock\n"
                            "      --config=FILE     read FILE and FILE.d/*.conf instead of the standard places\n"
                            "      --model=NAME      serve the installed model NAME, or the file at an absolute path\n"
                            "      --socket=PATH     listen on PATH; empty: on no socket\n"
                            "      --no-bus          do not connect to D-Bus\n"
                            "      --idle-exit=TIME  exit after TIME without clients\n"
                            "      --check-config    check the configuration, print it and exit\n"
                            "      --version         print the version and exit\n"
                            "  -h, --help            print this and exit\n";

static int exit_status(int code) {
    switch (code) {
    case 0: return EX_OK;
    case -EINVAL:
    case -ENOENT:
    case -EISDIR:
    case -EFBIG:
    case -ENAMETOOLONG: return EX_CONFIG;
    case -EACCES:
    case -EPERM: return EX_NOPERM;
    case -EEXIST:
    case -EADDRINUSE: return EX_UNAVAILABLE;
    default: return EX_OSERR;
    }
}

static int fail(const Error *e) {
    log_error("%s", e->message);
    return exit_status(e->code);
}

static int check_config(const DaemonArguments *a) {
    _cleanup_(config_freep) Config *c = NULL;
    Error e = {};

    if (daemon_load_config(a, &c, &e) < 0)
        return fail(&e);
    config_print(c, stdout);
    return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

int main(int argc, char **argv) {
    enum { SYSTEM = 256, USER, CONFIG, MODEL, SOCKET, NO_BUS, IDLE_EXIT, CHECK_CONFIG, VERSION };
    static const struct option options[] = {
        {"system", no_argument, NULL, SYSTEM},
        {"user", no_argument, NULL, USER},
        {"config", required_argument, NULL, CONFIG},
        {"model", required_argument, NULL, MODEL},
        {"socket", required_argument, NULL, SOCKET},
        {"no-bus", no_argument, NULL, NO_BUS},
        {"idle-exit", required_argument, NULL, IDLE_EXIT},
        {"check-config", no_argument, NULL, CHECK_CONFIG},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    DaemonArguments a = {};
    bool check = false;

    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) >= 0;)
        switch (c) {
        case SYSTEM: a.user = false; break;
        case USER: a.user = true; break;
        case CONFIG: a.config_path = optarg; break;
        case MODEL: a.model = optarg; break;
        case SOCKET: a.socket_path = optarg; break;
        case NO_BUS: a.no_bus = true; break;
        case IDLE_EXIT: a.idle_exit = optarg; break;
        case CHECK_CONFIG: check = true; break;
        case VERSION: puts("inferd " INFERD_VERSION); return EX_OK;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: fputs("Try \"inferd --help\".\n", stderr); return EX_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "inferd: unexpected argument \"%s\". Try \"inferd --help\".\n", argv[optind]);
        return EX_USAGE;
    }

    log_init(LOG_INFO);
    if (check)
        return check_config(&a);
    Error e = {};
    if (daemon_run(&a, &e) < 0)
        return fail(&e);
    return EX_OK;
}
