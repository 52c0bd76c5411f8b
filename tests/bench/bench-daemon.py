#!/usr/bin/python3
"""bench-daemon --model FILE [--threads N] [--peer LLAMA-SERVER] [--peer-flags "..."] [--rounds N] [--only NAME,...]
             [--clients N,...] [--idle N,...] [--prefix N] [--seconds N]

The service as its clients see it: time to the first token and between tokens over the socket and over D-Bus, what the
transport costs, whether a person waits for background work, what a second request pays for a prompt already read, memory,
start, and what happens when nothing happens. With a peer llama-server has the same file and threads, and the two take
turns. Prints CSV, then a short table; never fails on a time. Standard library only."""
import argparse
import os
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time

SOURCE, INFERD = "@SOURCE@", "@INFERD@"  # filled in by the build
sys.path.insert(0, SOURCE if os.path.isdir(SOURCE) else os.path.dirname(os.path.abspath(__file__)))
from clients import BusClient, SocketClient, run, serve, start  # noqa: E402
from servers import Inferd, LlamaServer, with_text  # noqa: E402

PROMPT, ANSWER = 128, 32  # tokens
rows = []


def report(what, n, engine, **figures):
    """One line of CSV: what was measured, for how many, of whom, and name=value with a unit in the name."""
    for name, value in figures.items():
        rows.append((what, n, engine, name, value))
        print(f"{what},{n},{engine},{name},{value:.4g}", flush=True)


def text(n, rng):
    """A prompt of about n tokens of a byte-level vocabulary, never the same."""
    return "".join(rng.choices("abcdfgjklmopqrsuvwxyz ", k=n))


class Bench:
    def __init__(self, options):
        self.options, self.rng = options, random.Random(1)
        self.folder = tempfile.mkdtemp(prefix="bench-daemon-")
        self.model = with_text(os.path.abspath(options.model), self.folder)
        with open(self.model, "rb") as f:  # the page cache is warm, whoever starts first
            while f.read(1 << 24):
                pass
        self.inferd = Inferd(options.inferd, self.model, options.threads)
        self.peer = None
        if options.peer:
            self.peer = LlamaServer(options.peer, self.model, options.threads, options.peer_flags.split())

    def close(self):
        self.inferd.stop()
        if self.peer:
            self.peer.stop()
        shutil.rmtree(self.folder)

    def prompt(self, n=PROMPT):
        return text(n, self.rng)

    def client(self, side, prompt, n_tokens, **fields):
        if side == "D-Bus":
            return BusClient(self.inferd.bus_path, prompt, n_tokens, **fields)
        server = self.peer if side == "llama-server" else self.inferd
        return SocketClient(server.socket_path, prompt, n_tokens, **fields)

    def sides(self):
        return ["socket", "D-Bus"] + (["llama-server"] if self.peer else [])

    def together(self):
        """n clients at once, each with a prompt of its own."""
        for n in self.options.clients:
            figures = {side: {"first_ms": [], "between_ms": [], "p95_ms": [], "tokens_s": [], "transport_pct": [],
                              "transport_us": []} for side in self.sides()}
            for i in range(self.options.rounds):
                for side in self.rotate(i):
                    self.one_round(side, n, figures[side])
            for side, f in figures.items():
                report("clients", n, side, **{k: statistics.median(v) for k, v in f.items() if v})
            self.compare("clients", n, figures)

    def rotate(self, i):
        sides = self.sides()
        return sides[i % len(sides):] + sides[:i % len(sides)]

    def one_round(self, side, n, figures):
        clients = [self.client(side, self.prompt(), ANSWER) for _ in range(n)]
        start(clients)
        serve(clients, lambda: all(c.times or c.ended for c in clients))
        cpu, begin = self.inferd.transport(), time.monotonic()
        before = sum(len(c.times) for c in clients)
        serve(clients, lambda: False)
        cpu, took = self.inferd.transport() - cpu, time.monotonic() - begin
        for c in clients:
            c.close()
            if c.error or len(c.times) < 2:
                raise RuntimeError(f"{side}: {c.error or 'a client got no text'}")
        n_tokens = sum(len(c.times) for c in clients) - before
        gaps = sorted(gap for c in clients for gap in c.gaps())
        figures["first_ms"].append(1e3 * statistics.median(c.first() for c in clients))
        figures["between_ms"].append(1e3 * statistics.median(gaps))
        figures["p95_ms"].append(1e3 * gaps[int(len(gaps) * 0.95)])
        figures["tokens_s"].append(n_tokens / took)
        if side != "llama-server":
            figures["transport_us"].append(1e6 * cpu / n_tokens)
            figures["transport_pct"].append(100 * cpu / took)

    def compare(self, what, n, figures):
        """How many times longer the peer takes, in the same round."""
        for side in self.sides():
            if side != "llama-server" and self.peer:
                for key in ("first_ms", "between_ms"):
                    pairs = [b / a for a, b in zip(figures[side][key], figures["llama-server"][key])]
                    report(what, n, side, **{key.replace("_ms", "_ratio"): statistics.median(pairs)})

    def interactive(self):
        """A person asks while eight others are served in the background; and alone, for comparison."""
        figures = {}
        for side in self.sides():
            priority = {} if side == "llama-server" else {"priority": "background"}
            mine = {} if side == "llama-server" else {"priority": "interactive"}
            alone = [1e3 * run([self.client(side, self.prompt(), 4, **mine)])[0].first() for _ in range(3)]
            others = [self.client(side, self.prompt(), 4000, **priority) for _ in range(8)]
            start(others)
            serve(others, lambda: all(len(c.times) > 2 or c.ended for c in others))
            busy = []
            for _ in range(self.options.rounds):
                c = self.client(side, self.prompt(), 4, **mine)
                c.start()
                serve([c, *others], lambda: c.times or c.ended)
                busy.append(1e3 * c.first())
                serve([c, *others], lambda: c.ended)
                c.close()
            for c in others:
                c.close()
            time.sleep(1)  # what they left is cancelled
            figures[side] = {"first_ms": busy}
            report("interactive", 8, side, alone_ms=statistics.median(alone), first_ms=statistics.median(busy),
                   worst_ms=max(busy))
        if self.peer:
            for side in ("socket", "D-Bus"):
                report("interactive", 8, side, first_ratio=statistics.median(figures["llama-server"]["first_ms"]) /
                       statistics.median(figures[side]["first_ms"]))

    def prefix(self):
        """The second request whose prompt begins like the first one's."""
        for side in self.sides():
            first, second = [], []
            for _ in range(min(self.options.rounds, 3)):
                shared = self.prompt(self.options.prefix)
                first.append(1e3 * run([self.client(side, shared + self.prompt(8), 2)])[0].first())
                second.append(1e3 * run([self.client(side, shared + self.prompt(8), 2)])[0].first())
            share = [100 * b / a for a, b in zip(first, second)]
            report("prefix", self.options.prefix, side, first_ms=statistics.median(first), second_ms=statistics.median(second),
                   second_pct=statistics.median(share))

    def memory(self):
        for side, server in (("inferd", self.inferd), ("llama-server", self.peer)):
            if server:
                m = server.memory()
                pool = m["largest"] if side == "inferd" else 0
                report("memory", 0, side, private_mib=m["private"] / 2**20, pool_mib=pool / 2**20,
                       beyond_pool_mib=(m["private"] - pool) / 2**20, mapped_mib=m["files"] / 2**20)

    def begin(self):
        """From exec to READY, with a warm page cache, and to the first token of a client that waits for the socket."""
        ready, mapped, first = [], [], []
        for _ in range(max(self.options.rounds, 5)):
            d = Inferd(self.options.inferd, self.model, self.options.threads)
            ready.append(1e3 * d.ready)
            mapped.append(d.memory()["files"] / 2**20)
            c = run([SocketClient(d.socket_path, "a", 2)])[0]
            first.append(1e3 * (d.ready + c.first()))
            d.stop()
        report("start", 0, "inferd", ready_ms=statistics.median(ready), worst_ms=max(ready), first_token_ms=statistics.median(first),
               mapped_mib=statistics.median(mapped))
        if self.peer:
            report("start", 0, "llama-server", ready_ms=1e3 * self.peer.ready)

    def idle(self):
        """Wake-ups with n connections that do nothing, what each costs in memory, and the first token beside them."""
        for n in self.options.idle:
            before = self.inferd.memory()["private"]
            sockets = [SocketClient(self.inferd.socket_path, "", 1) for _ in range(n)]
            time.sleep(1)
            after = self.inferd.memory()["private"]
            first = [1e3 * run([self.client("socket", self.prompt(8), 2)])[0].first() for _ in range(5)]
            time.sleep(1)
            wakeups, begin = self.inferd.wakeups(), time.monotonic()
            time.sleep(self.options.seconds)
            rate = (self.inferd.wakeups() - wakeups) / (time.monotonic() - begin)
            for s in sockets:
                s.close()
            report("idle", n, "inferd", wakeups_s=rate, kib_each=(after - before) / 1024 / max(n, 1),
                   first_ms=statistics.median(first))


