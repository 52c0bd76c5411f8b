#!/usr/bin/python3
"""Ask a running daemon the evaluation questions and print how many answers are exactly right.

    python3 data/models/evaluate.py --socket "$XDG_RUNTIME_DIR/inferd/inferd.sock" --write

Greedy decoding over POST /v1/chat/completions, several requests in flight. With --write the table in README.md
beside this script is replaced. With --count 10 it is a quick look. Exit status 1 if a skill misses its figure.
"""
import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "train"))
from evaluation import all_questions  # noqa: E402

GOALS = collections.defaultdict(lambda: 95.0, {"addition": 98.0, "subtraction": 98.0})
BEGIN, END = "<!-- accuracy: written by evaluate.py -->\n", "<!-- end of accuracy -->\n"
local = threading.local()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, messages):
    """Returns the answer without its reasoning, on this thread's own connection."""
    body = json.dumps({"messages": messages, "temperature": 0, "max_tokens": 400})
    connection = getattr(local, "connection", None) or UnixConnection(path)
    local.connection = None
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    reply = response.read()
    if response.status != 200:
        raise RuntimeError(f"the daemon answered {response.status}: {reply[:300].decode(errors='replace')}")
    local.connection = connection
    return (json.loads(reply)["choices"][0]["message"]["content"] or "").split("</think>")[-1].strip()


def table(right, asked):
    rows = ["| skill | questions | exactly right | goal |", "| --- | ---: | ---: | ---: |"]
    for skill, count in asked.items():
        rows.append(f"| {skill} | {count} | {100 * right[skill] / count:.1f} % | {GOALS[skill]:.0f} % |")
    return "\n".join(rows) + "\n"


def write_table(text):
    readme = HERE / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + text + END + rest.split(END)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    runtime = os.environ.get("XDG_RUNTIME_DIR", "/run")
    parser.add_argument("--socket", default=f"{runtime}/inferd/inferd.sock",
                        help="the daemon's Unix socket (%(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="questions of each skill (%(default)s)")
    parser.add_argument("--seed", default="evaluation", help="another seed gives other questions")
    parser.add_argument("--flights", type=int, default=8, help="requests at the same time (%(default)s)")
    parser.add_argument("--wrong", help="write the wrong answers to this file, one JSON object a line")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    args = parser.parse_args()

    questions = list(all_questions(args.count, args.seed))
    right, asked, wrong, begin = collections.Counter(), collections.Counter(), [], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.flights) as pool:
        for q, answer in zip(questions, pool.map(lambda q: ask(args.socket, q["messages"]), questions)):
            asked[q["skill"]] += 1
            right[q["skill"]] += answer == q["answer"]
            if answer != q["answer"]:
                wrong.append({**q, "got": answer})
    text = table(right, asked)
    print(text, end="")
    print(f"{len(questions)} questions in {time.monotonic() - begin:.0f} s", file=sys.stderr)
    if args.wrong:
        pathlib.Path(args.wrong).write_text("".join(json.dumps(w, ensure_ascii=False) + "\n" for w in wrong))
    if args.write:
        write_table(text)
    return any(100 * right[s] < GOALS[s] * asked[s] for s in asked)


if __name__ == "__main__":
    sys.exit(main())
