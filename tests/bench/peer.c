/* Both engines descend from one llama-bench but have parted: the same table comes with other columns, the depth at
 * which to decode is an option here (-d) and a kind of test there (-gp), and what makes one fast the other refuses. So
 * results are taken from the JSON both write, and options chosen by what the program says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macros.h"
#include "peer.h"

PeerKind peer_kind(const char *path) {
    char command[1024], line[1024];
    PeerKind kind = PEER_LLAMA_CPP;
    snprintf(command, sizeof(command), "'%s' --help 2>&1", path);
    FILE *f = popen(command, "re");
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "--run-time-repack"))
            kind = PEER_IK_LLAMA_CPP;
    if (f)
        pclose(f);
    return kind;
}

const char *peer_name(const Peer *p) {
    return p->kind == PEER_IK_LLAMA_CPP ? "ik_llama.cpp" : "llama.cpp";
}

/* The number after the last "avg_ts": in JSON. */
static double find_average(FILE *f) {
    char line[4096];
    double speed = 0;
    while (fgets(line, sizeof(line), f)) {
        const char *key = strstr(line, "\"avg_ts\":");
        if (key)
            speed = strtod(key + strlen("\"avg_ts\":"), NULL);
    }
    return speed;
}

/* From the row of a table | PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s | ... */
static double find_row(FILE *f, unsigned parallel) {
    char line[4096];
    double speed = 0;
    while (fgets(line, sizeof(line), f)) {
        unsigned pp, tg, b, n;
        double t_pp, s_pp, t_tg, s_tg;
        const char *row = strchr(line, '|');
        if (row &&
            sscanf(row, "| %u | %u | %u | %u | %lf | %lf | %lf | %lf", &pp, &tg, &b, &n, &t_pp, &s_pp, &t_tg, &s_tg) ==
                8 &&
            b == parallel)
            speed = s_tg;
    }
    return speed;
}

/* Several sequences: the contexts of all lie in one cache. */
static void batched_command(char *command, size_t size, const Peer *p, const PeerRun *r) {
    const char *slash = strrchr(p->path, '/');
    unsigned each = (r->context + r->gen + 255) / 256 * 256;
    snprintf(command, size, "'%.*s/llama-batched-bench' -m '%s' -t %u -c %u -npp %u -ntg %u -npl %u %s %s",
        slash ? (int)(slash - p->path) : 1, slash ? p->path : ".", r->model, r->threads, each * r->parallel, r->context,
        r->gen, r->parallel, p->kind == PEER_IK_LLAMA_CPP ? "-fa on -rtr" : "-fa on", r->flags ? r->flags : "");
}

static void single_command(char *command, size_t size, const Peer *p, const PeerRun *r) {
    char what[64];
    if (r->prompt > 0)
        snprintf(what, sizeof(what), "-p %u -n 0", r->prompt);
    else if (p->kind == PEER_IK_LLAMA_CPP && r->context > 0)
        snprintf(what, sizeof(what), "-p 0 -n 0 -gp %u,%u", r->context, r->gen);
    else
        snprintf(what, sizeof(what), "-p 0 -n %u%s%.0u", r->gen, r->context > 0 ? " -d " : "", r->context);
    snprintf(command, size, "'%s' -m '%s' -t %u %s -r 1 -ngl 0 -o json %s %s", p->path, r->model, r->threads, what,
        p->kind == PEER_IK_LLAMA_CPP ? "-fa 1 -rtr 1" : "-fa 1", r->flags ? r->flags : "");
}

double peer_measure(const Peer *p, const PeerRun *r) {
    char command[4096], redirected[4096 + 16];
    bool batched = r->parallel > 1 && r->prompt == 0;
    double speed = 0;
    (batched ? batched_command : single_command)(command, sizeof(command), p, r);
    snprintf(redirected, sizeof(redirected), "%s %s", command, batched ? "2>&1" : "2>/dev/null");
    FILE *f = popen(redirected, "re");
    if (f) {
        speed = batched ? find_row(f, r->parallel) : find_average(f);
        if (pclose(f) != 0)
            speed = 0;
    }
    if (speed <= 0)
        fprintf(stderr, "bench-engine: the peer fails or prints no speed; try it yourself: %s\n", command);
    return speed;
}