def table():
    """Of each measurement a line for each number and side."""
    names = {}
    for what, n, engine, name, value in rows:
        names.setdefault(what, {}).setdefault((n, engine), {})[name] = value
    for what, lines in names.items():
        columns = list(dict.fromkeys(name for line in lines.values() for name in line))
        print(f"\n{what:14}{'':14}" + "".join(f"{c:>16}" for c in columns))
        for (n, engine), line in lines.items():
            print(f"{n:>12}  {engine:14}" + "".join(f"{line[c]:16.4g}" if c in line else f"{'':16}" for c in columns))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = lambda s: [int(n) for n in s.split(",")]  # noqa: E731
    parser.add_argument("--model", required=True)
    parser.add_argument("--inferd", default=INFERD)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer")
    parser.add_argument("--peer-flags", default="-c 40960 -np 16 --kv-unified -fa on --no-webui")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=numbers, default=[1, 4, 8, 16])
    parser.add_argument("--idle", type=numbers, default=[1, 10, 100, 1000])
    parser.add_argument("--prefix", type=int, default=2000, help="tokens that two prompts share")
    parser.add_argument("--seconds", type=float, default=10, help="to watch what happens when nothing happens")
    parser.add_argument("--only", default="start,together,interactive,prefix,idle,memory")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    print("what,number,side,figure,value")
    bench = Bench(options)
    try:
        for name in options.only.split(","):
            {"start": bench.begin, "together": bench.together, "interactive": bench.interactive, "prefix": bench.prefix,
             "idle": bench.idle, "memory": bench.memory}[name]()
    finally:
        bench.close()
    table()


if __name__ == "__main__":
    main()
