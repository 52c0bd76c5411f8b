"""The questions of the evaluation, one JSON object a line: {"skill", "messages", "answer"}.

    python3 evaluation.py --count 1000 > questions.jsonl

Only held-out numbers and words, so training never showed one of them. The refusals are everyday.txt, a list that was
written by hand and that training does not know. The standard library is enough to run this.
"""
import argparse
import json
import pathlib
import random
import sys

import traces
from questions import SKILLS
from teacher import conversation, question

CLAIMED = [*SKILLS, "follow-ups"]


def everyday():
    answer = traces.refuse()[1]
    for line in pathlib.Path(__file__).with_name("everyday.txt").read_text().splitlines():
        yield {"skill": "refusals", "messages": [{"role": "user", "content": line}], "answer": answer}


def held_out_questions(skill, count, seed):
    """Distinct held-out questions of one skill; `follow-ups` brings the turns before it along."""
    rng, seen = random.Random(f"{seed}/{skill}"), set()
    for _ in range(count * 400):
        if skill == "follow-ups":
            messages, last, _ = conversation(rng, skill)
            messages = [m for m in messages if m["role"] != "system"]
        else:
            last = question(rng, skill)
            messages = [{"role": "user", "content": last.text}]
        text = json.dumps(messages)
        if last.held_out and text not in seen:
            seen.add(text)
            yield {"skill": skill, "messages": messages, "answer": last.answer}
            if len(seen) == count:
                return


def all_questions(count, seed):
    for skill in CLAIMED:
        yield from held_out_questions(skill, count, seed)
    yield from everyday()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="questions of each skill (1000)")
    parser.add_argument("--seed", default="evaluation", help="another seed gives other questions")
    args = parser.parse_args()
    for entry in all_questions(args.count, args.seed):
        json.dump(entry, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
