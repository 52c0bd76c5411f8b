/* The other engines' own benchmark, run as a program: whoever measures against one names its llama-bench. */
#pragma once

#include <stdbool.h>

/* The two engines take different options for the same thing. */
typedef enum PeerKind {
    PEER_LLAMA_CPP,
    PEER_IK_LLAMA_CPP,
} PeerKind;

typedef struct Peer {
    const char *path; /* of llama-bench; for several sequences llama-batched-bench is taken from the same folder */
    PeerKind kind;
} Peer;

typedef struct PeerRun {
    const char *model;
    const char *flags; /* added to the command, or NULL */
    unsigned threads;
    unsigned context;  /* tokens before those that are measured */
    unsigned prompt;   /* tokens of the prompt to measure; 0: decoding */
    unsigned gen;      /* tokens to decode, by each sequence */
    unsigned parallel; /* sequences decoding together */
} PeerRun;

/* Asks the program which one it is. */
PeerKind peer_kind(const char *path);
const char *peer_name(const Peer *p);
/* Tokens a second, all sequences together; 0: it failed, and the command has been shown. */
double peer_measure(const Peer *p, const PeerRun *run);
